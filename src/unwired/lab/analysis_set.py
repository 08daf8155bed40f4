"""What a home agent set comes to: paths, Home Agent Switches, how quickly and whether all members agree."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from unwired.lab import analysis_failure
from unwired.lab.analysis_probe import BEFORE_S, ProbeSeries, Window, first_through
from unwired.lab.metric import Metric
from unwired.lab.record import NoticeRecord, RunRecord
from unwired.lab.result import PathMeasured
from unwired.lab.routes import delays_ms
from unwired.lab.scenario import Role

SWITCHED = "home_agent_switched"
"""The notice of a mobile node that follows a Home Agent Switch."""
NEAR_MS = 10.0
_LEARNED = "global_binding_"
"""How the notices of a member begin that took over another one's binding."""
_CHANGED = frozenset({"binding_created", "binding_updated"})
_AFTER_SWITCH_S = 1.0
_SYNCHRONIZED_WITHIN_S = 5.0


def measure(record: RunRecord, probes: Sequence[ProbeSeries]) -> dict[Metric, float | None]:
    stretches = list(_settled(record))
    far = [path.stretch for path in stretches if path.direct_rtt_ms >= NEAR_MS]
    near = [path.stretch for path in stretches if path.direct_rtt_ms < NEAR_MS]
    switches = [notice for notice in record.notices if notice.name == SWITCHED]
    delays = list(synchronization_delays_ms(record))
    has_mobile_nodes = any(node.role is Role.MOBILE_NODE for node in record.scenario.node)
    return {
        Metric.PATH_STRETCH_MEDIAN: statistics.median(far) if far else None,
        Metric.NEAR_PATH_STRETCH_MEDIAN: statistics.median(near) if near else None,
        Metric.PATHS_MEASURED: float(len(record.paths)) if record.scenario.measure_paths else None,
        Metric.HOME_AGENT_SWITCHES: float(len(switches)) if has_mobile_nodes else None,
        Metric.SWITCH_PACKETS_LOST: float(_lost_by_switches(record, switches, probes)) if probes else None,
        Metric.SWITCHES_PER_CARE_OF_ADDRESS_MAX: float(_most_switches(record, switches)) if has_mobile_nodes else None,
        Metric.BINDINGS_AGREE: float(agree(record)) if len(record.bindings) > 1 else None,
        Metric.SYNCHRONIZATION_DELAY_EXCESS_MEDIAN_MS: statistics.median(delays) if delays else None,
    }


def _settled(record: RunRecord) -> Iterator[PathMeasured]:
    """The last measurement of each pair while nothing was broken."""
    last: dict[tuple[str, str | None, str], PathMeasured] = {}
    for path in record.paths:
        if not analysis_failure.is_broken_at(record, record.started_at + path.at_s):
            last[path.node, path.network, path.correspondent] = path
    yield from last.values()


# --- switches --------------------------------------------------------------------------------------------------------


def _lost_by_switches(record: RunRecord, switches: Sequence[NoticeRecord], probes: Sequence[ProbeSeries]) -> int:
    """Of the packets around each switch, but for those that a move before it took."""
    lost = 0
    for switch in switches:
        for series in probes:
            if switch.node in (series.source, series.destination):
                since = max(switch.at - BEFORE_S, _through_at(record, switch, series))
                near = (series.sent_at >= since) & (series.sent_at < _until(record, switch))
                lost += int((near & series.lost).sum())
    return lost


def _through_at(record: RunRecord, switch: NoticeRecord, series: ProbeSeries) -> float:
    """When the first packet was sent that came through after the node's last move or the last failure."""
    moves = [move for move in record.moves if move.node == switch.node and move.began_at <= switch.at]
    since = max((failure.at for failure in record.failures if failure.at <= switch.at), default=0.0)
    if moves:
        usable_at = moves[-1].began_at if moves[-1].attached_at is None else moves[-1].attached_at
        since = max(since, usable_at)
    if not since:
        return 0.0
    first = first_through(series, switch.node, Window(since, since, record.ended_at, breaks=True))
    return record.ended_at if first is None else float(series.sent_at[first])


def _until(record: RunRecord, switch: NoticeRecord) -> float:
    """Before the next thing happens."""
    others = [move.began_at for move in record.moves] + [failure.at for failure in record.failures]
    following = min((at for at in others if at > switch.at), default=record.ended_at)
    return min(switch.at + _AFTER_SWITCH_S, following - BEFORE_S)


def _most_switches(record: RunRecord, switches: Sequence[NoticeRecord]) -> int:
    """The most switches that a mobile node made with neither a move of its own nor a failure in between."""

    def before(switch: NoticeRecord) -> tuple[str, int]:
        times = [move.began_at for move in record.moves if move.node == switch.node]
        times += [failure.at for failure in record.failures]
        return switch.node, sum(at <= switch.at for at in times)

    return max(Counter(map(before, switches)).values(), default=0)


# --- agreement -------------------------------------------------------------------------------------------------------


def agree(record: RunRecord) -> bool:
    """Whether every home agent that answered at the end held the same bindings, with the same primary and version."""
    tables = [
        {
            (binding["home_address"], binding["care_of_address"], binding.get("primary"), binding.get("version"))
            for binding in table
        }
        for table in record.bindings.values()
    ]
    return all(table == tables[0] for table in tables)


def synchronization_delays_ms(record: RunRecord) -> Iterator[float]:
    """For every binding and every other member that told of it: how much later than the wires alone would make it."""
    wires: dict[str, dict[str, float]] = {}
    for changed in record.notices:
        if changed.name not in _CHANGED:
            continue
        if changed.node not in wires:
            wires[changed.node] = delays_ms(record.scenario, changed.node)
        told: set[str] = set()
        for notice in record.notices:
            if (
                notice.name.startswith(_LEARNED)
                and notice.level != "warning"
                and notice.home_address == changed.home_address
                and notice.node not in (changed.node, *told)
                and changed.at <= notice.at < changed.at + _SYNCHRONIZED_WITHIN_S
            ):
                told.add(notice.node)
                yield (notice.at - changed.at) * 1e3 - wires[changed.node].get(notice.node, 0.0)
