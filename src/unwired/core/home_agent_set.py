"""A member of a home agent set: who the others are and how they are, and whether we may serve.

| part | what |
|---|---|
| ``hello_exchange.py`` | HELLO datagrams, out and in |
| ``hello.py`` | their keys, replay windows and authentication |
| ``member_states.py``, ``member_watch.py`` | the life of another member as a table; who is up |
| ``set_peer.py`` | what its HELLOs say |
| ``set_drain.py`` | how our mobile nodes are handed over before we leave |
| ``set_resettle.py`` | how those of a member that stays away are moved (the engine's part, with the bindings) |

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
    SetCurrent,
    Withdraw,
)
from unwired.core.forwarding import ListenToMembers, UnlistenToMembers
from unwired.core.hello_exchange import HelloExchange
from unwired.core.intercept import PLANE
from unwired.core.member_states import State
from unwired.core.member_watch import MemberWatch
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.set_drain import Draining
from unwired.core.set_peer import Peer
from unwired.core.settings import HomeAgentSetSettings, HomeAgentSettings, Member
from unwired.core.timers import Agenda
from unwired.wire.address import Address, format_address
from unwired.wire.home_agent_hello import MemberState, MemberStateOption

BOOT_SIZE = 8
_UINT32_MAX = 0xFFFF_FFFF


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
        self.address_ipv4 = home.address_ipv4
        self._outbox = outbox
        self._agenda = agenda
        self._own = settings.self
        self._boot = entropy(BOOT_SIZE)
        self._peers = {
            number: Peer(number, member) for number, member in enumerate(settings.members, 1) if number != settings.own
        }
        peers = list(self._peers.values())
        self._by_locator = {peer.member.locator: peer for peer in peers}
        self._by_address = {peer.member.address: peer for peer in peers}
        self._watch = MemberWatch(settings, outbox, agenda, peers, self._changed)
        self._hellos = HelloExchange(settings, outbox, agenda, entropy, peers, self._watch, self._describe)
        self._hellos.on_beat = lambda now: self.on_load(self.own, now)
        self._hellos.on_heard = lambda peer, now: self.on_load(peer.number, now)
        self._running = False
        self._started_at = 0.0
        self._is_current = False
        self._healthy: bool | None = None
        self._announced = False
        self._fading = False
        self._left = False
        self._said = MemberState.JOINING
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
    def others(self) -> tuple[int, ...]:
        """The numbers of the other members."""
        return tuple(self._peers)

    @property
    def is_first(self) -> bool:
        """Whether we are the first by number of the members that serve, and do what one member is to do for all."""
        before = (peer for peer in self._peers.values() if peer.number < self.own)
        return self.state is MemberState.SERVING and all(peer.state is not State.SERVING for peer in before)

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

    def member_at_tunnel_end(self, source: Address, destination: Address) -> int:
        """The member to which our tunnel with these outer addresses leads; 0 when they are no such tunnel's."""
        peer = self._by_locator.get(destination)
        return peer.number if peer is not None and source == self._own.locator else 0

    def lower_tunnel_mtu(self, number: int, mtu: int, now: Now) -> None:
        """Our tunnel to this member carries packets of at most ``mtu`` bytes."""
        self._watch.lower_mtu(self._peers[number], mtu, now)

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
            "false_detections": 0,
        }
        entries = {number: peer.report(now) for number, peer in self._peers.items()} | {self.own: own}
        return [entries[number] for number in sorted(entries)]

    # --- coming and going ---

    def start(self, now: Now) -> None:
        self._running = True
        self._started_at = now.monotonic
        self._outbox.actions.append(ListenToMembers(PLANE, self._own.locator))
        self._watch.start()
        self._hellos.start(now)
        self._agenda.at(now.monotonic + self._settings.join_timeout_s, self._join_alone)

    def stop(self, now: Now) -> None:
        """Leave at once: no announcement, a last HELLO, nothing of ours in the table."""
        self._running = False
        self._withdraw(False, "the daemon stops")
        self._leave(now)
        self._hellos.stop()
        self._watch.stop()
        self._outbox.actions.append(UnlistenToMembers(PLANE, self._own.locator))

    def handle(self, event: Event, now: Now) -> None:
        if isinstance(event, HelloReceived):
            self._hellos.receive(event, now)
        elif isinstance(event, KeyShared):
            self._hellos.learn(event)
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
        ends_at = max(self._started_at, self._watch.heard_at) + self._settings.join_timeout_s
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
            self._hellos.send_to_all(now)

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
            self._hellos.send_to_all(now)

    # --- what the parts ask and tell ---

    def _describe(self) -> MemberStateOption:
        self._said = self.state
        load = self.load()
        primaries, waiting, room = (min(value, _UINT32_MAX) for value in (load.primaries, load.waiting, load.room))
        return MemberStateOption(self._said, primaries, waiting, room, self._boot)

    def _changed(self, peer: Peer, now: Now) -> None:
        self.on_change(peer.number, peer.is_up, now)
