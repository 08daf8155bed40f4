"""One member as the mesh sees it: what it is still to be given, what it asked for, what came from it.

``Outgoing`` is the flow of new records to a member, ``Answer`` the records that it lacked according to its digests,
``Incoming`` what came from it and is not durable here yet. ``Link`` holds the three for as long as a stream lasts; with
the stream all of it is forgotten, because the next one begins with a comparison of digests.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from unwired.core.global_binding import BindingStore, GlobalBinding
from unwired.wire.address import UNSPECIFIED, Address
from unwired.wire.state_synchronization import Kind, StateSynchronizationStatus, Status, encode_frame

BATCH_MAX = 256
"""Records in one frame: about a millisecond of work at each end."""
BATCH_INTERVAL_S = 0.01
"""Records gather for this long after a frame went out: at 1,000 a second one costs 80 bytes; below 100, none waits."""
WINDOW = 8192
"""Records that a member may be given before it says that they are durable: 50,000 a second over 150 ms."""
UNKEPT_MAX = 16_384
"""Records that may wait here to become durable before no more is read from their sender."""
REFUSALS_MAX = 4096
"""Records that one frame says were not taken."""
UNHEARD_MAX = 65_536
"""Refusals that may wait to be said. Reading is not what stops then: two ends that both do so would never go on."""
REQUEST_BIT = 0x8000
"""Identifiers with this bit are those of requests and of their answers; the others count replies nobody asked for, from
2 on (hareliability section 6.1.2)."""
_BUCKETS_AT_ONCE = 64
_SUCCESS = StateSynchronizationStatus(Status.SUCCESS, UNSPECIFIED)


class Refusal(StrEnum):
    """Why a stream was closed. A closed list; each is counted under its name."""

    SILENT = "silent"
    """Nothing was heard for seconds: the path swallows everything, or the member hangs."""
    MALFORMED = "malformed"
    """A frame that cannot be decoded, or that a member never sends."""
    OTHER_PROTOCOL_VERSION = "other_protocol_version"
    OTHER_GROUP = "other_group"
    OTHER_MEMBER = "other_member"
    """The stream's opening names another locator than its certificate."""
    UNHEARD = "unheard"
    """It sends more and more records that can't be taken, and does not read that they are not."""
    OTHER_BUCKETS = "other_buckets"
    """The member divides home addresses into another number of buckets."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Records on their way in one frame. ``first_token`` is the smallest that they stand for."""

    identifier: int
    first_token: int
    records: int
    since: float


class Outgoing:
    """New records for one member, the newest of each home address; a token counts as held when its record, or the one
    that took its place, is durable there.

    A record that replaces a waiting one takes its place in the row with its token: so the first in the row always has
    the smallest token, and "held" is one comparison.
    """

    __slots__ = ("_flight", "_identifier", "_pending", "_sent_at", "covered", "in_flight", "told")

    def __init__(self) -> None:
        self._pending: dict[Address, tuple[int, GlobalBinding, float]] = {}
        self._flight: deque[_Batch] = deque()
        self._identifier = 1
        self._sent_at = float("-inf")
        self.told = 0
        """The token that was last reported as held."""
        self.in_flight = 0
        self.covered = False
        """The member has confirmed everything that was here when it compared digests with us on this stream. Until
        then nothing is known of records published before, and no token is reported as held."""

    def add(self, token: int, record: GlobalBinding, now: float) -> None:
        waiting = self._pending.get(record.home_address)
        if waiting is None:
            self._pending[record.home_address] = (token, record, now)
        else:
            self._pending[record.home_address] = (waiting[0], record, waiting[2])

    def due(self) -> float | None:
        """When the next batch may go."""
        if not self._pending or self.in_flight >= WINDOW:
            return None
        return self._sent_at if len(self._pending) >= BATCH_MAX else self._sent_at + BATCH_INTERVAL_S

    def batch(self, now: float) -> bytes:
        """The frame of the next batch."""
        count = min(len(self._pending), BATCH_MAX, WINDOW - self.in_flight)
        keys = [key for key, _ in zip(self._pending, range(count), strict=False)]
        taken = [self._pending.pop(key) for key in keys]
        self._identifier = self._identifier % (REQUEST_BIT - 1) + 1
        if self._identifier == 1:
            self._identifier = 2
        self._flight.append(_Batch(self._identifier, taken[0][0], count, taken[0][2]))
        self.in_flight += count
        self._sent_at = now
        return reply_frame(self._identifier, (record for _, record, _ in taken), acknowledge=True)

    def acknowledged(self, identifier: int) -> bool:
        """Everything up to this batch is durable there. False: no such batch is on its way."""
        if not any(batch.identifier == identifier for batch in self._flight):
            return False
        while True:
            batch = self._flight.popleft()
            self.in_flight -= batch.records
            if batch.identifier == identifier:
                return True

    def newly_held(self, published: int) -> int | None:
        """The token up to which all is durable there, ``published`` being the last one; None when it is not new."""
        if not self.covered:
            return None
        if self._flight:
            held = self._flight[0].first_token - 1
        elif self._pending:
            held = next(iter(self._pending.values()))[0] - 1
        else:
            held = published
        if held <= self.told:
            return None
        self.told = held
        return held

    def waiting(self) -> int:
        return len(self._pending) + self.in_flight

    def waiting_since(self) -> float | None:
        if self._flight:
            return self._flight[0].since
        return next(iter(self._pending.values()))[2] if self._pending else None


