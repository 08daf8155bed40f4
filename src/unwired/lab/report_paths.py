"""What a run measured of paths, put in order: stops of a journey, and the scenes that a map shows of them.

A scene is a time during which a mobile node's paths stayed the same: one network, one primary home agent, the same home
agents alive.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unwired.lab.analysis_failure import HEAL
from unwired.lab.report_view import View
from unwired.lab.result import Failure, PathMeasured, Result
from unwired.lab.scenario import FailureKind, Place, Role, Scenario

SAME_SITE_DEGREES = 1.5
_BROKEN: dict[str, str] = {
    FailureKind.SITE: "{node} down",
    FailureKind.DAEMON: "daemon of {node} down",
    FailureKind.PARTITION: "links cut",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """A stay of a mobile node in a network, counted from 1 for each node."""

    number: int
    node: str
    network: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Scene:
    """``paths``: one for each correspondent. ``broken``: what is broken meanwhile. ``switched``: it began with another
    primary home agent, in the same network and with nothing broken or mended in between. ``mended``: it began when
    something was, in the same network."""

    stop: Stop
    at_s: float
    paths: tuple[PathMeasured, ...]
    broken: tuple[Failure, ...]
    switched: bool
    mended: bool

    @property
    def primaries(self) -> list[str]:
        """The home agents that send to the mobile node: one, unless the survivors serve in a dead one's place."""
        return sorted({path.primary_agent for path in self.paths if path.primary_agent})

    @property
    def dead(self) -> frozenset[str]:
        """The home agents whose site is down."""
        return frozenset(failure.node for failure in self.broken if failure.what == FailureKind.SITE)


def stops(view: View) -> list[Stop]:
    """Every stay of every mobile node, in the order of time for each node."""
    found: list[Stop] = []
    for node, stays in view.in_use.items():
        number = 0
        previous = None
        for stay in stays:
            if stay.network is not None and stay.network != previous:
                number += 1
                found.append(Stop(number, node, stay.network, stay.since_s))
            previous = stay.network or previous
    return found


def broken_at(failures: Sequence[Failure], at_s: float) -> tuple[Failure, ...]:
    """What failed before and is not mended yet, in the order of time."""
    found: list[Failure] = []
    for failure in sorted(failures, key=lambda failure: failure.at_s):
        if failure.at_s <= at_s:
            found = [other for other in found if other.node != failure.node]
            if failure.what not in (HEAL, FailureKind.NAT):
                found.append(failure)
    return tuple(found)


def scenes(view: View, result: Result) -> list[Scene]:
    """In the order of time. Of a pair measured several times in one scene the last measurement stands."""
    known = stops(view)
    found: list[Scene] = []
    for node in dict.fromkeys(path.node for path in result.paths):
        last: Scene | None = None
        own = sorted((path for path in result.paths if path.node == node), key=_at)
        for at_s, together in itertools.groupby(own, key=_at):
            paths = tuple(together)
            stop = _stop_of(paths[0], known)
            if stop is None:
                continue
            broken = broken_at(result.failures, at_s)
            if last is None or last.stop != stop:
                last = Scene(stop, at_s, paths, broken, switched=False, mended=False)
            elif last.broken != broken:
                mended = bool(set(last.broken) - set(broken))
                last = Scene(stop, at_s, paths, broken, switched=False, mended=mended)
            elif _are_served_anew(last.paths, paths):
                last = Scene(stop, at_s, paths, broken, switched=True, mended=False)
            else:
                found.remove(last)
                last = replace(last, paths=tuple({path.correspondent: path for path in (*last.paths, *paths)}.values()))
            found.append(last)
    return sorted(found, key=lambda scene: scene.at_s)


def _at(path: PathMeasured) -> float:
    return path.at_s


def _are_served_anew(before: Sequence[PathMeasured], now: Sequence[PathMeasured]) -> bool:
    """Whether another home agent sends to the mobile node what some correspondent sends."""
    primaries = {path.correspondent: path.primary_agent for path in before}
    return any(primaries.get(path.correspondent, path.primary_agent) != path.primary_agent for path in now)


def _stop_of(path: PathMeasured, known: Sequence[Stop]) -> Stop | None:
    """A measurement may end a little after the node has left."""
    own = [stop for stop in known if stop.node == path.node and stop.network == path.network]
    begun = [stop for stop in own if stop.since_s <= path.at_s]
    return begun[-1] if begun else next(iter(own), None)


def is_near(one: Place, other: Place) -> bool:
    """Whether both are at the same site: in or around one city."""
    across = (one.longitude - other.longitude + 180) % 360 - 180
    return abs(across) < SAME_SITE_DEGREES and abs(one.latitude - other.latitude) < SAME_SITE_DEGREES


def site_name(scenario: Scenario, where: Place) -> str:
    """What people call a place: as the first home agent or, failing that, the first node there does."""
    there = [node for node in scenario.node if node.place is not None and is_near(node.place, where)]
    there.sort(key=lambda node: node.role is not Role.HOME_AGENT)
    return next((node.place.name for node in there if node.place and node.place.name), "")


def place_of(scenario: Scenario, network: str) -> Place | None:
    """That of the network's router."""
    routers = (scenario.find_node(end.partition(".")[0]) for end in scenario.find_network(network).members)
    return next((router.place for router in routers if router.place is not None), None)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def location(scenario: Scenario, scene: Scene) -> str:
    place = place_of(scenario, scene.stop.network)
    name = site_name(scenario, place) if place is not None else ""
    where = f"{scene.stop.number} {name or scene.stop.network}"
    down = [_BROKEN.get(failure.what, "{node} down").format(node=failure.node) for failure in scene.broken]
    return ", ".join([where, *down])


def heading(scenario: Scenario, scene: Scene) -> str:
    """Where the mobile node is, and what changed while it was there."""
    where = location(scenario, scene) + (", mended" if scene.mended else "")
    return f"{where}, switched to {listed(scene.primaries) or 'another'}" if scene.switched else where
