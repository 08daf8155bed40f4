"""The mesh: how the members of a home agent set keep each other's bindings in step, each joined to each by a stream.

Deterministic and without I/O: streams come and go and bring frames, the owner publishes records, time passes; what is
to be done comes out of ``outputs``. How it works (docs/ha-ha.md says more):

- *New records* go to every member with an open stream, in batches that it acknowledges when they are durable there.
- *Nothing is remembered for a member that is away.* When a stream opens, and now and then, each end sends digests of
  all its buckets (SS-REQ), and the other one answers with the records of those that differ (SS-REP) and an end mark.
  The end mark is acknowledged when everything before it, and everything the asking member had, is durable there: from
  then on the answering end reports tokens as held, those of before the stream among them.
- *One request at a time*: a member that starts gets everything from the first one and what is missing from the others.
- *Asked for again* when a member is lost, for it may have told others what it did not tell us, and every interval.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from unwired.core.door import BindingsHeld, BindingsReceived, Event, KeyShared, SetCurrent
from unwired.core.global_binding import BindingStore, GlobalBinding
from unwired.core.mesh_link import REQUEST_BIT, UNHEARD_MAX, Answer, Link, Refusal
from unwired.core.settings import HomeAgentSetSettings
from unwired.wire.address import UNSPECIFIED, Address
from unwired.wire.errors import DecodeError
from unwired.wire.state_synchronization import (
    HelloKey,
    Kind,
    RequestedBinding,
    StateSynchronization,
    StateSynchronizationStatus,
    Status,
    StreamOpening,
    decode_frame,
    digest_options,
    digests_of,
    encode_frame,
)

PROTOCOL_VERSION = 1
RECONCILE_INTERVAL_S = 30.0
SETTLING_S = 1.0
"""A member that starts waits this long for streams to members that it has not reached yet."""
AFTER_LOSS_S = 1.0
"""When a member is lost, what it last told the others is theirs by then."""
ROUTINE_REQUESTS = 2
TRANSIT_S = 2.0
"""The regular comparison with a member is made twice, this long apart, and brings what differs both times: under load,
records that are on their way make buckets differ for a moment, each with hundreds of others in it."""
PATIENCE_S = 10.0
"""A member that answers nothing for so long is passed over."""
PING_INTERVAL_S = 1.0
SILENCE_MAX_S = 4.0


@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes for the stream to a member: whole frames."""

    member: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the stream to a member; it is forgotten already. ``reason`` is for a person."""

    member: int
    refusal: Refusal
    reason: str


Output = Transmit | Close | Event


class _Refused(Exception):
    def __init__(self, refusal: Refusal, reason: str, status: Status) -> None:
        super().__init__(reason)
        self.refusal, self.reason, self.status = refusal, reason, status


class Mesh:
    """``jitter()`` gives numbers from 0 to 1; times are monotonic seconds. Tokens only grow."""

    def __init__(self, settings: HomeAgentSetSettings, jitter: Callable[[], float]) -> None:
        self._settings = settings
        self._store: BindingStore
        self._jitter = jitter
        self._links: dict[int, Link] = {}
        self._positions: Counter[int] = Counter()
        self._published = 0
        self._key: tuple[int, bytes] | None = None
        self._outputs: list[Output] = []
        self._others = [number for number in range(1, len(settings.members) + 1) if number != settings.own]
        self._wanted: dict[int, float] = {}
        """From whom to ask for what is missing here, and not before when."""
        self._asking: int | None = None
        """The member that is answering a request of ours."""
        self._patient_until = math.inf
        self._request = 0
        self._next_interval = math.inf
        self._asked_last = 0
        self._current = False
        self._settled_at: float | None = None
        self._reconciled: set[int] = set()
        self._passed_over: set[int] = set()
        self.counters: Counter[str] = Counter()

    # --- what happens ------------------------------------------------------------------------------------------------

    def start(self, store: BindingStore, now: float) -> None:
        """Before the first stream; what is published or shared earlier counts all the same."""
        self._store = store
        if not self._others:
            self._current = True
            self._outputs.append(SetCurrent(alone=True))
            return
        self._settled_at = now + SETTLING_S
        self._plan_interval(now)

    def connected(self, member: int, now: float) -> None:
        """A stream whose other end is proven to be this member; it takes the place of the one before."""
        if member in self._links:
            self.disconnected(member, now)
        link = self._links[member] = Link(member, now)
        settings = self._settings
        opening = StreamOpening(PROTOCOL_VERSION, settings.group_id, settings.self.locator)
        link.frames.append(encode_frame(Kind.LINK, 0, opening))
        self._send_key(link)

    def disconnected(self, member: int, now: float) -> None:
        link = self._links.pop(member, None)
        if link is None:
            return
        self._wanted.pop(member, None)
        if self._asking == member:
            self._asking = None
        if link.open:
            for other in self._links.values():
                if other.open:
                    other.routine = 0
                    self._wanted.setdefault(other.member, now + AFTER_LOSS_S)

    def received(self, member: int, frame: bytes, now: float) -> None:
        """A frame without its length."""
        link = self._links.get(member)
        if link is None:
            return
        link.heard_at = now
        self.counters["frames_received"] += 1
        try:
            self._receive(link, frame, now)
        except DecodeError as error:
            self._refuse(link, _Refused(Refusal.MALFORMED, str(error), Status.MALFORMED_SS_REP), frame, now)
        except _Refused as refused:
            self._refuse(link, refused, frame, now)

    def publish(self, token: int, record: GlobalBinding, now: float) -> None:
        self._published = token
        for link in self._links.values():
            if link.open:
                link.outgoing.add(token, record, now)

    def kept(self, member: int, position: int, refused: tuple[Address, ...], now: float) -> None:
        link = self._links.get(member)
        if link is not None:
            accepting = link.accepting
            link.incoming.kept(position, refused)
            if not accepting:
                link.heard_at = now  # it could not be heard: nothing was read
            if len(link.incoming.refused) > UNHEARD_MAX:
                self._close(link, Refusal.UNHEARD, "it does not read which of its records are refused", now)

    def share_key(self, epoch: int, key: bytes) -> None:
        self._key = (epoch, key)
        for link in self._links.values():
            self._send_key(link)

    def writable(self, member: int, writable: bool) -> None:
        """Whether the stream takes more data now."""
        link = self._links.get(member)
        if link is not None:
            link.writable = writable

    def accepting(self, member: int) -> bool:
        """Whether more may be read from this member: not too much waits to become durable here."""
        link = self._links.get(member)
        return link is not None and link.accepting

    # --- time and outputs --------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When ``wake`` is wanted; the past: at once."""
        if not self._others:
            return None
        times = [self._next_interval]
        if self._settled_at is not None:
            times.append(self._settled_at)
        if self._asking is None:
            times += [when for member, when in self._wanted.items() if self._links[member].writable]
        else:
            times.append(self._patient_until)
        for link in self._links.values():
            if link.frames or (link.writable and self._has_work(link)):
                return -math.inf
            due = link.outgoing.due()
            if due is not None and link.open and link.writable:
                times.append(due)
            if link.writable:
                times.append(link.sent_at + PING_INTERVAL_S)
            if link.accepting:
                times.append(link.heard_at + SILENCE_MAX_S)
        return min(times)

    def wake(self, now: float) -> None:
        """Do what is due; a few milliseconds of work at most, the rest is left to the next call."""
        for link in list(self._links.values()):
            if link.accepting and now >= link.heard_at + SILENCE_MAX_S:
                silence = f"nothing was heard for {SILENCE_MAX_S:.0f} s"
                self._close(link, Refusal.SILENT, silence, now)
        if now >= self._next_interval:
            self._plan_interval(now)
            self._want_next(now)
        if self._asking is not None and now >= self._patient_until:
            self._pass_over(self._asking, now)
        if self._asking is None:
            self._ask(now)
        if self._settled_at is not None and now >= self._settled_at:
            self._settled_at = None
        if not self._current:
            self._look_whether_current()
        for link in self._links.values():
            self._turn(link, now)

    def outputs(self) -> list[Output]:
        """What is to be done, in order; each is given once."""
        taken, self._outputs = self._outputs, []
        return taken

    # --- how it stands -----------------------------------------------------------------------------------------------

    def is_open(self, member: int) -> bool:
        link = self._links.get(member)
        return link is not None and link.open

    def waiting(self, member: int, now: float) -> tuple[int, float]:
        """Records that the member does not hold yet, as far as known, and for how many seconds the oldest."""
        link = self._links.get(member)
        if link is None:
            return 0, 0.0
        since = link.outgoing.waiting_since()
        return link.outgoing.waiting(), 0.0 if since is None else now - since

    # --- frames ------------------------------------------------------------------------------------------------------

    def _receive(self, link: Link, frame: bytes, now: float) -> None:
        message = decode_frame(frame)
        if not link.open:
            self._open(link, message, now)
        elif message.kind == Kind.REPLY:
            self._reply(link, message, now)
        elif message.kind == Kind.ACKNOWLEDGEMENT:
            self._acknowledgement(link, message)
        elif message.kind == Kind.REQUEST:
            self._requested(link, message)
        if message.kind == Kind.LINK:
            key = message.option(HelloKey)
            if key is not None:
                self._outputs.append(KeyShared(link.member, key.epoch, key.key))

    def _open(self, link: Link, message: StateSynchronization, now: float) -> None:
        opening = message.option(StreamOpening)
        if opening is None:
            raise _Refused(Refusal.MALFORMED, "the stream does not begin with its opening", Status.MALFORMED_SS_REP)
        settings = self._settings
        foreign = Status.NOT_IN_SAME_GLOBAL_HOME_AGENT_SET
        if opening.protocol_version != PROTOCOL_VERSION:
            reason = f"it speaks version {opening.protocol_version} of the protocol, not {PROTOCOL_VERSION}"
            raise _Refused(Refusal.OTHER_PROTOCOL_VERSION, reason, Status.REASON_UNSPECIFIED)
        if opening.group_id != settings.group_id:
            reason = f"its group_id is {opening.group_id}, ours {settings.group_id}"
            raise _Refused(Refusal.OTHER_GROUP, reason, foreign)
        if opening.locator != settings.members[link.member - 1].locator:
            raise _Refused(Refusal.OTHER_MEMBER, "its opening names another locator than its certificate", foreign)
        link.open = True
        self._wanted[link.member] = now

    def _reply(self, link: Link, message: StateSynchronization, now: float) -> None:
        if not message.is_global:
            raise _Refused(Refusal.MALFORMED, "a reply without the G flag", Status.MALFORMED_SS_REP)
        end = message.option(StateSynchronizationStatus)
        if not message.bindings and end is None:
            # Ignored with a status, as the drafts say; the stream goes on.
            self.counters["replies_without_option"] += 1
            if link.writable:
                refusal = StateSynchronizationStatus(Status.NO_MOBILITY_OPTION)
                link.frames.append(encode_frame(Kind.ACKNOWLEDGEMENT, message.identifier, refusal))
            return
        self._positions[link.member] += 1
        position = self._positions[link.member]
        records = tuple(GlobalBinding(*fields) for fields in message.bindings)
        self.counters["records_received"] += len(records)
        link.incoming.delivered(position, message.identifier if message.acknowledge else 0, len(records))
        self._outputs.append(BindingsReceived(link.member, position, records))
        if message.identifier == link.asked:
            self._answered(link, end is not None, now)

    def _answered(self, link: Link, in_full: bool, now: float) -> None:
        """Something came of what we asked this member for."""
        if self._asking == link.member:
            self._patient_until = now + PATIENCE_S
        if in_full:
            link.asked = 0
            self._reconciled.add(link.member)
            self.counters["reconciliations"] += 1
            if self._asking == link.member:
                self._asking = None
            if link.routine:
                self._wanted.setdefault(link.member, now + TRANSIT_S)

    def _acknowledgement(self, link: Link, message: StateSynchronization) -> None:
        status = message.option(StateSynchronizationStatus)
        refused = _refused_addresses(message)
        if refused:
            self.counters["records_refused_by_member"] += len(refused)
            self._outputs.append(BindingsHeld(link.member, link.outgoing.told, refused))
        if status is not None and status.status >= Status.REASON_UNSPECIFIED and status.home_address == UNSPECIFIED:
            self.counters["refused_by_member"] += 1
        elif not message.identifier and refused:
            return  # the acknowledgement that they belong to follows
        elif message.identifier & REQUEST_BIT:
            if message.identifier == link.answered:
                link.outgoing.covered = True
        elif not link.outgoing.acknowledged(message.identifier):
            self.counters["unrelated_acknowledgements"] += 1
        held = link.outgoing.newly_held(self._published)
        if held is not None:
            self._outputs.append(BindingsHeld(link.member, held))

    def _requested(self, link: Link, message: StateSynchronization) -> None:
        if not message.identifier & REQUEST_BIT:
            raise _Refused(Refusal.MALFORMED, "a request with a reply's identifier", Status.MALFORMED_SS_REP)
        own = self._store.digests()
        theirs = digests_of(message)
        if theirs is not None and len(theirs) != len(own):
            reason = f"it has {len(theirs)} buckets, we have {len(own)}: the members run different releases"
            raise _Refused(Refusal.OTHER_BUCKETS, reason, Status.REASON_UNSPECIFIED)
        differing = [number for number, digest in enumerate(own) if theirs is None or theirs[number] != digest]
        differed, link.differed = link.differed, frozenset(differing)
        if message.acknowledge and differed is not None:
            differing = [number for number in differing if number in differed]
        self.counters["buckets_answered"] += len(differing)
        link.answer = Answer(message.identifier, differing, self._store)

    def _refuse(self, link: Link, refused: _Refused, frame: bytes, now: float) -> None:
        identifier = int.from_bytes(frame[2:4])
        status = StateSynchronizationStatus(refused.status)
        link.frames.append(encode_frame(Kind.ACKNOWLEDGEMENT, identifier, status))
        self._transmit(link, now)
        self._close(link, refused.refusal, refused.reason, now)

    def _close(self, link: Link, refusal: Refusal, reason: str, now: float) -> None:
        self.counters[f"refused_{refusal}"] += 1
        self.disconnected(link.member, now)
        self._outputs.append(Close(link.member, refusal, reason))

    # --- reconciliation ----------------------------------------------------------------------------------------------

    def _plan_interval(self, now: float) -> None:
        self._next_interval = now + RECONCILE_INTERVAL_S * (0.75 + self._jitter() / 2)

    def _want_next(self, now: float) -> None:
        """One member in turn: what any of them has reaches all."""
        open_ones = sorted(link.member for link in self._links.values() if link.open)
        if open_ones:
            self._asked_last = next((number for number in open_ones if number > self._asked_last), open_ones[0])
            if self._asked_last not in self._wanted and self._asked_last != self._asking:
                self._wanted[self._asked_last] = now
                self._links[self._asked_last].routine = ROUTINE_REQUESTS

    def _ask(self, now: float) -> None:
        """Send the request that has waited longest, if its time has come."""
        for member in sorted(self._wanted, key=self._wanted.__getitem__):
            link = self._links[member]
            if self._wanted[member] <= now and link.writable:
                del self._wanted[member]
                self._request = (self._request + 1) % REQUEST_BIT
                identifier = REQUEST_BIT | self._request
                link.asked = identifier
                self._asking = member
                self._patient_until = now + PATIENCE_S
                options = [RequestedBinding(UNSPECIFIED), *digest_options(self._store.digests())]
                is_routine = link.routine > 0
                link.routine -= is_routine
                link.frames.append(encode_frame(Kind.REQUEST, identifier, *options, acknowledge=is_routine))
                return

    def _pass_over(self, member: int, now: float) -> None:
        """It lives and does not answer, its journal may hang: others must not wait for it."""
        self.counters["answers_too_late"] += 1
        self._asking = None
        self._passed_over.add(member)
        self._wanted[member] = now + RECONCILE_INTERVAL_S

    def _look_whether_current(self) -> None:
        """A member that starts has what one other member had, and what the others it can reach had beyond that."""
        open_ones = {link.member for link in self._links.values() if link.open}
        if not self._reconciled or open_ones - self._reconciled - self._passed_over:
            return
        if self._settled_at is None or len(self._reconciled) == len(self._others):
            self._current = True
            self._outputs.append(SetCurrent())

    # --- sending -----------------------------------------------------------------------------------------------------

    def _has_work(self, link: Link) -> bool:
        return link.answer is not None or bool(link.incoming.acknowledge or link.incoming.refused)

    def _send_key(self, link: Link) -> None:
        if self._key is not None:
            link.frames.append(encode_frame(Kind.LINK, 0, HelloKey(*self._key)))

    def _turn(self, link: Link, now: float) -> None:
        if link.open and link.writable:
            link.fill(now)
        if link.writable and not link.frames and now >= link.sent_at + PING_INTERVAL_S:
            link.frames.append(encode_frame(Kind.LINK))
        self._transmit(link, now)

    def _transmit(self, link: Link, now: float) -> None:
        if link.frames:
            self.counters["frames_sent"] += len(link.frames)
            self._outputs.append(Transmit(link.member, b"".join(link.frames)))
            link.frames.clear()
            link.sent_at = now


def _refused_addresses(message: StateSynchronization) -> frozenset[Address]:
    """The home addresses of the records that an acknowledgement says were not taken."""
    return frozenset(
        option.home_address
        for option in message.options
        if isinstance(option, StateSynchronizationStatus)
        and option.status >= Status.REASON_UNSPECIFIED
        and option.home_address != UNSPECIFIED
    )
