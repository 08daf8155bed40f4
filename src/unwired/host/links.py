"""The host's interfaces and addresses as netlink tells them, turned into the engine's events."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from unwired.core.door import AddressAdded, AddressRemoved, Event, LinkDown, LinkUp
from unwired.host import netlink
from unwired.host.netlink import Message, Netlink
from unwired.wire.address import Address, is_link_local, parse_address

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x40


@dataclass(slots=True)
class Interface:
    """``addresses``: address -> (prefix length, optimistic); tentative ones are not usable and not here.
    ``carrier_changes`` is the kernel's count, which shows a flap that was too short to be told."""

    index: int
    name: str
    up: bool = False
    link_layer_address: bytes = b""
    carrier_changes: int = 0
    addresses: dict[Address, tuple[int, bool]] = field(default_factory=dict)


class Links:
    """All interfaces but loopback and ``ours`` (names). ``events`` leaves a link's addresses after its LinkUp."""

    def __init__(self, kernel: Netlink, ours: frozenset[str], appeared: Callable[[Interface], None]) -> None:
        self._kernel = kernel
        self._ours = ours
        self._appeared = appeared
        self.interfaces: dict[int, Interface] = {}

    def read_all(self) -> list[Event]:
        """Compare with everything that is there; the events that bring the engine up to date."""
        links = self._kernel.dump(netlink.RTM_GETLINK, socket.AF_UNSPEC)
        addresses = self._kernel.dump(netlink.RTM_GETADDR)
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
        return events

    def everything(self) -> list[Event]:
        """What an engine that knows nothing must be told."""
        events: list[Event] = []
        for interface in self.interfaces.values():
            events += self._came_up(interface) if interface.up else _addresses(interface)
        return events

    def events(self, message: Message) -> list[Event]:
        """The events that a netlink message means, if any."""
        kind = message["header"]["type"]
        if kind == netlink.RTM_NEWLINK:
            return self._link(message)
        if kind == netlink.RTM_DELLINK:
            return self._gone(message["index"]) if message["family"] == socket.AF_UNSPEC else []
        if kind == netlink.RTM_NEWADDR and message["family"] == socket.AF_INET6:
            return self._added(message)
        if kind == netlink.RTM_DELADDR and message["family"] == socket.AF_INET6:
            return self._removed(message["index"], _address(message))
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
        if interface.up and (flapped or not was_up):
            return self._came_up(interface)
        if was_up and not interface.up:
            return [LinkDown(index)]
        return []

    def _gone(self, index: int) -> list[Event]:
        interface = self.interfaces.pop(index, None)
        if interface is None:
            return []
        events: list[Event] = [AddressRemoved(index, address) for address in interface.addresses]
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
        return self._usable(interface, address, message["prefixlen"], optimistic)

    def optimistic(self, index: int, address: Address, prefix_length: int) -> list[Event]:
        """An address has become optimistic without a message."""
        interface = self.interfaces.get(index)
        if interface is None or address in interface.addresses:
            return []
        return self._usable(interface, address, prefix_length, True)

    def _usable(self, interface: Interface, address: Address, length: int, optimistic: bool) -> list[Event]:
        if interface.addresses.get(address) == (length, optimistic):
            return []
        interface.addresses[address] = (length, optimistic)
        return [AddressAdded(interface.index, address, length, optimistic)]

    def _removed(self, index: int, address: Address) -> list[Event]:
        interface = self.interfaces.get(index)
        if interface is None or interface.addresses.pop(address, None) is None:
            return []
        return [AddressRemoved(index, address)]

    def _came_up(self, interface: Interface) -> list[Event]:
        up = LinkUp(interface.index, interface.name, interface.link_layer_address)
        return [up, *_addresses(interface)]


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


def _addresses(interface: Interface) -> list[Event]:
    return [
        AddressAdded(interface.index, address, length, optimistic)
        for address, (length, optimistic) in interface.addresses.items()
    ]


def _address(message: Message) -> Address:
    return parse_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
