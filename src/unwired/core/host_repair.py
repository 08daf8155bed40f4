"""When to ask the host again for what it failed to do: all of it, later and later."""

REPAIR_DELAY_S = 1.0
REPAIR_DELAY_MAX_S = 60.0
"""Doubled from the first to the second."""


class HostRepair:
    """``at`` is when, monotonic; None: nothing failed."""

    def __init__(self) -> None:
        self.at: float | None = None
        self._delay_s = REPAIR_DELAY_S

    def failed(self, now: float) -> None:
        if self.at is None:
            self.at = now + self._delay_s
            self._delay_s = min(self._delay_s * 2, REPAIR_DELAY_MAX_S)

    def is_due(self, now: float) -> bool:
        """Whether it is time; says so once."""
        if self.at is None or self.at > now:
            return False
        self.at = None
        return True
