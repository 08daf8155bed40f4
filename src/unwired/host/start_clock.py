"""How long the parts of a start take: a daemon that was killed has to be back soon."""

import os
import time
from pathlib import Path


class StartClock:
    """``parts`` are seconds by name, in the order in which they followed each other since the process began."""

    def __init__(self) -> None:
        started_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        self._last = started_ticks / os.sysconf("SC_CLK_TCK")
        self.parts: dict[str, float] = {}

    def end(self, part: str) -> None:
        """What was done since the last part's end is this one. Done again (with another configuration) it is no part of
        the start."""
        if part in self.parts:
            return
        at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.parts[part] = round(at - self._last, 3)
        self._last = at
