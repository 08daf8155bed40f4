"""What other members of the set know, taken into the binding cache: the newer record wins (``GlobalBinding.order``).

A member may be broken or its clock wrong: what could not be, or could not be undone by a later record, is refused under
a name (``Refused``) and told. Everything else needs no proof, because only members are heard here.
"""

from collections.abc import Callable
from enum import StrEnum

from unwired.core.admission import Admission
from unwired.core.binding_cache import Binding, BindingCache, order_of
from unwired.core.binding_states import TABLE, Input, State, Step
from unwired.core.door import BindingsReceived, Now
from unwired.core.durability import Safekeeping
from unwired.core.global_binding import GlobalBinding
from unwired.core.intercept import Interception
from unwired.core.ipv4_assignment import Ipv4Assignments
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.replica import memory_s
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings
from unwired.core.subscribers import SubscriberLookup
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, Address, is_ipv4, is_unicast_routable, network
from unwired.wire.rfc4285 import ntp_timestamp
from unwired.wire.rfc6275 import LIFETIME_UNIT_S
from unwired.wire.state_synchronization import DualStack

CLOCK_AHEAD_MAX_S = 3600.0
"""How far ahead of our clock a version may be. One that is farther would keep out every later registration."""
_ERA = 1 << 64
_UINT16 = 1 << 16


class Refused(StrEnum):
    """Why a record of another member is not taken."""

    UNKNOWN_PRIMARY = "unknown_primary"
    """Its primary home agent's locator is no member's."""
    NOT_A_HOME_ADDRESS = "not_a_home_address"
    """Its home address is in no home prefix, or a home agent's."""
    BAD_CARE_OF_ADDRESS = "bad_care_of_address"
    """No unicast address, or one that leads back to a home agent or a home address."""
    BAD_IPV4 = "bad_ipv4"
    """An IPv4 home address, a mobile prefix or a mobile node's own IPv4 care-of address that can be none."""
    IN_THE_FUTURE = "in_the_future"
    """Its version or its timestamp is further ahead than clocks may differ."""
    LASTS_TOO_LONG = "lasts_too_long"
    """It ends later than any lifetime or tombstone that is given here."""
    OUT_OF_RANGE = "out_of_range"
    """A number that no message can carry."""
    NO_ROOM = "no_room"
    """This member has as many bindings as it may."""


