"""Nodes in the simulator: an engine with what a host does for it: timers, journal, forwarding table, addresses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from unwired.core.door import (
    Action,
    AddressAdded,
    Announce,
    BindingsKept,
    CountTunnel,
    DefendAddress,
    DropHomeAddress,
    DropMobilePrefix,
    Engine,
    Event,
    ForgetCareOfAddress,
    GoAway,
    GoHome,
    HoldHomeAddress,
    HoldMobilePrefix,
    JoinGroup,
    LeaveGroup,
    LeaveSet,
    LinkDown,
    LinkUp,
    Notify,
    Persist,
    Persisted,
    ProbeNat,
    Publish,
    ReleaseAddress,
    Send,
    SendHello,
    ShareKey,
    UseCareOfAddress,
    Withdraw,
)
from unwired.core.home_agent import HomeAgent
from unwired.core.mobile_node import MobileNode
from unwired.core.notices import Notice
from unwired.core.settings import HomeAgentSettings, MobileNodeSettings, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.sim.network import Datagram, Link, Network
from unwired.wire.address import Address, is_multicast
from unwired.wire.icmpv6 import NeighborSolicitation, RouterAdvertisement
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import PrefixInformation

JOURNAL_DELAY_S = 0.001
ADDRESS_DELAY_S = 0.001
"""From a router advertisement to an optimistic address."""
DETECTION_S = 1.0
"""Duplicate address detection: until an optimistic address is an ordinary one."""
SWEEP_AFTER_S = 10.0
"""How long after its start a daemon removes rows that only the one before it wanted."""
WAKES_MAX = 100
"""An engine that wants to be woken more often at one instant is stuck."""
PLANE = 0


class Host(ABC):
    """Runs one engine. ``table`` and ``journal`` survive the engine, as they survive the daemon."""

    def __init__(self, network: Network, name: str, clock_error_s: float = 0.0) -> None:
        self.network = network
        self.name = name
        self.clock_error_s = clock_error_s
        self.table = MemoryTable()
        self.journal: dict[bytes, bytes] = {}
        self.notices: list[tuple[float, Notice]] = []
        self.engine: Engine | None = None
        self._life = 0
        self._woken_at = 0.0
        self._wakes = 0

    def entropy(self, size: int) -> bytes:
        return self.network.chance.randbytes(size)

    def run(self, engine: Engine) -> None:
        """Start an engine with what the journal kept."""
        self._life += 1
        self.engine = engine
        life = self._life
        self.table.begin_adoption()
        self.network.timeline.after(SWEEP_AFTER_S, lambda: self._sweep(life))
        now = self.network.timeline.now(self.clock_error_s)
        engine.restore(list(self.journal.items()), now)
        engine.start(now)
        self._after_engine()

    def kill(self) -> None:
        """The daemon dies without a word; table, journal and addresses stay."""
        self._life += 1
        self.engine = None

    def stop(self) -> None:
        if self.engine is not None:
            self.engine.stop(self.network.timeline.now(self.clock_error_s))
            self._after_engine()
        self.kill()

    def happens(self, event: Event) -> None:
        if self.engine is not None:
            self.engine.handle(event, self.network.timeline.now(self.clock_error_s))
            self._after_engine()

    def receives(self, packet: Packet, interface: int) -> None:
        if self.engine is not None:
            self.engine.receive(packet, interface, self.network.timeline.now(self.clock_error_s))
            self._after_engine()

    def named(self, name: str) -> list[tuple[float, Notice]]:
        """The notices of this name, with their times."""
        return [(time, notice) for time, notice in self.notices if notice.name == name]

    @abstractmethod
    def send(self, packet: Packet, interface: int) -> None:
        """Put a packet of the engine's on its way."""

    @abstractmethod
    def perform(self, action: Action) -> None:
        """What only this kind of host does."""

    def _after_engine(self) -> None:
        engine = self.engine
        if engine is None:
            return
        for action in engine.actions():
            match action:
                case Send(packet, interface):
                    self.send(packet, interface)
                case Persist(token, key, record):
                    self._persist(token, key, record)
                case Notify(notice):
                    self.notices.append((self.network.timeline.time, notice))
                case JoinGroup() | LeaveGroup():
                    pass  # all multicast is heard
                case (
                    DefendAddress()
                    | ReleaseAddress()
                    | HoldHomeAddress()
                    | DropHomeAddress()
                    | HoldMobilePrefix()
                    | DropMobilePrefix()
                    | CountTunnel()
                    | ProbeNat()
                    | UseCareOfAddress()
                    | ForgetCareOfAddress()
                    | GoAway()
                    | GoHome()
                    | Publish()
                    | BindingsKept()
                    | ShareKey()
                    | SendHello()
                    | Announce()
                    | Withdraw()
                    | LeaveSet()
                ):
                    self.perform(action)
                case _:
                    self.table.apply(action)
        deadline, life = engine.deadline(), self._life
        if deadline is not None:
            self.network.timeline.at(deadline, lambda: self._wake(deadline, life))

    def _sweep(self, life: int) -> None:
        """Remove what an earlier daemon left in the table and this one did not ask for."""
        if life == self._life:
            self.table.sweep()

    def _wake(self, deadline: float, life: int) -> None:
        engine = self.engine
        if engine is not None and life == self._life and engine.deadline() == deadline:
            time = self.network.timeline.time
            self._wakes = self._wakes + 1 if time == self._woken_at else 1
            self._woken_at = time
            if self._wakes > WAKES_MAX:
                raise RuntimeError(f"{self.name} wants to be woken again and again at {time}")
            engine.wake(self.network.timeline.now(self.clock_error_s))
            self._after_engine()

    def _persist(self, token: int, key: bytes, record: bytes | None) -> None:
        life = self._life

        def written() -> None:
            if life == self._life:
                if record is None:
                    self.journal.pop(key, None)
                else:
                    self.journal[key] = record
                self.happens(Persisted(token))

        self.network.timeline.after(JOURNAL_DELAY_S, written)


