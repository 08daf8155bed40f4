"""A mobile node with everything around it played by the test: clock, links, routers and the home agent's answers."""

from dataclasses import replace
from typing import Any

from unwired.core.authentication import sign
from unwired.core.door import (
    Action,
    AddressAdded,
    AddressRemoved,
    Event,
    LinkDown,
    LinkUp,
    Notify,
    Now,
    Persist,
    RouterAdded,
    RouterRemoved,
    Send,
)
from unwired.core.flow_label import flow_label
from unwired.core.forwarding import Tunnel
from unwired.core.mobile_node import MobileNode
from unwired.core.mobile_node_states import State
from unwired.core.settings import MobileNodeSettings, SecurityAssociation
from unwired.wire.address import ALL_NODES, IPV4_BITS, Address, is_ipv4, parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.icmpv6 import IcmpMessage, RouterAdvertisement
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.mobility import MobilityMessage, MobilityOption
from unwired.wire.nd_options import AdvertisementInterval, NdOption, PrefixInformation, SourceLinkLayerAddress
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

HOME_ADDRESS = parse_address("2001:db8:100::1000")
HOME_PREFIX = parse_address("2001:db8:100::")
HOME_AGENT = parse_address("2001:db8:100::1")
ASSOCIATION = SecurityAssociation(256, bytes(range(16)))
SETTINGS = MobileNodeSettings(b"mn@example.org", HOME_ADDRESS, 64, HOME_AGENT, ASSOCIATION)
HOME_AGENT_IPV4 = parse_address("198.51.100.1")
DUAL_STACK = replace(SETTINGS, home_agent_ipv4=HOME_AGENT_IPV4)
INSECURE = replace(SETTINGS, association=None, home_agent=None, insecure=True)
ROUTER = parse_address("fe80::1")
WALL = 1_800_000_000.0
MAC = bytes.fromhex("020000000201")


def prefix(number: int) -> Address:
    return parse_address(f"2001:db8:{number}::")


def care_of(number: int, interface: int = 2) -> Address:
    return parse_address(f"2001:db8:{number}::c{interface}")


def tunnel(local: Address, peer: Address, interface: int) -> Tunnel:
    """As the mobile node asks for it: with the flow label of everything that it sends to home agents from there."""
    return Tunnel(1, local, peer, interface=interface, flow_label=flow_label(local, HOME_ADDRESS))


def care_of_ipv4(number: int) -> Address:
    return parse_address(f"192.168.{number}.7")


def router_ipv4(number: int) -> Address:
    return parse_address(f"192.168.{number}.1")


