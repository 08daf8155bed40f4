"""Where a mobile node is: at home, away with a care-of address, or nowhere (RFC 6275 section 11.5).

Joins what is known of every interface. The home link wins, wherever it is; then whatever is not known to be silent;
then the interface order of the settings; among equal interfaces the one in use stays in use, because a handover is only
worth it when it is necessary (section 11.5.1); on one interface the order of the families (RFC 5555 section 4.4.1).
"""

from unwired.core.door import AddressAdded, LinkUp
from unwired.core.link import Link
from unwired.core.networks import Networks
from unwired.core.notices import Drop
from unwired.core.places import AtHome, Attachment, Away
from unwired.core.settings import Family
from unwired.wire.address import Address, is_ipv4
from unwired.wire.icmpv6 import NeighborAdvertisement, RouterAdvertisement
from unwired.wire.ipv6 import Packet


class Movement:
    """``interfaces`` are the names to use, most preferred first; empty: all, none preferred. ``families`` are those
    that a home agent can be reached in, most preferred first."""

    def __init__(
        self,
        home_address: Address,
        home_prefix_length: int,
        interfaces: tuple[str, ...],
        families: tuple[Family, ...] = (Family.IPV6,),
    ) -> None:
        self._home_address = home_address
        self._home_prefix_length = home_prefix_length
        self._interfaces = interfaces
        self._families = families
        self.links: dict[int, Link] = {}
        self.networks = Networks()
        self.home_address_ipv4: Address | None = None
        """Ours too, and no care-of address: the host may have it on the home link."""

    def link_up(self, event: LinkUp, now: float) -> Link | None:
        """None for an interface that is not to be used."""
        link = self.links.get(event.interface)
        if link is None or link.name != event.name:
            if self._interfaces and event.name not in self._interfaces:
                return None
            before = link
            rank = self._interfaces.index(event.name) if self._interfaces else 0
            for index, other in list(self.links.items()):
                # An interface that was made anew has another number; one that has no address may be gone for good.
                if other.name == event.name or not (other.up or other.addresses or other.ipv4.addresses):
                    del self.links[index]
            link = self.links[event.interface] = Link(event.interface, event.name, rank)
            if before is not None:
                link.addresses, link.ipv4 = before.addresses, before.ipv4
        link.mtu = event.mtu
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
        if event.address in (self._home_address, self.home_address_ipv4):
            return
        link = self._known(event.interface)
        if is_ipv4(event.address):
            link.ipv4.add_address(event.address, event.prefix_length)
        else:
            link.add_address(event.address, event.prefix_length, event.optimistic)

    def address_removed(self, interface: int, address: Address) -> None:
        link = self.links.get(interface)
        if link is not None:
            link.remove_address(address)
            link.ipv4.remove_address(address)

    def router_added(self, interface: int, router: Address) -> None:
        """The host's IPv4 default router; like an address it may come before the link is known to be up."""
        self._known(interface).ipv4.set_router(router)

    def router_removed(self, interface: int, router: Address) -> None:
        link = self.links.get(interface)
        if link is not None:
            link.ipv4.remove_router(router)

    def _known(self, interface: int) -> Link:
        link = self.links.get(interface)
        if link is None:
            link = self.links[interface] = Link(interface, "", 0)
        return link

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
        home_router = current.router if isinstance(current, AtHome) else None
        for link in self._links_up(current):
            router = link.home_router(self._home_address, self._home_prefix_length, home_router, now)
            if router is not None:
                return AtHome(link.index, router.link_local_address)
        places = self.places(current, now)
        if isinstance(current, Away) and current.family is Family.IPV6:
            here = self.links.get(current.interface)
            found = None if here is None else here.care_of_addresses(self._home_address, now)
            if here is not None and here.up and not found and here.awaits_address(now):
                # Rather than go elsewhere for a moment; only what is preferred wins.
                return next((place for place in places if self.links[place.interface].rank < here.rank), current)
        return places[0] if places else None

    def places(self, current: Attachment | None, now: float) -> list[Away]:
        """The ways to be reached, one of each family on each interface, most preferred first."""
        found = [
            place
            for link in self._links_up(current)
            for family in self._families
            if (place := self._place(link, family, current, now)) is not None
        ]
        # Sorted is stable: what is silent goes to the end, the rest stays as it is.
        return sorted(found, key=lambda place: self.networks.is_avoided(place, now))

    def rivals(self, place: Away, now: float) -> list[Away]:
        """What to try at the same time as ``place``, where nothing is known of it: the best place of each other family,
        unless that is known to be silent."""
        found: dict[Family, Away] = {}
        for other in self.places(place, now):
            if other.family is not place.family and not self.networks.is_avoided(other, now):
                found.setdefault(other.family, other)
        return list(found.values())

    def has_other(self, place: Away, now: float) -> bool:
        """Whether there is another place that is not known to be silent."""
        return any(
            other.network != place.network and not self.networks.is_avoided(other, now)
            for other in self.places(place, now)
        )

    def is_usable(self, care_of_address: Address, now: float) -> bool:
        """Whether packets can still be sent from and received at this care-of address."""
        return any(
            address == care_of_address
            for link in self.links.values()
            for family in self._families
            for address, _ in self._care_of_addresses(link, family, now)
        )

    def name(self, interface: int) -> str:
        """Of an interface; empty when it is not known."""
        link = self.links.get(interface)
        return "" if link is None else link.name

    def mtu(self, interface: int) -> int:
        """What the link of this interface carries, in bytes; 0: not known."""
        link = self.links.get(interface)
        return 0 if link is None else link.mtu

    def _links_up(self, current: Attachment | None) -> list[Link]:
        return sorted(
            (link for link in self.links.values() if link.up),
            key=lambda link: (link.rank, current is None or link.index != current.interface, link.index),
        )

    def _place(self, link: Link, family: Family, current: Attachment | None, now: float) -> Away | None:
        """The care-of address of this family on a link: the one in use as long as it is there."""
        found = self._care_of_addresses(link, family, now)
        if not found:
            return None
        if isinstance(current, Away):
            if (current.care_of_address, current.router) in found and current.interface == link.index:
                return current
            for address, router in found:
                if address == current.care_of_address:
                    return Away(address, link.index, router)
        return Away(found[0][0], link.index, found[0][1])

    def _care_of_addresses(self, link: Link, family: Family, now: float) -> list[tuple[Address, Address]]:
        """With their routers, the best first."""
        if family is Family.IPV4:
            found = link.ipv4.care_of_addresses(now) if link.up else []
            return [(address, router) for address, router in found if address != self.home_address_ipv4]
        return [
            (address, router.link_local_address) for address, router in link.care_of_addresses(self._home_address, now)
        ]

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
        avoided_until = self.networks.deadline(now)
        if avoided_until is not None:
            times.append(avoided_until)
        return min(times, default=None)

    def wake(self, now: float) -> None:
        for link in self.links.values():
            link.wake(now)
