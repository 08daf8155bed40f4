"""Two timer structures: few exact timers, and very many that are nearly always moved later before they are due."""

import heapq
import math
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from unwired.core.door import Now


class Agenda:
    """Exact one-shot timers for what is rare. Nothing is cancelled: a callback looks whether it is still wanted."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, callback: Callable[..., None], *arguments: Any) -> None:
        """Call ``callback(*arguments, now)`` at this monotonic time."""
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, callback, arguments))

    def deadline(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def run(self, now: Now) -> None:
        """Call what is due."""
        while self._heap and self._heap[0][0] <= now.monotonic:
            _, _, callback, arguments = heapq.heappop(self._heap)
            callback(*arguments, now)


class Scheduled(Protocol):
    """What a wheel holds: it remembers its own bucket."""

    bucket: "Bucket[Any] | None"


E = TypeVar("E", bound=Scheduled)


class Bucket(Generic[E]):
    """The entries to look at in one second."""

    __slots__ = ("at", "entries")

    def __init__(self, at: int) -> None:
        self.at = at
        self.entries: list[E] = []


class Wheel(Generic[E]):
    """Timers to the second for very many entries.

    An entry is in one bucket. One whose time has moved later stays where it is and is put into the right bucket when
    its turn comes, so that the refresh of a binding does not touch the wheel at all; one that has moved earlier leaves
    a stale place behind, which is skipped. The cost is 8 bytes and one reference per entry.
    """

    __slots__ = ("_buckets", "_order")

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket[E]] = {}
        self._order: list[int] = []

    def schedule(self, entry: E, when: float) -> None:
        """Have the entry come out of ``due`` at ``when`` or before."""
        at = math.ceil(when)
        current = entry.bucket
        if current is not None and current.at <= at:
            return
        bucket = self._buckets.get(at)
        if bucket is None:
            bucket = self._buckets[at] = Bucket(at)
            heapq.heappush(self._order, at)
        bucket.entries.append(entry)
        entry.bucket = bucket

    def deadline(self) -> float | None:
        return self._order[0] if self._order else None

    def due(self, now: float) -> list[E]:
        """The entries whose second has come; each is out of the wheel and to be scheduled again if it is not over."""
        found: list[E] = []
        while self._order and self._order[0] <= now:
            bucket = self._buckets.pop(heapq.heappop(self._order))
            for entry in bucket.entries:
                if entry.bucket is bucket:
                    entry.bucket = None
                    found.append(entry)
        return found
