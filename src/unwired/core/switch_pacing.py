"""How many Home Agent Switches may be under way to one target at once: the feedback loop of RFC 5142 section 7.

A mobile node that is switched registers with the target, which tells in each HELLO how many more it takes (room). On
top of that stands a window, as TCP's: one more for each switch that is completed while the window is what limits,
half when a switch is not answered in time or when the target has no room. What is under way never exceeds either.
"""

WINDOW_FIRST = 8
HALVED_LEAST_S = 1.0
"""The least time between two halvings: what happens at once has one reason."""


class Pace:
    """For one target. ``under_way`` counts switches sent and neither completed nor timed out."""

    __slots__ = ("_halved_at", "under_way", "window")

    def __init__(self) -> None:
        self.window = WINDOW_FIRST
        self.under_way = 0
        self._halved_at = float("-inf")

    def may_send(self, room: int) -> bool:
        return self.under_way < self.window and self.under_way < room

    def sent(self) -> None:
        self.under_way += 1

    def completed(self) -> None:
        if self.under_way >= self.window:
            self.window += 1
        self.under_way -= 1

    def timed_out(self, now: float) -> None:
        self.under_way -= 1
        self.halve(now)

    def halve(self, now: float) -> None:
        if now - self._halved_at >= HALVED_LEAST_S:
            self._halved_at = now
            self.window = max(1, self.window // 2)
