"""What the path of a tunnel carries, found out by packets of our own (RFC 8899).

Errors that say so may never come: routers drop them, and through UDP or behind a NAT they can be forged. So a probe, an
inner packet padded to a size that is sent with outer headers that forbid fragmentation, is answered by the other end or
it is not. Only an answer proves something; a probe that is too large says nothing unless a smaller one was answered at
the same time, because then the path is alive (section 4.3).

The search (section 5.3): the largest size and the base together. When the largest is answered that is all. When only
the base is, packets are limited to it at once, long before the largest is given up, and the largest that passes is
found by halving. After ten minutes what is larger is tried again (section 5.2, PMTU_RAISE_TIMER), and so is what is in
use.
"""

from enum import Enum

RAISE_S = 600.0
"""PMTU_RAISE_TIMER (section 5.1.1)."""
ANSWER_S = 1.0
"""How long an answer is waited for: PROBE_TIMER's least value (section 5.1.1). Its 15 s are for who doesn't know the
round trip time, and keep a large transfer waiting."""
LAG_MIN_S = 0.1
"""How much later than a small probe's answer that of a large one may come, which left with it: half a round trip, but
at least this. Then packets are limited, until it comes after all."""
TRIES = 3
"""MAX_PROBES (section 5.1.2): so often a size goes unanswered before it is too large."""
DEAD_RETRY_S = 15.0
"""When to begin again after not even the base was answered."""
SEARCH_INTERVAL_S = 5.0
"""From one search because of an error to the next one: anybody can send errors."""
PRECISION = 8
"""Bytes; the search ends when it knows the size to this."""


class _Phase(Enum):
    IDLE = "idle"
    """Nothing to find out."""
    SEARCH = "search"
    SETTLED = "settled"
    """The size is known, until it is time to look again."""
    DEAD = "dead"
    """Nothing was answered."""


