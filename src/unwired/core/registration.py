"""Binding updates at the home agent: what each one that is taken does to the entry of its home address.

``admission.py`` says which are taken, ``binding_states.py`` which step follows from the entry's state. An
acknowledgement that accepts is kept back until the binding is safe: see ``durability.py``.

In a home agent set a binding has as primary the member whose address its binding update was sent to, whoever answers in
that member's place; each change gets a greater version and is published. ``merge.py`` takes the others' changes.
"""

from collections.abc import Callable
from dataclasses import replace

from unwired.core.acknowledgement import Request, acknowledge
from unwired.core.admission import Admission
from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import TABLE, Input, State, Step
from unwired.core.delivery import packet_to
from unwired.core.door import Now
from unwired.core.durability import Safekeeping
from unwired.core.forwarding import Encapsulation
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.home_agent_switch import SwitchSender
from unwired.core.home_link import HomeLink
from unwired.core.intercept import Interception
from unwired.core.ipv4_assignment import Ipv4Assignments
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.replica import CLOCK_MARGIN_S, memory_s
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import UNSPECIFIED, Address, format_prefix, is_ipv4
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.rfc4285 import ntp_timestamp, wall_time
from unwired.wire.rfc5555 import NO_KEEPALIVES, Ipv4HomeAddressStatus, NatDetection
from unwired.wire.rfc6275 import LIFETIME_UNIT_S, BindingRefreshRequest, BindingStatus, BindingUpdate
from unwired.wire.state_synchronization import DualStack

MAX_DELETE_BCE_TIMEOUT_S = 10.0
REFRESH_REQUESTS = 2
"""Binding refresh requests before a lifetime ends (RFC 6275 section 9.5.5)."""
REFRESH_MARGIN_MAX_S = 20.0


