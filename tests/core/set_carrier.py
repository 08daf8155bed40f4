"""Carriers for ``set_world``: one in memory that does all that ``plane/carrier.py`` allows, and the mesh."""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from unwired.core.door import BindingsHeld, BindingsReceived, Event, KeyShared, SetCurrent
from unwired.core.global_binding import BindingStore, GlobalBinding
from unwired.core.mesh import Close, Mesh, Transmit
from unwired.core.settings import HomeAgentSetSettings
from unwired.wire.address import Address
from unwired.wire.state_synchronization import LENGTH_SIZE

RECONCILE_INTERVAL_S = 20.0
AFTER_LOSS_S = 1.0
CHUNK = 3


class Wire(Protocol):
    """What a carrier is given by the world. A message goes from us to a member; in ``order``, or as it likes."""

    def tell(self, event: Event) -> None: ...
    def send(self, member: int, message: Any, in_order: bool) -> None: ...
    def later(self, seconds: float, callback: Callable[[], None]) -> None: ...
    def monotonic(self) -> float: ...


class TestedCarrier(Protocol):
    """``connected`` and ``disconnected`` come in pairs; between them ``receive`` has what the member sent."""

    def connected(self, member: int) -> None: ...
    def disconnected(self, member: int) -> None: ...
    def receive(self, member: int, message: Any) -> None: ...
    def publish(self, token: int, record: GlobalBinding) -> None: ...
    def kept(self, member: int, position: int, refused: tuple[Address, ...]) -> None: ...
    def share_key(self, epoch: int, key: bytes) -> None: ...


CarrierMaker = Callable[[HomeAgentSetSettings, BindingStore, Wire, Random], TestedCarrier]


class _Session:
    """The link to one member, from one connection to its loss: what we sent of it by our numbers, what the member sent
    by positions of ours, with its own names for session and message."""

    def __init__(self, name: int, base: int) -> None:
        self.name = name
        self.base = base
        self.sent = 0
        self.kept: set[int] = set()
        self.whole = 0
        self.tokens: dict[int, int] = {}
        self.covered_at: int | None = None
        self.told = 0
        self.delivered: dict[int, tuple[int, int]] = {}
        self.refusals: tuple[Address, ...] = ()
        self.current = False


class MemoryCarrier:
    """Records may come late, twice and out of order, also after the link they were sent on was lost."""

    def __init__(self, settings: HomeAgentSetSettings, store: BindingStore, wire: Wire, random: Random) -> None:
        self._store = store
        self._wire = wire
        self._random = random
        self._sessions: dict[int, _Session] = {}
        self._position = 0
        self._published = 0
        self._key: tuple[int, bytes] | None = None
        self._is_current = False
        self._wire.later(RECONCILE_INTERVAL_S, self._reconcile)

    def connected(self, member: int) -> None:
        self._sessions[member] = _Session(self._random.getrandbits(60), self._published)
        if self._key is not None:
            self._wire.send(member, ("key", *self._key), False)
        self._ask(member)

    def disconnected(self, member: int) -> None:
        self._sessions.pop(member, None)
        self._wire.later(AFTER_LOSS_S, self._ask_all)

    def _reconcile(self) -> None:
        self._ask_all()
        self._wire.later(RECONCILE_INTERVAL_S, self._reconcile)

    def _ask_all(self) -> None:
        for member in self._sessions:
            self._ask(member)

    def _ask(self, member: int) -> None:
        self._wire.send(member, ("ask", self._store.digests()), False)

    def publish(self, token: int, record: GlobalBinding) -> None:
        self._published = token
        for member, session in self._sessions.items():
            self._records(member, session, (record,), False)
            session.tokens[session.sent] = token

    def _records(self, member: int, session: _Session, records: tuple[GlobalBinding, ...], end: bool) -> None:
        session.sent += 1
        for _ in range(self._random.choice((1, 1, 1, 2))):
            self._wire.send(member, ("records", session.name, session.sent, records, end), False)

    def share_key(self, epoch: int, key: bytes) -> None:
        self._key = (epoch, key)
        for member in self._sessions:
            self._wire.send(member, ("key", epoch, key), False)

    def receive(self, member: int, message: Any) -> None:
        session = self._sessions.get(member)
        if message[0] == "key":
            self._wire.tell(KeyShared(member, message[1], message[2]))
        elif message[0] == "records":
            _, number, sequence, records, end = message
            self._position += 1
            if session is not None:
                session.delivered[self._position] = (number, sequence)
            self._wire.tell(BindingsReceived(member, self._position, records))
            if end and session is not None:
                session.current = True
                if not self._is_current and all(each.current for each in self._sessions.values()):
                    self._is_current = True
                    self._wire.tell(SetCurrent())
        elif session is None:
            return
        elif message[0] == "ask":
            self._answer(member, session, message[1])
        else:
            self._kept(member, session, *message[1:])

    def _answer(self, member: int, session: _Session, theirs: list[int]) -> None:
        own = self._store.digests()
        differing = frozenset(number for number, digest in enumerate(own) if digest != theirs[number])
        found = (self._store.record(address) for address in self._store.in_buckets(differing))
        records = [record for record in found if record is not None]
        self._random.shuffle(records)
        for at in range(0, len(records), CHUNK):
            self._records(member, session, tuple(records[at : at + CHUNK]), False)
        self._records(member, session, (), True)
        if session.covered_at is None:
            session.covered_at = session.sent

    def kept(self, member: int, position: int, refused: tuple[Address, ...]) -> None:
        session = self._sessions.get(member)
        if session is not None:
            session.refusals += refused
            for known in [known for known in session.delivered if known <= position]:
                self._wire.send(member, ("kept", *session.delivered.pop(known), session.refusals), False)

    def _kept(self, member: int, session: _Session, number: int, sequence: int, refused: tuple[Address, ...]) -> None:
        if number != session.name:
            return
        session.kept.add(sequence)
        while session.whole + 1 in session.kept:
            session.whole += 1
        if session.covered_at is None or session.whole < session.covered_at:
            return
        held = max([session.base, *(token for at, token in session.tokens.items() if at <= session.whole)])
        if held > session.told:
            session.told = held
            self._wire.tell(BindingsHeld(member, held, frozenset(refused)))


