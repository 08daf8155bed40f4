"""Moving the mobile nodes of a member that stays away, at leisure.

They lose nothing: all other members serve them in its place. But their home agent is one that may never come back. So
one member asks each of them for a binding update (RFC 6275 section 6.1.2), in the name of the home agent that it
knows. Anycast takes that to the member nearest to the mobile node, which answers and moves it to itself
(``home_agent_switch.py``).

Who asks needs no election: it is the first, by number, of the members that serve. Two that disagree about that ask
twice, which harms nobody. Nor does it when the member is not gone but only cut off from us: who is asked then is
answered by the nearest, whoever that is.

Bindings are gone through a few at a time, so that neither HELLOs nor mobile nodes nor their access networks are
overrun. Who is still there after that, because the question or the answer was lost, is asked again, each time after
twice the time: the lifetime of the binding will end it.
"""

from collections.abc import Callable, Iterator

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.outbox import Outbox
from unwired.core.timers import Agenda

LEISURE_S = 10.0
"""For how long a member must have been down: a daemon that is started again is back by then."""
ASKED_PER_S = 200
BEAT_S = 0.1
AGAIN_FIRST_S = 30.0
"""From the start of the first pass through all bindings to the second, at least; then twice as long each time."""
_LOOK_S = 1.0
_ASKED_AT_ONCE = round(ASKED_PER_S * BEAT_S)
_LOOKED_AT_ONCE = 10_000
"""A millisecond or two: most bindings may be others'."""


class Resettling:
    """``ask(binding)`` sends a binding refresh request."""

    def __init__(
        self,
        members: HomeAgentSet,
        cache: BindingCache,
        ask: Callable[[Binding], None],
        outbox: Outbox,
        agenda: Agenda,
    ) -> None:
        self._members = members
        self._cache = cache
        self._ask = ask
        self._outbox = outbox
        self._agenda = agenda
        self._down_since: dict[int, float] = {}
        self._gone: frozenset[int] = frozenset()
        self._left: Iterator[Binding] = iter(())
        self._again_at = 0.0
        self._again_s = AGAIN_FIRST_S

    def start(self, now: Now) -> None:
        """All are down until they are heard."""
        self._down_since = dict.fromkeys(self._members.others, now.monotonic)
        self._agenda.at(now.monotonic + _LOOK_S, self._look)

    def changed(self, number: int, up: bool, now: Now) -> None:
        """A member went up or down."""
        if up:
            self._down_since.pop(number, None)
        else:
            self._down_since[number] = now.monotonic

    def _look(self, now: Now) -> None:
        gone = self._who_is_gone(now) if self._members.is_first else frozenset()
        if not gone <= self._gone:
            self._begin(gone - self._gone, now)
        self._gone = gone
        if any(self._cache.primaries[number] for number in gone):
            self._ask_some(now)
            self._agenda.at(now.monotonic + BEAT_S, self._look)
        else:
            self._left = iter(())
            self._agenda.at(now.monotonic + _LOOK_S, self._look)

    def _who_is_gone(self, now: Now) -> frozenset[int]:
        return frozenset(number for number, since in self._down_since.items() if now.monotonic - since >= LEISURE_S)

    def _begin(self, more: frozenset[int], now: Now) -> None:
        for number in more:
            if primaries := self._cache.primaries[number]:
                self._outbox.notify("resettling", member=self._members.member(number).name, primaries=primaries)
        self._left = iter(())
        self._again_at = now.monotonic
        self._again_s = AGAIN_FIRST_S

    def _ask_some(self, now: Now) -> None:
        asked = 0
        for _ in range(_LOOKED_AT_ONCE):
            binding = next(self._left, None)
            if binding is None:
                if now.monotonic >= self._again_at:
                    self._left = iter(tuple(self._cache))  # 25 ms for a million: half a HELLO interval
                    self._again_at = now.monotonic + self._again_s
                    self._again_s *= 2
                return
            if binding.primary in self._gone and binding.state == State.BOUND:
                self._ask(binding)
                asked += 1
                if asked == _ASKED_AT_ONCE:
                    return
