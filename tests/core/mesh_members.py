"""Members of a set joined by meshes over streams in memory, under a clock of our own: the network a test shakes."""

from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b

from unwired.core.door import BindingsHeld, BindingsReceived, KeyShared, SetCurrent
from unwired.core.global_binding import GlobalBinding
from unwired.core.mesh import Close, Mesh, Transmit
from unwired.core.settings import HomeAgentSetSettings, Member
from unwired.wire.address import Address, parse_address
from unwired.wire.state_synchronization import LENGTH_SIZE

BUCKETS = 64
T0 = 1_700_000_000.0


def settings_of(own: int, count: int = 2, group_id: int = 7) -> HomeAgentSetSettings:
    members = tuple(
        Member(f"m{number}", parse_address(f"2001:db8::{number}"), parse_address(f"127.0.0.{number}"))
        for number in range(1, count + 1)
    )
    return HomeAgentSetSettings(own, members, group_id)


def home_address(number: int) -> Address:
    return parse_address("2001:db8::")[:12] + number.to_bytes(4)


def binding(number: int, version: int, primary: int = 1, deleted: bool = False) -> GlobalBinding:
    care_of_address = parse_address("2001:db8:c::")[:8] + version.to_bytes(8)
    locator = parse_address(f"127.0.0.{primary}")
    return GlobalBinding(
        home_address(number), care_of_address, locator, version, version, T0 + version, version % 65536, 105, deleted
    )


class Store:
    """A ``BindingStore`` of records merged by their order; ``durable`` is what a crash leaves."""

    def __init__(self) -> None:
        self.records: dict[Address, GlobalBinding] = {}
        self.durable: dict[Address, GlobalBinding] = {}

    def merge(self, record: GlobalBinding) -> None:
        known = self.records.get(record.home_address)
        if known is None or record.order > known.order:
            self.records[record.home_address] = record

    def commit(self) -> None:
        self.durable = dict(self.records)

    def digests(self) -> list[int]:
        found = [0] * BUCKETS
        for record in self.records.values():
            digest = blake2b(repr(record.order).encode() + record.home_address, digest_size=8).digest()
            found[self._bucket(record.home_address)] ^= int.from_bytes(digest)
        return found

    def in_buckets(self, buckets: frozenset[int]) -> list[Address]:
        return [address for address in self.records if self._bucket(address) in buckets]

    def record(self, home_address: Address) -> GlobalBinding | None:
        return self.records.get(home_address)

    def _bucket(self, address: Address) -> int:
        return address[15] % BUCKETS


@dataclass
class Participant:
    """A member: its mesh, its store, and what its mesh said."""

    number: int
    settings: HomeAgentSetSettings
    store: Store = field(default_factory=Store)
    received: list[BindingsReceived] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)
    current: list[SetCurrent] = field(default_factory=list)
    keys: list[KeyShared] = field(default_factory=list)
    closed: list[Close] = field(default_factory=list)
    unkept: list[BindingsReceived] = field(default_factory=list)
    published: list[tuple[int, GlobalBinding]] = field(default_factory=list)
    token: int = 0

    def __post_init__(self) -> None:
        self.boot(0.0)

    def boot(self, now: float) -> None:
        """A new process: what was not durable is lost, tokens begin anew."""
        self.mesh = Mesh(self.settings, lambda: 0.5)
        self.mesh.start(self.store, now)
        self.store.records = dict(self.store.durable)
        self.unkept.clear()
        self.published.clear()
        self.held.clear()
        self.current.clear()
        self.token = 0

    def publish(self, record: GlobalBinding, now: float) -> int:
        self.token += 1
        self.store.merge(record)
        self.published.append((self.token, record))
        self.mesh.publish(self.token, record, now)
        return self.token

    def commit(self, now: float) -> None:
        """The journal turns: what came is durable, and said to be."""
        self.store.commit()
        for event in self.unkept:
            self.mesh.kept(event.member, event.position, (), now)
        self.unkept.clear()


