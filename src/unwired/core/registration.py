"""Binding updates at the home agent: what is checked, in which order, and what each outcome does.

The order: what no answer may be given to (RFC 6275 sections 6.1.7 and 9.5.1), authentication and replay (RFC 4285
sections 5 and 6), the sequence number (9.5.1), the home agent's own tests (10.3.1, 10.3.2), then the step that
``binding_states.py`` has for the entry's state.

An acknowledgement that accepts is kept back until the journal has the binding: ``Persist`` and ``Persisted``.
"""

from collections import deque
from collections.abc import Callable

from unwired.core.acknowledgement import Request, acknowledge
from unwired.core.authentication import corrected_timestamp, is_authentic, is_fresh
from unwired.core.binding_cache import Binding, BindingCache, encode_record, is_newer, record_key
from unwired.core.binding_states import HAS_SEQUENCE, TABLE, Input, State, Step
from unwired.core.door import Now, Persist, Send
from unwired.core.home_link import HomeLink
from unwired.core.intercept import Interception
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings, SecurityAssociation, Subscriber
from unwired.core.subscribers import SubscriberLookup
from unwired.wire.address import UNSPECIFIED, Address, format_address, is_ipv4, is_multicast, is_unicast_routable
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc4285 import wall_time
from unwired.wire.rfc6275 import LIFETIME_UNIT_S, BindingRefreshRequest, BindingStatus, BindingUpdate

MAX_DELETE_BCE_TIMEOUT_S = 10.0
DETECTIONS_MAX = 4096
"""Home addresses tested at once; more are refused for lack of resources."""
TUNNELS_DEEP_MAX = 8
"""How many bindings whose care-of address is another's home address are followed when looking for a loop."""
REFRESH_REQUESTS = 2
"""Binding refresh requests before a lifetime ends (RFC 6275 section 9.5.5)."""
REFRESH_MARGIN_MAX_S = 20.0


