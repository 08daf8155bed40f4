"""The binding cache as one of a home agent set's replicas: what sums it up, and its records for the other members.

Two members find out what one lacks by the digests of their buckets of home addresses, so that nothing need be
remembered about a member while it can't be reached. A digest covers what decides which record is newer
(``GlobalBinding.order``) and what guards against replay; it is the exclusive or over the records of a bucket and kept
up to date with each change.

An entry stays in the digests until it is forgotten, also when its lifetime is over: what has expired here must beat an
older binding with a longer lifetime that another member still has.
"""

import struct
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from zlib import crc32

from unwired.core.binding_cache import Binding, BindingCache, order_of, to_global
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.global_binding import GlobalBinding
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import Address
from unwired.wire.rfc6275 import LIFETIME_UNIT_S

BUCKETS = 4096
"""Part of what members must agree on."""
CLOCK_MARGIN_S = 1.0
"""How much longer a timestamp is kept than needed, should our clock be set back a little."""
_PACKED = struct.Struct("!16sQQ16s?16sHH")
_RECORDED = frozenset({State.BOUND, State.DELETED, State.REMEMBERED})


def bucket_of(home_address: Address) -> int:
    """The bucket of a home address, the same at every member."""
    return crc32(home_address) % BUCKETS


def memory_s(settings: HomeAgentSettings) -> float:
    """For how long a registration or de-registration is remembered by a set, in seconds after it was made: until no
    older binding can be alive anywhere, and until no binding update before it is fresh enough to be replayed."""
    return settings.lifetime_max_s + 2 * settings.timestamp_window_s + CLOCK_MARGIN_S


class Replica:
    """A ``BindingStore``. ``clock`` gives the engine's time."""

    def __init__(
        self, settings: HomeAgentSettings, roster: Roster, cache: BindingCache, clock: Callable[[], Now]
    ) -> None:
        self._cache = cache
        self._locators = roster.locators
        self._clock = clock
        self._memory_s = memory_s(settings)
        self._digests = [0] * BUCKETS
        self._counted: list[dict[Address, int]] = [{} for _ in range(BUCKETS)]
        """By bucket, what each home address adds to its digest."""

    def count(self, binding: Binding) -> None:
        """An entry is new, has changed or is gone."""
        bucket = bucket_of(binding.home_address)
        counted = self._counted[bucket]
        before = counted.get(binding.home_address, 0)
        if binding.state in _RECORDED:
            after = counted[binding.home_address] = self._digest(binding)
        elif before:
            after = 0
            del counted[binding.home_address]
        else:
            return
        self._digests[bucket] ^= before ^ after

    def digests(self) -> list[int]:
        return self._digests.copy()

    def in_buckets(self, buckets: frozenset[int]) -> list[Address]:
        return [address for bucket in sorted(buckets) for address in self._counted[bucket]]

    def record(self, home_address: Address) -> GlobalBinding | None:
        """An expired binding has an ``ends_at`` that is over."""
        binding = self._cache.get(home_address)
        if binding is None or binding.state not in _RECORDED:
            return None
        now = self._clock()
        record = to_global(binding, self._locators, now)
        if binding.state != State.REMEMBERED:
            return record
        made_at = record.ends_at - self._memory_s
        return replace(record, ends_at=min(now.wall, made_at + binding.lifetime_units * LIFETIME_UNIT_S))

    def _digest(self, binding: Binding) -> int:
        *order, dual_stack = order_of(binding, self._locators)
        packed = _PACKED.pack(binding.home_address, binding.timestamp, *order) + dual_stack
        return int.from_bytes(blake2b(packed, digest_size=8).digest())
