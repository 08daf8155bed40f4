"""Breaks things on purpose, and mends them: sites, daemons, links."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from unwired.lab import cut, middlebox
from unwired.lab.agents import Agent
from unwired.lab.analysis_failure import HEAL
from unwired.lab.build import Lab
from unwired.lab.record import FailureRecord
from unwired.lab.scenario import Fail, FailureKind, Role


@dataclass(slots=True)
class _Broken:
    fail: Fail
    what: str
    at: float
    before: dict[str, int]
    after: dict[str, int]


class Breaker:
    """``aside`` runs what takes time beside the timeline."""

    def __init__(self, lab: Lab, agents: dict[str, Agent], aside: Callable[[Callable[[], None]], None]) -> None:
        self._lab = lab
        self._agents = agents
        self._aside = aside
        self._done: list[_Broken] = []
        self._rebindings: Counter[str] = Counter()

    def break_it(self, fail: Fail) -> None:
        before = self._count(fail)
        at = time.monotonic()
        if fail.what is FailureKind.DAEMON:
            self._agents[str(fail.node)].kill()
        elif fail.what is FailureKind.NAT:
            node = str(fail.node)
            self._rebindings[node] += 1
            middlebox.rebind(self._lab.namespaces[node], self._lab.scenario.find_node(node), self._rebindings[node])
        else:
            cut.set_cut(self._lab.directory, self._wires(fail), True)
        self._done.append(_Broken(fail, fail.what.value, at, before, {}))

    def mend(self, fail: Fail) -> None:
        self._note_after(fail)
        before = self._count(fail)
        at = time.monotonic()
        if fail.what is FailureKind.DAEMON:
            self._aside(self._agents[str(fail.node)].start)
        else:
            cut.set_cut(self._lab.directory, self._wires(fail), False)
        self._done.append(_Broken(fail, HEAL, at, before, {}))

    def finish(self) -> tuple[FailureRecord, ...]:
        """What was done; what is not mended yet stays as it is."""
        for done in self._done:
            self._note_after(done.fail)
        return tuple(FailureRecord(one.what, one.fail.subject, one.at, one.before, one.after) for one in self._done)

    def _note_after(self, fail: Fail) -> None:
        for done in self._done:
            if done.fail is fail and not done.after:
                done.after = self._count(fail)

    def _wires(self, fail: Fail) -> list[int]:
        return cut.wires_of(self._lab.directory, fail.links or [str(fail.node)])

    def _count(self, fail: Fail) -> dict[str, int]:
        """The bindings that the home agents hold, but for the one that fails."""
        counts = {}
        for name, agent in self._agents.items():
            if agent.node.role is Role.HOME_AGENT and name != fail.node:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    counts[name] = int(agent.ask("status")["engine"]["bindings"])
        return counts