class Registrar:
    """Receives binding updates and owns the cache's entries."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        subscribers: SubscriberLookup,
        cache: BindingCache,
        home_link: HomeLink,
        interception: Interception,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._subscribers = subscribers
        self._cache = cache
        self._home_link = home_link
        self._interception = interception
        self._outbox = outbox
        self._told = TokenBucket(rate=10.0, burst=50)
        self._token = 0
        self._kept_back: deque[tuple[int, Request, Send]] = deque()
        self._detecting: dict[Address, Request] = {}
        # A prefix is compared as a number; valid and preferred lifetimes go down to units of 4 s (section 10.3.1).
        self._prefixes = [
            (
                128 - prefix.length,
                int.from_bytes(prefix.prefix) >> (128 - prefix.length),
                prefix.valid_lifetime_s // LIFETIME_UNIT_S,
                prefix.preferred_lifetime_s // LIFETIME_UNIT_S,
            )
            for prefix in settings.home_prefixes
        ]
        self._lifetime_max_units = settings.lifetime_max_s // LIFETIME_UNIT_S
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

    # --- checks ---

    def receive(self, packet: Packet, update: BindingUpdate, interface: int, now: Now) -> None:
        """A binding update with a right checksum, sent to our address."""
        self._outbox.counters["binding_updates_received"] += 1
        request = Request(packet, update, interface)
        binding = self._cache.get(request.home_address)
        drop = self._reason_to_drop(request, binding)
        if drop is not None:
            self._outbox.drop(drop)
            return
        if request.association is not None:
            refusal = self._authenticate(request, binding, now)
            if refusal is not None:
                return
        subscriber = request.subscriber
        if subscriber is None or subscriber.home_address != request.home_address:
            self._refuse(
                request,
                now,
                BindingStatus.ADMINISTRATIVELY_PROHIBITED
                if self._prefix_of(request.home_address)
                else BindingStatus.NOT_HOME_SUBNET,
            )
            return
        if binding is None:
            # The subscriber's own bytes: one object in memory for both.
            binding = Binding(subscriber.home_address)
        elif binding.state in HAS_SEQUENCE:
            if not update.home_registration:
                # Section 9.5.1: a home registration can't become another kind of binding.
                self._refuse(request, now, BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED)
                return
            if not is_newer(update.sequence, binding.sequence):
                self._refuse(request, now, BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, binding.sequence)
                return
        if not update.home_registration:
            # Without a home registration this is route optimization, which a home agent does not take part in.
            self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
            return
        if update.lifetime_units:
            refusal = self._reason_to_refuse(request, binding)
            if refusal is not None:
                self._refuse(request, now, refusal)
                return
            event = self._register
        else:
            event = Input.DEREGISTER
        step, following = TABLE[binding.state][event]
        self._cache.move(binding, following)
        self._requested[step](request, binding, now)

    def _reason_to_drop(self, request: Request, binding: Binding | None) -> Drop | None:
        """What must be discarded silently; also finds the subscriber and the security association."""
        source, home_address, care_of_address = request.packet.source, request.home_address, request.care_of_address
        # What the cache has was checked before: that is what a refresh costs.
        if binding is None and not is_unicast_routable(home_address):
            return Drop.FORGED_SOURCE
        if (binding is None or care_of_address != binding.care_of_address) and (
            not is_unicast_routable(care_of_address) or is_ipv4(care_of_address)
        ):
            return Drop.FORGED_SOURCE
        if source != care_of_address and (is_multicast(source) or source == UNSPECIFIED):
            return Drop.FORGED_SOURCE
        if request.ambiguous:
            return Drop.AMBIGUOUS_OPTIONS
        subscribers = self._subscribers
        if request.identifier is not None:
            request.subscriber = subscribers.by_identifier(request.identifier.identifier)
        else:
            request.subscriber = subscribers.by_home_address(home_address)
        if request.authentication is None:
            return None if self._settings.insecure else Drop.NO_AUTHENTICATION
        request.association = self._association(request.subscriber, request.authentication.spi)
        return Drop.NO_SECURITY_ASSOCIATION if request.association is None else None

    def _association(self, subscriber: Subscriber | None, spi: int) -> SecurityAssociation | None:
        if subscriber is not None:
            for association in subscriber.associations:
                if association.spi == spi:
                    return association
        return None

    def _authenticate(self, request: Request, binding: Binding | None, now: Now) -> BindingStatus | None:
        """Check proof and freshness; a failure is answered and returned (RFC 4285 sections 5.1.1 and 6)."""
        association, option, message_id = request.association, request.authentication, request.message_id
        if (
            association is None
            or option is None
            or not is_authentic(option, request.packet.data, association, request.care_of_address, request.home_address)
        ):
            return self._refuse(request, now, BindingStatus.MIPV6_AUTH_FAIL)
        if message_id is None:
            return self._refuse(request, now, BindingStatus.MIPV6_MESG_ID_REQD)
        last = binding.timestamp if binding is not None and binding.timestamp else None
        if not is_fresh(message_id.timestamp, last, now.wall, self._settings.timestamp_window_s):
            return self._refuse(
                request,
                now,
                BindingStatus.MIPV6_ID_MISMATCH,
                timestamp=corrected_timestamp(message_id.timestamp, now.wall),
            )
        return None

    def _reason_to_refuse(self, request: Request, binding: Binding) -> BindingStatus | None:
        """The home agent's tests of a registration (RFC 6275 section 10.3.1)."""
        home_address, care_of_address = request.home_address, request.care_of_address
        if binding.state != State.BOUND and self._prefix_of(home_address) is None:
            return BindingStatus.NOT_HOME_SUBNET
        if home_address == self._settings.address:
            return BindingStatus.ADMINISTRATIVELY_PROHIBITED
        if request.is_from_home:
            # "A Home Address destination option MUST be present": from home there is nothing to tunnel to.
            return BindingStatus.REASON_UNSPECIFIED
        if binding.state != State.BOUND or care_of_address != binding.care_of_address:
            if care_of_address == self._settings.address or self._is_loop(home_address, care_of_address):
                return BindingStatus.INVALID_CARE_OF_ADDRESS
            if binding.state not in (State.BOUND, State.DETECTING) and (
                self._cache.in_use >= self._settings.bindings_max or self._home_link.detections >= DETECTIONS_MAX
            ):
                return BindingStatus.INSUFFICIENT_RESOURCES
        return None

    def _prefix_of(self, home_address: Address) -> tuple[int, int] | None:
        """Valid and preferred lifetime, in units of 4 s, of the home prefix that an address is in."""
        number = int.from_bytes(home_address)
        for shift, prefix, valid_units, preferred_units in self._prefixes:
            if number >> shift == prefix and valid_units:
                return valid_units, preferred_units
        return None

    def _is_loop(self, home_address: Address, care_of_address: Address) -> bool:
        """Whether a tunnel to the care-of address would lead back: through this very home address, or through the
        bindings of other mobile nodes at whose home addresses it is."""
        for _ in range(TUNNELS_DEEP_MAX):
            if care_of_address == home_address:
                return True
            inner = self._cache.get(care_of_address)
            if inner is None or inner.state != State.BOUND:
                return False
            care_of_address = inner.care_of_address
        return True

    # --- answers ---

    def _refuse(
        self,
        request: Request,
        now: Now,
        status: BindingStatus,
        sequence: int | None = None,
        timestamp: int | None = None,
    ) -> BindingStatus:
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
                care_of_address=format_address(request.care_of_address),
                source=format_address(request.packet.source),
            )
        return status

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
        """Set lifetime, sequence number and timestamp; the status and the refresh advice to acknowledge with."""
        update = request.update
        valid_units, preferred_units = self._prefix_of(binding.home_address) or (0, 0)
        units = min(update.lifetime_units, self._lifetime_max_units, valid_units)
        status = BindingStatus.BINDING_UPDATE_ACCEPTED
        if preferred_units < units or valid_units == units:
            status = BindingStatus.ACCEPTED_BUT_PREFIX_DISCOVERY_NECESSARY
        binding.sequence = update.sequence
        binding.lifetime_units = units
        if request.message_id is not None and request.association is not None:
            binding.timestamp = request.message_id.timestamp
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
            care_of_address=format_address(binding.care_of_address),
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
                care_of_address=format_address(binding.care_of_address),
                previous_care_of_address=format_address(previous),
            )
        else:
            self._outbox.counters["bindings_refreshed"] += 1
        self._accept(request, binding, status, now, advice_units)

    def _detect(self, request: Request, binding: Binding, now: Now) -> None:
        self._cache.add(binding)
        self._take_newer(request, binding, now)
        self._home_link.detect(binding.home_address, request.update.link_local_compatible, now)

    def _take_newer(self, request: Request, binding: Binding, now: Now) -> None:
        binding.sequence = request.update.sequence
        if request.message_id is not None and request.association is not None:
            binding.timestamp = request.message_id.timestamp
        self._detecting[binding.home_address] = request

    def _unbind(self, request: Request, binding: Binding, now: Now) -> None:
        self._interception.end(binding, now, at_once=False)
        self._outbox.counters["bindings_removed"] += 1
        self._outbox.notify(
            "binding_removed",
            Level.INFO,
            binding.home_address,
            care_of_address=format_address(binding.care_of_address),
            at_home=request.is_from_home,
        )
        self._acknowledge_again(request, binding, now)

    def _acknowledge_again(self, request: Request, binding: Binding, now: Now) -> None:
        binding.sequence = request.update.sequence
        binding.lifetime_units = 0
        if request.message_id is not None and request.association is not None:
            binding.timestamp = request.message_id.timestamp
        binding.ends_at = max(now.monotonic + MAX_DELETE_BCE_TIMEOUT_S, self._replay_ends_at(binding, now))
        self._cache.wheel.schedule(binding, binding.ends_at)
        self._accept(request, binding, BindingStatus.BINDING_UPDATE_ACCEPTED, now)

    def _refuse_unknown(self, request: Request, binding: Binding, now: Now) -> None:
        self._refuse(request, now, BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)

    def _abandon(self, request: Request, binding: Binding, now: Now) -> None:
        """De-registered while its home address was still being tested: there is no binding to remove."""
        self._home_link.abandon(binding.home_address)
        self._detecting.pop(binding.home_address, None)
        self._take_timestamp_and_leave(request, binding, now)
        self._refuse_unknown(request, binding, now)

    def _take_timestamp_and_leave(self, request: Request, binding: Binding, now: Now) -> None:
        if request.message_id is not None and request.association is not None:
            binding.timestamp = request.message_id.timestamp
        self._remember(binding, now)

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
        return now.monotonic + wall_time(binding.timestamp) + self._settings.timestamp_window_s - now.wall

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
            care_of_address=format_address(binding.care_of_address),
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

    def disown(self, binding: Binding) -> None:
        """Forget the record of a home address that no subscriber has any more."""
        self._outbox.notify("binding_disowned", Level.WARNING, binding.home_address)
        self._token += 1
        self._outbox.actions.append(Persist(self._token, record_key(binding.home_address), None))

    def restored(self, binding: Binding, now: Now) -> None:
        """Take up an entry that the journal kept; what is over is remembered or forgotten at the next wake."""
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