class Registrar:
    """Receives binding updates and owns the cache's entries."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        admission: Admission,
        cache: BindingCache,
        home_link: HomeLink,
        interception: Interception,
        safekeeping: Safekeeping,
        assignments: Ipv4Assignments,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._roster = roster
        self._admission = admission
        self._assignments = assignments
        self._cache = cache
        self._home_link = home_link
        self._interception = interception
        self._safekeeping = safekeeping
        self._outbox = outbox
        self._told = TokenBucket(rate=10.0, burst=50)
        self._memory_s = memory_s(settings)
        self._numbers = {roster.addresses[number]: number for number in roster.numbers}
        self._members: HomeAgentSet | None = None
        self._switch: SwitchSender | None = None
        self._detecting: dict[Address, Request] = {}
        self._register = Input.REGISTER_ON_LINK if home_link.is_real else Input.REGISTER
        self._requested: dict[Step, Callable[[Request, Binding, Now], None]] = {
            Step.BIND: self._bind,
            Step.UPDATE: self._update,
            Step.DETECT: self._detect,
            Step.TAKE_NEWER: self._take_newer,
            Step.UNBIND: self._unbind,
            Step.ACKNOWLEDGE_AGAIN: self._acknowledge_again,
            Step.REFUSE_UNKNOWN: self._refuse_unknown,
            Step.ABANDON: self._abandon,
            Step.ACKNOWLEDGE_ONLY: self._acknowledge_only,
        }
        self._happened: dict[Step, Callable[[Binding, Now], None]] = {
            Step.EXPIRE: self._expire,
            Step.GIVE_UP: self._give_up,
            Step.FORGET: self._forget,
        }
        home_link.unique = self._unique
        home_link.duplicate = self._duplicate

    def join(self, members: HomeAgentSet, switch: SwitchSender) -> None:
        """Be a member of a home agent set."""
        self._members = members
        self._switch = switch
        self._safekeeping.released = self._released

    def receive(self, packet: Packet, update: BindingUpdate, interface: int, now: Now, via: Address | None) -> None:
        """A binding update with a right checksum, sent to our address or to one that we serve; ``via`` is the locator
        of the member that sent it on."""
        self._outbox.counters["binding_updates_received"] += 1
        request = Request(packet, update, interface, self._numbers.get(packet.destination, 0))
        if request.outer is not None:
            self._detect_nat(request, request.outer)
        binding = self._cache.get(request.home_address)
        verdict = self._admission.check(request, binding, now)
        if verdict is not None:
            if isinstance(verdict, Drop):
                self._outbox.drop(verdict)
            else:
                self._refuse(request, now, *verdict)
            return
        if self._members is not None and update.lifetime_units:
            request.switch_to = self._nearer(request.member, via, self._members)
        if binding is None:
            # The subscriber's own bytes, if we know it: one object in memory for both.
            subscriber = request.subscriber
            binding = Binding(request.home_address if subscriber is None else subscriber.home_address)
            binding.primary = request.member
        if update.lifetime_units:
            event = self._register
        else:
            event = Input.DEREGISTER if request.member == binding.primary else Input.DEREGISTER_ELSEWHERE
        step, following = TABLE[binding.state][event]
        self._cache.move(binding, following)
        self._requested[step](request, binding, now)

    def _detect_nat(self, request: Request, outer: Outer) -> None:
        """Whether there is a NAT on the way, and what that means for packets (RFC 5555 sections 3.2.2, 4.2, 4.5)."""
        is_forced = request.is_in_udp and (
            self._settings.force_udp or (request.update.force_udp_encapsulation and self._settings.allow_forced_udp)
        )
        if request.is_behind_nat or is_forced:
            request.care_of_port = outer.source_port
        if request.is_behind_nat or request.is_in_udp:
            refresh_s = self._settings.nat_keepalive_s if request.is_behind_nat else NO_KEEPALIVES
            request.nat_detection = NatDetection(refresh_s, is_forced)

    # --- answers ---

    def _refuse(
        self,
        request: Request,
        now: Now,
        status: BindingStatus,
        sequence: int | None = None,
        timestamp: int | None = None,
        reason: str | None = None,
    ) -> None:
        sequence = request.update.sequence if sequence is None else sequence
        reason = status.name.lower() if reason is None else reason
        self._outbox.actions.append(acknowledge(request, status, sequence, timestamp=timestamp))
        self._outbox.counters[f"refused_{reason}"] += 1
        # Anybody may cause refusals: all are counted, some are told.
        if self._told.take(now.monotonic):
            self._outbox.notify(
                "registration_refused",
                Level.DEBUG if status == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW else Level.INFO,
                request.home_address,
                status=int(status),
                reason=reason,
                care_of_address=request.care_of_address,
                source=request.packet.source if request.outer is None else request.outer.source,
            )

    def _accept(
        self, request: Request, binding: Binding, status: int, now: Now, lifetime_units: int, advice_units: int = 0
    ) -> None:
        """Write the binding down, publish it, and acknowledge it when it is safe."""
        token = self._safekeeping.publish(binding, now)
        answer = acknowledge(
            request, status, request.update.sequence, lifetime_units, refresh_advice_units=advice_units
        )
        self._safekeeping.acknowledge(token, request, answer, binding, now)

    def _nearer(self, member: int, via: Address | None, members: HomeAgentSet) -> int:
        """Which member the mobile node that sent this to ``member`` should change to: 0 if none."""
        own = self._roster.own
        if member != own:
            return own  # we answer in the place of one that is not there any more
        nearer = members.number_of(via) if via is not None else 0
        return nearer if nearer != own and nearer and members.is_up(nearer) else 0

    def _released(self, request: Request, binding: Binding | None, now: Now) -> None:
        """An acknowledgement has left: now the mobile node may be told of a nearer home agent."""
        if not request.switch_to or binding is None or self._switch is None:
            return
        identifier = None if request.identifier is None else request.identifier.identifier
        source = request.packet.destination
        if request.switch_to != self._roster.own:
            binding.switched = False  # published as done, and now it is
        if self._switch.request(binding, request.association, identifier, source, request.switch_to, now):
            binding.switched = True

    # --- steps on a binding update ---

    def _grant(self, request: Request, binding: Binding, now: Now) -> tuple[BindingStatus, int]:
        """Set lifetime, sequence number, timestamp and timer; the status and the refresh advice to acknowledge with. At
        most one switch for each care-of address, or equally good paths would make it go to and fro; but who
        must be told that its home agent is gone is told so until it knows."""
        update = request.update
        if request.switch_to and request.switch_to != self._roster.own:
            if binding.switched:
                request.switch_to = 0
            binding.switched = True
        status, units = self._admission.grant(binding.home_address, update.lifetime_units)
        _remember_last(request, binding)
        binding.lifetime_units = units
        binding.requests = 0
        binding.ends_at = now.monotonic + units * LIFETIME_UNIT_S
        self._cache.wheel.schedule(binding, self.next_look(binding))
        advice_units = self._settings.refresh_advice_s // LIFETIME_UNIT_S
        return status, advice_units if advice_units < units else 0

    def next_look(self, binding: Binding) -> float:
        """When to think of the next binding refresh request, or to end the binding."""
        if binding.requests >= REFRESH_REQUESTS:
            return binding.ends_at
        margin_s = min(REFRESH_MARGIN_MAX_S, binding.lifetime_units * LIFETIME_UNIT_S / 8)
        return binding.ends_at - margin_s / (1 << binding.requests)

    def _ipv4_of(self, request: Request, binding: Binding, now: Now) -> DualStack | None:
        """What of IPv4 is in the binding from now on; the answers to what was asked for go into the request."""
        if request.outer is None and not request.ipv4_home_addresses:
            return None
        grant = self._assignments.grant(binding.home_address, request.subscriber, request.ipv4_home_addresses, now)
        request.ipv4_answers = grant.answers
        for answer in grant.answers:
            if answer.status >= Ipv4HomeAddressStatus.FAILURE_REASON_UNSPECIFIED:
                self._outbox.counters[f"ipv4_refused_{Ipv4HomeAddressStatus(answer.status).name.lower()}"] += 1
        return request.dual_stack(grant)

    def _bind(self, request: Request, binding: Binding, now: Now) -> None:
        binding.care_of_address = request.care_of_address
        self._interception.readdress(binding, self._ipv4_of(request, binding, now))
        self._cache.set_primary(binding, request.member)
        binding.switched = False
        binding.link_local = request.update.link_local_compatible and self._home_link.is_real
        self._cache.number_tunnel(binding)
        self._cache.add(binding)
        binding.version = _next_version(request, binding, now)
        status, advice_units = self._grant(request, binding, now)
        self._interception.begin(binding, now)
        self._accept(request, binding, status, now, binding.lifetime_units, advice_units)
        self._outbox.counters["bindings_created"] += 1
        self._outbox.notify(
            "binding_created",
            Level.INFO,
            binding.home_address,
            care_of_address=binding.care_of_address,
            lifetime_s=binding.lifetime_units * LIFETIME_UNIT_S,
            **_told_of_ipv4(binding),
        )

    def _update(self, request: Request, binding: Binding, now: Now) -> None:
        previous, previous_port = binding.care_of_address, binding.care_of_port
        moved = (request.care_of_address, request.care_of_port) != (previous, previous_port)
        binding.version = _next_version(request, binding, now)
        dual_stack = self._ipv4_of(request, binding, now)
        changed = request.member != binding.primary
        wanted = request.update.link_local_compatible and self._home_link.is_real
        if wanted != binding.link_local:
            self._interception.defend_link_local(binding, wanted, now)
        if moved or changed:
            # Who had to leave a member that is down may be moved once more: when that is back, or to who is nearer.
            binding.switched = not moved and (self._members is None or self._members.is_up(binding.primary))
            if self._switch is not None:
                self._switch.completed(binding.home_address, now)
        if moved or changed or dual_stack != binding.dual_stack:
            self._interception.turn(binding, request.care_of_address, dual_stack, request.member, now)
        if moved:
            self._outbox.counters["bindings_moved"] += 1
            self._outbox.notify(
                "binding_updated",
                Level.INFO,
                binding.home_address,
                care_of_address=binding.care_of_address,
                previous_care_of_address=previous,
                **_told_of_ipv4(binding),
            )
        elif changed:
            self._outbox.counters["bindings_switched"] += 1
            self._outbox.notify(
                "binding_switched", Level.INFO, binding.home_address, primary=self._roster.names[binding.primary]
            )
        else:
            self._outbox.counters["bindings_refreshed"] += 1
        status, advice_units = self._grant(request, binding, now)
        self._accept(request, binding, status, now, binding.lifetime_units, advice_units)

    def _detect(self, request: Request, binding: Binding, now: Now) -> None:
        self._cache.add(binding)
        self._take_newer(request, binding, now)

    def _take_newer(self, request: Request, binding: Binding, now: Now) -> None:
        _remember_last(request, binding)
        before = self._detecting.get(binding.home_address)
        self._detecting[binding.home_address] = request
        if before is None:
            self._home_link.detect(binding.home_address, request.update.link_local_compatible, now)
        elif request.update.link_local_compatible and not before.update.link_local_compatible:
            # The link-local address has not been tested yet.
            self._home_link.abandon(binding.home_address)
            self._home_link.detect(binding.home_address, True, now)

    def _unbind(self, request: Request, binding: Binding, now: Now) -> None:
        """The entry becomes the tombstone of what it was: it ends no later version."""
        self._interception.end(binding, now, at_once=False)
        if self._switch is not None:
            self._switch.completed(binding.home_address, now)
        self._outbox.counters["bindings_removed"] += 1
        self._outbox.notify(
            "binding_removed",
            Level.INFO,
            binding.home_address,
            care_of_address=binding.care_of_address,
            at_home=request.is_from_home,
        )
        self._acknowledge_again(request, binding, now)

    def _acknowledge_again(self, request: Request, binding: Binding, now: Now) -> None:
        _remember_last(request, binding)
        binding.lifetime_units = 0
        binding.ends_at = max(now.monotonic + MAX_DELETE_BCE_TIMEOUT_S, self._replay_ends_at(binding, now))
        if self._roster.is_set:
            binding.ends_at = max(binding.ends_at, now.monotonic + self._memory_s)
        self._cache.wheel.schedule(binding, binding.ends_at)
        self._accept(request, binding, BindingStatus.BINDING_UPDATE_ACCEPTED, now, 0)

    def _acknowledge_only(self, request: Request, binding: Binding, now: Now) -> None:
        """From where the mobile node is a former visitor only the time is learnt."""
        _remember_last(request, binding)
        self._outbox.counters["deregistrations_elsewhere"] += 1
        self._accept(request, binding, BindingStatus.BINDING_UPDATE_ACCEPTED, now, 0)

    def _refuse_unknown(self, request: Request, binding: Binding, now: Now) -> None:
        self._refuse(request, now, BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)

    def _abandon(self, request: Request, binding: Binding, now: Now) -> None:
        """De-registered while its home address was still being tested: there is no binding to remove."""
        self._home_link.abandon(binding.home_address)
        self._detecting.pop(binding.home_address, None)
        _remember_last(request, binding)
        self._remember(binding, now)
        self._refuse_unknown(request, binding, now)

    # --- steps on what happens by itself ---

    def happen(self, binding: Binding, event: Input, now: Now) -> None:
        step, following = TABLE[binding.state][event]
        if step is Step.IGNORE:
            return
        self._cache.move(binding, following)
        self._happened[step](binding, now)

    def _unique(self, home_address: Address, now: Now) -> None:
        binding, request = self._cache.get(home_address), self._detecting.pop(home_address, None)
        if binding is None or request is None:
            return
        _, following = TABLE[binding.state][Input.UNIQUE]
        self._cache.move(binding, following)
        self._bind(request, binding, now)

    def _duplicate(self, home_address: Address, now: Now) -> None:
        binding, request = self._cache.get(home_address), self._detecting.pop(home_address, None)
        if binding is None or request is None:
            return
        _, following = TABLE[binding.state][Input.DUPLICATE]
        self._cache.move(binding, following)
        self._remember(binding, now)
        self._refuse(request, now, BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED)

    def _replay_ends_at(self, binding: Binding, now: Now) -> float:
        """The monotonic time from which the last timestamp is too old to be replayed."""
        if not binding.timestamp:
            return now.monotonic
        too_old_at = wall_time(binding.timestamp) + self._settings.timestamp_window_s + CLOCK_MARGIN_S
        return now.monotonic + too_old_at - now.wall

    def _remember(self, binding: Binding, now: Now) -> None:
        """Keep what guards against replay, and in a set against older bindings, as long as it is needed, if it is."""
        self._set_memory(binding, now)
        if binding.ends_at > now.monotonic:
            self._cache.wheel.schedule(binding, binding.ends_at)
            self._safekeeping.keep(binding, now)
        else:
            self.happen(binding, Input.FORGET, now)

    def _set_memory(self, binding: Binding, now: Now) -> None:
        """From the end of a lifetime to the end of its memory."""
        if self._roster.is_set:
            # The lifetime stays, because it says when the binding was made.
            binding.ends_at += self._memory_s - binding.lifetime_units * LIFETIME_UNIT_S
        else:
            binding.lifetime_units = 0
            binding.ends_at = self._replay_ends_at(binding, now)

    def _expire(self, binding: Binding, now: Now) -> None:
        """Nothing is published: the end of a lifetime is the same moment everywhere."""
        self._end(binding, now)
        self._outbox.counters["bindings_expired"] += 1
        self._outbox.notify(
            "binding_expired",
            Level.INFO,
            binding.home_address,
            care_of_address=binding.care_of_address,
        )
        self._remember(binding, now)

    def _give_up(self, binding: Binding, now: Now) -> None:
        """The host could not make the binding true: refuse what was not yet acknowledged."""
        self._end(binding, now)
        self._remember(binding, now)
        request = self._safekeeping.withdraw(binding.home_address)
        if request is not None:
            self._refuse(request, now, BindingStatus.INSUFFICIENT_RESOURCES)

    def _end(self, binding: Binding, now: Now) -> None:
        self._interception.end(binding, now, at_once=True)
        if self._switch is not None:
            self._switch.completed(binding.home_address, now)

    def _forget(self, binding: Binding, now: Now) -> None:
        self._interception.forget(binding)
        self._cache.remove(binding)
        self._safekeeping.forget(binding)

    def failed(self, binding: Binding, now: Now) -> None:
        """Something that the binding needs could not be done. Another member's binding is not ours to end."""
        if binding.primary == self._roster.own:
            self.happen(binding, Input.FAILED, now)

    def wake(self, now: Now) -> None:
        """Look at the entries whose second has come."""
        for binding in self._cache.wheel.due(now.monotonic):
            if binding.state == State.DETECTING:
                continue
            if binding.ends_at <= now.monotonic:
                self.happen(binding, Input.EXPIRED if binding.state == State.BOUND else Input.FORGET, now)
            elif binding.state == State.BOUND:
                self._look(binding, now)
            else:
                self._cache.wheel.schedule(binding, binding.ends_at)

    def _look(self, binding: Binding, now: Now) -> None:
        """Ask for a refresh if it is time to, and ours to do, and come back later."""
        if self.next_look(binding) <= now.monotonic:
            binding.requests += 1
            if self._is_cared_for_by_us(binding):
                self.ask_for_refresh(binding)
        self._cache.wheel.schedule(binding, self.next_look(binding))

    def _is_cared_for_by_us(self, binding: Binding) -> bool:
        """Its primary home agent is; while that is not up, one member for all."""
        members = self._members
        if members is None or binding.primary == self._roster.own:
            return True
        return members.is_first and not members.is_up(binding.primary)

    def ask_for_refresh(self, binding: Binding, outer: Outer | None = None) -> None:
        """In the name of its primary home agent, who else would the mobile node believe? ``outer``: in this tunnel
        instead of the binding's."""
        self._outbox.counters["binding_refresh_requests_sent"] += 1
        packet = packet_to(
            binding, self._roster.addresses[binding.primary], self._settings.address_ipv4, BindingRefreshRequest()
        )
        if outer is not None:
            packet = replace(packet, destination=binding.home_address, routing_home_address=None, outer=outer)
        self._outbox.send(packet)

    # --- restart ---

    def restore(self, binding: Binding, primary: Address, now: Now) -> None:
        """Take up an entry that the journal kept, with its primary's locator; what is over is remembered or forgotten
        at the next wake, and what the configuration no longer has at once."""
        own = self._roster.own
        owner = self._admission.owner(binding.home_address)
        locators = self._roster.locators
        is_reachable = not is_ipv4(binding.care_of_address) or self._settings.address_ipv4 is not None
        if owner is None or (primary != UNSPECIFIED and primary not in locators) or not is_reachable:
            self._outbox.notify("binding_disowned", Level.WARNING, binding.home_address)
            self._safekeeping.forget(binding)
            return
        binding.primary = own if primary == UNSPECIFIED else locators.index(primary)
        binding.home_address = owner.home_address  # one object in memory for both
        state, binding.state = binding.state, State.ABSENT
        if state == State.BOUND:
            # The wall clock may have been set while we were away: never longer than was granted.
            binding.ends_at = min(binding.ends_at, now.monotonic + binding.lifetime_units * LIFETIME_UNIT_S)
            if binding.ends_at <= now.monotonic:
                state = State.REMEMBERED
                self._set_memory(binding, now)
        self._cache.add(binding)
        self._cache.move(binding, state)
        self._cache.wheel.schedule(binding, self.next_look(binding) if state == State.BOUND else binding.ends_at)
        self._safekeeping.count(binding)
        if state == State.BOUND:
            self._interception.claim(binding, now)


