"""The host's interfaces, addresses and IPv4 default routes as netlink tells them, turned into the engine's events."""

import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from unwired.core.door import AddressAdded, AddressRemoved, Event, LinkDown, LinkUp, RouterAdded, RouterRemoved
from unwired.host import netlink
from unwired.host.kernel_objects import MAIN_TABLE, PROTOCOL
from unwired.host.netlink import Message, Netlink
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, Address, is_ipv4, is_link_local, parse_address

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x40
_ADDRESS_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_ROUTE_MESSAGES = (netlink.RTM_NEWROUTE, netlink.RTM_DELROUTE)
_RTN_UNICAST = 1


@dataclass(slots=True)
class Interface:
    """``addresses``: address -> (prefix length, optimistic); tentative ones are not usable and not here.
    ``carrier_changes`` is the kernel's count, which shows a flap that was too short to be told. ``router``: that of the
    best IPv4 default route; UNSPECIFIED_IPV4 on a point-to-point link, None where there is no such route."""

    index: int
    name: str
    up: bool = False
    link_layer_address: bytes = b""
    carrier_changes: int = 0
    addresses: dict[Address, tuple[int, bool]] = field(default_factory=dict)
    mtu: int = 1500
    router: Address | None = None


class Links:
    """All interfaces but loopback and ``ours`` (names). ``events`` tells a link's IPv6 addresses after its LinkUp; IPv4
    addresses and routers only when the kernel tells them, but then also those that are known: on a link that came up
    again they are old until a DHCP client confirms them. Not ``with_routers``: for a host that does not care, and may
    have a full routing table."""

    def __init__(
        self, kernel: Netlink, ours: frozenset[str], appeared: Callable[[Interface], None], with_routers: bool = False
    ) -> None:
        self._kernel = kernel
        self._ours = ours
        self._appeared = appeared
        self._with_routers = with_routers
        self.interfaces: dict[int, Interface] = {}

    def read_all(self) -> list[Event]:
        """Compare with everything that is there; the events that bring the engine up to date."""
        links = self._kernel.dump(netlink.RTM_GETLINK, socket.AF_UNSPEC)
        addresses = self._kernel.dump(netlink.RTM_GETADDR, socket.AF_UNSPEC)
        events: list[Event] = []
        for index in self.interfaces.keys() - {link["index"] for link in links}:
            events += self._gone(index)
        there = {(message["index"], _address(message)) for message in addresses}
        for interface in self.interfaces.values():
            for address in [address for address in interface.addresses if (interface.index, address) not in there]:
                del interface.addresses[address]
                events.append(AddressRemoved(interface.index, address))
        for message in links + addresses:
            events += self.events(message)
        return events + self._read_routers()

    def everything(self) -> list[Event]:
        """What an engine that knows nothing must be told."""
        events: list[Event] = []
        for interface in self.interfaces.values():
            if interface.up:
                events.append(_link_up(interface))
            events += _addresses(interface)
            if interface.router is not None:
                events.append(RouterAdded(interface.index, interface.router))
        return events

    def events(self, message: Message) -> list[Event]:
        """The events that a netlink message means, if any."""
        kind = message["header"]["type"]
        if kind == netlink.RTM_NEWLINK:
            return self._link(message)
        if kind == netlink.RTM_DELLINK:
            return self._gone(message["index"]) if message["family"] == socket.AF_UNSPEC else []
        if kind == netlink.RTM_NEWADDR and message["family"] in _ADDRESS_FAMILIES:
            return self._added(message)
        if kind == netlink.RTM_DELADDR and message["family"] in _ADDRESS_FAMILIES:
            return self._removed(message["index"], _address(message))
        if kind in _ROUTE_MESSAGES and _is_default_ipv4(message):
            confirmed = {index for index, _ in _hops(message)} if kind == netlink.RTM_NEWROUTE else set()
            return self._read_routers(confirmed)
        return []

    def named(self, name: str) -> Interface | None:
        return next((interface for interface in self.interfaces.values() if interface.name == name), None)

    def name_of(self, index: int) -> str:
        interface = self.interfaces.get(index)
        return interface.name if interface else str(index)

    def _link(self, message: Message) -> list[Event]:
        name = message.get_attr("IFLA_IFNAME")
        if message["family"] != socket.AF_UNSPEC or message["flags"] & _IFF_LOOPBACK or name in self._ours:
            return []
        index = message["index"]
        interface = self.interfaces.get(index)
        if interface is None:
            interface = self.interfaces[index] = Interface(index, name)
            self._appeared(interface)
        interface.name = name
        text = message.get_attr("IFLA_ADDRESS")
        interface.link_layer_address = bytes.fromhex(text.replace(":", "")) if text else b""
        changes = message.get_attr("IFLA_CARRIER_CHANGES") or 0
        flapped = changes != interface.carrier_changes
        interface.carrier_changes = changes
        was_up = interface.up
        interface.up = bool(message["flags"] & _IFF_UP and message["flags"] & _IFF_LOWER_UP)
        interface.mtu = message.get_attr("IFLA_MTU") or interface.mtu
        if interface.up and (flapped or not was_up):
            return [_link_up(interface), *(one for one in _addresses(interface) if not is_ipv4(one.address))]
        events: list[Event] = [LinkDown(index)] if was_up and not interface.up else []
        if not message["flags"] & _IFF_UP and interface.router is not None:
            # An interface that is shut loses its IPv4 routes without a word.
            events += self._use_router(interface, None)
        return events

    def _gone(self, index: int) -> list[Event]:
        interface = self.interfaces.pop(index, None)
        if interface is None:
            return []
        events: list[Event] = [AddressRemoved(index, address) for address in interface.addresses]
        events += self._use_router(interface, None)
        return [LinkDown(index), *events] if interface.up else events

    def _added(self, message: Message) -> list[Event]:
        interface = self.interfaces.get(message["index"])
        if interface is None:
            return []
        address = _address(message)
        flags = message.get_attr("IFA_FLAGS") or message["flags"]
        optimistic = bool(flags & _IFA_F_OPTIMISTIC)
        if flags & _IFA_F_DADFAILED or (flags & _IFA_F_TENTATIVE and not optimistic):
            return self._removed(interface.index, address)
        length = message["prefixlen"] + (IPV4_BITS if is_ipv4(address) else 0)
        return self._usable(interface, address, length, optimistic)

    def optimistic(self, index: int, address: Address, prefix_length: int) -> list[Event]:
        """An address has become optimistic without a message."""
        interface = self.interfaces.get(index)
        if interface is None or address in interface.addresses:
            return []
        return self._usable(interface, address, prefix_length, True)

    def _usable(self, interface: Interface, address: Address, length: int, optimistic: bool) -> list[Event]:
        if interface.addresses.get(address) == (length, optimistic) and not is_ipv4(address):
            return []
        interface.addresses[address] = (length, optimistic)
        return [AddressAdded(interface.index, address, length, optimistic)]

    def _removed(self, index: int, address: Address) -> list[Event]:
        interface = self.interfaces.get(index)
        if interface is None or interface.addresses.pop(address, None) is None:
            return []
        # With the last IPv4 address of an interface, its routes go without a word.
        return [AddressRemoved(index, address), *(self._read_routers() if is_ipv4(address) else ())]

    def _read_routers(self, confirmed: Collection[int] = ()) -> list[Event]:
        """Compare with the IPv4 default routes that are there; what has not changed is told of the ``confirmed``
        interfaces. They are read anew, not followed message by message: a route that takes another one's place does not
        say so."""
        if not self._with_routers:
            return []
        best: dict[int, tuple[int, Address]] = {}
        for message in self._kernel.dump(netlink.RTM_GETROUTE, socket.AF_INET):
            if not _is_default_ipv4(message):
                continue
            metric = message.get_attr("RTA_PRIORITY") or 0
            for index, router in _hops(message):
                if index not in best or metric < best[index][0]:
                    best[index] = metric, router
        events: list[Event] = []
        for interface in self.interfaces.values():
            known = best.get(interface.index)
            changes = self._use_router(interface, None if known is None else known[1])
            if not changes and known is not None and interface.index in confirmed:
                changes = [RouterAdded(interface.index, known[1])]
            events += changes
        return events

    def _use_router(self, interface: Interface, router: Address | None) -> list[Event]:
        before, interface.router = interface.router, router
        if router == before:
            return []
        if router is not None:
            return [RouterAdded(interface.index, router)]
        return [] if before is None else [RouterRemoved(interface.index, before)]


