"""Runs a scenario: builds it, starts daemons and traffic, carries out the moves, and leaves the record of it all."""

import contextlib
import heapq
import itertools
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from unwired.lab import bird_bgp, paths
from unwired.lab.agents import Agent, daemons, make_credentials
from unwired.lab.analysis import SETTLED
from unwired.lab.analysis_failure import HEAL
from unwired.lab.aside import Asides
from unwired.lab.breaking import Breaker
from unwired.lab.build import Lab
from unwired.lab.captures import Captures
from unwired.lab.flows import Flows
from unwired.lab.ledger import Ledger, Run
from unwired.lab.processes import LabError, wait_until
from unwired.lab.record import MoveRecord, NoticeRecord, RunRecord
from unwired.lab.result import PathMeasured
from unwired.lab.scenario import Fail, Move, Role, Routing, Scenario


class Watcher(Protocol):
    """Whoever looks on while a scenario is built and run."""

    def say(self, at_s: float | None, sentence: str) -> None:
        """Something happened, so many seconds after the start (None: before it)."""

    def advance(self, elapsed_s: float, duration_s: float) -> None:
        """The run goes on; called several times a second."""


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_S = 0.1
_SETTLED_AFTER_S = 2.0
"""After a registration or a failure: when the paths are measured."""
_LATE_MS = 50.0
_FIRST_REGISTRATION_TIMEOUT_S = 20.0


