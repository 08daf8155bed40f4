"""Where a mobile node can be."""

from dataclasses import dataclass

from unwired.core.settings import Family
from unwired.wire.address import Address, is_ipv4, network

_SUBNET = 64


@dataclass(frozen=True, slots=True)
class AtHome:
    """The home prefix is on-link on this interface."""

    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class Away:
    """``router`` is the link-local address of a default router that advertises the care-of address's prefix; of an IPv4
    care-of address the host's default router, UNSPECIFIED_IPV4 on a point-to-point link."""

    care_of_address: Address
    interface: int
    router: Address

    @property
    def family(self) -> Family:
        return Family.IPV4 if is_ipv4(self.care_of_address) else Family.IPV6

    @property
    def network(self) -> tuple[int, Address]:
        """What tells this network from others as far as that can be seen: of IPv6 the prefix, of IPv4, whose private
        prefixes are the same everywhere, the router."""
        if self.family is Family.IPV4:
            return self.interface, self.router
        return self.interface, network(self.care_of_address, _SUBNET)


Attachment = AtHome | Away