def link_local_first(events: list[Event]) -> list[Event]:
    """A link's own address before the news that it is up, where both come at once: the first solicitation can then be
    answered by unicast, which routers do at once, and not only by a delayed multicast (RFC 4861 section 6.2.6)."""
    ordered: list[Event] = []
    up_at: dict[int, int] = {}
    for event in events:
        if isinstance(event, LinkUp):
            up_at[event.interface] = len(ordered)
        elif isinstance(event, LinkDown):
            up_at.pop(event.interface, None)
        elif isinstance(event, AddressAdded) and event.interface in up_at and is_link_local(event.address):
            place = up_at[event.interface]
            ordered.insert(place, event)
            up_at = {interface: at + (at >= place) for interface, at in up_at.items()}
            continue
        ordered.append(event)
    return ordered


def _link_up(interface: Interface) -> LinkUp:
    return LinkUp(interface.index, interface.name, interface.link_layer_address, interface.mtu)


def _addresses(interface: Interface) -> list[AddressAdded]:
    return [
        AddressAdded(interface.index, address, length, optimistic)
        for address, (length, optimistic) in interface.addresses.items()
    ]


def _is_default_ipv4(message: Message) -> bool:
    """Whether a route is a default route of the host's own, as new connections take it."""
    return bool(
        message["family"] == socket.AF_INET
        and message["dst_len"] == 0
        and message["type"] == _RTN_UNICAST
        and message["proto"] != PROTOCOL
        and message.get_attr("RTA_TABLE") == MAIN_TABLE
    )


def _hops(message: Message) -> Iterator[tuple[int, Address]]:
    """Interface and router of a route, or of each of its ways; a router with an IPv6 address (RFC 5549) is left out,
    because no IPv4 route of ours could name it."""
    for hop in message.get_attr("RTA_MULTIPATH") or (message,):
        if hop.get_attr("RTA_VIA") is None:
            index = hop.get_attr("RTA_OIF") if hop is message else hop["oif"]
            gateway = hop.get_attr("RTA_GATEWAY")
            yield index or 0, parse_address(gateway) if gateway else UNSPECIFIED_IPV4


def _address(message: Message) -> Address:
    return parse_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
