"""A home agent set under a virtual clock: its engines, their journals and tables, a carrier, and what may go wrong."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from home_agent_driver import HOME_AGENT_IPV4, PREFIX, SUBSCRIBERS
from set_carrier import CarrierMaker, MemoryCarrier, TestedCarrier

from unwired.core.authentication import sign
from unwired.core.binding_cache import Binding
from unwired.core.door import (
    Announce,
    BindingsKept,
    Event,
    Health,
    HelloReceived,
    LeaveSet,
    Notify,
    Now,
    Persist,
    Persisted,
    Publish,
    Send,
    SendHello,
    ShareKey,
    Withdraw,
)
from unwired.core.forwarding import Direction
from unwired.core.global_binding import GlobalBinding
from unwired.core.home_agent import HomeAgent
from unwired.core.notices import Notice
from unwired.core.settings import (
    Durability,
    HomeAgentSetSettings,
    HomeAgentSettings,
    Member,
    SecurityAssociation,
    Subscriber,
)
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.wire.address import Address, is_ipv4, parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.icmpv6 import EchoRequest
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityOption, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc5555 import Ipv4CareOfAddress
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingAcknowledgement, BindingUpdate

THIRD_HOME = parse_address("2001:db8:100::3000")
KEYLESS = Subscriber(b"keyless@example.org", THIRD_HOME)
ALL = (*SUBSCRIBERS, KEYLESS)
HOMES = tuple(subscriber.home_address for subscriber in ALL)
LATENCY_S = 0.01


def address_of(number: int) -> Address:
    """The home agent address of a member."""
    return parse_address(f"2001:db8:100::{number}")


def locator_of(number: int) -> Address:
    return parse_address(f"2001:db8:f{number}::1")


def care_of(number: int) -> Address:
    return parse_address(f"2001:db8:a{number:x}::1")


def care_of_ipv4(number: int) -> Address:
    return parse_address(f"192.0.2.{number}")


@dataclass(frozen=True)
class Acknowledged:
    """An acknowledgement as it left a member, with what that member then held."""

    site: int
    source: Address
    home_address: Address
    sequence: int
    status: int
    lifetime_units: int
    record: GlobalBinding | None


class Site:
    """A member: its engine and what outlives a process, the journal and the table. ``offset_s``: how far its wall clock
    is ahead."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.offset_s = 0.0
        self.journal: dict[bytes, bytes] = {}
        self.table = MemoryTable()
        self.notices: list[Notice] = []
        self.sent: list[Packet] = []
        self.probes = 0
        self.announced = False
        self.left = False
        self.writes = True
        self.fails = False
        self.unwritten: list[Persist] = []
        self.engine: HomeAgent | None = None
        self.carrier: TestedCarrier | None = None
        self._life = 0
        self._wake_at = float("inf")

    # --- the process ---

    @property
    def running(self) -> HomeAgent:
        assert self.engine is not None
        return self.engine

    def now(self) -> Now:
        return Now(self.world.time, self.world.wall + self.offset_s)

    def start(self) -> None:
        settings = self.world.settings_of(self.number)
        assert settings.home_agent_set is not None
        self._life += 1
        self._wake_at = float("inf")
        self.unwritten.clear()
        self.engine = HomeAgent(settings, self.world.subscribers, self.world.random.randbytes)
        self.engine.restore(list(self.journal.items()), self.now())
        store = self.engine.binding_store
        assert store is not None
        self.carrier = self.world.carrier(settings.home_agent_set, store, self, self.world.random)
        self.table.begin_adoption()
        self.engine.start(self.now())
        self.engine.handle(Health(True), self.now())
        self.settle()
        self.table.sweep()
        self.world.connect()

    def kill(self) -> None:
        """The process ends at once: what was not written is lost."""
        for other in self.world.sites:
            self.world.disconnect(self.number, other.number)
        self.engine = self.carrier = None
        self._life += 1

    def destroy(self) -> None:
        """The machine is gone, and its journal."""
        self.kill()
        self.journal.clear()
        self.table = MemoryTable()

    def restart(self) -> None:
        if self.engine is not None:
            self.kill()
        self.start()

    def settle(self) -> None:
        while self.engine is not None and (actions := self.engine.actions()):
            for action in actions:
                self._do(action)
            if self.writes:
                self.write()
        deadline = None if self.engine is None else self.engine.deadline()
        if deadline is not None and deadline < self._wake_at:
            self._wake_at = deadline
            self.world.at(deadline, self._if_alive(self._wake))

    def write(self) -> None:
        """Put into the journal what waits."""
        unwritten, self.unwritten = self.unwritten, []
        for action in unwritten:
            if action.record is None:
                self.journal.pop(action.key, None)
            else:
                self.journal[action.key] = action.record
        if unwritten:
            self.running.handle(Persisted(unwritten[-1].token), self.now())
            self.settle()

    def _do(self, action: Any) -> None:
        assert self.carrier is not None
        if isinstance(action, Persist):
            self.unwritten.append(action)
        elif isinstance(action, Publish):
            self.carrier.publish(action.token, action.record)
        elif isinstance(action, BindingsKept):
            self.carrier.kept(action.member, action.position, action.refused)
        elif isinstance(action, ShareKey):
            self.carrier.share_key(action.epoch, action.key)
        elif isinstance(action, SendHello):
            self.world.hello(self.number, action)
        elif isinstance(action, Send) and isinstance(action.packet.payload, EchoRequest):
            self.probes += 1
        elif isinstance(action, Send):
            self._send(decode_datagram(encode_datagram(action.packet)))
        elif isinstance(action, Notify):
            self.notices.append(action.notice)
        elif isinstance(action, Announce):
            self.announced = True
        elif isinstance(action, Withdraw):
            self.announced = False
        elif isinstance(action, LeaveSet):
            self.left = True
        else:
            self.table.apply(action)

    def _send(self, packet: Packet) -> None:
        self.sent.append(packet)
        message = packet.payload
        if isinstance(message, BindingAcknowledgement):
            home = packet.routing_home_address or packet.destination
            store = self.running.binding_store
            assert store is not None
            answer = Acknowledged(
                self.number, packet.source, home, message.sequence, message.status, message.lifetime_units,
                store.record(home),
            )  # fmt: skip
            self.world.acknowledged.append(answer)

    def _wake(self) -> None:
        self._wake_at = float("inf")
        self.running.wake(self.now())
        self.settle()

    def _if_alive(self, callback: Callable[[], None]) -> Callable[[], None]:
        life = self._life

        def call() -> None:
            if life == self._life and self.engine is not None:
                callback()

        if self._life != life:
            return lambda: None
        return call

    # --- the carrier's side (``set_carrier.Wire``) ---

    def tell(self, event: Event) -> None:
        """Later, as a carrier in a loop does."""
        self.world.at(self.world.time, self._if_alive(lambda: self.handle(event)))

    def send(self, member: int, message: Any, in_order: bool) -> None:
        self.world.carry(self.number, member, message, in_order)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.world.at(self.world.time + seconds, self._if_alive(callback))

    def monotonic(self) -> float:
        return self.world.time

    # --- what happens ---

    def handle(self, event: Event) -> None:
        self.running.handle(event, self.now())
        self.settle()

    def receive(self, packet: Packet, via: Address | None = None) -> None:
        self.running.receive(decode_datagram(encode_datagram(packet)), 1, self.now(), via)
        self.settle()

    # --- what can be seen ---

    def record(self, home: Address) -> GlobalBinding | None:
        """What this member would tell of a home address."""
        store = self.running.binding_store
        assert store is not None
        return store.record(home)

    def binding(self, home: Address) -> Binding | None:
        return self.running.cache.get(home)

    def route(self, home: Address) -> tuple[Address, Address] | None:
        """Where the row for a home address would send its packets directly: from, to."""
        tunnel = self.table.tunnel_of(0, Direction.TO_HOME_ADDRESS, home)
        return None if tunnel is None else (tunnel.local, tunnel.peer)

    def member_of(self, home: Address) -> int | None:
        """Which member a packet for a home address goes to while that is up; 0: directly."""
        return next((row.member for row in self.table.rows().forwards if row.address == home), None)

    def accepted_from(self, home: Address) -> set[Address]:
        """The care-of addresses from which a home address is accepted."""
        return {row.outer_source for row in self.table.rows().accepts if row.address == home}

    def switches(self) -> list[tuple[Address, HomeAgentSwitch]]:
        return [(one.source, one.payload) for one in self.sent if isinstance(one.payload, HomeAgentSwitch)]


