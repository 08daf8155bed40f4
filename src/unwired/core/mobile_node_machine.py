"""The mobile node's state machine at work: ``mobile_node_states.py`` says which step comes when, the steps are here.

Make before break: while packets can still be sent from the care-of address that the home agent knows, the tunnel stays
there until the new one is acknowledged. Otherwise the tunnel's row is rewritten at once, just after the binding update.

A change of home agent is always made before the break: the one that we have serves us until the other has acknowledged.
The mobile node sends no de-registration then (docs/ha-ha.md): the home agents of a set have one binding between them.

Where families race (``mobile_node_updates.py``), whichever is acknowledged first is used until the preferred one is.
What is not answered in time is avoided for a while, and the one that was is registered once more, because the home
agent may have got the other and only its answer was lost.
"""

from collections.abc import Callable, Iterable

from unwired.core.binding_update_list import (
    INITIAL_BINDACK_TIMEOUT_S,
    MAX_BINDACK_TIMEOUT_S,
    BindingUpdateListEntry,
    Bound,
    SavedEntry,
    SequenceNumbers,
)
from unwired.core.door import Action, DropHomeAddress, HoldHomeAddress, Now
from unwired.core.forwarding import Encapsulation
from unwired.core.home_agent_search import HomeAgentSearch
from unwired.core.home_neighbors import HomeNeighbors
from unwired.core.home_placement import HomePlacement
from unwired.core.host_repair import HostRepair
from unwired.core.ipv4_home_address import Ipv4HomeAddresses
from unwired.core.mobile_node_journal import MobileNodeJournal
from unwired.core.mobile_node_registration import Answer, HomeRegistration, Verdict
from unwired.core.mobile_node_states import Do, Input, State, transition
from unwired.core.mobile_node_switch import HomeAgentSwitches
from unwired.core.mobile_node_updates import BindingUpdates
from unwired.core.mobile_prefix_discovery import MobilePrefixDiscovery
from unwired.core.movement import Movement
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.places import AtHome, Attachment, Away
from unwired.core.refusals import Refusals
from unwired.core.settings import Family, MobileNodeSettings
from unwired.core.tunnel_rows import TunnelRows
from unwired.core.tunnel_watch import TunnelWatch
from unwired.wire.address import Address, format_address, is_ipv4
from unwired.wire.rfc6275 import BindingStatus

SILENT_AFTER = 3
"""Unanswered binding updates after which another place is tried (RFC 5555 section 4.4.1), a person is told, and a home
agent that we would change to is given up."""
SILENT_BESIDE_TUNNEL_AFTER = 2
"""The same while the home agent has acknowledged another place that we can still use."""
ASK_AGAIN_S = 1.0
"""When to ask for another IPv4 home address after the one we named was refused."""
Fields = dict[str, str | int | float | bool | None]


