"""Binding updates at the home agent: what each one that is taken does to the entry of its home address.

``admission.py`` says which are taken, ``binding_states.py`` which step follows from the entry's state. An
acknowledgement that accepts is kept back until the journal has the binding: ``Persist`` and ``Persisted``.
"""

from collections import deque
from collections.abc import Callable

from unwired.core.acknowledgement import Request, acknowledge
from unwired.core.admission import Admission
from unwired.core.binding_cache import Binding, BindingCache, encode_record, record_key
from unwired.core.binding_states import TABLE, Input, State, Step
from unwired.core.door import Now, Persist, Send
from unwired.core.home_link import HomeLink
from unwired.core.intercept import Interception
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import Address
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc4285 import wall_time
from unwired.wire.rfc6275 import LIFETIME_UNIT_S, BindingRefreshRequest, BindingStatus, BindingUpdate

MAX_DELETE_BCE_TIMEOUT_S = 10.0
CLOCK_MARGIN_S = 1.0
"""How much longer a timestamp is kept than needed, should our clock be set back a little."""
REFRESH_REQUESTS = 2
"""Binding refresh requests before a lifetime ends (RFC 6275 section 9.5.5)."""
REFRESH_MARGIN_MAX_S = 20.0


class Registrar:
    """Receives binding updates and owns the cache's entries."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        admission: Admission,
        cache: BindingCache,
        home_link: HomeLink,
        interception: Interception,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._cache = cache
        self._home_link = home_link
        self._interception = interception
        self._outbox = outbox
        self._told = TokenBucket(rate=10.0, burst=50)
        self._token = 0
        self._kept_back: deque[tuple[int, Request, Send]] = deque()
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
        }
        self._happened: dict[Step, Callable[[Binding, Now], None]] = {
            Step.EXPIRE: self._expire,
            Step.GIVE_UP: self._give_up,
            Step.FORGET: self._forget,
        }
        home_link.unique = self._unique
        home_link.duplicate = self._duplicate

    @property
    def kept_back(self) -> int:
        """How many acknowledgements wait for the journal."""
        return len(self._kept_back)

    def receive(self, packet: Packet, update: BindingUpdate, interface: int, now: Now) -> None:
        """A binding update with a right checksum, sent to our address."""
        self._outbox.counters["binding_updates_received"] += 1
        request = Request(packet, update, interface)
        binding = self._cache.get(request.home_address)
        verdict = self._admission.check(request, binding, now)
        if verdict is not None:
            if isinstance(verdict, Drop):
                self._outbox.drop(verdict)
            else:
                self._refuse(request, now, *verdict)
            return
        if binding is None:
            # The subscriber's own bytes, if we know it: one object in memory for both.
            subscriber = request.subscriber
            binding = Binding(request.home_address if subscriber is None else subscriber.home_address)
        event = self._register if update.lifetime_units else Input.DEREGISTER
        step, following = TABLE[binding.state][event]
        self._cache.move(binding, following)
        self._requested[step](request, binding, now)

    # --- answers ---

    def _refuse(
        self,
        request: Request,
        now: Now,
        status: BindingStatus,
        sequence: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        sequence = request.update.sequence if sequence is None else sequence
        own_address = self._settings.address
        self._outbox.actions.append(acknowledge(request, own_address, status, sequence, timestamp=timestamp))
        self._outbox.counters[f"refused_{status.name.lower()}"] += 1
        # Anybody may cause refusals: all are counted, some are told.
        if self._told.take(now.monotonic):
            self._outbox.notify(
                "registration_refused",
                Level.DEBUG if status == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW else Level.INFO,
                request.home_address,
                status=int(status),
                reason=status.name.lower(),
                care_of_address=request.care_of_address,
                source=request.packet.source,
            )

    def _accept(self, request: Request, binding: Binding, status: int, now: Now, advice_units: int = 0) -> None:
        """Write the binding down and acknowledge it when that is done."""
        token = self._persist(binding, now)
        answer = acknowledge(
            request,
            self._settings.address,
            status,
            request.update.sequence,
            binding.lifetime_units,
            refresh_advice_units=advice_units,
        )
        self._kept_back.append((token, request, answer))

    def _persist(self, binding: Binding, now: Now, keep: bool = True) -> int:
        self._token += 1
        record = encode_record(binding, now) if keep else None
        self._outbox.actions.append(Persist(self._token, record_key(binding.home_address), record))
        return self._token

    def persisted(self, token: int) -> None:
        """Release the acknowledgements that the journal was waited for, unless the binding ended meanwhile."""
        kept_back = self._kept_back
        while kept_back and kept_back[0][0] <= token:
            _, request, answer = kept_back.popleft()
            if request.update.lifetime_units:
                binding = self._cache.get(request.home_address)
                if binding is None or binding.state != State.BOUND:
                    continue
            self._outbox.actions.append(answer)
            self._outbox.counters["binding_updates_accepted"] += 1

    def not_persisted(self, token: int, reason: str) -> None:
        """The journal failed: what was not written is not acknowledged. The mobile node asks again."""
        self._kept_back = deque(item for item in self._kept_back if item[0] != token)
        self._outbox.counters["journal_failures"] += 1
        self._outbox.notify("journal_failed", Level.ERROR, reason=reason)

    # --- steps on a binding update ---

    def _grant(self, request: Request, binding: Binding, now: Now) -> tuple[BindingStatus, int]:
        """Set lifetime, sequence number, timestamp and timer; the status and the refresh advice to acknowledge with."""
        update = request.update
        status, units = self._admission.grant(binding.home_address, update.lifetime_units)
        _remember_last(request, binding)
        binding.lifetime_units = units
        binding.requests = 0
        binding.ends_at = now.monotonic + units * LIFETIME_UNIT_S
        self._cache.wheel.schedule(binding, self._next_look(binding))
        advice_units = self._settings.refresh_advice_s // LIFETIME_UNIT_S
        return status, advice_units if advice_units < units else 0

    def _next_look(self, binding: Binding) -> float:
        """When to send the next binding refresh request, or to end the binding."""
        if binding.requests >= REFRESH_REQUESTS:
            return binding.ends_at
        margin_s = min(REFRESH_MARGIN_MAX_S, binding.lifetime_units * LIFETIME_UNIT_S / 8)
        return binding.ends_at - margin_s / (1 << binding.requests)

    def _bind(self, request: Request, binding: Binding, now: Now) -> None:
        binding.care_of_address = request.care_of_address
        binding.link_local = request.update.link_local_compatible and self._home_link.is_real
        self._cache.number_tunnel(binding)
        self._cache.add(binding)
        status, advice_units = self._grant(request, binding, now)
        self._interception.begin(binding, now)
        self._accept(request, binding, status, now, advice_units)
        self._outbox.counters["bindings_created"] += 1
        self._outbox.notify(
            "binding_created",
            Level.INFO,
            binding.home_address,
            care_of_address=binding.care_of_address,
            lifetime_s=binding.lifetime_units * LIFETIME_UNIT_S,
        )

    def _update(self, request: Request, binding: Binding, now: Now) -> None:
        status, advice_units = self._grant(request, binding, now)
        wanted = request.update.link_local_compatible and self._home_link.is_real
        if wanted != binding.link_local:
            self._interception.defend_link_local(binding, wanted, now)
        if request.care_of_address != binding.care_of_address:
            previous = binding.care_of_address
            self._interception.move(binding, request.care_of_address, now)
            self._outbox.counters["bindings_moved"] += 1
            self._outbox.notify(
                "binding_updated",
                Level.INFO,
                binding.home_address,
                care_of_address=binding.care_of_address,
                previous_care_of_address=previous,
            )
        else:
            self._outbox.counters["bindings_refreshed"] += 1
        self._accept(request, binding, status, now, advice_units)

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
        self._interception.end(binding, now, at_once=False)
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
        self._cache.wheel.schedule(binding, binding.ends_at)
        self._accept(request, binding, BindingStatus.BINDING_UPDATE_ACCEPTED, now)

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

    def _happen(self, binding: Binding, event: Input, now: Now) -> None:
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
        """Keep what guards against replay for as long as it is needed, if it is."""
        binding.lifetime_units = 0
        binding.ends_at = self._replay_ends_at(binding, now)
        if binding.ends_at > now.monotonic:
            self._cache.wheel.schedule(binding, binding.ends_at)
            self._persist(binding, now)
        else:
            self._happen(binding, Input.FORGET, now)

    def _expire(self, binding: Binding, now: Now) -> None:
        self._interception.end(binding, now, at_once=True)
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
        self._interception.end(binding, now, at_once=True)
        self._remember(binding, now)
        waiting = [item for item in self._kept_back if item[1].home_address == binding.home_address]
        self._kept_back = deque(item for item in self._kept_back if item[1].home_address != binding.home_address)
        for _, request, _ in waiting[-1:]:
            self._refuse(request, now, BindingStatus.INSUFFICIENT_RESOURCES)

    def _forget(self, binding: Binding, now: Now) -> None:
        self._interception.forget(binding)
        self._cache.remove(binding)
        self._persist(binding, now, keep=False)

    def failed(self, binding: Binding, now: Now) -> None:
        """Something that the binding needs could not be done."""
        self._happen(binding, Input.FAILED, now)

    def wake(self, now: Now) -> None:
        """Look at the entries whose second has come."""
        for binding in self._cache.wheel.due(now.monotonic):
            if binding.state == State.DETECTING:
                continue
            if binding.ends_at <= now.monotonic:
                self._happen(binding, Input.EXPIRED if binding.state == State.BOUND else Input.FORGET, now)
            elif binding.state == State.BOUND:
                self._look(binding, now)
            else:
                self._cache.wheel.schedule(binding, binding.ends_at)

    def _look(self, binding: Binding, now: Now) -> None:
        """Ask for a refresh if it is time to, and come back later."""
        if self._next_look(binding) <= now.monotonic:
            binding.requests += 1
            self._outbox.counters["binding_refresh_requests_sent"] += 1
            # To the home address by way of the care-of address, as all that we send to it (section 9.3.2).
            self._outbox.send(
                Packet(
                    self._settings.address,
                    binding.care_of_address,
                    BindingRefreshRequest(),
                    routing_home_address=binding.home_address,
                )
            )
        self._cache.wheel.schedule(binding, self._next_look(binding))

    # --- restart ---

    def restore(self, binding: Binding, now: Now) -> None:
        """Take up an entry that the journal kept; what is over is remembered or forgotten at the next wake, and what
        the configuration no longer has at once."""
        owner = self._admission.owner(binding.home_address)
        if owner is None:
            self._outbox.notify("binding_disowned", Level.WARNING, binding.home_address)
            self._persist(binding, now, keep=False)
            return
        binding.home_address = owner.home_address  # one object in memory for both
        state, binding.state = binding.state, State.ABSENT
        if state == State.BOUND:
            # The wall clock may have been set while we were away: never longer than was granted.
            binding.ends_at = min(binding.ends_at, now.monotonic + binding.lifetime_units * LIFETIME_UNIT_S)
            if binding.ends_at <= now.monotonic:
                state = State.REMEMBERED
                binding.ends_at = self._replay_ends_at(binding, now)
        self._cache.add(binding)
        self._cache.move(binding, state)
        self._cache.wheel.schedule(binding, self._next_look(binding) if state == State.BOUND else binding.ends_at)


def _remember_last(request: Request, binding: Binding) -> None:
    """What the next update must be greater than: sequence number and, where it was proven, timestamp."""
    binding.sequence = request.update.sequence
    if request.message_id is not None and request.association is not None:
        binding.timestamp = request.message_id.timestamp
