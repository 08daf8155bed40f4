"""Virtual time: what is to happen, in order. Nothing waits; time jumps to the next thing."""

import heapq
from collections.abc import Callable

from unwired.core.door import Now

EPOCH_S = 1_800_000_000.0
"""The wall clock at virtual time 0, in seconds since 1970."""


class Timeline:
    """Callbacks at virtual times. Things at the same time happen in the order in which they were asked for."""

    def __init__(self) -> None:
        self.time = 0.0
        self._count = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def now(self, clock_error_s: float = 0.0) -> Now:
        """Both clocks; ``clock_error_s`` is how far a node's wall clock is ahead."""
        return Now(self.time, EPOCH_S + self.time + clock_error_s)

    def at(self, time: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(time, self.time), self._count, callback))

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.at(self.time + delay_s, callback)

    def run_until(self, time: float) -> None:
        """Let everything up to and including ``time`` happen."""
        while self._heap and self._heap[0][0] <= time:
            self.time, _, callback = heapq.heappop(self._heap)
            callback()
        self.time = max(self.time, time)

    def run_for(self, seconds: float) -> None:
        self.run_until(self.time + seconds)