class Driver:
    """``sent`` collects packets with their interfaces, each having gone through the codec."""

    def __init__(self, settings: MobileNodeSettings = SETTINGS, start: bool = True) -> None:
        self.time = 100.0
        self.node = MobileNode(settings, lambda size: bytes(range(1, size + 1)))
        self.actions: list[Action] = []
        self.sent: list[tuple[float, Packet, int]] = []
        if start:
            self.node.start(self.now)
            self.collect()

    @property
    def now(self) -> Now:
        return Now(self.time, WALL + self.time)

    @property
    def state(self) -> State:
        return self.node.machine.state

    def collect(self) -> None:
        for action in self.node.actions():
            self.actions.append(action)
            if isinstance(action, Send):
                self.sent.append((self.time, _through_the_codec(action.packet), action.interface))

    def happens(self, *events: Event) -> None:
        for event in events:
            self.node.handle(event, self.now)
            self.collect()

    def receives(self, packet: Packet, interface: int = 2) -> None:
        self.node.receive(decode_datagram(encode_datagram(packet)), interface, self.now)
        self.collect()

    def run(self, seconds: float) -> None:
        """Let time pass, waking the engine whenever it wants."""
        until = self.time + seconds
        for _ in range(10_000):
            deadline = self.node.deadline()
            if deadline is None or deadline > until:
                break
            self.time = max(self.time, deadline)
            self.node.wake(self.now)
            self.collect()
        else:
            raise AssertionError("the engine is stuck")
        self.time = until

    # --- the link ---

    def up(self, interface: int = 2, name: str = "wlan0") -> None:
        self.happens(LinkUp(interface, name, MAC))

    def down(self, interface: int = 2) -> None:
        self.happens(LinkDown(interface))

    def address(self, address: Address, interface: int = 2, optimistic: bool = True) -> None:
        self.happens(AddressAdded(interface, address, 64, optimistic))

    def no_address(self, address: Address, interface: int = 2) -> None:
        self.happens(AddressRemoved(interface, address))

    def advertisement(
        self,
        *prefixes: Address,
        interface: int = 2,
        router: Address = ROUTER,
        mac: bytes = b"\x02\0\0\0\1\1",
        interval_ms: int = 0,
        lifetime_s: int = 1800,
        hop_limit: int = 255,
        managed: bool = False,
    ) -> None:
        options: list[NdOption] = [SourceLinkLayerAddress(mac)] if mac else []
        options += [PrefixInformation(one, 64, True, True, False, 86_400, 14_400) for one in prefixes]
        if interval_ms:
            options.append(AdvertisementInterval(interval_ms))
        message = RouterAdvertisement(router_lifetime_s=lifetime_s, managed=managed, options=tuple(options))
        self.receives(Packet(router, ALL_NODES, message, hop_limit=hop_limit), interface)

    def visit(self, number: int, interface: int = 2, name: str = "wlan0") -> None:
        """Move to a link: up, advertisement, address."""
        self.up(interface, name)
        self.advertisement(prefix(number), interface=interface, mac=bytes((2, 0, 0, 0, 1, number)))
        self.address(care_of(number, interface), interface)

    def lease(self, number: int, interface: int = 2) -> None:
        """A DHCP client configures the host."""
        self.happens(AddressAdded(interface, care_of_ipv4(number), IPV4_BITS + 24, False))
        self.happens(RouterAdded(interface, router_ipv4(number)))

    def no_lease(self, number: int, interface: int = 2) -> None:
        self.happens(RouterRemoved(interface, router_ipv4(number)))
        self.happens(AddressRemoved(interface, care_of_ipv4(number)))

    def visit_ipv4(self, number: int, interface: int = 2, name: str = "wlan0") -> None:
        """Move to a link that has no IPv6."""
        self.up(interface, name)
        self.lease(number, interface)

    def home(self, interface: int = 2) -> None:
        self.up(interface)
        self.advertisement(HOME_PREFIX, interface=interface, mac=b"\x02\0\0\0\1\xff")

    def registered(self, number: int = 1) -> "Driver":
        self.visit(number)
        self.acknowledge()
        assert self.state is State.REGISTERED
        return self

    # --- the home agent ---

    def updates(self) -> list[tuple[float, Packet, BindingUpdate]]:
        return [
            (time, packet, packet.payload) for time, packet, _ in self.sent if isinstance(packet.payload, BindingUpdate)
        ]

    def acknowledge(
        self,
        status: int = 0,
        units: int | None = None,
        back: int = 1,
        association: SecurityAssociation | None = ASSOCIATION,
        options: tuple[MobilityOption, ...] = (),
        **changes: Any,
    ) -> None:
        """The home agent's answer to the last binding update (``back`` 2: the one before). Changes: ``sequence``,
        ``timestamp``, ``source``, ``corrupt``, ``outer``."""
        _, packet, update = self.updates()[-back]
        message_id = update.option(MessageId)
        identifier = update.option(MobileNodeIdentifier)
        answered: tuple[MobilityOption, ...] = tuple(option for option in (identifier,) if option)
        if message_id is not None:
            answered += (MessageId(changes.get("timestamp", message_id.timestamp)),)
        message = BindingAcknowledgement(
            status,
            changes.get("sequence", update.sequence),
            update.lifetime_units if units is None else units,
            options=(*options, *answered),
        )
        data = b""
        if association is not None and message_id is not None:
            care_of_address = packet.source if packet.outer is None else packet.outer.source
            message, data = sign(message, association, care_of_address, HOME_ADDRESS)
        if changes.get("corrupt"):
            data = data[:-1] + bytes((data[-1] ^ 1,))
        answer = Packet(
            changes.get("source", packet.destination),
            packet.source,
            message,
            routing_home_address=packet.home_address,
            data=data,
            outer=changes.get("outer", _back(packet.outer)),
        )
        self.receives(answer)

    def switch(
        self,
        *agents: Address,
        association: SecurityAssociation | None = ASSOCIATION,
        options: tuple[MobilityOption, ...] = (),
        **changes: Any,
    ) -> Packet:
        """A Home Agent Switch from our home agent to the care-of address. Changes: ``source``, ``care_of_address``,
        ``authenticated_care_of_address``, ``home_address``, ``timestamp`` (None: without), ``corrupt``, ``cut``."""
        source = changes.get("source", self.node.machine.entry.home_agent or HOME_AGENT)
        destination = changes.get("care_of_address", self.node.machine.entry.care_of_address or HOME_ADDRESS)
        covered = changes.get("authenticated_care_of_address", destination)
        timestamp = changes.get("timestamp", ntp_timestamp(self.now.wall))
        if timestamp is not None and association is not None:
            options = (*options, MessageId(timestamp))
        message = HomeAgentSwitch(agents, options=options)
        data = b""
        if association is not None:
            message, data = sign(message, association, covered, HOME_ADDRESS)
        if changes.get("corrupt"):
            data = data[:-1] + bytes((data[-1] ^ 1,))
        home_address = changes.get("home_address", HOME_ADDRESS)
        packet = Packet(source, destination, message, routing_home_address=home_address, data=data)
        if is_ipv4(destination):
            outer = changes.get("outer", Outer(HOME_AGENT_IPV4, destination, PORT, PORT))
            packet = Packet(source, HOME_ADDRESS, message, data=data, outer=outer)
        self.receives(packet)
        return packet

    def from_home_agent(self, message: MobilityMessage | IcmpMessage) -> None:
        source = self.node.machine.entry.home_agent or HOME_AGENT
        destination = self.node.machine.entry.care_of_address or HOME_ADDRESS
        if is_ipv4(destination):
            outer = Outer(HOME_AGENT_IPV4, destination, PORT, PORT)
            self.receives(Packet(source, HOME_ADDRESS, message, outer=outer))
            return
        self.receives(Packet(source, destination, message, routing_home_address=HOME_ADDRESS))

    # --- what it did ---

    def of(self, kind: type) -> list[Any]:
        """The actions of a kind so far."""
        return [action for action in self.actions if isinstance(action, kind)]

    def notices(self, name: str) -> list[dict[str, Any]]:
        return [action.notice.fields for action in self.of(Notify) if action.notice.name == name]

    def payloads(self, kind: type) -> list[tuple[float, Packet]]:
        return [(time, packet) for time, packet, _ in self.sent if isinstance(packet.payload, kind)]

    def journal(self) -> list[tuple[bytes, bytes]]:
        records: dict[bytes, bytes] = {}
        for action in self.of(Persist):
            if action.record is not None:
                records[action.key] = action.record
        return list(records.items())

    def clear_actions(self) -> None:
        """Forget what it did, but not what it sent."""
        self.actions.clear()

    def clear(self) -> None:
        self.actions.clear()
        self.sent.clear()


def _through_the_codec(packet: Packet) -> Packet:
    """As it comes out of its tunnel at the other end: of an IPv6 one the data plane opens it, not the codec."""
    decoded = decode_datagram(encode_datagram(packet))
    if packet.outer is not None and isinstance(decoded.payload, UnknownPayload):
        return replace(decode_datagram(decoded.payload.data), outer=packet.outer)
    return decoded


def _back(outer: Outer | None) -> Outer | None:
    """The way back of what came in this tunnel, through whatever NAT there was."""
    if outer is None:
        return None
    return Outer(outer.destination, outer.source, outer.destination_port, outer.source_port)