def _told_of_ipv4(binding: Binding) -> dict[str, str | int | bool | bytes]:
    """What an event says of it, where there is anything."""
    told: dict[str, str | int | bool | bytes] = {}
    if binding.encapsulation is not Encapsulation.IPV6:
        told["encapsulation"] = binding.encapsulation.name.lower()
        told["nat"] = binding.is_behind_nat
    if binding.care_of_port:
        told["care_of_port"] = binding.care_of_port
    if binding.home_address_ipv4 is not None:
        told["home_address_ipv4"] = binding.home_address_ipv4
    if binding.mobile_prefix is not None:
        told["mobile_prefix"] = format_prefix(*binding.mobile_prefix)
    return told


def _next_version(request: Request, binding: Binding, now: Now) -> int:
    """The version of what a registration makes of a binding (docs/ha-ha.md): the mobile node's time where it is proven,
    else ours, and greater than the version before in any case."""
    if request.message_id is not None and request.association is not None:
        time = request.message_id.timestamp
    else:
        time = ntp_timestamp(now.wall)
    return max(time, binding.version + 1)


def _remember_last(request: Request, binding: Binding) -> None:
    """What the next update must be greater than: where it was proven, the timestamp; and the sequence number, but that
    only among those to the same home agent."""
    if request.member == binding.primary:
        binding.sequence = request.update.sequence
    if request.message_id is not None and request.association is not None:
        binding.timestamp = request.message_id.timestamp
