"""Where a mobile node is: at home, away with a care-of address, or nowhere (RFC 6275 section 11.5).

Joins what is known of every interface. The home link wins, wherever it is; then the interface order of the settings;
among equals whatever is in use stays in use, because a handover is only worth it when it is necessary (section 11.5.1).
"""

from dataclasses import dataclass

from unwired.core.door import AddressAdded, LinkUp
from unwired.core.link import Link
from unwired.core.notices import Drop
from unwired.wire.address import Address, is_ipv4
from unwired.wire.icmpv6 import NeighborAdvertisement, RouterAdvertisement
from unwired.wire.ipv6 import Packet


@dataclass(frozen=True, slots=True)
class AtHome:
    """The home prefix is on-link on this interface."""

    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class Away:
    """``router`` is the link-local address of a default router that advertises the care-of address's prefix."""

    care_of_address: Address
    interface: int
    router: Address


Attachment = AtHome | Away


class Movement:
    """``interfaces`` are the names to use, most preferred first; empty: all, none preferred."""

    def __init__(self, home_address: Address, home_prefix_length: int, interfaces: tuple[str, ...]) -> None:
        self._home_address = home_address
        self._home_prefix_length = home_prefix_length
        self._interfaces = interfaces
        self.links: dict[int, Link] = {}

    def link_up(self, event: LinkUp, now: float) -> Link | None:
        """None for an interface that is not to be used."""
        link = self.links.get(event.interface)
        if link is None or link.name != event.name:
            if self._interfaces and event.name not in self._interfaces:
                return None
            known = {} if link is None else link.addresses
            rank = self._interfaces.index(event.name) if self._interfaces else 0
            for index, other in list(self.links.items()):
                # An interface that was made anew has another number; one that has no address may be gone for good.
                if other.name == event.name or not (other.up or other.addresses):
                    del self.links[index]
            link = self.links[event.interface] = Link(event.interface, event.name, rank)
            link.addresses = known
        link.came_up(event.link_layer_address, now)
        return link

    def link_down(self, interface: int) -> Link | None:
        link = self.links.get(interface)
        if link is None or not link.up:
            return None
        link.went_down()
        return link

    def address_added(self, event: AddressAdded) -> None:
        """May come before the link is known to be up: the address waits for its router."""
        if event.address == self._home_address or is_ipv4(event.address):
            return
        link = self.links.get(event.interface)
        if link is None:
            link = self.links[event.interface] = Link(event.interface, "", 0)
        link.add_address(event.address, event.prefix_length, event.optimistic)

    def address_removed(self, interface: int, address: Address) -> None:
        link = self.links.get(interface)
        if link is not None:
            link.remove_address(address)

    def router_advertised(
        self, packet: Packet, message: RouterAdvertisement, interface: int, now: float
    ) -> Drop | None:
        """Why it is dropped, if it is."""
        link = self.links.get(interface)
        return None if link is None else link.advertised(packet, message, now)

    def neighbor_advertised(self, packet: Packet, message: NeighborAdvertisement, interface: int, now: float) -> None:
        link = self.links.get(interface)
        if link is not None:
            link.neighbor_advertised(packet, message, now)

    def attachment(self, current: Attachment | None, now: float) -> Attachment | None:
        """Where we are now, staying with ``current`` where nothing is better."""
        links = sorted(
            (link for link in self.links.values() if link.up),
            key=lambda link: (link.rank, current is None or link.index != current.interface, link.index),
        )
        home_router = current.router if isinstance(current, AtHome) else None
        for link in links:
            router = link.home_router(self._home_address, self._home_prefix_length, home_router, now)
            if router is not None:
                return AtHome(link.index, router.link_local_address)
        for link in links:
            found = link.care_of_addresses(self._home_address, now)
            if not found:
                if isinstance(current, Away) and current.interface == link.index and link.awaits_address(now):
                    return current  # rather than go elsewhere for a moment
                continue
            if isinstance(current, Away):
                for address, router in found:
                    if address == current.care_of_address and router.link_local_address == current.router:
                        return current
                for address, router in found:
                    if address == current.care_of_address:
                        return Away(address, link.index, router.link_local_address)
            address, router = found[0]
            return Away(address, link.index, router.link_local_address)
        return None

    def is_usable(self, care_of_address: Address, now: float) -> bool:
        """Whether packets can still be sent from and received at this care-of address."""
        return any(
            address == care_of_address
            for link in self.links.values()
            for address, _ in link.care_of_addresses(self._home_address, now)
        )

    def valid_until(self, care_of_address: Address, now: float) -> float:
        """When the prefix of a care-of address ceases to be valid as last advertised, monotonic; infinitely late when
        no router says so."""
        times = [
            prefix.valid_until
            for link in self.links.values()
            for address, router in link.care_of_addresses(self._home_address, now)
            if address == care_of_address and (prefix := router.advertises(address, now)) is not None
        ]
        return max(times, default=float("inf"))

    def seek(self, now: float) -> None:
        """Nothing is usable: ask on every link that is up."""
        for link in self.links.values():
            link.seek(now)

    def packets(self) -> list[tuple[Packet, int]]:
        """The solicitations to send, with their interfaces; each is given once."""
        found = [(packet, link.index) for link in self.links.values() for packet in link.packets]
        for link in self.links.values():
            link.packets.clear()
        return found

    def deadline(self, now: float) -> float | None:
        times = [time for link in self.links.values() if (time := link.deadline(now)) is not None]
        return min(times, default=None)

    def wake(self, now: float) -> None:
        for link in self.links.values():
            link.wake(now)
