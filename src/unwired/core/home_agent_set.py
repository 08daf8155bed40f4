"""A member of a home agent set: who the others are and how they are, and whether we may serve.

| part | what |
|---|---|
| ``hello.py`` | keys, replay windows, authentication of HELLO datagrams |
| ``member_states.py`` | the life of another member as a table |
| ``set_peer.py`` | what its HELLOs say |
| ``set_drain.py`` | how our mobile nodes are handed over before we leave |

A member is *up* while it serves: what is meant for it goes to it. While it is not, every other member does its work,
so that neither a heir nor an election is needed; its death is one row of the forwarding table.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from unwired.core.binding_cache import Binding
from unwired.core.door import (
    Announce,
    Drain,
    Event,
    Health,
    HelloReceived,
    KeyShared,
    LeaveSet,
    Now,
    SendHello,
    SetCurrent,
    ShareKey,
    Withdraw,
)
from unwired.core.forwarding import (
    ListenToMembers,
    RemoveMember,
    RemoveTunnel,
    SetMember,
    SetTunnel,
    UnlistenToMembers,
)
from unwired.core.hello import OwnKeys
from unwired.core.intercept import PLANE
from unwired.core.member_states import Input, State, Step, transition
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.set_drain import Draining
from unwired.core.set_peer import Peer, microseconds
from unwired.core.settings import HomeAgentSetSettings, HomeAgentSettings, Member
from unwired.core.timers import Agenda
from unwired.wire.address import Address, format_address
from unwired.wire.home_agent_hello import (
    HelloOption,
    HomeAgentHello,
    KeyHeld,
    MemberState,
    MemberStateOption,
    TimeSent,
    encode_hello,
)

HELLO_INTERVAL_MAX_MS = 10_000
"""A longer one is not believed: such a member's death would be noticed by nobody."""
BOOT_SIZE = 8
KEY_LIFETIME_S = 3600.0
KEY_RENEWAL_LEAST_S = 10.0
"""The least time from one key of ours to the next, and from one attempt to renew it to the next."""
_UINT32_MAX = 0xFFFF_FFFF
_STATES = frozenset(MemberState)


@dataclass(frozen=True, slots=True)
class Load:
    """How busy we are: mobile nodes whose primary home agent we are, acknowledgements kept back, and how many mobile
    nodes more may be sent to us at once (0: none for now)."""

    primaries: int = 0
    waiting: int = 0
    room: int = 1000