class HomeAgentHost(Host):
    """A home agent on its link. With a real home link it is this link's router and a station on it as well."""

    INTERFACE = 1

    def __init__(
        self,
        network: Network,
        link: Link,
        settings: HomeAgentSettings,
        subscribers: Iterable[Subscriber],
        clock_error_s: float = 0.0,
    ) -> None:
        super().__init__(network, "home agent", clock_error_s)
        self.link = link
        self.settings = settings
        self._subscribers = Subscribers(subscribers)
        self._defended: set[Address] = set()
        link.stations.append(self)
        self.restart()

    def restart(self) -> None:
        """A new daemon."""
        self.home_agent = HomeAgent(self.settings, self._subscribers, self.entropy)
        self.run(self.home_agent)

    def hears(self, packet: Packet) -> None:
        if packet.destination in self._defended and not isinstance(packet.payload, NeighborSolicitation):
            return  # for a mobile node that is away: data, which travels as datagrams here
        self.receives(packet, self.INTERFACE)

    def owns(self, address: Address) -> bool:
        return (
            address in self._defended
            or self.table.listens(PLANE, address)
            or address == self._link_local
            # On a virtual home link the prefix is routed here, whole.
            or (not self.settings.home_interface and self.link.covers(address))
        )

    @property
    def _link_local(self) -> Address:
        return self.settings.home_interface_link_local_address

    def takes(self, datagram: Datagram) -> None:
        """Data for a home address goes into the tunnel; data out of a tunnel goes on to its destination."""
        if datagram.outer is None:
            tunnel = self.table.forward_for(PLANE, datagram.source, datagram.destination)
            if tunnel is not None:
                outer = (tunnel.local, tunnel.peer)
                self.network.carry_datagram(_with(datagram, outer), self.link)
        elif self.table.accepts(PLANE, datagram.source, datagram.destination, datagram.outer[0]):
            self.network.carry_datagram(_with(datagram, None), self.link)

    def send(self, packet: Packet, interface: int) -> None:
        self.link.send(packet, self)

    def perform(self, action: Action) -> None:
        match action:
            case DefendAddress(address, _):
                self._defended.add(address)
            case ReleaseAddress(address, _):
                self._defended.discard(address)
            case _:
                raise TypeError(f"not a home agent's action: {action}")


class Interface:
    """A mobile node's interface: what its kernel does there."""

    def __init__(self, host: "MobileHost", index: int, name: str) -> None:
        self.host = host
        self.index = index
        self.name = name
        self.link_layer_address = bytes((2, 0, 0, 0, 2, index))
        self.identifier = bytes.fromhex("0000 00ff fe00 02") + bytes((index,))
        self.link_local = bytes.fromhex("fe80") + bytes(6) + self.identifier
        self.addresses: set[Address] = set()
        self.link: Link | None = None

    def attach(self, link: Link) -> None:
        """Plug into a link, out of the one before. Addresses stay: their lifetimes are not over."""
        self.detach()
        self.link = link
        link.stations.append(self)
        self.host.happens(LinkUp(self.index, self.name, self.link_layer_address))

    def detach(self) -> None:
        if self.link is not None:
            self.link.stations.remove(self)
            self.link = None
            self.host.happens(LinkDown(self.index))

    def slip(self, link: Link) -> None:
        """Be on another link without the kernel having noticed."""
        if self.link is not None:
            self.link.stations.remove(self)
        self.link = link
        link.stations.append(self)

    def tell_everything(self) -> None:
        """What a daemon finds when it starts."""
        if self.link is not None:
            self.host.happens(LinkUp(self.index, self.name, self.link_layer_address))
        for address in (self.link_local, *sorted(self.addresses)):
            self.host.happens(AddressAdded(self.index, address, 64))

    def hears(self, packet: Packet) -> None:
        self.host.receives(packet, self.index)
        if isinstance(packet.payload, RouterAdvertisement):
            for option in packet.payload.options:
                if isinstance(option, PrefixInformation) and option.autonomous and option.valid_lifetime_s:
                    self._configure(option.prefix[:8] + self.identifier)

    def owns(self, address: Address) -> bool:
        return address in self.addresses or address == self.link_local or self.host.is_home_on(self, address)

    def takes(self, datagram: Datagram) -> None:
        self.host.takes(datagram)

    def _configure(self, address: Address) -> None:
        if address in self.addresses:
            return
        self.addresses.add(address)
        timeline = self.host.network.timeline
        timeline.after(ADDRESS_DELAY_S, lambda: self.host.happens(AddressAdded(self.index, address, 64, True)))
        timeline.after(DETECTION_S, lambda: self.host.happens(AddressAdded(self.index, address, 64, False)))


