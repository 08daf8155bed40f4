"""Leaving a home agent set gracefully: our mobile nodes are handed over to the nearest member before we go.

All bindings whose primary home agent we are are gone through, a slice at a time so that HELLOs do not wait; how many
Home Agent Switches are under way at once is ``home_agent_switch.py``'s. What is left after that, because the mobile
node did not answer, is gone through again, until nobody or no time is left.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from unwired.core.binding_cache import Binding
from unwired.core.door import Now
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.timers import Agenda
from unwired.wire.home_agent_hello import MemberState

if TYPE_CHECKING:
    from unwired.core.home_agent_set import HomeAgentSet

DRAIN_MAX_S = 300.0
NOBODY_MAX_S = 5.0
"""How long a member that drains waits for one that takes its mobile nodes."""
AGAIN_S = 5.0
"""From the start of one pass through all bindings to the next, at least."""
_LOOK_S = 0.02
_SLICE = 500


class Draining:
    """One drain; ``members.drained`` is called at its end."""

    def __init__(self, members: "HomeAgentSet", outbox: Outbox, agenda: Agenda) -> None:
        self._members = members
        self._outbox = outbox
        self._agenda = agenda
        self._left: Iterator[Binding] = iter(())
        self._again_at = 0.0
        self._ends_at = 0.0
        self._nobody_since: float | None = None
        self.is_under_way = False

    def start(self, now: Now) -> None:
        self.is_under_way = True
        self._ends_at = now.monotonic + DRAIN_MAX_S
        self._again_at = now.monotonic
        self._outbox.notify("draining", primaries=self._members.load().primaries)
        self._agenda.at(now.monotonic, self._look)

    def _look(self, now: Now) -> None:
        if self._members.state is MemberState.LEAVING:
            return
        left = self._members.load().primaries
        target = self._members.nearest()
        if target:
            self._nobody_since = None
        elif self._nobody_since is None:
            self._nobody_since = now.monotonic
        alone = self._nobody_since is not None and now.monotonic - self._nobody_since >= NOBODY_MAX_S
        if not left or alone or now.monotonic >= self._ends_at:
            self._outbox.notify("drained", Level.WARNING if left else Level.INFO, primaries_left=left)
            self._members.drained(now)
            return
        if target:
            self._hand_over(target, now)
        self._agenda.at(now.monotonic + _LOOK_S, self._look)

    def _hand_over(self, target: int, now: Now) -> None:
        some = tuple(islice(self._left, _SLICE))
        for binding in some:
            if binding.primary == self._members.own:
                self._members.hand_over(binding, target, now)
        if not some and now.monotonic >= self._again_at:
            self._again_at = now.monotonic + AGAIN_S
            self._left = iter(tuple(self._members.primaries()))