class Streams:
    """Every two members, joined or not. Frames wait in order until ``deliver``; a stream that ends loses them."""

    def __init__(self, *participants: Participant, commit_at_once: bool = True) -> None:
        self.members = {participant.number: participant for participant in participants}
        self.wires: dict[tuple[int, int], deque[bytes]] = {}
        self.commit_at_once = commit_at_once
        self.now = 0.0
        self.sent: list[tuple[int, int, bytes]] = []

    def join(self, one: int, other: int) -> None:
        for here, there in ((one, other), (other, one)):
            self.wires[here, there] = deque()
        for here, there in ((one, other), (other, one)):
            self.members[here].mesh.connected(there, self.now)

    def cut(self, one: int, other: int) -> None:
        for here, there in ((one, other), (other, one)):
            self.wires.pop((here, there), None)
            self.members[here].mesh.disconnected(there, self.now)

    def joined(self, one: int, other: int) -> bool:
        return (one, other) in self.wires

    def restart(self, number: int) -> None:
        for other in self.members:
            if other != number:
                self.wires.pop((other, number), None)
                self.wires.pop((number, other), None)
                self.members[other].mesh.disconnected(number, self.now)
        self.members[number].boot(self.now)

    def turn(self, number: int) -> None:
        """Wake a member once and put what it sends on its wires."""
        member = self.members[number]
        member.mesh.wake(self.now)
        self.collect(member)

    def collect(self, member: Participant) -> None:
        for output in member.mesh.outputs():
            if isinstance(output, Transmit):
                wire = self.wires.get((member.number, output.member))
                if wire is not None:
                    self.sent.append((member.number, output.member, output.data))
                    wire.extend(frames_of(output.data))
            elif isinstance(output, Close):
                member.closed.append(output)
                if self.joined(member.number, output.member):
                    self.deliver(member.number, output.member)
                    self.cut(member.number, output.member)
            elif isinstance(output, BindingsReceived):
                member.received.append(output)
                for record in output.records:
                    member.store.merge(record)
                member.unkept.append(output)
                if self.commit_at_once:
                    member.commit(self.now)
            elif isinstance(output, BindingsHeld):
                self.check_held(member, output)
                assert output.token >= member.held.get(output.member, 0), "never taken back"
                member.held[output.member] = output.token
            elif isinstance(output, SetCurrent):
                member.current.append(output)
            elif isinstance(output, KeyShared):
                member.keys.append(output)

    def check_held(self, member: Participant, held: BindingsHeld) -> None:
        """What is reported as held is durable there, or something newer is."""
        durable = self.members[held.member].store.durable
        for token, record in member.published:
            if token <= held.token:
                there = durable.get(record.home_address)
                assert there is not None and there.order >= record.order, (token, record, there)

    def deliver(self, one: int, other: int, count: int = 1_000_000) -> None:
        wire = self.wires.get((one, other))
        while wire and count:
            count -= 1
            self.members[other].mesh.received(one, wire.popleft(), self.now)
            self.collect(self.members[other])
            wire = self.wires.get((one, other))

    def settle(self, until: float | None = None) -> None:
        """Let time pass by steps of the members' own wishes until nothing is to be done, or until ``until``."""
        for _ in range(10_000):
            for number in self.members:
                self.turn(number)
            for one, other in list(self.wires):
                self.deliver(one, other)
            deadlines = [at for member in self.members.values() if (at := member.mesh.deadline()) is not None]
            if any(self.wires.values()) or (deadlines and min(deadlines) <= self.now):
                continue
            following = min(deadlines, default=float("inf"))
            if following > (self.now + 0.1 if until is None else until):
                if until is not None:
                    self.now = until
                return
            self.now = following
        raise AssertionError("it does not come to rest")


def frames_of(data: bytes) -> list[bytes]:
    """Cut what is sent into frames without their lengths."""
    found = []
    while data:
        end = LENGTH_SIZE + int.from_bytes(data[:LENGTH_SIZE])
        found.append(data[LENGTH_SIZE:end])
        data = data[end:]
    return found