class World:
    """``sites`` by number from 1 are ``site(n)``. Time is one for all but for their wall clocks."""

    def __init__(
        self,
        members: int = 3,
        durability: Durability = Durability.ONE_PEER,
        carrier: CarrierMaker = MemoryCarrier,
        seed: int = 0,
        hello_interval_s: float = 0.5,
        **settings: Any,
    ) -> None:
        self.time = 1000.0
        self.wall = 1_800_000_000.0
        self.random = Random(seed)
        self.carrier = carrier
        self.subscribers = Subscribers(ALL)
        self.acknowledged: list[Acknowledged] = []
        self.differing: dict[int, dict[str, Any]] = {}
        """Settings of a member, from its next start on, that are not the others'."""
        self.reordering_s = 0.0
        self._settings = HomeAgentSettings(
            address_of(1), (PREFIX,), **({"insecure": True, "lifetime_max_s": 420} | settings)
        )
        self._set = HomeAgentSetSettings(
            1,
            tuple(Member(f"site{n}", address_of(n), locator_of(n)) for n in range(1, members + 1)),
            4690,
            durability,
            hello_interval_s=hello_interval_s,
            join_timeout_s=2.0,
        )
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._cut: set[frozenset[int]] = set()
        self._links: dict[frozenset[int], int] = {}
        self._last_arrival: dict[tuple[int, int, int], float] = {}
        self._sequences: dict[tuple[Address, Address], int] = {}
        self.sites = [Site(self, number) for number in range(1, members + 1)]
        for site in self.sites:
            site.start()
        self.run(4.0)

    def settings_of(self, number: int) -> HomeAgentSettings:
        members = replace(self._set, own=number)
        own = self.differing.get(number, {})
        return replace(self._settings, address=address_of(number), home_agent_set=members, **own)

    def site(self, number: int) -> Site:
        return self.sites[number - 1]

    @property
    def alive(self) -> list[Site]:
        return [site for site in self.sites if site.engine is not None]

    # --- time ---

    def at(self, when: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.time), self._count, callback))

    def run(self, seconds: float) -> None:
        end = self.time + seconds
        while self._queue and self._queue[0][0] <= end:
            when, _, callback = heapq.heappop(self._queue)
            self._advance(when)
            callback()
        self._advance(end)

    def _advance(self, when: float) -> None:
        self.wall += when - self.time
        self.time = when

    # --- the network between members ---

    def cut(self, *pairs: tuple[int, int]) -> None:
        for one, other in pairs:
            self._cut.add(frozenset((one, other)))
            self.disconnect(one, other)

    def partition(self, *groups: tuple[int, ...]) -> None:
        """Only members of the same group reach each other."""
        group_of = {number: index for index, group in enumerate(groups) for number in group}
        for one in self.sites:
            for other in self.sites[: one.number - 1]:
                if group_of[one.number] != group_of[other.number]:
                    self.cut((one.number, other.number))

    def heal(self) -> None:
        self._cut.clear()
        self.connect()

    def reaches(self, one: int, other: int) -> bool:
        both = self.site(one).engine is not None and self.site(other).engine is not None
        return both and frozenset((one, other)) not in self._cut

    def connect(self) -> None:
        """Join every two members that reach each other and are not joined."""
        for one in self.sites:
            for other in self.sites[: one.number - 1]:
                pair = frozenset((one.number, other.number))
                if pair not in self._links and self.reaches(one.number, other.number):
                    self._count += 1
                    self._links[pair] = self._count
                    assert one.carrier is not None and other.carrier is not None
                    one.carrier.connected(other.number)
                    other.carrier.connected(one.number)
                    one.settle()
                    other.settle()

    def disconnect(self, one: int, other: int) -> None:
        if self._links.pop(frozenset((one, other)), None) is not None:
            for here, there in ((self.site(one), other), (self.site(other), one)):
                if here.carrier is not None:
                    here.carrier.disconnected(there)

    def carry(self, source: int, target: int, message: Any, in_order: bool) -> None:
        pair = frozenset((source, target))
        link = self._links.get(pair)
        if link is None:
            return
        when = self.time + LATENCY_S
        if in_order:
            key = (link, source, target)
            when = self._last_arrival[key] = max(when, self._last_arrival.get(key, 0.0))
        else:
            when += self.random.random() * self.reordering_s
        late_anyway = not in_order and self.random.random() < 0.5

        def arrive() -> None:
            site = self.site(target)
            if site.carrier is not None and (self._links.get(pair) == link or late_anyway):
                site.carrier.receive(source, message)
                site.settle()

        self.at(when, arrive)

    def hello(self, source: int, action: SendHello) -> None:
        target = next(site.number for site in self.sites if locator_of(site.number) == action.locator)

        def arrive() -> None:
            if self.reaches(source, target):
                self.site(target).handle(HelloReceived(locator_of(source), action.data))

        if self.reaches(source, target):
            self.at(self.time + LATENCY_S, arrive)

    # --- mobile nodes ---

    def packet(
        self,
        home: Address,
        lifetime_units: int,
        to: int,
        care_of_address: Address,
        ago_s: float = 0.0,
        key: SecurityAssociation | None = None,
        nat: tuple[Address, int] | None = None,
        extra: tuple[MobilityOption, ...] = (),
    ) -> Packet:
        """A binding update to member ``to``, made ``ago_s`` ago, as a node that counts for each home agent apart. With
        an IPv4 care-of address it comes in UDP, by ``nat`` if there is one."""
        subscriber = next(one for one in ALL if one.home_address == home)
        destination = address_of(to)
        sequence = self._sequences[home, destination] = self._sequences.get((home, destination), 7 * to) + 1
        in_ipv4 = is_ipv4(care_of_address)
        place = Ipv4CareOfAddress(care_of_address) if in_ipv4 else AlternateCareOfAddress(care_of_address)
        options: list[MobilityOption] = [place, *extra]
        if subscriber.associations:
            options.append(MobileNodeIdentifier(subscriber.identifier))
            options.append(MessageId(ntp_timestamp(self.wall - ago_s)))
        update = BindingUpdate(sequence, lifetime_units, True, True, options=tuple(options))
        data = encode_mobility(update)
        for association in subscriber.associations:
            update, data = sign(update, key or association, care_of_address, home)
        if in_ipv4:
            source, port = nat or (care_of_address, PORT)
            return Packet(home, destination, update, data=data, outer=Outer(source, HOME_AGENT_IPV4, port, PORT))
        return Packet(care_of_address, destination, update, home_address=home, data=data)

    def update(
        self,
        home: Address = HOMES[0],
        to: int = 1,
        at: int | None = None,
        care_of_address: Address | None = None,
        lifetime_units: int = 100,
        ago_s: float = 0.0,
        nat: tuple[Address, int] | None = None,
        extra: tuple[MobilityOption, ...] = (),
    ) -> Packet:
        """Send a binding update for member ``to``, which the Internet takes to member ``at``; the packet."""
        packet = self.packet(home, lifetime_units, to, care_of_address or care_of(1), ago_s, nat=nat, extra=extra)
        self.deliver(packet, to if at is None else at)
        return packet

    def deliver(self, packet: Packet, at: int) -> None:
        """As the data plane does: to the daemon here, or on to the live member whose address it is."""
        site = self.site(at)
        if site.engine is None:
            return
        row = site.table.live_member(0, packet.destination)
        if row is None or not row.up:
            site.receive(packet)
            return
        source = locator_of(at)

        def arrive() -> None:
            if self.reaches(at, row.number):
                self.site(row.number).receive(packet, source)

        self.at(self.time + LATENCY_S, arrive)

    # --- what can be seen ---

    def answers(self, home: Address = HOMES[0]) -> list[Acknowledged]:
        return [answer for answer in self.acknowledged if answer.home_address == home]

    def records(self, home: Address = HOMES[0]) -> list[GlobalBinding | None]:
        """What the living members hold, without what each may word differently."""
        return [_comparable(site.record(home)) for site in self.alive]


def _comparable(record: GlobalBinding | None) -> GlobalBinding | None:
    return None if record is None else replace(record, ends_at=round(record.ends_at, 1), switched=False)