class MobileHost(Host):
    """A mobile node with its interfaces and, for the data plane, an application at its home address."""

    def __init__(
        self,
        network: Network,
        settings: MobileNodeSettings,
        interfaces: tuple[str, ...] = ("wlan0",),
        clock_error_s: float = 0.0,
    ) -> None:
        super().__init__(network, "mobile node", clock_error_s)
        self.settings = settings
        self.interfaces = {name: Interface(self, 2 + at, name) for at, name in enumerate(interfaces)}
        self.holds_home_address = False
        self.home_interface: int | None = None
        self.routes: dict[Address, int] = {}
        self.arrived: list[Datagram] = []
        self.restart()

    def restart(self) -> None:
        """A new daemon, which is told what is there."""
        self.mobile_node = MobileNode(self.settings, self.entropy)
        self.run(self.mobile_node)
        for interface in self.interfaces.values():
            interface.tell_everything()

    def is_home_on(self, interface: Interface, address: Address) -> bool:
        return address == self.settings.home_address and self.home_interface == interface.index

    def takes(self, datagram: Datagram) -> None:
        """Data: straight at home, else only out of a tunnel that the table accepts."""
        if datagram.outer is None:
            self.arrived.append(datagram)
            return
        source, local = datagram.outer
        if self.table.listens(PLANE, local) and self.table.accepts(
            PLANE, datagram.source, datagram.destination, source
        ):
            self.arrived.append(datagram)

    def application_sends(self, datagram: Datagram) -> None:
        """Data from the home address: on the home link, or into the tunnel."""
        if self.home_interface is not None:
            origin = self._link(self.home_interface)
            if origin is not None:
                self.network.carry_datagram(datagram, origin)
            return
        tunnel = self.table.forward_for(PLANE, datagram.source, datagram.destination)
        if tunnel is None:
            return
        origin = self._link(self.routes.get(tunnel.local, 0))
        if origin is not None:
            self.network.carry_datagram(_with(datagram, (tunnel.local, tunnel.peer)), origin)

    def send(self, packet: Packet, interface: int) -> None:
        index = interface or self.routes.get(packet.source, 0)
        for station in self.interfaces.values():
            if station.index == index and station.link is not None:
                if not is_multicast(packet.destination) and not self._may_send(packet, station):
                    raise ValueError(f"{self.name} has no such source address: {packet}")
                station.link.send(packet, station)

    def perform(self, action: Action) -> None:
        match action:
            case HoldHomeAddress():
                self.holds_home_address = True
            case DropHomeAddress():
                self.holds_home_address = False
                self.home_interface = None
            case GoAway():
                self.home_interface = None
            case GoHome(_, _, interface, _):
                self.home_interface = interface
            case UseCareOfAddress(address, interface, _):
                self.routes[address] = interface
            case ForgetCareOfAddress(address):
                self.routes.pop(address, None)
            case _:
                raise TypeError(f"not a mobile node's action: {action}")

    def _may_send(self, packet: Packet, station: Interface) -> bool:
        return packet.source in (*station.addresses, station.link_local, self.settings.home_address)

    def _link(self, index: int) -> Link | None:
        for station in self.interfaces.values():
            if station.index == index:
                return station.link
        return None


class Correspondent:
    """A node of the Internet that sends data to home addresses and keeps what comes back."""

    def __init__(self, network: Network, address: Address) -> None:
        self.network = network
        self.address = address
        self.arrived: list[Datagram] = []
        network.correspondents[address] = self.arrived.append

    def sends(self, number: int, destination: Address) -> None:
        self.network.carry_datagram(Datagram(number, self.address, destination, self.network.timeline.time), None)


def every(network: Network, interval_s: float, until: float, callback: Callable[[int], None]) -> None:
    """Call ``callback(number)`` again and again, from now on."""
    count = 0
    while (at := network.timeline.time + count * interval_s) <= until:
        network.timeline.at(at, lambda number=count: callback(number))  # type: ignore[misc]
        count += 1


def _with(datagram: Datagram, outer: tuple[Address, Address] | None) -> Datagram:
    return Datagram(datagram.number, datagram.source, datagram.destination, datagram.sent_at, outer)