class MobileNodeMachine:
    """The binding of one home address: its state, its entry in the binding update list and its tunnel. ``candidate`` is
    the entry of the home agent that we would change to, while it has not answered.

    Whoever drives it sets ``now`` and ``attachment`` before an input.
    """

    def __init__(
        self, settings: MobileNodeSettings, movement: Movement, outbox: Outbox, entropy: Callable[[int], bytes]
    ) -> None:
        self.settings = settings
        self.state = State.OFF
        self.now = Now(0.0, 0.0)
        self.attachment: Attachment | None = None
        self._sequences = SequenceNumbers(entropy)
        self.entry = BindingUpdateListEntry(settings.home_agent, self._sequences.take(settings.home_agent))
        self.candidate: BindingUpdateListEntry | None = None
        self._candidates: list[Address] = []
        """Home agents to try when this one does not serve us."""
        self.switches = HomeAgentSwitches(settings)
        self.registration = HomeRegistration(settings, entropy)
        self.rows = TunnelRows(settings.home_address, self._emit)
        self.placement = HomePlacement(settings.home_address, settings.home_prefix_length, self._emit)
        self.ipv4 = Ipv4HomeAddresses(settings, self.rows, outbox)
        self.repair = HostRepair()
        self.search = (
            HomeAgentSearch(settings.home_address, settings.home_prefix_length, entropy)
            if settings.home_agent is None
            else None
        )
        self.prefixes = MobilePrefixDiscovery(settings.home_address, entropy)
        self.neighbors = HomeNeighbors(settings.home_address)
        self._movement = movement
        self._outbox = outbox
        self.updates = BindingUpdates(
            settings, movement, self.registration, self.rows, self.ipv4, self.prefixes, outbox, self._persist
        )
        self.journal = MobileNodeJournal(settings, movement, self.rows, self.placement, self.ipv4, outbox)
        self._answer: Answer | None = None
        self._wait_s = 0.0
        self.refusals = Refusals(settings.home_address, outbox)
        self.watch = TunnelWatch(settings.home_address, self.rows, movement.networks, outbox, entropy)
        self._runner_up = False
        """In this attempt another place than the one that is wanted was acknowledged."""

    # --- inputs ----------------------------------------------------------------------------------------------------

    def take_up(self, saved: SavedEntry) -> None:
        """What an earlier run left in the journal; before the first input."""
        self.journal.saved = saved
        self.entry.sequence = saved.sequence
        self.switches.last = saved.switch_timestamp
        configured = self.settings.home_agent
        if saved.configured_home_agent == configured and (configured is None or self.journal.has_binding(self.now)):
            # Whom we were sent to or have found; another home agent in the configuration wins.
            self.entry.home_agent = saved.home_agent

    def start(self) -> None:
        saved = self.journal.saved
        bound = saved is not None and self.journal.has_binding(self.now) and saved.home_agent == self.entry.home_agent
        self.input(Input.RESTORED if bound else Input.START)

    def input(self, given: Input) -> None:
        """One step of the state machine."""
        do, after = transition(self.state, given)
        if do is Do.NOTHING:
            return
        before, self.state = self.state, after
        if after is not before:
            self._notify("state_changed", Level.DEBUG, before=before.value, after=after.value, input=given.value)
        self._steps[do](self)

    def timers(self) -> list[tuple[float, Input]]:
        """What time alone will bring in this state."""
        entry, asked, state = self.entry, self._asked, self.state
        times: list[tuple[float | None, Input]] = []
        if state is State.DISCOVERING and self.search is not None:
            times.append((self.search.next_at, Input.TIMER))
        elif state not in (State.STRANDED, State.DETACHED, State.HOME):
            times.append((asked.retransmit_at, Input.TIMER))
        if state in (State.STRANDED, State.RETURNING):
            times.append((entry.expires_at, Input.EXPIRED))
        elif state in (State.REGISTERED, State.HANDOVER, State.REFRESHING, State.SWITCHING) and entry.bound is not None:
            times.append((entry.bound.expires_at, Input.EXPIRED))
        if state is State.REGISTERED and entry.bound is not None and self.prefixes.next_at is None:
            # Status 1: no new registration before the prefixes are known (RFC 6275 section 11.7.1).
            times.append((entry.bound.refresh_at, Input.REFRESH))
        return [(time, given) for time, given in times if time is not None]

    @property
    def _asked(self) -> BindingUpdateListEntry:
        """Whose answer is waited for."""
        return self.entry if self.candidate is None else self.candidate

    def entry_of(self, home_agent: Address) -> BindingUpdateListEntry:
        """The entry that an acknowledgement from this address is about, if any is."""
        asked = self._asked
        return asked if asked.home_agent == home_agent else self.entry

    def answered(self, answer: Answer, entry: BindingUpdateListEntry) -> None:
        """A home agent's valid answer to an outstanding binding update of this entry."""
        self._answer, asked = answer, self._asked
        if entry is not asked:
            if answer.verdict is Verdict.ACCEPTED:
                self.input(Input.STILL_BOUND)
            return
        transmission = answer.transmission
        if transmission.lifetime_s and transmission.care_of_address != entry.care_of_address:
            if answer.verdict is Verdict.ACCEPTED:
                self.input(Input.RUNNER_UP)
            if answer.verdict is not Verdict.CORRECTED:
                return  # refused here, but what is wanted is still to be answered
        match answer.verdict:
            case Verdict.ACCEPTED:
                self.input(Input.ACCEPTED)
            case Verdict.CORRECTED:
                self.input(Input.CORRECTED)
            case _ if self.candidate is not None:
                self.refusals.tell(answer, asked.home_agent, 0.0)
                self._next_candidate()
            case Verdict.NOT_OUR_AGENT if self._may_choose() and not self._returning():
                self.refusals.tell(answer, asked.home_agent, 0.0)
                self.next_agent()
            case Verdict.FORBIDDEN:
                self.refusals.tell(answer, asked.home_agent, None)
                self.refusals.forbidden = True
                self.refused(0.0)
            case Verdict.REFUSED | Verdict.NOT_OUR_AGENT:
                wait_s = self.refusals.wait_s(answer)
                self.refusals.tell(answer, asked.home_agent, wait_s)
                self.refused(wait_s)

    def refused(self, wait_s: float) -> None:
        """The outstanding binding update was refused; leave the home agent alone for a while."""
        self._wait_s = wait_s
        self.input(Input.REFUSED)

    def next_agent(self) -> None:
        """Try another home agent of the list, or ask for one (RFC 6275 sections 11.4.1 and 11.7.1); without discovery,
        the configured one."""
        agent = self.settings.home_agent if self.search is None else self.search.next_agent()
        if agent is None:
            self.input(Input.AGENT_WANTED)
            return
        entry = self.entry
        if agent != entry.home_agent:
            self._sequences.keep(entry)
            entry.home_agent, entry.sequence = agent, self._sequences.take(agent)
        self.input(Input.AGENT_FOUND)

    def switch(self, agents: tuple[Address, ...]) -> bool:
        """Change to the first of these home agents that serves us; False where there is nothing to change."""
        if self.refusals.forbidden or transition(self.state, Input.SWITCH)[0] is Do.NOTHING:
            return False
        self._candidates = list(agents)
        self.input(Input.SWITCH)
        return True

    def look_for_another(self) -> None:
        """Our home agent wants to be left and names no other. Should the request or its answer be lost, it will say so
        again (RFC 5142 section 5.2)."""
        place = self.attachment
        if self.search is None or not isinstance(place, Away):
            self._notify("home_agent_switch_failed", Level.WARNING, reason="it names no home agent; discovery is off")
        else:
            self.updates.send(self.search.ask(place.care_of_address, self.now.monotonic))

    def place_ipv4(self) -> None:
        """The IPv4 home address follows the other: see ``home_placement.py``."""
        self._movement.home_address_ipv4 = self.ipv4.address
        if self.placement.interface is not None:
            link = self._movement.links.get(self.placement.interface)
            self.placement.place_ipv4(self.ipv4.address, link)

    def say_again(self) -> None:
        """Ask the host again for everything that should be; all of it is idempotent."""
        self._emit(HoldHomeAddress(self.settings.home_address))
        self.ipv4.say_again()
        self.placement.say_again()
        self.rows.say_again()

    def join_race(self) -> None:
        """Another family has become usable while nothing was answered yet."""
        entry, place = self.entry, self.entry.place
        waiting = self.state in (State.REGISTERING, State.HANDOVER) and self.candidate is None and entry.tries
        if not waiting or self.updates.deferred or self._runner_up or place is None or place != self.attachment:
            return
        self.updates.join(entry, place, self.now)

    # --- steps of the state machine --------------------------------------------------------------------------------

    def _do_hold(self) -> None:
        self._emit(HoldHomeAddress(self.settings.home_address))
        self.rows.open()
        self.ipv4.start(self.journal.saved, bound=False)
        self._started()

    def _do_adopt(self) -> None:
        saved, entry = self.journal.saved, self.entry
        self._emit(HoldHomeAddress(self.settings.home_address))
        self.rows.open()
        if saved is not None and saved.expires_wall is not None and saved.care_of_address is not None:
            entry.home_agent = saved.home_agent
            entry.care_of_address, entry.interface, entry.router = saved.care_of_address, saved.interface, saved.router
            left_s = saved.expires_wall - self.now.wall
            until = entry.expires_at = self.now.monotonic + left_s
            encapsulation = saved.encapsulation
            entry.bound = Bound(entry.care_of_address, entry.interface, int(left_s), until, until, encapsulation)
            self.placement.go_away()
            self.rows.use(entry.care_of_address, entry.interface, entry.router)
            self._point(Away(entry.care_of_address, entry.interface, entry.router), encapsulation)
        self.ipv4.start(saved, bound=True)
        self._started()

    def link_came_up(self, interface: int, name: str) -> None:
        """An earlier run left the home address on this link: keep it there until a router advertisement says better."""
        saved = self.journal.saved
        if saved is None or self.placement.interface is not None or self.state is not State.DETACHED:
            return
        if (interface, name) == (saved.home_interface, saved.home_interface_name):
            self.placement.go_home(AtHome(interface, saved.home_router))

    def _started(self) -> None:
        self._notify("started")

    def _do_register(self) -> None:
        place, entry, now = self.attachment, self.entry, self.now.monotonic
        if not isinstance(place, Away):
            return
        self._emit_all(self.neighbors.leave())
        self.prefixes.stop()
        self._end_candidate()
        self.watch.stop()
        entry.tries = 0
        entry.settle(keep={rival.care_of_address for rival in self._movement.rivals(place, now)})
        self.registration.begin()
        self._runner_up = False
        entry.care_of_address, entry.interface, entry.router = place.care_of_address, place.interface, place.router
        entry.confirmed = False  # from here on, even where the rate limit puts the binding update off
        if self.refusals.forbidden:
            return  # status 134: this home address must not be tried again (RFC 6275 section 11.7.1)
        if entry.home_agent is None:
            self.next_agent()
            return
        if entry.bound is not None and entry.bound.expires_at <= now:
            entry.bound = None
        known = entry.bound is not None and self.state is not State.REGISTERING
        entry.timeout_s = INITIAL_BINDACK_TIMEOUT_S if known else self.settings.first_registration_timeout_s
        self.rows.use(place.care_of_address, place.interface, place.router)
        self._send_update()
        self.placement.go_away()
        tunnel = self.rows.tunnel
        if tunnel is None or tunnel.local == place.care_of_address or not self._movement.is_usable(tunnel.local, now):
            self.point_at(place)

    def _do_refresh(self) -> None:
        self.entry.settle()
        self.registration.begin()
        self.entry.timeout_s = INITIAL_BINDACK_TIMEOUT_S
        self._send_update()

    def _do_switch(self) -> None:
        place = self.attachment
        self._end_candidate()
        if not isinstance(place, Away) or not self._candidates:
            return
        agent = self._candidates.pop(0)
        sequence = self._sequences.take(agent)
        self.candidate = BindingUpdateListEntry(agent, sequence, place.care_of_address, place.interface, place.router)
        self.registration.begin()
        self.rows.accept(self._tunnel_end(place.care_of_address, agent))
        self._send_update()

    def _do_switched(self) -> None:
        before, candidate = self.entry, self.candidate
        if candidate is None:
            return
        self._sequences.keep(before)
        self.entry, self.candidate = candidate, None
        candidate.bound = before.bound  # to be replaced, but it says that we have not moved
        self._do_bound()
        fields: Fields = {"from": _text(before.home_agent), "to": _text(candidate.home_agent)}
        self._notify("home_agent_switched", Level.INFO, **fields)

    def _do_send_again(self) -> None:
        entry = self._asked
        if not self.updates.deferred:
            if self._may_choose() and entry.timeout_s >= MAX_BINDACK_TIMEOUT_S and not self._returning():
                self.next_agent()
                return
            if self._give_up_place():
                return
            if entry.tries == SILENT_AFTER and entry.home_agent is not None:
                self._notify("home_agent_silent", Level.WARNING, home_agent=format_address(entry.home_agent))
                if self.candidate is not None:
                    self._next_candidate()
                    return
            entry.timeout_s = min(entry.timeout_s * 2, MAX_BINDACK_TIMEOUT_S)
        self._send_update()

    def _do_send_corrected(self) -> None:
        self._send_update()

    def _do_bound(self) -> None:
        if not self._take_up():
            return
        entry, now = self.entry, self.now.monotonic
        entry.settle()
        entry.confirmed = True
        self._runner_up = False
        self.refusals.accepted()
        if entry.care_of_address is not None:
            self.rows.give_up_others((entry.care_of_address,), now)
        if self.candidate is None:
            self.rows.give_up_other_peers(now)
        self._persist()
        answer = self._answer
        if answer is not None and answer.status == BindingStatus.ACCEPTED_BUT_PREFIX_DISCOVERY_NECESSARY:
            if self.settings.insecure:
                self.solicit_prefixes(again=False)
            else:
                # RFC 4285 section 2: prefix discovery is not protected and so not used.
                self._notify("home_prefix_changes", Level.WARNING)

    def _do_runner_up(self) -> None:
        """The way is used until the one that is wanted is acknowledged or given up."""
        if self._take_up():
            self._runner_up = True
            self._persist()

    def _take_up(self) -> bool:
        """What the last answer granted is in force from now on; False where it answers nothing any more."""
        entry, answer, now = self.entry, self._answer, self.now.monotonic
        if answer is None or not entry.outstanding or answer.transmission.place is None:
            return False
        transmission, place = answer.transmission, answer.transmission.place
        sent = transmission.sent.monotonic
        expires_at = sent + answer.lifetime_s
        first_sent = next(
            one.sent.monotonic for one in entry.outstanding if one.care_of_address == transmission.care_of_address
        )
        if transmission is entry.outstanding[-1]:
            entry.expires_at = expires_at
        before = entry.bound
        refresh_at = sent + answer.refresh_s
        if self.ipv4.acknowledged(answer.ipv4):
            refresh_at = min(refresh_at, now + ASK_AGAIN_S)
        entry.bound = Bound(
            place.care_of_address,
            place.interface,
            answer.lifetime_s,
            expires_at,
            refresh_at,
            answer.encapsulation,
            answer.nat_keepalive_s,
        )
        self._movement.networks.answered(place)
        self._point(place, answer.encapsulation)
        if entry.home_agent is not None:
            link_mtu = self._movement.mtu(place.interface)
            self.watch.registered(place, entry.home_agent, entry.bound, link_mtu, now - sent, now)
        self._notify(
            "registered",
            home_agent=_text(entry.home_agent),
            care_of_address=format_address(transmission.care_of_address),
            interface=self._movement.name(place.interface),
            lifetime_s=answer.lifetime_s,
            sequence=transmission.sequence,
            signalling_ms=round((now - first_sent) * 1000, 3),
            round_trip_ms=round((now - sent) * 1000, 3),
            refresh=before is not None and before.care_of_address == transmission.care_of_address,
            encapsulation=answer.encapsulation.name.lower(),
            nat=answer.nat_keepalive_s is not None,
        )
        return True

    def _do_resume(self) -> None:
        place = self.attachment
        if isinstance(place, Away):
            self.entry.interface, self.entry.router = place.interface, place.router
            # Said again even when it is the same: a host forgets the routes of a link that went down.
            self.rows.use(place.care_of_address, place.interface, place.router, again=True)
            if self.entry.home_agent is not None and self.entry.bound is not None:
                link_mtu, now = self._movement.mtu(place.interface), self.now.monotonic
                self.watch.registered(place, self.entry.home_agent, self.entry.bound, link_mtu, 1.0, now)

    def _do_wait(self) -> None:
        self.entry.settle()
        if not self.refusals.forbidden:
            self.entry.retransmit_at = self.now.monotonic + self._wait_s

    def _do_pause(self) -> None:
        self._end_candidate()
        self.watch.stop()
        self.entry.retransmit_at = None
        self.prefixes.stop()
        if self.search is not None:
            self.search.stop()
        self._emit_all(self.neighbors.leave())

    def _do_forget(self) -> None:
        self.rows.stop_forwarding(self.now.monotonic)
        self.ipv4.unbind()
        self.entry.clear()
        self._persist()
        self._notify("binding_expired", Level.WARNING)

    def _do_expire(self) -> None:
        self.entry.bound = None
        self._notify("binding_expired", Level.WARNING)

    def _do_discover(self) -> None:
        place = self.attachment
        if self.search is None or not isinstance(place, Away):
            return
        self.entry.settle()
        self.watch.stop()
        self.rows.use(place.care_of_address, place.interface, place.router)
        self.updates.send(self.search.ask(place.care_of_address, self.now.monotonic))

    def _do_ask_again(self) -> None:
        place = self.attachment
        if self.search is None or not isinstance(place, Away):
            return
        packet = self.search.ask_again(place.care_of_address, self.now.monotonic)
        if packet is None:
            self._notify("home_agent_discovery_failed", Level.WARNING)
        else:
            self.updates.send(packet)

    def _do_deregister(self) -> None:
        place, entry = self.attachment, self.entry
        self.refusals.forbidden = False
        if not isinstance(place, AtHome):
            return
        if self.candidate is not None:
            # It may have our binding by now; the one that had it for sure is the one to wait for.
            self.updates.send_one(self.candidate, None, 0, self.now, place.interface)
            self._end_candidate()
        self.watch.stop()
        entry.settle()
        self.prefixes.stop()
        if self.search is not None:
            self.search.stop()
        if entry.home_agent is None or entry.expires_at is None:
            self.input(Input.ACCEPTED)
            return
        self.registration.begin()
        entry.timeout_s = INITIAL_BINDACK_TIMEOUT_S
        # From now on we answer for the home address, towards the home agent above all: it has to find us to send the
        # acknowledgement (RFC 6275 section 11.5.5). The kernel does so only once the home agent has let go.
        self._emit_all(self.neighbors.join(place.interface, self._link_layer_address(place.interface)))
        self._send_update()

    def _do_settle(self) -> None:
        place = self.attachment
        self.refusals.forbidden = False
        if isinstance(place, AtHome):
            self.placement.go_home(place)
            self._persist()
            self._notify("at_home", interface=self._movement.name(place.interface))

    def _do_arrive(self) -> None:
        place, entry, now = self.attachment, self.entry, self.now.monotonic
        if not isinstance(place, AtHome):
            return
        first_sent = entry.outstanding[0].sent.monotonic if entry.outstanding else now
        self._emit_all(self.neighbors.leave())
        self.placement.go_home(place)
        self._emit_all(self.neighbors.announce(place.interface, self._link_layer_address(place.interface), now))
        self.rows.stop_forwarding(now)
        self.ipv4.unbind()
        entry.clear()
        self.refusals.accepted()
        self._persist()
        self._notify(
            "returned_home",
            interface=self._movement.name(place.interface),
            signalling_ms=round((now - first_sent) * 1000, 3),
        )

    def _do_farewell(self) -> None:
        entry, place = self.entry, self.attachment
        for one in (self.candidate, entry):
            if isinstance(place, Away) and one is not None and one.expires_at is not None:
                self.updates.send_one(one, place, 0, self.now)
        self._end_candidate()
        self._persist()
        self._emit_all(self.neighbors.leave())
        self.watch.stop()
        self.ipv4.close()
        self.rows.close()
        self._emit(DropHomeAddress(self.settings.home_address))
        self.placement.forget()
        entry.settle()
        self._notify("stopped")

    _steps: dict[Do, Callable[["MobileNodeMachine"], None]] = {  # noqa: RUF012
        Do.HOLD: _do_hold,
        Do.ADOPT: _do_adopt,
        Do.REGISTER: _do_register,
        Do.SEND_AGAIN: _do_send_again,
        Do.SEND_CORRECTED: _do_send_corrected,
        Do.BOUND: _do_bound,
        Do.RUNNER_UP: _do_runner_up,
        Do.SWITCH: _do_switch,
        Do.SWITCHED: _do_switched,
        Do.RESUME: _do_resume,
        Do.REFRESH: _do_refresh,
        Do.WAIT: _do_wait,
        Do.PAUSE: _do_pause,
        Do.FORGET: _do_forget,
        Do.EXPIRE: _do_expire,
        Do.DISCOVER: _do_discover,
        Do.ASK_AGAIN: _do_ask_again,
        Do.DEREGISTER: _do_deregister,
        Do.SETTLE: _do_settle,
        Do.ARRIVE: _do_arrive,
        Do.FAREWELL: _do_farewell,
    }

    # --- what the steps are made of --------------------------------------------------------------------------------

    def _returning(self) -> bool:
        return self.state is State.RETURNING

    def _may_choose(self) -> bool:
        """Whether there may be another home agent than the present one."""
        return self.search is not None or self.entry.home_agent != self.settings.home_agent

    def _next_candidate(self) -> None:
        """The candidate does not serve us: ask the next one, or stay with the home agent that we have. That one is
        asked once more, because the candidate may have taken us up all the same."""
        if self._candidates:
            self.input(Input.SWITCH)
            return
        self._notify("home_agent_switch_failed", Level.WARNING, reason="no other home agent serves us")
        self._end_candidate()
        bound = self.entry.bound
        here = bound is not None and bound.care_of_address == self.entry.care_of_address
        self.input(Input.SWITCH_FAILED if here else Input.AGENT_FOUND)

    def _end_candidate(self) -> None:
        """No other home agent is asked any more. Whether the last one has our binding is not known."""
        candidate, self.candidate = self.candidate, None
        if candidate is None:
            return
        self._sequences.keep(candidate)
        self.entry.confirmed = False
        if candidate.expires_at is not None:
            self.entry.expires_at = max(candidate.expires_at, self.entry.expires_at or candidate.expires_at)

    def _give_up_place(self) -> bool:
        """Nothing that was sent from the care-of address we want was answered: where there is another place, go there,
        and come back here only after a while."""
        place, now = self.entry.place, self.now.monotonic
        tunnel = self.rows.tunnel
        elsewhere = tunnel is not None and place is not None and tunnel.local != place.care_of_address
        enough = SILENT_BESIDE_TUNNEL_AFTER if elsewhere else SILENT_AFTER
        if self.candidate is not None or self._returning() or place is None or self.entry.tries < enough:
            return False
        if not self._movement.has_other(place, now):
            return False
        self._movement.networks.silent(place, now)
        self._notify(
            "care_of_address_silent",
            Level.WARNING,
            care_of_address=format_address(place.care_of_address),
            interface=self._movement.name(place.interface),
            home_agent=_text(self.entry.home_agent),
        )
        return True

    def _send_update(self) -> None:
        """Send the binding update that the state asks for, or put it off where the rate limit says so."""
        entry = self._asked
        if entry.home_agent is None:
            entry.retransmit_at = None
            return
        place, home = entry.place, self.attachment
        if self._returning():
            self.updates.ask_to_remove(entry, 0 if home is None else home.interface, self.now)
        elif place is not None:
            self.updates.ask(entry, place, self.candidate is not None, self.now)
        else:
            entry.retransmit_at = None

    def _tunnel_end(self, care_of_address: Address, home_agent: Address) -> Address:
        """Where tunnels from this care-of address end: in IPv4 all home agents of a set have the same address."""
        agent_ipv4 = self.settings.home_agent_ipv4
        return agent_ipv4 if is_ipv4(care_of_address) and agent_ipv4 is not None else home_agent

    def point_at(self, place: Away) -> None:
        """The tunnel goes from there before it is known whether a NAT is on the way: in IPv4 in UDP, which arrives in
        both cases."""
        self._point(place, Encapsulation.UDP if place.family is Family.IPV4 else Encapsulation.IPV6)

    def _point(self, place: Away, encapsulation: Encapsulation) -> None:
        if self.entry.home_agent is not None:
            end = self._tunnel_end(place.care_of_address, self.entry.home_agent)
            self.rows.point(place.care_of_address, end, place.interface, encapsulation)

    def solicit_prefixes(self, again: bool) -> None:
        entry = self.entry
        if entry.home_agent is None or entry.care_of_address is None or is_ipv4(entry.care_of_address):
            return
        solicit = self.prefixes.solicit_again if again else self.prefixes.solicit
        self.updates.send(solicit(entry.care_of_address, entry.home_agent, self.now.monotonic))

    def _persist(self) -> None:
        self.journal.write(self.entry, self.switches.last, self.now)

    def _link_layer_address(self, interface: int) -> bytes:
        link = self._movement.links.get(interface)
        return link.link_layer_address if link is not None else b""

    def _notify(self, name: str, level: Level = Level.INFO, **fields: str | int | float | bool | None) -> None:
        self._outbox.notify(name, level, self.settings.home_address, **fields)

    def _emit(self, action: Action) -> None:
        self._outbox.actions.append(action)

    def _emit_all(self, actions: Iterable[Action]) -> None:
        self._outbox.actions.extend(actions)


def _text(address: Address | None) -> str | None:
    return None if address is None else format_address(address)
