"""A NAT between an access link and the backbone: UDP passes, by mappings that time out; nothing else does."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from unwired.wire.address import Address
from unwired.wire.ipv6 import Outer

FIRST_PORT = 40_000


@dataclass(slots=True)
class _Mapping:
    """From an address and port inside to a port outside, for one peer (RFC 4787: address and port dependent)."""

    inside: tuple[Address, int]
    peer: tuple[Address, int]
    port: int
    used_at: float


class Nat:
    """``clock`` gives the time. A mapping is kept for ``timeout_s`` after the last packet from inside."""

    def __init__(self, address: Address, clock: Callable[[], float], timeout_s: float = 120.0) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._clock = clock
        self._next_port = FIRST_PORT
        self._mappings: list[_Mapping] = []

    def outward(self, ends: Outer) -> Outer | None:
        """The addresses and ports that a packet from inside has outside; None: it does not pass."""
        if not ends.source_port:
            return None
        inside, peer = (ends.source, ends.source_port), (ends.destination, ends.destination_port)
        mapping = next((one for one in self._live() if (one.inside, one.peer) == (inside, peer)), None)
        if mapping is None:
            mapping = _Mapping(inside, peer, self._next_port, 0.0)
            self._next_port += 1
            self._mappings.append(mapping)
        mapping.used_at = self._clock()
        return replace(ends, source=self.address, source_port=mapping.port)

    def inward(self, ends: Outer) -> Outer | None:
        """The same for a packet from outside."""
        peer = (ends.source, ends.source_port)
        for mapping in self._live():
            if (mapping.port, mapping.peer) == (ends.destination_port, peer):
                return replace(ends, destination=mapping.inside[0], destination_port=mapping.inside[1])
        return None

    def forget(self) -> None:
        """It was restarted: what comes next gets other ports."""
        self._mappings.clear()

    def _live(self) -> list[_Mapping]:
        oldest = self._clock() - self.timeout_s
        self._mappings = [one for one in self._mappings if one.used_at > oldest]
        return self._mappings
