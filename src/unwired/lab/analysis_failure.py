"""What failures cost: silence at the probes' receivers, packets, bindings, connections."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy

from unwired.lab import analysis_stream
from unwired.lab.analysis_probe import BEFORE_S, ProbeSeries
from unwired.lab.metric import Metric
from unwired.lab.record import FailureRecord, RunRecord
from unwired.lab.result import Failure
from unwired.lab.scenario import FailureKind

HEAL = "heal"
_AFTERMATH_S = 2.0
"""How long after it was mended a failure may still explain that a member is taken for dead."""


def failures(record: RunRecord, probes: Sequence[ProbeSeries]) -> tuple[Failure, ...]:
    """Raises ValueError or OSError where a stream's logs are no logs."""
    resets = [at for flow in record.flows if flow.kind == "tcp" for at in analysis_stream.reset_times(flow)]
    return tuple(_failure(record, failure, probes, resets) for failure in record.failures)


def _failure(
    record: RunRecord, failure: FailureRecord, probes: Sequence[ProbeSeries], resets: Sequence[float]
) -> Failure:
    ends_at, mended = _ends_at(record, failure)
    # What was on its way when something broke is lost by that; what was on its way to it until it was mended, too.
    since = failure.at if failure.what == HEAL else failure.at - BEFORE_S
    until = ends_at if mended else ends_at - BEFORE_S
    outages, lost = [], 0
    for series in probes:
        sent = (series.sent_at >= since) & (series.sent_at < until)
        if sent.any():
            outages.append(max(0.0, _longest_silence(series, failure.at, ends_at) - series.interval_s))
            lost += int((sent & series.lost).sum())
    return Failure(
        at_s=failure.at - record.started_at,
        what=failure.what,
        node=failure.node,
        outage_ms=max(outages) * 1e3 if outages else None,
        packets_lost=lost,
        bindings_before=min(failure.bindings_before.values(), default=0),
        bindings_after=min(failure.bindings_after.values(), default=0),
        resets=sum(failure.at <= at < ends_at for at in resets),
    )


def _longest_silence(series: ProbeSeries, since: float, until: float) -> float:
    """The longest time in between without an arrival; one that is longer at either end counts only as far as that."""
    arrivals = numpy.sort(series.received_at[~series.lost])
    inside = arrivals[(arrivals > since) & (arrivals < until)]
    return float(numpy.diff(inside, prepend=since, append=until).max())


def _ends_at(record: RunRecord, failure: FailureRecord) -> tuple[float, bool]:
    """When the next thing happens, and whether that mends something."""
    times = [(other.at, other.what == HEAL) for other in record.failures]
    times += [(move.began_at, False) for move in record.moves]
    return min((one for one in times if one[0] > failure.at), default=(record.ended_at, False))


def is_broken_at(record: RunRecord, at: float) -> bool:
    """Whether something was broken at this time and not yet mended."""
    return any(failure.at <= at < until for failure, until in broken(record))


def broken(record: RunRecord) -> Iterator[tuple[FailureRecord, float]]:
    """Every failure that lasts, with the time at which it was mended."""
    for failure in record.failures:
        if failure.what not in (HEAL, FailureKind.NAT):
            mended = (
                other.at
                for other in record.failures
                if other.what == HEAL and other.node == failure.node and other.at > failure.at
            )
            yield failure, min(mended, default=math.inf)


def measure(record: RunRecord, found: Sequence[Failure]) -> dict[Metric, float | None]:
    sites = [failure.outage_ms for failure in found if failure.what == FailureKind.SITE]
    outages = [math.inf if outage is None else outage for outage in sites]
    rebindings = [failure.outage_ms for failure in found if failure.what == FailureKind.NAT]
    killed = {failure.node for failure in found if failure.what == FailureKind.DAEMON}
    kills = [
        failure.packets_lost
        for failure in found
        if failure.what == FailureKind.DAEMON or (failure.what == HEAL and failure.node in killed)
    ]
    lost = [max(0, failure.bindings_before - failure.bindings_after) for failure in found]
    return {
        Metric.SITE_OUTAGE_MEDIAN_MS: _figure(statistics.median, outages),
        Metric.SITE_OUTAGE_MAX_MS: _figure(max, outages),
        Metric.NAT_REBINDING_OUTAGE_MAX_MS: _figure(
            max, [math.inf if outage is None else outage for outage in rebindings]
        ),
        Metric.DAEMON_KILL_PACKETS_LOST: _figure(sum, kills),
        Metric.BINDINGS_LOST: _figure(sum, lost),
        Metric.FALSE_DETECTIONS: float(sum(1 for _ in false_detections(record))) if _has_set(record) else None,
    }


def _has_set(record: RunRecord) -> bool:
    nodes = record.scenario.node
    return any("home_agent_set" in record.scenario.daemon_configuration(node) for node in nodes)


def false_detections(record: RunRecord) -> Iterator[tuple[str, str, float]]:
    """(member, whom it took for dead, when), where nothing that was broken explains it."""
    explained = [(failure, until + _AFTERMATH_S) for failure, until in broken(record)]
    members = {
        record.scenario.daemon_configuration(node).get("home_agent_set", {}).get("member"): node.name
        for node in record.scenario.node
    }
    for notice in record.notices:
        if notice.name != "member_down" or notice.at < record.started_at:
            continue
        other = members.get(notice.fields.get("member"), "")
        concerned = {notice.node, other}
        if not any(
            failure.at <= notice.at < until and (failure.what == FailureKind.PARTITION or failure.node in concerned)
            for failure, until in explained
        ):
            yield notice.node, other, notice.at


def _figure(how: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    figure = float(how(values)) if values else math.inf
    return figure if math.isfinite(figure) else None