class Answer:
    """The records of the buckets that differ, piece by piece: as they are when their turn comes."""

    __slots__ = ("_addresses", "_at", "_buckets", "_store", "identifier")

    def __init__(self, identifier: int, buckets: list[int], store: BindingStore) -> None:
        self.identifier = identifier
        self._buckets = buckets
        self._store = store
        self._addresses: list[Address] = []
        self._at = 0

    def frame(self) -> tuple[bytes, bool]:
        """The next frame, which may be empty, and whether it was the last one."""
        if self._at == len(self._addresses):
            if not self._buckets:
                # The end mark: durable there means that everything before it is.
                return encode_frame(Kind.REPLY, self.identifier, _SUCCESS, acknowledge=True), True
            some, self._buckets = self._buckets[:_BUCKETS_AT_ONCE], self._buckets[_BUCKETS_AT_ONCE:]
            self._addresses, self._at = self._store.in_buckets(frozenset(some)), 0
        piece = self._addresses[self._at : self._at + BATCH_MAX]
        self._at += len(piece)
        records = [record for record in map(self._store.record, piece) if record is not None]
        if not records:
            return b"", False
        records.sort(key=lambda record: record.primary)
        return reply_frame(self.identifier, records, acknowledge=False), False


class Incoming:
    """What came from one member and is not durable here yet: positions in order, with what to acknowledge then."""

    __slots__ = ("_positions", "acknowledge", "refused", "unkept")

    def __init__(self) -> None:
        self._positions: deque[tuple[int, int, int]] = deque()
        self.acknowledge: dict[bool, int] = {}
        """Identifiers to acknowledge: the last batch's (False) and the last answer's (True)."""
        self.refused: dict[Address, None] = {}
        """Home addresses of the records that were not taken, to be said before what came with them is acknowledged."""
        self.unkept = 0

    def delivered(self, position: int, identifier: int, records: int) -> None:
        """``identifier`` 0: not to be acknowledged."""
        self._positions.append((position, identifier, records))
        self.unkept += records

    def kept(self, position: int, refused: tuple[Address, ...]) -> None:
        self.refused.update(dict.fromkeys(refused))
        while self._positions and self._positions[0][0] <= position:
            _, identifier, records = self._positions.popleft()
            self.unkept -= records
            if identifier:
                self.acknowledge[identifier >= REQUEST_BIT] = identifier

    def take_refusals(self) -> list[StateSynchronizationStatus]:
        """Some, in the order in which they were refused."""
        some = list(islice(self.refused, REFUSALS_MAX))
        for home_address in some:
            del self.refused[home_address]
        return [StateSynchronizationStatus(Status.REASON_UNSPECIFIED, home_address) for home_address in some]


class Link:
    """A stream to a member, from its authentication to its end."""

    __slots__ = (
        "answer",
        "answered",
        "asked",
        "differed",
        "frames",
        "heard_at",
        "incoming",
        "member",
        "open",
        "outgoing",
        "routine",
        "sent_at",
        "writable",
    )

    def __init__(self, member: int, now: float) -> None:
        self.member = member
        self.open = False
        """The member's opening has come and was right."""
        self.writable = True
        self.heard_at = now
        self.sent_at = now
        self.outgoing = Outgoing()
        self.incoming = Incoming()
        self.asked = 0
        """The identifier of our request that it has not answered in full, 0 for none."""
        self.routine = 0
        """How many requests of a regular comparison are still to be made."""
        self.differed: frozenset[int] | None = None
        """The buckets in which the member differed from us when it last asked on this stream."""
        self.answer: Answer | None = None
        self.answered = 0
        """The identifier of the last request whose answer was given in full."""
        self.frames: list[bytes] = []
        """To be sent with the next turn, whatever the flow control says: few and short."""

    @property
    def accepting(self) -> bool:
        return self.incoming.unkept < UNKEPT_MAX

    def fill(self, now: float) -> None:
        """Make the frames whose time has come, at most one of each sort."""
        incoming = self.incoming
        if incoming.refused:
            self.frames.append(encode_frame(Kind.ACKNOWLEDGEMENT, 0, *incoming.take_refusals()))
        if not incoming.refused:
            acknowledge, incoming.acknowledge = incoming.acknowledge, {}
            for identifier in acknowledge.values():
                self.frames.append(encode_frame(Kind.ACKNOWLEDGEMENT, identifier, _SUCCESS))
        due = self.outgoing.due()
        if due is not None and due <= now:
            self.frames.append(self.outgoing.batch(now))
        if self.answer is not None:
            frame, last = self.answer.frame()
            if last:
                self.answered, self.answer = self.answer.identifier, None
            if frame:
                self.frames.append(frame)


def reply_frame(identifier: int, records: Iterable[GlobalBinding], acknowledge: bool) -> bytes:
    return encode_frame(Kind.REPLY, identifier, acknowledge=acknowledge, bindings=records)