class Merger:
    """Receives other members' records. ``turned`` is called with a home address whose binding moved, changed its
    primary or ended; ``is_current()``: whether we have what the others have, so that a record is news."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        subscribers: SubscriberLookup,
        admission: Admission,
        cache: BindingCache,
        interception: Interception,
        assignments: Ipv4Assignments,
        safekeeping: Safekeeping,
        outbox: Outbox,
        next_look: Callable[[Binding], float],
    ) -> None:
        self._own = roster.own
        self._locators = roster.locators
        self._numbers = {roster.locators[number]: number for number in roster.numbers}
        self._names = roster.names
        self._subscribers = subscribers
        self._admission = admission
        self._cache = cache
        self._interception = interception
        self._assignments = assignments
        self._has_ipv4 = settings.address_ipv4 is not None
        self._safekeeping = safekeeping
        self._outbox = outbox
        self._next_look = next_look
        self._bindings_max = settings.bindings_max
        self._binding_s = settings.lifetime_max_s + settings.timestamp_window_s
        self._memory_s = memory_s(settings)
        self._tombstone_s = self._memory_s + settings.timestamp_window_s
        self._told = TokenBucket(rate=1.0, burst=10)
        self._learnt: dict[Step, Callable[[GlobalBinding, Binding, int, State, Now], None]] = {
            Step.ADOPT: self._adopt,
            Step.FOLLOW: self._follow,
            Step.BURY: self._bury,
            Step.IGNORE: lambda record, binding, primary, before, now: None,
        }
        self.turned: Callable[[Address, Now], None] = lambda home_address, now: None
        self.is_current: Callable[[], bool] = lambda: False

    def receive(self, event: BindingsReceived, now: Now) -> None:
        """Records from a member; told to it when they are durable here."""
        latest = ntp_timestamp(now.wall + CLOCK_AHEAD_MAX_S)
        refused = tuple(
            record.home_address for record in event.records if not self._receive(record, event.member, latest, now)
        )
        self._outbox.counters["global_bindings_received"] += len(event.records)
        self._safekeeping.confirm(event.member, event.position, refused)

    def _receive(self, record: GlobalBinding, member: int, latest: int, now: Now) -> bool:
        """Whether it, or what is newer, is held here now, or need not be any more."""
        binding = self._cache.get(record.home_address)
        primary = self._numbers.get(record.primary, 0)
        reason = self._reason_to_refuse(record, primary, binding, latest, now)
        if reason is not None:
            self._refuse(reason, record, member, now)
            return False
        is_over = record.ends_at <= now.wall
        if binding is None:
            if is_over and self._memory_ends_at(record) <= now.wall:
                self._outbox.counters["global_bindings_old"] += 1
                return True
            owner = self._subscribers.by_home_address(record.home_address)
            if owner is None:
                # One list for the whole set, but it is not changed everywhere in the same moment.
                self._outbox.counters["global_bindings_of_no_subscriber"] += 1
            binding = Binding(record.home_address if owner is None else owner.home_address)
        elif not self._is_newer(record, binding):
            if record.timestamp > binding.timestamp:
                binding.timestamp = record.timestamp
                self._safekeeping.keep(binding, now)
            self._outbox.counters["global_bindings_old"] += 1
            return True
        event = Input.LEARN_DELETED if record.deleted else Input.LEARN_OVER if is_over else Input.LEARN
        before = binding.state
        step, following = TABLE[before][event]
        self._cache.move(binding, following)
        self._learnt[step](record, binding, primary, before, now)
        return True

    def _memory_ends_at(self, record: GlobalBinding) -> float:
        """Until when a record whose lifetime is over must beat older ones; a tombstone says so itself."""
        if record.deleted:
            return record.ends_at
        return record.ends_at - record.lifetime_units * LIFETIME_UNIT_S + self._memory_s

    def _is_newer(self, record: GlobalBinding, binding: Binding) -> bool:
        if record.version != binding.version:
            return record.version > binding.version
        return record.order > order_of(binding, self._locators)

    def _reason_to_refuse(
        self, record: GlobalBinding, primary: int, binding: Binding | None, latest: int, now: Now
    ) -> Refused | None:
        if not primary:
            return Refused.UNKNOWN_PRIMARY
        if not (
            0 <= record.sequence < _UINT16
            and 0 <= record.lifetime_units < _UINT16
            and 0 <= record.version < _ERA
            and 0 <= record.timestamp < _ERA
        ):
            return Refused.OUT_OF_RANGE
        # Differences, because NTP's seconds begin again in 2036.
        if 0 < (record.version - latest) % _ERA < _ERA >> 1 or (
            record.timestamp and 0 < (record.timestamp - latest) % _ERA < _ERA >> 1
        ):
            return Refused.IN_THE_FUTURE
        # Not a number is neither less nor more.
        if not record.ends_at <= now.wall + (self._tombstone_s if record.deleted else self._binding_s):
            return Refused.LASTS_TOO_LONG
        if binding is None and not self._admission.is_servable(record.home_address):
            return Refused.NOT_A_HOME_ADDRESS
        if (binding is None or record.care_of_address != binding.care_of_address) and (
            not is_unicast_routable(record.care_of_address)
            or (is_ipv4(record.care_of_address) and not self._has_ipv4)
            or self._admission.leads_back(record.care_of_address)
        ):
            return Refused.BAD_CARE_OF_ADDRESS
        if record.dual_stack is not None and not _is_sound(record.dual_stack):
            return Refused.BAD_IPV4
        if binding is None or binding.state != State.BOUND:
            is_full = not record.deleted and self._cache.in_use >= self._bindings_max
            if is_full or (binding is None and len(self._cache) >= 2 * self._bindings_max):
                return Refused.NO_ROOM
        return None

    def _refuse(self, reason: Refused, record: GlobalBinding, member: int, now: Now) -> None:
        self._outbox.counters[f"global_bindings_refused_{reason.value}"] += 1
        if self._told.take(now.monotonic):
            self._outbox.notify(
                "global_binding_refused",
                Level.WARNING,
                record.home_address,
                reason=reason.value,
                member=self._names[member] if 0 < member < len(self._names) else "",
                care_of_address=record.care_of_address,
                primary=record.primary,
            )

    # --- steps ---

    def _adopt(self, record: GlobalBinding, binding: Binding, primary: int, before: State, now: Now) -> None:
        binding.care_of_address = record.care_of_address
        self._interception.readdress(binding, record.dual_stack)
        self._cache.set_primary(binding, primary)
        self._cache.number_tunnel(binding)
        self._cache.add(binding)
        self._take(record, binding, now)
        self._interception.begin(binding, now)
        self._outbox.counters["global_bindings_learnt"] += 1
        self._tell(binding)

    def _follow(self, record: GlobalBinding, binding: Binding, primary: int, before: State, now: Now) -> None:
        place = record.care_of_address, primary, record.dual_stack
        if place != (binding.care_of_address, binding.primary, binding.dual_stack):
            binding.version = record.version
            self._interception.turn(binding, record.care_of_address, record.dual_stack, primary, now)
            self.turned(binding.home_address, now)
            self._tell(binding)
        self._take(record, binding, now)
        self._outbox.counters["global_bindings_followed"] += 1

    def _bury(self, record: GlobalBinding, binding: Binding, primary: int, before: State, now: Now) -> None:
        """It has ended, and is remembered as long as what is older could come back."""
        if before == State.BOUND:
            self._interception.end(binding, now, at_once=not record.deleted)
            self.turned(binding.home_address, now)
        self._cache.add(binding)
        binding.care_of_address = record.care_of_address
        self._interception.readdress(binding, record.dual_stack)
        self._assignments.learn_what_is_free(
            binding.home_address, binding.home_address_ipv4, binding.mobile_prefix, now
        )
        self._cache.set_primary(binding, primary)
        self._take(record, binding, now)
        self._outbox.counters["global_bindings_buried"] += 1

    def _tell(self, binding: Binding) -> None:
        """A binding is new, or elsewhere, or another member's; refreshes and all that there was before are no news."""
        if self.is_current():
            self._outbox.notify(
                "global_binding_stored",
                Level.DEBUG,
                binding.home_address,
                care_of_address=binding.care_of_address,
                primary=self._names[binding.primary],
            )

    def _take(self, record: GlobalBinding, binding: Binding, now: Now) -> None:
        """The rest of a record that won."""
        binding.version = record.version
        timestamp = max(record.timestamp, binding.timestamp)
        binding.timestamp = record.version if timestamp == record.version else timestamp  # one object in memory
        binding.sequence = record.sequence
        binding.lifetime_units = record.lifetime_units
        binding.link_local = False
        binding.switched = record.switched
        binding.requests = 0
        ends_at = self._memory_ends_at(record) if binding.state == State.REMEMBERED else record.ends_at
        binding.ends_at = ends_at - now.wall + now.monotonic
        when = self._next_look(binding) if binding.state == State.BOUND else binding.ends_at
        self._cache.wheel.schedule(binding, when)
        self._safekeeping.keep(binding, now)


def _is_sound(dual_stack: DualStack) -> bool:
    """Whether the addresses can be what they are said to be; what is left out is sound."""
    prefix, length = dual_stack.mobile_prefix, dual_stack.mobile_prefix_length
    addresses = dual_stack.private_care_of_address, dual_stack.home_address
    return all(address == UNSPECIFIED_IPV4 or is_unicast_routable(address) for address in addresses) and (
        (prefix == UNSPECIFIED_IPV4 and not length)
        or (IPV4_BITS < length <= 128 and is_unicast_routable(prefix) and prefix == network(prefix, length))
    )