@contextmanager
def built(scenario: Scenario, watcher: Watcher) -> Iterator[Lab]:
    """The scenario, built, with its daemons running; everything is removed at the end, whatever happened."""
    _check_root()
    ledger = Ledger.open_run(scenario.name)
    lab = Lab(scenario, ledger)
    try:
        watcher.say(None, f"building {len(scenario.node)} nodes ({lab.directory.name})")
        lab.build()
        yield lab
    finally:
        before = [signal.signal(number, signal.SIG_IGN) for number in _STOP_SIGNALS]
        lab.processes.end_all()
        lab.close()
        Run.read(lab.directory).clean_up()
        ledger.close()
        for number, handler in zip(_STOP_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def keep(scenario: Scenario, watcher: Watcher) -> Path:
    """Build the scenario with its daemons and leave it running; the run's directory. Undone by the clean-up."""
    _check_root()
    ledger = Ledger.open_run(scenario.name)
    lab = Lab(scenario, ledger)
    try:
        watcher.say(None, f"building {len(scenario.node)} nodes")
        lab.build()
        start_agents(lab, watcher)
    except BaseException:
        lab.processes.end_all()
        lab.close()
        Run.read(lab.directory).clean_up()
        raise
    ledger.add("kept")
    lab.close()
    ledger.close()
    return lab.directory


def copy_logs(lab: Lab, directory: Path) -> None:
    """Logs, configurations, traffic logs and captures of the signalling, for looking at after the run."""
    for name in ("log", "config", "bird", "traffic", "signalling"):
        if (lab.directory / name).is_dir():
            ignore = shutil.ignore_patterns("*.ctl")
            shutil.copytree(lab.directory / name, directory / name, dirs_exist_ok=True, ignore=ignore)


def _check_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces, which takes root: run it with sudo")


def start_agents(lab: Lab, watcher: Watcher) -> list[Agent]:
    """Start every daemon, home agents first. Raises LabError when one does not come up."""
    agents: list[Agent] = []
    make_credentials(lab.scenario, lab.directory)
    for number, node in enumerate(daemons(lab.scenario), 1):
        watcher.say(None, f"starting the daemon of {node.name}")
        if agents and agents[-1].node.role is Role.HOME_AGENT is not node.role:
            _wait_for_home_prefixes(lab, watcher)
        agent = Agent(lab, node, number)
        agent.start()
        agents.append(agent)
    return agents


def _wait_for_home_prefixes(lab: Lab, watcher: Watcher) -> None:
    """With BGP, until every router knows the way to the home prefixes that the home agents announce."""
    if lab.scenario.routing is not Routing.BGP:
        return
    announced = {
        prefix
        for node in daemons(lab.scenario)
        if (said := lab.scenario.daemon_configuration(node)).get("bgp")
        for key in ("home_prefixes", "home_prefixes_ipv4")
        for prefix in said["home_agent"].get(key, ())
    }
    routers = [node for node in lab.scenario.node if node.role is Role.ROUTER]
    watcher.say(None, f"waiting until {len(routers)} routers know the way to the home agents")
    lab.wait_for_routes(
        {(router.name, prefix) for router in routers for prefix in announced if bird_bgp.speaks(router, prefix)}
    )


def run(lab: Lab, watcher: Watcher, pcap: Path | None = None) -> RunRecord:
    """Carry out a built scenario. ``pcap`` is a directory for captures of every interface."""
    return _Runner(lab, watcher, pcap).run()


class _Runner:
    def __init__(self, lab: Lab, watcher: Watcher, pcap: Path | None) -> None:
        self._lab = lab
        self._scenario = lab.scenario
        self._watcher = watcher
        self._agents: list[Agent] = []
        self._asides = Asides()
        self._paths: list[PathMeasured] = []
        self._registrations: Counter[str] = Counter()
        self._moves: list[MoveRecord] = []
        self._flows = Flows(lab, self._at)
        self._captures = Captures(lab, pcap)
        self._problems: list[str] = []
        self._breaker = Breaker(lab, {}, self._asides.begin)
        self._started_at = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def run(self) -> RunRecord:
        self._captures.start()
        if self._scenario.measure_paths:
            paths.start_echo(self._lab)
        self._agents = start_agents(self._lab, self._watcher)
        self._wait_for_registrations()
        self._plan_moves()
        self._plan_failures()
        self._flows.plan()
        while self._agenda and self._agenda[0][0] <= 0:  # what runs from the start is ready before it
            heapq.heappop(self._agenda)[2]()
        self._flows.wait_for_sources()
        self._look()
        self._started_at = time.monotonic()
        self._watcher.say(0.0, f"running for {self._scenario.duration_s:g} s")
        self._carry_out()
        ended_at = time.monotonic()
        failures = self._breaker.finish()
        bindings = dict(paths.tables(self._by_name()))
        self._watcher.advance(self._scenario.duration_s, self._scenario.duration_s)
        self._watcher.say(ended_at - self._started_at, "stopping the traffic")
        self._problems += self._flows.stop()
        self._problems += self._asides.finish()
        self._look()
        problems, remarks = self._captures.stop()
        self._problems += problems
        for remark in remarks:
            self._watcher.say(None, remark)
        self._note_lateness()
        return RunRecord(
            scenario=self._scenario,
            directory=self._lab.directory,
            started_at=self._started_at,
            ended_at=ended_at,
            wall_minus_monotonic_s=time.time() - time.monotonic(),
            moves=tuple(self._moves),
            flows=tuple(self._flows.records),
            notices=tuple(sorted(self._notices(), key=lambda notice: notice.at)),
            captures=tuple(self._captures.records),
            configurations=self._lab.access.configurations(),
            paths=tuple(sorted(self._paths, key=lambda path: path.at_s)),
            failures=failures,
            bindings=bindings,
            problems=tuple(self._problems),
        )

    # --- the timeline ---

    def _at(self, at_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._order), what))

    def _carry_out(self) -> None:
        end = self._scenario.duration_s
        while True:
            now_s = time.monotonic() - self._started_at
            if self._agenda and self._agenda[0][0] <= now_s:
                heapq.heappop(self._agenda)[2]()
                continue
            if now_s >= end:
                return
            self._look()
            self._watcher.advance(now_s, end)
            due_s = min(end, self._agenda[0][0] if self._agenda else end)
            time.sleep(max(0.0, min(_LOOK_EVERY_S, due_s - (time.monotonic() - self._started_at))))

    def _look(self) -> None:
        """Processes that died, and what the daemons told."""
        for process in self._lab.processes.died():
            sentence = f"{process.name} ended in the middle of the run: {process.log_tail() or 'it printed nothing'}"
            self._problems.append(sentence)
            self._watcher.say(self._elapsed_s(), sentence)
        new = [notice for agent in self._agents for notice in agent.pull() if notice.level != "debug"]
        for notice in sorted(new, key=lambda notice: notice.at):
            at_s = notice.at - self._started_at if self._started_at else None
            details = " ".join(f"{key}={_plain(value)}" for key, value in notice.fields.items() if value is not None)
            self._watcher.say(at_s, f"{notice.node}: {notice.name} {details}".rstrip())
            if notice.name in SETTLED and not notice.fields.get("refresh"):
                self._measure_paths_soon(notice.node)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def _notices(self) -> Iterator[NoticeRecord]:
        for agent in self._agents:
            yield from agent.notices

    def _by_name(self) -> dict[str, Agent]:
        return {agent.node.name: agent for agent in self._agents}

    # --- paths ---

    def _wait_for_registrations(self) -> None:
        """Traffic starts when the mobile nodes that start away from home are registered."""
        waiting = {
            end.partition(".")[0]
            for end, network in self._lab.attached.items()
            if (node := self._scenario.find_node(end.partition(".")[0])).config
            and node.role is Role.MOBILE_NODE
            and network != self._scenario.home_network(node)
        }

        def registered() -> bool:
            self._look()
            return waiting <= {notice.node for notice in self._notices() if notice.name in SETTLED}

        if waiting and not wait_until(registered, _FIRST_REGISTRATION_TIMEOUT_S, 0.02):
            self._problems.append(f"{', '.join(sorted(waiting))}: not registered when the traffic started.")

    def _measure_paths_soon(self, node: str) -> None:
        """Unless the node registers again before, which begins the wait anew."""
        self._registrations[node] += 1
        count = self._registrations[node]

        def measure() -> None:
            if self._registrations[node] == count:
                self._asides.begin(lambda: self._measure_paths(node))

        if self._scenario.measure_paths:
            elapsed_s = self._elapsed_s() if self._started_at else 0.0
            self._at(elapsed_s + _SETTLED_AFTER_S, measure)

    def _measure_paths(self, node: str) -> None:
        found = paths.measure(self._lab, self._by_name(), self._scenario.find_node(node), self._started_at)
        self._paths += found.paths
        silent = "".join(f"; no answers from {pair.destination} to {pair.source}" for pair in found.silent)
        self._watcher.say(self._elapsed_s(), f"{node}: measured the paths to {len(found.paths)} correspondents{silent}")

    # --- failures ---

    def _plan_failures(self) -> None:
        self._breaker = Breaker(self._lab, self._by_name(), self._asides.begin)
        for fail in self._scenario.fail:
            self._at(fail.at_s, lambda fail=fail: self._fail(fail, self._breaker.break_it, fail.what.value))  # type: ignore[misc]
            if fail.until_s is not None:
                self._at(fail.until_s, lambda fail=fail: self._fail(fail, self._breaker.mend, HEAL))  # type: ignore[misc]

    def _fail(self, fail: Fail, how: Callable[[Fail], None], what: str) -> None:
        how(fail)
        self._watcher.say(self._elapsed_s(), f"{what}: {fail.subject}")
        for agent in self._agents:
            if agent.node.role is Role.MOBILE_NODE:
                self._measure_paths_soon(agent.node.name)

    # --- moves ---

    def _plan_moves(self) -> None:
        for move in self._scenario.moves():
            self._at(move.at_s, lambda move=move: self._move(move))  # type: ignore[misc]

    def _move(self, move: Move) -> None:
        end = move.interface
        node = self._scenario.find_node(end.partition(".")[0])
        source = self._lab.attached.get(end)
        others = {
            other.partition(".")[2]: network
            for other, network in self._lab.attached.items()
            if other != end and other.partition(".")[0] == node.name
        }
        self._registrations[node.name] += 1  # whatever was to be measured there is too late
        home = self._scenario.home_network(node)
        record = MoveRecord(
            node=node.name,
            interface=end.partition(".")[2],
            source=source,
            destination=move.to,
            detached_at=None,
            attached_at=None,
            others=others,
            leaves_home=source is not None and source == home and move.to != home,
            returns_home=move.to is not None and move.to == home and source != home,
        )
        if source is not None:
            record = replace(record, detached_at=time.monotonic())
            self._lab.detach(end)
        self._watcher.say(self._elapsed_s(), f"{end}: {source or 'nowhere'} -> {move.to or 'nowhere'}")
        if move.to is None:
            self._moves.append(record)
        elif source is None or move.gap_s == 0:
            self._arrive(record, end)
        else:
            self._at(move.at_s + move.gap_s, lambda: self._arrive(record, end))

    def _arrive(self, record: MoveRecord, end: str) -> None:
        attached_at = time.monotonic()  # the link is up by the time that attach returns, less than a millisecond later
        self._lab.attach(end, str(record.destination))
        self._moves.append(replace(record, attached_at=attached_at))

    def _note_lateness(self) -> None:
        """A relay that was late tells that this machine was too busy; whoever listens for a silence then heard one."""
        if self._lab.relay is None:
            return
        self._lab.relay.end()
        with contextlib.suppress(ValueError, IndexError):
            counted = json.loads(self._lab.relay.log.read_text().splitlines()[-1])
            late_ms = max(one["late_max_ms"] for one in counted.values())
            if late_ms > _LATE_MS:
                self._watcher.say(None, f"the wires were up to {late_ms:.0f} ms late: this machine was too busy")


def _plain(value: object) -> object:
    """As the daemons' own logs write it."""
    return str(value).lower() if isinstance(value, bool) else value
