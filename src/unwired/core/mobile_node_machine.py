"""The mobile node's state machine at work: ``mobile_node_states.py`` says which step comes when, the steps are here.

Make before break: while packets can still be sent from the care-of address that the home agent knows, the tunnel stays
there until the new one is acknowledged. Otherwise the tunnel's row is rewritten at once, just after the binding update.

A change of home agent is always made before the break: the one that we have serves us until the other has acknowledged.
The mobile node sends no de-registration then (docs/ha-ha.md): the home agents of a set have one binding between them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from unwired.core.binding_update_list import (
    INITIAL_BINDACK_TIMEOUT_S,
    MAX_BINDACK_TIMEOUT_S,
    BindingUpdateListEntry,
    Bound,
    SavedEntry,
    SequenceNumbers,
)
from unwired.core.door import Action, DropHomeAddress, GoAway, GoHome, HoldHomeAddress, Now, Persist
from unwired.core.flow_label import flow_label
from unwired.core.home_agent_search import HomeAgentSearch
from unwired.core.home_neighbors import HomeNeighbors
from unwired.core.mobile_node_registration import REFUSAL_WAIT_MAX_S, Answer, HomeRegistration, Verdict
from unwired.core.mobile_node_states import Do, Input, State, transition
from unwired.core.mobile_node_switch import HomeAgentSwitches
from unwired.core.mobile_prefix_discovery import MobilePrefixDiscovery
from unwired.core.movement import AtHome, Attachment, Away, Movement
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.settings import MobileNodeSettings
from unwired.core.tunnel_rows import TunnelRows
from unwired.wire.address import UNSPECIFIED, Address, format_address
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc6275 import LIFETIME_UNIT_S, BindingStatus

SILENT_AFTER = 3
"""Unanswered binding updates after which a person is told, and a home agent that we would change to is given up."""
REPAIR_DELAY_S = 1.0
REPAIR_DELAY_MAX_S = 60.0
"""When to ask the host again for what failed; doubled from the first to the second."""
RECORD_KEY = b"mobile-node/"
"""The journal's key is this and the home address."""
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
        self.search = (
            HomeAgentSearch(settings.home_address, settings.home_prefix_length, entropy)
            if settings.home_agent is None
            else None
        )
        self.prefixes = MobilePrefixDiscovery(settings.home_address, entropy)
        self.neighbors = HomeNeighbors(settings.home_address)
        self._movement = movement
        self._outbox = outbox
        self._token = 0
        self._saved: SavedEntry | None = None
        self._home_interface: int | None = None
        """Where the home address answers: None before it was placed, 0 in the tunnel device."""
        self._home_router: Address = UNSPECIFIED
        self._answer: Answer | None = None
        self._wait_s = 0.0
        self._refusals = 0
        self._forbidden = False
        self._deferred = False
        """The rate limit has put a binding update off: its timer is no retransmission."""
        self.repair_at: float | None = None
        self._repair_delay_s = REPAIR_DELAY_S

    # --- inputs ----------------------------------------------------------------------------------------------------

    def take_up(self, saved: SavedEntry) -> None:
        """What an earlier run left in the journal; before the first input."""
        self._saved = saved
        self.entry.sequence = saved.sequence
        self.switches.last = saved.switch_timestamp
        configured = self.settings.home_agent
        if saved.configured_home_agent == configured and (configured is None or self._is_bound(saved)):
            # Whom we were sent to or have found; another home agent in the configuration wins.
            self.entry.home_agent = saved.home_agent

    def start(self) -> None:
        saved = self._saved
        bound = saved is not None and self._is_bound(saved) and saved.home_agent == self.entry.home_agent
        self.input(Input.RESTORED if bound else Input.START)

    def _is_bound(self, saved: SavedEntry) -> bool:
        return saved.expires_wall is not None and saved.expires_wall > self.now.wall

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
        self._answer = answer
        if entry is not self._asked:
            if answer.verdict is Verdict.ACCEPTED:
                self.input(Input.STILL_BOUND)
            return
        match answer.verdict:
            case Verdict.ACCEPTED:
                self.input(Input.ACCEPTED)
            case Verdict.CORRECTED:
                self.input(Input.CORRECTED)
            case _ if self.candidate is not None:
                self._tell_refusal(answer, 0.0)
                self._next_candidate()
            case Verdict.NOT_OUR_AGENT if self._may_choose() and not self._returning():
                self._tell_refusal(answer, 0.0)
                self.next_agent()
            case Verdict.FORBIDDEN:
                self._tell_refusal(answer, None)
                self._forbidden = True
                self.refused(0.0)
            case Verdict.REFUSED | Verdict.NOT_OUR_AGENT:
                wait_s = min(answer.wait_s * 2**self._refusals, REFUSAL_WAIT_MAX_S)
                self._refusals = min(self._refusals + 1, 16)
                self._tell_refusal(answer, wait_s)
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
        if self._forbidden or transition(self.state, Input.SWITCH)[0] is Do.NOTHING:
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
            self.send(self.search.ask(place.care_of_address, self.now.monotonic))

    def host_failed(self) -> None:
        """Something that the host was to do for us did not work: say all of it again, later and later."""
        if self.repair_at is None:
            self.repair_at = self.now.monotonic + self._repair_delay_s
            self._repair_delay_s = min(self._repair_delay_s * 2, REPAIR_DELAY_MAX_S)

    def repair(self) -> None:
        """Ask the host again for everything that should be; all of it is idempotent."""
        self.repair_at = None
        self._emit(HoldHomeAddress(self.settings.home_address))
        interface = self._home_interface
        if interface == 0:
            self._emit(GoAway(self.settings.home_address))
        elif interface is not None:
            self._emit_home(interface)
        self.rows.say_again()

    def _tell_refusal(self, answer: Answer, wait_s: float | None) -> None:
        """``wait_s`` None: there will be no other try."""
        try:
            name = BindingStatus(answer.status).name.lower()
        except ValueError:
            name = "unknown"
        level = Level.ERROR if answer.verdict is Verdict.FORBIDDEN else Level.WARNING
        self._notify(
            "registration_failed",
            level,
            home_agent=_text(self._asked.home_agent),
            status=answer.status,
            reason=name,
            wait_s=wait_s,
        )

    # --- steps of the state machine --------------------------------------------------------------------------------

    def _do_hold(self) -> None:
        self._emit(HoldHomeAddress(self.settings.home_address))
        self.rows.open()
        self._started()

    def _do_adopt(self) -> None:
        saved, entry = self._saved, self.entry
        self._emit(HoldHomeAddress(self.settings.home_address))
        self.rows.open()
        if saved is not None and saved.expires_wall is not None and saved.care_of_address is not None:
            entry.home_agent = saved.home_agent
            entry.care_of_address, entry.interface, entry.router = saved.care_of_address, saved.interface, saved.router
            left_s = saved.expires_wall - self.now.wall
            entry.expires_at = self.now.monotonic + left_s
            entry.bound = Bound(entry.care_of_address, entry.interface, int(left_s), entry.expires_at, entry.expires_at)
            self._go_away()
            self.rows.use(entry.care_of_address, entry.interface, entry.router)
            if entry.home_agent is not None:
                self.rows.point(entry.care_of_address, entry.home_agent, entry.interface)
        self._started()

    def link_came_up(self, interface: int, name: str) -> None:
        """An earlier run left the home address on this link: keep it there until a router advertisement says better."""
        saved = self._saved
        if saved is None or self._home_interface is not None or self.state is not State.DETACHED:
            return
        if (interface, name) == (saved.home_interface, saved.home_interface_name):
            self.go_home(AtHome(interface, saved.home_router))

    def _started(self) -> None:
        self._notify("started")

    def _do_register(self) -> None:
        place, entry, now = self.attachment, self.entry, self.now.monotonic
        if not isinstance(place, Away):
            return
        self._emit_all(self.neighbors.leave())
        self.prefixes.stop()
        self._end_candidate()
        entry.settle()
        self.registration.begin()
        entry.care_of_address, entry.interface, entry.router = place.care_of_address, place.interface, place.router
        entry.confirmed = False  # from here on, even where the rate limit puts the binding update off
        if self._forbidden:
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
        self._go_away()
        tunnel = self.rows.tunnel
        if tunnel is None or tunnel.local == place.care_of_address or not self._movement.is_usable(tunnel.local, now):
            self.rows.point(place.care_of_address, entry.home_agent, place.interface)

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
        self.rows.accept(agent)
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
        if not self._deferred:
            if self._may_choose() and entry.timeout_s >= MAX_BINDACK_TIMEOUT_S and not self._returning():
                self.next_agent()
                return
            if len(entry.outstanding) == SILENT_AFTER and entry.home_agent is not None:
                self._notify("home_agent_silent", Level.WARNING, home_agent=format_address(entry.home_agent))
                if self.candidate is not None:
                    self._next_candidate()
                    return
            entry.timeout_s = min(entry.timeout_s * 2, MAX_BINDACK_TIMEOUT_S)
        self._send_update()

    def _do_send_corrected(self) -> None:
        self._send_update()

    def _do_bound(self) -> None:
        entry, answer, now = self.entry, self._answer, self.now.monotonic
        if answer is None or not entry.outstanding:
            return
        transmission = answer.transmission
        sent = transmission.sent.monotonic
        expires_at = sent + answer.lifetime_s
        first_sent = entry.outstanding[0].sent.monotonic
        if transmission is entry.outstanding[-1]:
            entry.expires_at = expires_at
        before = entry.bound
        entry.bound = Bound(
            transmission.care_of_address, entry.interface, answer.lifetime_s, expires_at, sent + answer.refresh_s
        )
        entry.settle()
        entry.confirmed = True
        self._refusals = 0
        if entry.home_agent is not None:
            self.rows.point(transmission.care_of_address, entry.home_agent, entry.interface)
        self.rows.give_up_others(transmission.care_of_address, now)
        if self.candidate is None:
            self.rows.give_up_other_peers(now)
        self._persist()
        self._notify(
            "registered",
            home_agent=_text(entry.home_agent),
            care_of_address=format_address(transmission.care_of_address),
            interface=self.name(entry.interface),
            lifetime_s=answer.lifetime_s,
            sequence=transmission.sequence,
            signalling_ms=round((now - first_sent) * 1000, 3),
            round_trip_ms=round((now - sent) * 1000, 3),
            refresh=before is not None and before.care_of_address == transmission.care_of_address,
        )
        if answer.status == BindingStatus.ACCEPTED_BUT_PREFIX_DISCOVERY_NECESSARY:
            if self.settings.insecure:
                self.solicit_prefixes(again=False)
            else:
                # RFC 4285 section 2: prefix discovery is not protected and so not used.
                self._notify("home_prefix_changes", Level.WARNING)

    def _do_resume(self) -> None:
        place = self.attachment
        if isinstance(place, Away):
            self.entry.interface, self.entry.router = place.interface, place.router
            # Said again even when it is the same: a host forgets the routes of a link that went down.
            self.rows.use(place.care_of_address, place.interface, place.router, again=True)

    def _do_wait(self) -> None:
        self.entry.settle()
        if not self._forbidden:
            self.entry.retransmit_at = self.now.monotonic + self._wait_s

    def _do_pause(self) -> None:
        self._end_candidate()
        self.entry.retransmit_at = None
        self.prefixes.stop()
        if self.search is not None:
            self.search.stop()
        self._emit_all(self.neighbors.leave())

    def _do_forget(self) -> None:
        self.rows.stop_forwarding(self.now.monotonic)
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
        self.rows.use(place.care_of_address, place.interface, place.router)
        self.send(self.search.ask(place.care_of_address, self.now.monotonic))

    def _do_ask_again(self) -> None:
        place = self.attachment
        if self.search is None or not isinstance(place, Away):
            return
        packet = self.search.ask_again(place.care_of_address, self.now.monotonic)
        if packet is None:
            self._notify("home_agent_discovery_failed", Level.WARNING)
        else:
            self.send(packet)

    def _do_deregister(self) -> None:
        place, entry = self.attachment, self.entry
        self._forbidden = False
        if not isinstance(place, AtHome):
            return
        if self.candidate is not None:
            # It may have our binding by now; the one that had it for sure is the one to wait for.
            self._send_one(self.candidate, self.settings.home_address, 0, at_home=True)
            self._end_candidate()
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
        self._forbidden = False
        if isinstance(place, AtHome):
            self.go_home(place)
            self._persist()
            self._notify("at_home", interface=self.name(place.interface))

    def _do_arrive(self) -> None:
        place, entry, now = self.attachment, self.entry, self.now.monotonic
        if not isinstance(place, AtHome):
            return
        first_sent = entry.outstanding[0].sent.monotonic if entry.outstanding else now
        self._emit_all(self.neighbors.leave())
        self.go_home(place)
        self._emit_all(self.neighbors.announce(place.interface, self._link_layer_address(place.interface), now))
        self.rows.stop_forwarding(now)
        entry.clear()
        self._refusals = 0
        self._persist()
        self._notify(
            "returned_home",
            interface=self.name(place.interface),
            signalling_ms=round((now - first_sent) * 1000, 3),
        )

    def _do_farewell(self) -> None:
        entry, place = self.entry, self.attachment
        for one in (self.candidate, entry):
            if isinstance(place, Away) and one is not None and one.expires_at is not None:
                self._send_one(one, place.care_of_address, 0, at_home=False)
        self._end_candidate()
        self._persist()
        self._emit_all(self.neighbors.leave())
        self.rows.close()
        self._emit(DropHomeAddress(self.settings.home_address))
        self._home_interface = None
        entry.settle()
        self._notify("stopped")

    _steps: dict[Do, Callable[["MobileNodeMachine"], None]] = {  # noqa: RUF012
        Do.HOLD: _do_hold,
        Do.ADOPT: _do_adopt,
        Do.REGISTER: _do_register,
        Do.SEND_AGAIN: _do_send_again,
        Do.SEND_CORRECTED: _do_send_corrected,
        Do.BOUND: _do_bound,
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

    def _send_update(self) -> None:
        """Send the binding update that the state asks for, or put it off where the rate limit says so."""
        entry, now = self._asked, self.now.monotonic
        if entry.home_agent is None:
            entry.retransmit_at = None
            return
        allowed_at = self.registration.allowed_at(now)
        self._deferred = allowed_at > now
        if self._deferred:
            entry.retransmit_at = allowed_at
            return
        if self._returning():
            self._send_one(entry, self.settings.home_address, 0, at_home=True)
        elif entry.care_of_address is not None:
            # No longer than home address and care-of address are valid (RFC 6275 section 11.7.1).
            valid_until = self._movement.valid_until(entry.care_of_address, now)
            if self.prefixes.valid_until is not None:
                valid_until = min(valid_until, self.prefixes.valid_until)
            units = self.registration.lifetime_units(max(0.0, valid_until - now))
            self._send_one(entry, entry.care_of_address, units, at_home=False)
        entry.retransmit_at = now + entry.timeout_s

    def _send_one(
        self, entry: BindingUpdateListEntry, care_of_address: Address, lifetime_units: int, at_home: bool
    ) -> None:
        place = self.attachment
        packet = self.registration.update(entry, care_of_address, lifetime_units, at_home, self.now)
        interface = place.interface if at_home and place is not None else 0
        self.send(packet, interface)
        self._outbox.counters["binding_updates_sent"] += 1
        self._persist()
        self._notify(
            "binding_update_sent",
            home_agent=_text(entry.home_agent),
            sequence=entry.sequence,
            care_of_address=format_address(care_of_address),
            interface=self.name(place.interface) if place is not None else "",
            lifetime_s=lifetime_units * LIFETIME_UNIT_S,
            attempt=len(entry.outstanding),
        )

    def send(self, packet: Packet, interface: int = 0) -> None:
        """Everything goes out with the flow label of its source address, as tunnelled packets do."""
        label = flow_label(packet.source, self.settings.home_address)
        self._outbox.send(replace(packet, flow_label=label), interface)

    def solicit_prefixes(self, again: bool) -> None:
        entry = self.entry
        if entry.home_agent is None or entry.care_of_address is None:
            return
        solicit = self.prefixes.solicit_again if again else self.prefixes.solicit
        self.send(solicit(entry.care_of_address, entry.home_agent, self.now.monotonic))

    def _go_away(self) -> None:
        if self._home_interface != 0:
            self._home_interface = 0
            self._emit(GoAway(self.settings.home_address))

    def go_home(self, place: AtHome) -> None:
        if (self._home_interface, self._home_router) != (place.interface, place.router):
            self._home_interface, self._home_router = place.interface, place.router
            self._emit_home(place.interface)

    def _emit_home(self, interface: int) -> None:
        home = self.settings
        self._emit(GoHome(home.home_address, home.home_prefix_length, interface, self._home_router))

    def _persist(self) -> None:
        self._token += 1
        interface = self._home_interface or 0
        record = SavedEntry.of(
            self.entry,
            self.settings.home_agent,
            self.switches.last,
            interface,
            self.name(interface),
            self._home_router,
            self.now,
        )
        self._emit(Persist(self._token, RECORD_KEY + self.settings.home_address, record.encode()))

    def _link_layer_address(self, interface: int) -> bytes:
        link = self._movement.links.get(interface)
        return link.link_layer_address if link is not None else b""

    def name(self, interface: int) -> str:
        link = self._movement.links.get(interface)
        return link.name if link is not None else ""

    def _notify(self, name: str, level: Level = Level.INFO, **fields: str | int | float | bool | None) -> None:
        self._outbox.notify(name, level, self.settings.home_address, **fields)

    def _emit(self, action: Action) -> None:
        self._outbox.actions.append(action)

    def _emit_all(self, actions: Iterable[Action]) -> None:
        self._outbox.actions.extend(actions)


def _text(address: Address | None) -> str | None:
    return None if address is None else format_address(address)
