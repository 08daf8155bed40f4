"""A home agent with everything around it played by the test: clock, journal, forwarding table, home link, peers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unwired.core.authentication import sign
from unwired.core.binding_cache import BindingCache
from unwired.core.door import (
    Action,
    DefendAddress,
    JoinGroup,
    LeaveGroup,
    Notify,
    Now,
    Persist,
    Persisted,
    ReleaseAddress,
    Send,
)
from unwired.core.forwarding import Direction, Tunnel
from unwired.core.home_agent import HomeAgent
from unwired.core.notices import Notice
from unwired.core.settings import HomeAgentSettings, HomePrefix, SecurityAssociation, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.wire.address import Address, parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.icmpv6 import EchoRequest
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityOption, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5555 import Ipv4CareOfAddress
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingAcknowledgement, BindingUpdate

HOME_AGENT = parse_address("2001:db8:100::1")
PREFIX = HomePrefix(parse_address("2001:db8:100::"), 64)
HOME = parse_address("2001:db8:100::1000")
OTHER_HOME = parse_address("2001:db8:100::2000")
CARE_OF = parse_address("2001:db8:a::1")
CARE_OF_2 = parse_address("2001:db8:b::1")
CORRESPONDENT = parse_address("2001:db8:c::1")
NAME = b"mn@example.org"
KEY = SecurityAssociation(256, bytes(range(16)))
OTHER_KEY = SecurityAssociation(300, bytes(range(16, 32)))
HOME_AGENT_IPV4 = parse_address("198.51.100.1")
HOME_PREFIX_IPV4 = (parse_address("203.0.113.0"), 96 + 24)
POOL_IPV4 = (parse_address("203.0.113.128"), 96 + 25)
PREFIX_POOL_IPV4 = (parse_address("10.64.0.0"), 96 + 16)
STATIC_IPV4 = parse_address("203.0.113.7")
CARE_OF_IPV4 = parse_address("192.0.2.10")
PRIVATE_CARE_OF = parse_address("192.168.1.10")
NAT = parse_address("192.0.2.99")
DUAL_STACK: dict[str, Any] = {
    "address_ipv4": HOME_AGENT_IPV4,
    "home_prefixes_ipv4": (HOME_PREFIX_IPV4,),
    "pool_ipv4": (POOL_IPV4,),
    "mobile_prefix_pool_ipv4": (PREFIX_POOL_IPV4,),
}
LINK_LOCAL = parse_address("fe80::1")
MAC = bytes.fromhex("020000000001")
HOME_LINK = 7
REAL_LINK: dict[str, Any] = {
    "home_interface": HOME_LINK,
    "home_interface_link_layer_address": MAC,
    "home_interface_link_local_address": LINK_LOCAL,
}
SUBSCRIBERS = (Subscriber(NAME, HOME, (KEY,)), Subscriber(b"other@example.org", OTHER_HOME, (OTHER_KEY,)))
KEYLESS = (Subscriber(NAME, HOME),)


def status_of(answer: BindingAcknowledgement | None) -> int | None:
    return None if answer is None else answer.status


class Driver:
    """Everything goes through the codec in both directions. ``journal`` and ``table`` outlive ``restart``."""

    def __init__(self, subscribers: tuple[Subscriber, ...] = SUBSCRIBERS, start: bool = True, **settings: Any) -> None:
        self.settings = HomeAgentSettings(HOME_AGENT, settings.pop("home_prefixes", (PREFIX,)), **settings)
        self.subscribers = Subscribers(subscribers)
        self.now = Now(1000.0, 1_800_000_000.0)
        self.journal: dict[bytes, bytes] = {}
        self.unwritten: list[Persist] = []
        self.writes = True
        self.table = MemoryTable()
        self.sent: list[Send] = []
        self.probes: list[Packet] = []
        """Echo requests, which are in nothing else."""
        self.notices: list[Notice] = []
        self.defended: set[Address] = set()
        self.groups: set[Address] = set()
        self.log: list[Action] = []
        self.watch: Callable[[Send], None] = lambda action: None
        self._random = 0
        self.engine = self._engine()
        if start:
            self.engine.start(self.now)
            self.settle()
            self.sent.clear()
            self.log.clear()

    def _engine(self) -> HomeAgent:
        return HomeAgent(self.settings, self.subscribers, self._entropy)

    def _entropy(self, size: int) -> bytes:
        self._random = (self._random * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self._random.to_bytes(8) * (size // 8 + 1))[:size]

    # --- the world ---

    def settle(self) -> None:
        """Carry out all actions, the journal answering while ``writes``."""
        while actions := self.engine.actions():
            for action in actions:
                self._do(action)
            if self.writes and self.unwritten:
                self.write()

    def write(self) -> None:
        for action in self.unwritten:
            if action.record is None:
                self.journal.pop(action.key, None)
            else:
                self.journal[action.key] = action.record
        token = self.unwritten[-1].token
        self.unwritten.clear()
        self.engine.handle(Persisted(token), self.now)

    def _do(self, action: Action) -> None:
        if isinstance(action, Send) and isinstance(action.packet.payload, EchoRequest):
            self.probes.append(action.packet)
            return
        self.log.append(action)
        if isinstance(action, Persist):
            assert not self.unwritten or action.token > self.unwritten[-1].token
            self.unwritten.append(action)
        elif isinstance(action, Send):
            self.sent.append(replace(action, packet=decode_datagram(encode_datagram(action.packet))))
            self.watch(self.sent[-1])
        elif isinstance(action, Notify):
            self.notices.append(action.notice)
        elif isinstance(action, DefendAddress):
            self.defended.add(action.address)
        elif isinstance(action, ReleaseAddress):
            self.defended.discard(action.address)
        elif isinstance(action, JoinGroup):
            self.groups.add(action.group)
        elif isinstance(action, LeaveGroup):
            self.groups.discard(action.group)
        else:
            self.table.apply(action)  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, waking the engine whenever it wants to be."""
        end = self.now.monotonic + seconds
        while (deadline := self.engine.deadline()) is not None and deadline <= end:
            step = max(0.0, deadline - self.now.monotonic)
            self.now = Now(self.now.monotonic + step, self.now.wall + step)
            self.engine.wake(self.now)
            self.settle()
        rest = end - self.now.monotonic
        self.now = Now(end, self.now.wall + rest)
        self.engine.wake(self.now)
        self.settle()

    def restart(self, seconds: float = 0.0, killed: bool = True, rows_are_there: bool = False) -> None:
        """A new process with the same journal and the same pinned table."""
        if not killed:
            self.engine.stop(self.now)
            self.settle()
        self.unwritten.clear()
        self.now = Now(self.now.monotonic + seconds, self.now.wall + seconds)
        self.engine = self._engine()
        self.engine.rows_are_there = rows_are_there
        self.engine.restore(list(self.journal.items()), self.now)
        self.engine.start(self.now)
        self.log.clear()
        self.settle()

    # --- peers ---

    def receive(self, packet: Packet, interface: int = 1) -> list[Packet]:
        """Hand in a packet as it comes off the wire; what was sent on account of it."""
        before = len(self.sent)
        self.engine.receive(decode_datagram(encode_datagram(packet)), interface, self.now)
        self.settle()
        return [action.packet for action in self.sent[before:]]

    def update(
        self,
        sequence: int = 1,
        lifetime_units: int = 60,
        *,
        care_of: Address = CARE_OF,
        home: Address = HOME,
        key: SecurityAssociation | None = KEY,
        name: bytes | None = NAME,
        timestamp: int | None = -1,
        source: Address | None = None,
        from_home: bool = False,
        alternate: bool = True,
        home_registration: bool = True,
        link_local: bool = False,
        extra: tuple[MobilityOption, ...] = (),
        interface: int = 1,
    ) -> BindingAcknowledgement | None:
        """Send a binding update; the acknowledgement of it, if one came. ``timestamp`` -1: now."""
        packet = self.packet(
            sequence, lifetime_units, care_of=care_of, home=home, key=key, name=name, timestamp=timestamp,
            source=source, from_home=from_home, alternate=alternate, home_registration=home_registration,
            link_local=link_local, extra=extra,
        )  # fmt: skip
        return acknowledgement(self.receive(packet, interface))

    def update_ipv4(self, sequence: int = 1, lifetime_units: int = 60, **how: Any) -> BindingAcknowledgement | None:
        """The same from an IPv4 network; ``packet_ipv4`` has the parameters."""
        return acknowledgement(self.receive(self.packet_ipv4(sequence, lifetime_units, **how)))

    def packet_ipv4(
        self,
        sequence: int,
        lifetime_units: int = 60,
        *,
        care_of: Address = CARE_OF_IPV4,
        seen_as: tuple[Address, int] | None = None,
        udp: bool = True,
        force_udp: bool = False,
        home: Address = HOME,
        key: SecurityAssociation | None = KEY,
        name: bytes | None = NAME,
        timestamp: int | None = -1,
        option: bool = True,
        extra: tuple[MobilityOption, ...] = (),
        to: Address = HOME_AGENT,
    ) -> Packet:
        """A binding update from ``care_of``, which a NAT makes ``seen_as``, an address and a port, of."""
        options: list[MobilityOption] = list(extra)
        if option:
            options.append(Ipv4CareOfAddress(care_of))
        if name is not None:
            options.append(MobileNodeIdentifier(name))
        if timestamp is not None:
            options.append(MessageId(ntp_timestamp(self.now.wall) if timestamp == -1 else timestamp))
        update = BindingUpdate(
            sequence, lifetime_units, True, True, force_udp_encapsulation=force_udp, options=tuple(options)
        )
        data = encode_mobility(update)
        if key is not None:
            update, data = sign(update, key, care_of, home)
        source, port = seen_as or (care_of, PORT)
        outer = Outer(source, HOME_AGENT_IPV4, *((port, PORT) if udp else (0, 0)))
        return Packet(home, to, update, data=data, outer=outer)

    def packet(
        self,
        sequence: int,
        lifetime_units: int = 60,
        *,
        care_of: Address = CARE_OF,
        home: Address = HOME,
        key: SecurityAssociation | None = KEY,
        name: bytes | None = NAME,
        timestamp: int | None = -1,
        source: Address | None = None,
        from_home: bool = False,
        alternate: bool = True,
        home_registration: bool = True,
        link_local: bool = False,
        extra: tuple[MobilityOption, ...] = (),
    ) -> Packet:
        if from_home:
            care_of = home
        options: list[MobilityOption] = list(extra)
        if alternate:
            options.append(AlternateCareOfAddress(care_of))
        if name is not None:
            options.append(MobileNodeIdentifier(name))
        if timestamp is not None:
            options.append(MessageId(ntp_timestamp(self.now.wall) if timestamp == -1 else timestamp))
        update = BindingUpdate(
            sequence, lifetime_units, True, home_registration, link_local_compatible=link_local, options=tuple(options)
        )
        data = encode_mobility(update)
        if key is not None:
            update, data = sign(update, key, care_of, home)
        return Packet(source or care_of, HOME_AGENT, update, home_address=None if from_home else home, data=data)

    # --- what can be seen ---

    @property
    def cache(self) -> BindingCache:
        return self.engine.cache

    def notice_names(self) -> list[str]:
        return [notice.name for notice in self.notices]

    def tunnel(self, home: Address = HOME) -> Tunnel | None:
        """The tunnel that packets for a home address of either family go into."""
        return self.table.tunnel_of(0, Direction.TO_HOME_ADDRESS, home)

    def tunnel_peer(self, home: Address = HOME) -> Address | None:
        """Where the table sends packets for a home address."""
        rows = self.table.rows()
        for forward in rows.forwards:
            if forward.address == home:
                return next(tunnel.peer for tunnel in rows.tunnels if tunnel.number == forward.tunnel)
        return None

    def accepted_from(self, home: Address = HOME) -> set[Address]:
        return {row.outer_source for row in self.table.rows().accepts if row.address == home}

    def places_accepted_from(self, home: Address = HOME) -> set[tuple[Address, int]]:
        """The same with the UDP ports, 0: without UDP."""
        return {(row.outer_source, row.outer_port) for row in self.table.rows().accepts if row.address == home}


def acknowledgement(packets: list[Packet]) -> BindingAcknowledgement | None:
    """The last binding acknowledgement among packets."""
    found = [packet.payload for packet in packets if isinstance(packet.payload, BindingAcknowledgement)]
    return found[-1] if found else None
