"""The IPv4 addresses and the default router that the host has on one interface, and which of them are believed.

IPv4 has no router advertisements that would tell one network from the next: a DHCP client, or a person, configures
addresses and routes, and they may stay behind when the link goes to another network. RFC 5555 section 4.4.4 points to
RFC 4436, whose question is answered by the host's own DHCP client here: it confirms its lease on a link that comes up
(RFC 2131 section 3.2), by which the kernel tells of the address or the route once more. So what was there before the
link came up counts when either of them is told again, and in any case after a second in which the host did not take it
back, as it is with what a person has configured.
"""

from dataclasses import dataclass

from unwired.wire.address import UNSPECIFIED_IPV4, Address, in_prefix, is_unicast_routable

HOST_SILENCE_S = 1.0
"""How long after the link came up a host has to take back what it has no more. An INIT-REBOOT is one round trip to the
DHCP server; believing too early costs a binding update that is not answered."""


@dataclass(slots=True)
class _Known:
    """``told``: since the link came up."""

    prefix_length: int
    told: bool


class Ipv4Configuration:
    """Of one interface. Prefix lengths are of v4-mapped addresses, times monotonic seconds."""

    def __init__(self) -> None:
        self.addresses: dict[Address, _Known] = {}
        self.router: Address | None = None
        self._router_told = False
        self._up = False
        self._believed_at: float | None = None

    def came_up(self, now: float) -> None:
        """There is carrier. When it was never seen to go, what is known stays in use."""
        if not self._up:
            self._up = True
            self._believed_at = now + HOST_SILENCE_S
            self._router_told = False
            for known in self.addresses.values():
                known.told = False

    def went_down(self) -> None:
        self._up = False
        self._believed_at = None

    def add_address(self, address: Address, prefix_length: int) -> None:
        self.addresses[address] = _Known(prefix_length, self._up)

    def remove_address(self, address: Address) -> None:
        self.addresses.pop(address, None)

    def set_router(self, router: Address) -> None:
        self.router, self._router_told = router, self._up

    def remove_router(self, router: Address) -> None:
        if self.router == router:
            self.router, self._router_told = None, False

    def care_of_addresses(self, now: float) -> list[tuple[Address, Address]]:
        """Addresses that may be care-of addresses with their router, the best first: those of the router's own network
        before those it is beyond of, those told since the link came up before others."""
        router = self.router
        if router is None or not self._up:
            return []
        believed = self._believed_at is None or now >= self._believed_at
        found: list[tuple[tuple[bool, bool], Address]] = []
        for address, known in self.addresses.items():
            near = router == UNSPECIFIED_IPV4 or in_prefix(router, address, known.prefix_length)
            told = (known.told or self._router_told) if near else (known.told and self._router_told)
            if is_unicast_routable(address) and (told or believed):
                found.append(((not near, not known.told), address))
        return [(address, router) for _, address in sorted(found, key=lambda item: item[0])]

    def deadline(self, now: float) -> float | None:
        """When what is there is believed without having been told again."""
        at = self._believed_at
        return at if at is not None and at > now and self.addresses and self.router is not None else None

    def prefix_length_around(self, address: Address) -> int | None:
        """Of the network on this link that ``address`` is in; None when it is in none."""
        lengths = [known.prefix_length for one, known in self.addresses.items() if self._is_around(address, one, known)]
        return max(lengths, default=None)

    def _is_around(self, address: Address, one: Address, known: _Known) -> bool:
        return self._up and in_prefix(address, one, known.prefix_length)