class MeshCarrier:
    """The mesh over streams that keep their order and lose what is on its way when they end."""

    def __init__(self, settings: HomeAgentSetSettings, store: BindingStore, wire: Wire, random: Random) -> None:
        self._wire = wire
        self._mesh = Mesh(settings, random.random)
        self._buffers: dict[int, bytes] = {}
        self._wake_at = float("inf")
        self._mesh.start(store, wire.monotonic())
        self.woken()

    def connected(self, member: int) -> None:
        self._buffers[member] = b""
        self._mesh.connected(member, self._wire.monotonic())
        self.woken()

    def disconnected(self, member: int) -> None:
        self._mesh.disconnected(member, self._wire.monotonic())
        self.woken()

    def receive(self, member: int, message: Any) -> None:
        data = self._buffers.get(member, b"") + message
        while len(data) >= LENGTH_SIZE and len(data) >= LENGTH_SIZE + int.from_bytes(data[:LENGTH_SIZE]):
            end = LENGTH_SIZE + int.from_bytes(data[:LENGTH_SIZE])
            self._mesh.received(member, data[LENGTH_SIZE:end], self._wire.monotonic())
            data = data[end:]
        self._buffers[member] = data
        self.woken()

    def publish(self, token: int, record: GlobalBinding) -> None:
        self._mesh.publish(token, record, self._wire.monotonic())
        self.woken()

    def kept(self, member: int, position: int, refused: tuple[Address, ...]) -> None:
        self._mesh.kept(member, position, refused, self._wire.monotonic())
        self.woken()

    def share_key(self, epoch: int, key: bytes) -> None:
        self._mesh.share_key(epoch, key)
        self.woken()

    def woken(self) -> None:
        """Have the mesh do all that it wants to do now, and come back when it wants."""
        now = self._wire.monotonic()
        self._mesh.wake(now)
        while True:
            for output in self._mesh.outputs():
                if isinstance(output, Transmit):
                    self._wire.send(output.member, output.data, True)
                elif isinstance(output, Close):
                    raise AssertionError(f"the mesh closes: {output}")
                else:
                    self._wire.tell(output)
            deadline = self._mesh.deadline()
            if deadline is None or deadline > now:
                break
            self._mesh.wake(now)
        if deadline is not None and deadline < self._wake_at:
            self._wake_at = deadline
            self._wire.later(deadline - now, self._due)

    def _due(self) -> None:
        self._wake_at = float("inf")
        self.woken()