class PathProber:
    """The search for one tunnel. Sizes are bytes of the inner packet; times are monotonic seconds.

    Whoever has it sends a probe for each size that ``probes`` gives, after every call, and says which was
    ``answered``. ``mtu`` is the largest inner packet to send, 0: whatever the first link takes; ``confirmed`` the
    largest one answered on this path, 0 when none was.
    """

    __slots__ = (
        "_asked_at",
        "_base",
        "_fails",
        "_largest",
        "_limit_at",
        "_passes",
        "_phase",
        "_queue",
        "_retry_s",
        "_searches_from",
        "_tries",
        "_until",
        "_waiting",
        "confirmed",
        "mtu",
    )

    def __init__(self) -> None:
        self.mtu = 0
        self.confirmed = 0
        self._phase = _Phase.IDLE
        self._largest = 0
        self._base = 0
        self._passes = 0
        """The largest size answered in this search, 0: none."""
        self._fails = 0
        """This size and what is larger does not pass."""
        self._waiting = 0
        """The size whose answer decides."""
        self._tries = 0
        self._retry_s = DEAD_RETRY_S
        self._asked_at = 0.0
        self._limit_at: float | None = None
        """When to limit packets to what passes, unless what is in use is answered."""
        self._searches_from = 0.0
        self._until: float | None = None
        self._queue: list[int] = []

    def begin(self, largest: int, base: int, now: float, known: int = 0) -> None:
        """Another path: ``largest`` is what its first link carries, ``base`` what every path does, ``known`` what it
        carried when it was used before, 0: as much as its link."""
        self._largest, self._base = largest, min(base, largest)
        self.mtu = known if self._base <= known < largest else 0
        self.confirmed = 0
        self._retry_s = DEAD_RETRY_S
        self._searches_from = now
        self._search(now)

    def doubt(self, now: float) -> None:
        """Something says that the path has changed: look again now. What was found holds meanwhile."""
        if self._phase in (_Phase.SETTLED, _Phase.DEAD):
            self._search(now)

    def stop(self) -> None:
        """There is no tunnel any more."""
        self._phase, self._until, self._limit_at = _Phase.IDLE, None, None
        self.mtu = self.confirmed = 0
        self._queue.clear()

    def lower(self, size: int, now: float) -> None:
        """An error said that the path carries inner packets of ``size`` only. That may be forged: it is believed down
        to the base, and the search finds out what is true (section 4.6.2)."""
        size = max(size, self._base)
        if self._phase is _Phase.IDLE or size >= (self.mtu or self._largest):
            return
        self.mtu = size
        if now >= self._searches_from:
            self._searches_from = now + SEARCH_INTERVAL_S
            self._search(now)
        elif self._phase is not _Phase.SEARCH:
            self._phase, self._until = _Phase.SETTLED, self._searches_from

    def answered(self, size: int, now: float) -> None:
        """A probe of this size came through."""
        if self._phase is _Phase.IDLE or not self._base <= size <= self._largest:
            return
        self.confirmed = max(self.confirmed, size)
        self._retry_s = DEAD_RETRY_S
        if self._phase is _Phase.DEAD:
            self._search(now)
        self._passes = max(self._passes, size)
        self._fails = max(self._fails, size + 1)
        if self.mtu and size > self.mtu:
            self.mtu = self._limit(size)
        if self._phase is _Phase.SEARCH and size >= self._waiting:
            self._next(now)
        elif self._in_use_is_silent():
            if self._limit_at is None:
                self._limit_at = now + max(LAG_MIN_S, (now - self._asked_at) / 2)
        else:
            self._limit_at = None

    @property
    def silent_tries(self) -> int:
        """How often in this search nothing at all was answered in time; ``TRIES`` at most."""
        if self._phase is _Phase.DEAD:
            return TRIES
        return self._tries - 1 if self._phase is _Phase.SEARCH and not self._passes else 0

    def probes(self) -> list[int]:
        """The sizes to send now, each given once."""
        queue, self._queue = self._queue, []
        return queue

    @property
    def is_searching(self) -> bool:
        return self._phase is _Phase.SEARCH

    def deadline(self) -> float | None:
        return min((time for time in (self._until, self._limit_at) if time is not None), default=None)

    def wake(self, now: float) -> None:
        if self._limit_at is not None and self._limit_at <= now:
            self._limit_at = None
            # Large transfers must not wait until it is certain that what is in use does not pass.
            self.mtu = self.confirmed = self._passes
        if self._until is None or self._until > now:
            return
        if self._phase is not _Phase.SEARCH:
            self._search(now)
            return
        if self._tries < TRIES:
            self._ask(now)
        elif self._passes:
            self._fails = self._waiting
            self._next(now)
        else:
            self._phase, self._until = _Phase.DEAD, now + self._retry_s
            self._retry_s = min(self._retry_s * 2, RAISE_S)

    def _in_use_is_silent(self) -> bool:
        """Something smaller passes, and what packets are limited to has not been answered."""
        return self._phase is _Phase.SEARCH and bool(self._passes) and not 0 < self.mtu <= self._passes

    # --- the search ------------------------------------------------------------------------------------------------

    def _search(self, now: float) -> None:
        self._phase, self._limit_at = _Phase.SEARCH, None
        self._passes, self._fails = 0, self._largest + 1
        self._try(self._largest, now)

    def _next(self, now: float) -> None:
        """Half way from what passes to what does not."""
        if self._fails - self._passes > PRECISION:
            self._try((self._passes + self._fails) // 2, now)
            return
        self.mtu, self._limit_at = self._limit(self._passes), None
        self._phase, self._until = _Phase.SETTLED, now + RAISE_S
        self._queue.clear()

    def _limit(self, size: int) -> int:
        return 0 if size == self._largest else size

    def _try(self, size: int, now: float) -> None:
        self._waiting, self._tries = size, 0
        self._ask(now)

    def _ask(self, now: float) -> None:
        self._tries += 1
        self._asked_at = now
        # Beside it what is in use, which is to be confirmed, and the base, which tells a narrow path from a dead one.
        beside = {self.mtu, self._base} if not self._passes else {self.mtu}
        self._queue = [
            self._waiting,
            *sorted((one for one in beside if self._passes < one < self._waiting), reverse=True),
        ]
        self._until = now + ANSWER_S
