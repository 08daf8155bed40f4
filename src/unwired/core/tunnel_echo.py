"""Echo requests through a tunnel and their answers: what keepalives, liveness and path MTU probes are made of.

Any packet keeps a NAT's mapping (RFC 5555 section 4.3), and an ICMPv6 echo request is answered by the kernel at the
other end (RFC 4443 section 4.1), so that it needs nothing there. The identifier tells the answers from those to
anybody's ping; the token in them is not to be guessed by who does not see the packets.
"""

from collections.abc import Callable
from dataclasses import dataclass

from unwired.core.forwarding import Tunnel
from unwired.wire.address import Address
from unwired.wire.datagram import PORT
from unwired.wire.icmpv6 import EchoReply, EchoRequest
from unwired.wire.ipv6 import HEADER_SIZE, Outer, Packet

IDENTIFIER = PORT
"""Of all these echo requests, so that the data plane can tell their answers from data."""
REMEMBERED = 32
"""Requests whose answers are still known."""
_TOKEN_SIZE = 8
_ICMP_HEADER_SIZE = 8
SIZE_MIN = HEADER_SIZE + _ICMP_HEADER_SIZE + _TOKEN_SIZE


@dataclass(frozen=True, slots=True)
class Echo:
    """A request that was answered: ``size`` is that of the inner packet in bytes."""

    size: int
    sent_at: float


class TunnelEcho:
    """``entropy`` gives random bytes."""

    __slots__ = ("_pending", "_sequence", "_token")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._token = entropy(_TOKEN_SIZE)
        self._sequence = 0
        self._pending: dict[int, Echo] = {}

    def request(self, source: Address, destination: Address, tunnel: Tunnel, size: int, now: float) -> Packet:
        """An echo request of ``size`` bytes from ``source`` to ``destination`` in this tunnel, not to be fragmented."""
        size = max(size, SIZE_MIN)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._pending[self._sequence] = Echo(size, now)
        while len(self._pending) > REMEMBERED:
            del self._pending[next(iter(self._pending))]
        message = EchoRequest(IDENTIFIER, self._sequence, self._token + bytes(size - SIZE_MIN))
        outer = Outer(tunnel.local, tunnel.peer, tunnel.local_port, tunnel.peer_port, dont_fragment=True)
        return Packet(source, destination, message, flow_label=tunnel.flow_label, outer=outer)

    def answered(self, message: EchoReply) -> Echo | None:
        """The request that this answers, once; None when it is not the answer to one of ours."""
        if message.identifier != IDENTIFIER or message.echoed[:_TOKEN_SIZE] != self._token:
            return None
        echo = self._pending.get(message.sequence)
        if echo is None or len(message.echoed) != echo.size - SIZE_MIN + _TOKEN_SIZE:
            return None
        return self._pending.pop(message.sequence)

    def forget(self) -> None:
        """Another tunnel: what is on its way in the one before says nothing about it."""
        self._pending.clear()
