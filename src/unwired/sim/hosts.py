"""Nodes in the simulator: an engine with what a host does for it: timers, journal, forwarding table, addresses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace

from unwired.core.door import (
    Action,
    AddressAdded,
    AddressRemoved,
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
    NatProbed,
    Notify,
    Persist,
    Persisted,
    ProbeNat,
    Publish,
    ReleaseAddress,
    RouterAdded,
    RouterRemoved,
    Send,
    SendHello,
    ShareKey,
    TunnelCounted,
    UseCareOfAddress,
    Withdraw,
)
from unwired.core.forwarding import Direction, Tunnel
from unwired.core.home_agent import HomeAgent
from unwired.core.mobile_node import MobileNode
from unwired.core.notices import Notice
from unwired.core.settings import HomeAgentSettings, MobileNodeSettings, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.sim.network import Datagram, Link, Network
from unwired.wire.address import IPV4_BITS, Address, is_ipv4, is_multicast
from unwired.wire.datagram import PORT, decode_datagram, route_of
from unwired.wire.icmpv6 import EchoReply, EchoRequest, NeighborSolicitation, RouterAdvertisement
from unwired.wire.ipv4 import UdpDatagram
from unwired.wire.ipv6 import IPV6_IN_IPV6, NO_NEXT_HEADER, Outer, Packet, UnknownPayload
from unwired.wire.mobility import MobilityMessage
from unwired.wire.nat_probe import NatProbe, decode_nat_probe
from unwired.wire.nd_options import PrefixInformation

JOURNAL_DELAY_S = 0.001
ADDRESS_DELAY_S = 0.001
"""From a router advertisement to an optimistic address."""
LEASE_DELAY_S = 0.02
"""From carrier to what DHCP brings."""
DETECTION_S = 1.0
"""Duplicate address detection: until an optimistic address is an ordinary one."""
SWEEP_AFTER_S = 10.0
"""How long after its start a daemon removes rows that only the one before it wanted."""
PROBE_PORT = 50_000
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
        """Put a packet of the engine's, or of the host's own, on its way."""

    def opens(self, packet: Packet) -> Packet | None:
        """What the data plane does with a packet that came in a tunnel: the inner one, if it is the host's; None when
        it is not accepted. What is no tunnel stays as it is. (Data travels as datagrams, and is no packet here.)"""
        inner = _out_of_tunnel(packet)
        outer = inner.outer
        if outer is None or isinstance(inner.payload, MobilityMessage):
            return inner
        if not self.table.listens(PLANE, outer.destination):
            return None
        ends = (outer.source, outer.source_port)
        return inner if self.table.accepts(PLANE, inner.source, inner.destination, *ends) else None

    def answers_echo(self, packet: Packet) -> bool:
        """The kernel's answer to an echo request that came in a tunnel, which goes back into the one for its source."""
        request = packet.payload
        if not isinstance(request, EchoRequest):
            return False
        reply = EchoReply(request.identifier, request.sequence, request.echoed)
        tunnel = self.table.forward_for(PLANE, packet.destination, packet.source)
        if tunnel is not None:
            self.send(Packet(packet.destination, packet.source, reply, outer=_outer(tunnel)), tunnel.interface)
        return True

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
        inner = self.opens(packet)
        if inner is None:
            self._refused(_out_of_tunnel(packet))
        elif inner.outer is None or not self.answers_echo(inner):
            self.receives(inner, self.INTERFACE)

    def _refused(self, packet: Packet) -> None:
        """A packet in a tunnel that is not accepted: by UDP from somebody whom we serve it may be by another mapping of
        a NAT, so the daemon is told."""
        known = self.table.tunnel_of(PLANE, Direction.TO_HOME_ADDRESS, packet.source) is not None
        if known and packet.outer is not None and packet.outer.source_port:
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
                self.network.carry_datagram(replace(datagram, outer=_outer(tunnel)), self.link)
            return
        outer = datagram.outer
        if self.table.accepts(PLANE, datagram.source, datagram.destination, outer.source, outer.source_port):
            self.network.carry_datagram(replace(datagram, outer=None), self.link)
        else:
            data = UnknownPayload(NO_NEXT_HEADER, b"")
            self._refused(Packet(datagram.source, datagram.destination, data, outer=outer))

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
        self.lease: tuple[Address, Address] | None = None
        """The IPv4 address and the router that DHCP brought."""
        self.link: Link | None = None
        self._attachments = 0

    def attach(self, link: Link) -> None:
        """Plug into a link, out of the one before. Addresses stay: their lifetimes are not over."""
        self.detach()
        self.link = link
        link.stations.append(self)
        self._attachments += 1
        attached = self._attachments
        self.host.happens(LinkUp(self.index, self.name, self.link_layer_address))
        self.host.network.timeline.after(LEASE_DELAY_S, lambda: self._ask_for_lease(attached))

    def _ask_for_lease(self, attached: int) -> None:
        """The DHCP client has its answer: what it had is confirmed, or gives way to another, or to nothing."""
        link, before = self.link, self.lease
        if link is None or attached != self._attachments:
            return
        address = link.ipv4[0][0][:-1] + bytes((5 + self.index,)) if link.ipv4 else None
        self.lease = None if address is None else (address, link.router_ipv4)
        if before is not None and before != self.lease:
            self.host.happens(RouterRemoved(self.index, before[1]))
            self.host.happens(AddressRemoved(self.index, before[0]))
        self._tell_lease()

    def _tell_lease(self) -> None:
        if self.lease is not None:
            self.host.happens(AddressAdded(self.index, self.lease[0], IPV4_BITS + 24))
            self.host.happens(RouterAdded(self.index, self.lease[1]))

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
        self._tell_lease()

    def hears(self, packet: Packet) -> None:
        self.host.hears(packet, self.index)
        if isinstance(packet.payload, RouterAdvertisement):
            for option in packet.payload.options:
                if isinstance(option, PrefixInformation) and option.autonomous and option.valid_lifetime_s:
                    self._configure(option.prefix[:8] + self.identifier)

    def owns(self, address: Address) -> bool:
        own = address in self.addresses or address == self.link_local
        return own or (self.lease is not None and address == self.lease[0]) or self.host.is_home_on(self, address)

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
        self.held: set[Address] = set()
        """The home addresses and prefixes that the daemon has put on the host."""
        self.home_interface: int | None = None
        self.routes: dict[Address, int] = {}
        self.arrived: list[Datagram] = []
        self._probe = (PROBE_PORT, 0)
        """The port that the last NAT probe was sent from, and its token."""
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
        outer = datagram.outer
        if self.table.listens(PLANE, outer.destination) and self.table.accepts(
            PLANE, datagram.source, datagram.destination, outer.source, outer.source_port
        ):
            self.arrived.append(datagram)

    def hears(self, packet: Packet, interface: int) -> None:
        if isinstance(packet.payload, UdpDatagram) and packet.outer is None:
            self._nat_probed(packet.payload)
            return
        inner = self.opens(packet)
        if inner is not None and (inner.outer is None or not self.answers_echo(inner)):
            self.receives(inner, interface)

    def _probe_nat(self, question: ProbeNat) -> None:
        self._probe = (self._probe[0] + 1, question.token)
        data = NatProbe(question.token, question.delay_s).encode()
        datagram = UdpDatagram(self._probe[0], PORT, data)
        self.send(Packet(question.care_of_address, question.peer, datagram), 0)

    def _nat_probed(self, datagram: UdpDatagram) -> None:
        answer = decode_nat_probe(datagram.data)
        if (datagram.destination_port, answer.token) == self._probe and answer.is_answer:
            self.happens(NatProbed(answer.token))

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
            self.network.carry_datagram(replace(datagram, outer=_outer(tunnel)), origin)

    def send(self, packet: Packet, interface: int) -> None:
        source, destination = route_of(packet)
        index = interface or self.routes.get(source, 0)
        for station in self.interfaces.values():
            if station.index == index and station.link is not None:
                if not is_multicast(destination) and not self._may_send(source, station):
                    raise ValueError(f"{self.name} has no such source address: {packet}")
                station.link.send(packet, station)

    def perform(self, action: Action) -> None:
        match action:
            case HoldHomeAddress():
                self.held.add(action.address)
            case DropHomeAddress(address):
                self.held.discard(address)
                if address == self.settings.home_address:
                    self.home_interface = None
            case HoldMobilePrefix(prefix, _):
                self.held.add(prefix)
            case DropMobilePrefix(prefix, _):
                self.held.discard(prefix)
            case GoAway(address) | GoHome(address) if is_ipv4(address):
                pass  # the home link of the simulator is IPv6's
            case GoAway():
                self.home_interface = None
            case GoHome(_, _, interface, _):
                self.home_interface = interface
            case CountTunnel(number):
                carried = self.table.tunnel_counters(number)
                self.happens(TunnelCounted(number, carried.packets_sent, carried.packets_received))
            case ProbeNat():
                self._probe_nat(action)
            case UseCareOfAddress(address, interface, _):
                self.routes[address] = interface
            case ForgetCareOfAddress(address):
                self.routes.pop(address, None)
            case _:
                raise TypeError(f"not a mobile node's action: {action}")

    def _may_send(self, source: Address, station: Interface) -> bool:
        lease = () if station.lease is None else station.lease[:1]
        return source in (*station.addresses, *lease, station.link_local, self.settings.home_address)

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


def _outer(tunnel: Tunnel) -> Outer:
    return Outer(tunnel.local, tunnel.peer, tunnel.local_port, tunnel.peer_port)


def _out_of_tunnel(packet: Packet) -> Packet:
    """The codec leaves tunnels in IPv6 to the data plane."""
    payload = packet.payload
    if packet.outer is None and isinstance(payload, UnknownPayload) and payload.protocol == IPV6_IN_IPV6:
        return replace(decode_datagram(payload.data), outer=Outer(packet.source, packet.destination))
    return packet