class HomeAgentSet:
    """All other members, and our own standing among them. ``entropy(size)`` gives secret random bytes.

    To be set by the engine and by ``SwitchSender``: ``on_change(number, up, now)`` is told when another member goes up
    or down, after its row; ``on_load(number, now)`` when a member's load (ours too) may have changed; ``load()`` says
    ours; ``primaries()`` are the bindings whose primary home agent we are; ``hand_over(binding, number, now)`` asks the
    mobile node to go to that member.
    """

    def __init__(
        self,
        settings: HomeAgentSetSettings,
        home: HomeAgentSettings,
        outbox: Outbox,
        agenda: Agenda,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self.bindings_max = home.bindings_max
        self._outbox = outbox
        self._agenda = agenda
        self._own = settings.self
        self._boot = entropy(BOOT_SIZE)
        self._keys = OwnKeys(entropy)
        self._peers = {
            number: Peer(number, member) for number, member in enumerate(settings.members, 1) if number != settings.own
        }
        self._by_locator = {peer.member.locator: peer for peer in self._peers.values()}
        self._by_address = {peer.member.address: peer for peer in self._peers.values()}
        self._running = False
        self._is_current = False
        self._healthy: bool | None = None
        self._announced = False
        self._fading = False
        self._left = False
        self._said = MemberState.JOINING
        self._hello_at = 0.0
        self._heard_at = 0.0
        self._watch_at = math.inf
        self._renewed_at = 0.0
        self._renew_at = math.inf
        self._draining = Draining(self, outbox, agenda)
        self.on_change: Callable[[int, bool, Now], None] = lambda number, up, now: None
        self.on_load: Callable[[int, Now], None] = lambda number, now: None
        self.load: Callable[[], Load] = Load
        self.primaries: Callable[[], Iterable[Binding]] = tuple
        self.hand_over: Callable[[Binding, int, Now], object] = lambda binding, number, now: None

    # --- who the members are ---

    @property
    def own(self) -> int:
        """Our own number."""
        return self._settings.own

    @property
    def is_current(self) -> bool:
        """Whether we have all bindings that the members we can reach have, or there is nobody to have them from."""
        return self._is_current

    @property
    def is_draining(self) -> bool:
        return self._draining.is_under_way

    @property
    def state(self) -> MemberState:
        """What we say of ourselves."""
        if self._left:
            return MemberState.LEAVING
        if not self._is_current or self._healthy is False:
            return MemberState.JOINING
        return MemberState.DRAINING if self.is_draining else MemberState.SERVING

    def member(self, number: int) -> Member:
        return self._settings.members[number - 1]

    def number_of(self, locator: Address) -> int:
        """The member with this locator, ourselves included; 0 for none."""
        if locator == self._own.locator:
            return self._settings.own
        peer = self._by_locator.get(locator)
        return 0 if peer is None else peer.number

    def is_up(self, number: int) -> bool:
        """Whether what is meant for this member goes to it; we ourselves always are."""
        peer = self._peers.get(number)
        return number == self._settings.own if peer is None else peer.is_up

    def serves(self, address: Address) -> bool:
        """Whether we answer for this home agent address: our own, or that of a member that is not up."""
        if address == self._own.address:
            return True
        peer = self._by_address.get(address)
        return peer is not None and not peer.is_up

    def room(self, number: int) -> int:
        """How many mobile nodes more this member takes now; 0 when it is not up."""
        if number == self._settings.own:
            return self.load().room
        peer = self._peers.get(number)
        return peer.room if peer is not None and peer.is_up else 0

    def addresses_nearest_first(self) -> list[Address]:
        """The home agent addresses of the members that are up: ourselves, then by round trip time; those that are about
        to leave last."""
        addresses = [self._own.address, *(peer.member.address for peer in self._nearest_first(State.SERVING))]
        addresses += [peer.member.address for peer in self._nearest_first(State.DRAINING)]
        return addresses[1:] + addresses[:1] if self.is_draining else addresses

    def nearest(self) -> int:
        """The member with the smallest round trip time of those that serve and do not drain; 0 when there is none."""
        return next((peer.number for peer in self._nearest_first(State.SERVING)), 0)

    def _nearest_first(self, state: State) -> list[Peer]:
        peers = [peer for peer in self._peers.values() if peer.state is state]
        return sorted(peers, key=lambda peer: math.inf if peer.rtt_s is None else peer.rtt_s)

    def members_report(self, now: Now) -> list[dict[str, Any]]:
        """All members by number, ready for JSON."""
        load = self.load()
        own = {
            "name": self._own.name,
            "number": self.own,
            "own": True,
            "address": format_address(self._own.address),
            "locator": format_address(self._own.locator),
            "state": self.state.name.lower(),
            "up": self.state in (MemberState.SERVING, MemberState.DRAINING),
            "announced": self._announced,
            "primaries": load.primaries,
            "waiting": load.waiting,
            "room": load.room,
            "rtt_ms": 0.0,
        }
        entries = {number: peer.report(now) for number, peer in self._peers.items()} | {self.own: own}
        return [entries[number] for number in sorted(entries)]

    # --- coming and going ---

    def start(self, now: Now) -> None:
        """All others are taken for down until they are heard: their mobile nodes' packets go directly, as they may."""
        self._running = True
        self._heard_at = self._renewed_at = now.monotonic
        actions = self._outbox.actions
        actions.append(ListenToMembers(PLANE, self._own.locator))
        for peer in self._peers.values():
            actions.append(SetTunnel(peer.tunnel(self._own)))
            self._set_row(peer)
        actions.append(ShareKey(*self._keys.newest))
        self._renew_later(now.monotonic + KEY_LIFETIME_S)
        self._hello_at = now.monotonic
        self._say_hello(now)
        self._agenda.at(now.monotonic + self._settings.join_timeout_s, self._join_alone)

    def stop(self, now: Now) -> None:
        """Leave at once: no announcement, a last HELLO, nothing of ours in the table."""
        self._running = False
        self._withdraw(False, "the daemon stops")
        self._leave(now)
        actions = self._outbox.actions
        for peer in self._peers.values():
            actions.append(RemoveMember(PLANE, peer.number))
            actions.append(RemoveTunnel(peer.tunnel(self._own).number))
        actions.append(UnlistenToMembers(PLANE, self._own.locator))

    def handle(self, event: Event, now: Now) -> None:
        if isinstance(event, HelloReceived):
            if self._running:
                self._receive(event, now)
        elif isinstance(event, KeyShared):
            peer = self._peers.get(event.member)
            if peer is not None:
                peer.keys.learn(event.epoch, event.key)
        elif isinstance(event, SetCurrent):
            self._become_current(event.alone, now)
        elif isinstance(event, Health):
            self._health(event, now)
        elif isinstance(event, Drain):
            self._drain(now)

    def _join_alone(self, now: Now) -> None:
        """Serve with what the journal has, if nobody was heard for the whole join timeout."""
        if self._is_current or not self._running:
            return
        ends_at = self._heard_at + self._settings.join_timeout_s
        if ends_at <= now.monotonic:
            self._become_current(True, now)
        else:
            self._agenda.at(ends_at, self._join_alone)

    def _become_current(self, alone: bool, now: Now) -> None:
        if self._is_current or self._left:
            return
        self._is_current = True
        if alone:
            self._outbox.notify("serving_alone", Level.WARNING)
        else:
            self._outbox.notify("set_current", members_up=sum(peer.is_up for peer in self._peers.values()))
        self._settle(now)

    def _health(self, event: Health, now: Now) -> None:
        if self._healthy == event.serving:
            return
        self._healthy = event.serving
        if not event.serving and (self._announced or self._fading):
            self._withdraw(False, event.reason)
        self._settle(now)

    def _settle(self, now: Now) -> None:
        """Announce if we may, and tell the others at once what has changed (HARP section 4.3.2.1)."""
        if self.state is MemberState.SERVING and self._healthy and not self._announced:
            self._announced = True
            self._outbox.actions.append(Announce())
            self._outbox.notify("announced")
        if self._running and self.state is not self._said:
            self._send_to_all(now)

    def _withdraw(self, graceful: bool, reason: str) -> None:
        """A graceful one leaves an announcement behind that fades."""
        self._announced = False
        self._fading = graceful
        self._outbox.actions.append(Withdraw(graceful, reason))
        self._outbox.notify("withdrawn", Level.INFO if graceful else Level.WARNING, graceful=graceful, reason=reason)

    # --- leaving gracefully ---

    def _drain(self, now: Now) -> None:
        if self.is_draining or self._left:
            return
        self._draining.start(now)
        self._withdraw(True, "the operator drains this member")
        self._settle(now)

    def drained(self, now: Now) -> None:
        """Nobody is left to hand over, or no time: the daemon may stop."""
        self._leave(now)
        self._outbox.actions.append(LeaveSet())

    def _leave(self, now: Now) -> None:
        if not self._left:
            self._left = True
            self._send_to_all(now)

    # --- sending HELLO ---

    def _say_hello(self, now: Now) -> None:
        if self._left or not self._running:
            return
        self._send_to_all(now)
        self.on_load(self.own, now)
        # A fixed beat, unless we were away for longer than one.
        self._hello_at = max(self._hello_at + self._settings.hello_interval_s, now.monotonic)
        self._agenda.at(self._hello_at, self._say_hello)

    def _send_to_all(self, now: Now) -> None:
        option = self._state_option()
        for peer in self._peers.values():
            self._send(peer, option, now)

    def _state_option(self) -> MemberStateOption:
        self._said = self.state
        load = self.load()
        primaries, waiting, room = (min(value, _UINT32_MAX) for value in (load.primaries, load.waiting, load.room))
        return MemberStateOption(self._said, primaries, waiting, room, self._boot)

    def _send(self, peer: Peer, option: MemberStateOption, now: Now) -> None:
        options: list[HelloOption] = [option, TimeSent(microseconds(now.monotonic))]
        echo = peer.echo(now.monotonic)
        if echo is not None:
            options.append(echo)
        if peer.keys.epoch is not None:
            options.append(KeyHeld(peer.keys.epoch))
        settings = self._settings
        leaving = option.state == MemberState.LEAVING
        sequence = self._keys.next_sequence()
        hello = HomeAgentHello(
            settings.group_id,
            sequence & 0xFFFF,
            active=option.state in (MemberState.SERVING, MemberState.DRAINING),
            request=peer.state is State.UNKNOWN and not leaving,
            lifetime_s=0 if leaving else max(1, math.ceil(settings.hello_interval_s * settings.hello_misses)),
            interval_ms=max(1, round(settings.hello_interval_s * 1000)),
            options=tuple(options),
        )
        data = self._keys.seal(sequence, encode_hello(hello), peer.held, self._own.locator, peer.member.locator)
        self._outbox.actions.append(SendHello(peer.member.locator, data))

    # --- our key ---

    def _renew_later(self, when: float) -> None:
        if when < self._renew_at:
            self._renew_at = when
            self._agenda.at(when, self._renew_key, when)

    def _renew_key(self, when: float, now: Now) -> None:
        """A new key, once every member that is up has the one before."""
        if when != self._renew_at or not self._running:
            return
        self._renew_at = math.inf
        former = self._keys.former_epoch
        if former is not None and any(peer.is_up and peer.held == former for peer in self._peers.values()):
            self._renew_later(now.monotonic + KEY_RENEWAL_LEAST_S)
            return
        self._keys.renew()
        self._renewed_at = now.monotonic
        self._outbox.actions.append(ShareKey(*self._keys.newest))
        self._outbox.counters["hello_keys_renewed"] += 1
        self._renew_later(now.monotonic + KEY_LIFETIME_S)

    # --- receiving HELLO ---

    def _receive(self, event: HelloReceived, now: Now) -> None:
        peer = self._by_locator.get(event.source)
        if peer is None:
            self._outbox.drop(Drop.HELLO_NOT_A_MEMBER)
            return
        opened = peer.keys.open(event.data, event.source, self._own.locator, self._settings.group_id, now.monotonic)
        if isinstance(opened, Drop):
            self._refuse(peer, opened)
            return
        hello = opened.hello
        option = hello.option(MemberStateOption)
        if (
            option is None
            or option.state not in _STATES
            or not hello.global_set
            or not 1 <= hello.interval_ms <= HELLO_INTERVAL_MAX_MS
            or (option.state == MemberState.LEAVING) != (hello.lifetime_s == 0)
        ):
            self._refuse(peer, Drop.HELLO_ABSURD)
            return
        peer.hellos_received += 1
        if opened.is_latest:
            self._take(peer, hello, option, now)

    def _refuse(self, peer: Peer, reason: Drop) -> None:
        self._outbox.drop(reason)
        peer.refuse(reason)

    def _take(self, peer: Peer, hello: HomeAgentHello, option: MemberStateOption, now: Now) -> None:
        silent_ms = round((now.monotonic - peer.heard_at) * 1000, 1) if peer.boot else 0.0
        same_boot = option.boot == peer.boot
        if peer.boot and not same_boot:
            self._outbox.notify("member_restarted", **self._fields(peer))
            # What was recorded under our present key could be played to it, which remembers nothing any more.
            self._renew_later(max(now.monotonic, self._renewed_at + KEY_RENEWAL_LEAST_S))
        peer.take(option, hello.options, now.monotonic)
        peer.interval_s = hello.interval_ms / 1000
        self._heard_at = peer.heard_at = now.monotonic
        peer.excused = False
        if option.state == MemberState.LEAVING:
            peer.silent_at = math.inf
        else:
            peer.silent_at = now.monotonic + self._settings.hello_misses * peer.interval_s
            self._watch_from(peer.silent_at)
        self._advance(peer, Input(option.state), now, silent_ms, same_boot)
        if hello.request:
            self._send(peer, self._state_option(), now)
        self.on_load(peer.number, now)

    # --- liveness ---

    def _watch_from(self, when: float) -> None:
        if when < self._watch_at:
            self._watch_at = when
            self._agenda.at(when, self._watch, when)

    def _watch(self, when: float, now: Now) -> None:
        """One timer for all members: it comes at the earliest end of a silence, as that was when it was set."""
        if when != self._watch_at or not self._running:
            return
        self._watch_at = math.inf
        for peer in self._peers.values():
            if peer.silent_at > now.monotonic:
                continue
            if now.monotonic - peer.silent_at > peer.interval_s and not peer.excused:
                # It was us who did not listen: what it sent meanwhile may be waiting to be read.
                peer.excused = True
                peer.silent_at = now.monotonic + peer.interval_s
                self._outbox.counters["member_silences_excused"] += 1
            else:
                peer.silent_at = math.inf
                silent_ms = round((now.monotonic - peer.heard_at) * 1000, 1)
                self._advance(peer, Input.SILENCE, now, silent_ms, True)
        self._watch_from(min((peer.silent_at for peer in self._peers.values()), default=math.inf))

    def _advance(self, peer: Peer, given: Input, now: Now, silent_ms: float, same_boot: bool) -> None:
        step, after = transition(peer.state, given)
        if step is Step.STAY:
            return
        was_up = peer.is_up
        before, peer.state = peer.state, after
        self._tell(peer, step, before, silent_ms, same_boot)
        if peer.is_up is not was_up:
            self._set_row(peer)
            self.on_change(peer.number, peer.is_up, now)

    def _set_row(self, peer: Peer) -> None:
        member = peer.member
        tunnel = peer.tunnel(self._own).number
        self._outbox.actions.append(SetMember(PLANE, peer.number, member.address, member.locator, tunnel, peer.is_up))

    def _tell(self, peer: Peer, step: Step, before: State, silent_ms: float, same_boot: bool) -> None:
        fields = self._fields(peer)
        if step is Step.LOSE:
            self._outbox.counters["members_lost"] += 1
            self._outbox.notify("member_down", Level.WARNING, was=before.name.lower(), silent_ms=silent_ms, **fields)
        elif step is Step.REVIVE and same_boot:
            peer.false_detections += 1
            self._outbox.counters["false_detections"] += 1
            self._outbox.notify("member_false_detection", Level.WARNING, silent_ms=silent_ms, **fields)
        else:
            self._outbox.notify(_NOTICES[peer.state], Level.INFO, was=before.name.lower(), **fields)

    def _fields(self, peer: Peer) -> dict[str, Any]:
        member = peer.member
        return {
            "member": member.name,
            "state": peer.state.name.lower(),
            "address": member.address,
            "locator": member.locator,
        }


_NOTICES = {
    State.JOINING: "member_joining",
    State.SERVING: "member_up",
    State.DRAINING: "member_draining",
    State.LEFT: "member_left",
}
