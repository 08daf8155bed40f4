"""What was broken on purpose and what it cost: a table, and around each failure every probe packet on a time line."""

from collections.abc import Sequence
from html import escape

import numpy

from unwired.lab import report_tables
from unwired.lab.analysis_failure import HEAL
from unwired.lab.analysis_probe import ProbeSeries
from unwired.lab.metric import Metric
from unwired.lab.report_svg import Drawing, Scale, milliseconds, number
from unwired.lab.report_view import View
from unwired.lab.result import Expectation, Failure, Result
from unwired.lab.scenario import FailureKind

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 1080, 230, 14, 30, 42
_BEFORE_S, _AFTER_S, _SHORTEST_S, _LONGEST_S = 0.25, 0.35, 0.9, 20.0
_SEARCHED_S = 10.0
"""How long after a failure a silence is looked for."""
_ROWS_MAX = 8
_OPEN = 5
"""Failures beyond these are folded away."""
_WORDS = {
    FailureKind.SITE: "The site of {node} disappears",
    FailureKind.DAEMON: "The daemon of {node} is killed",
    FailureKind.PARTITION: "Links cut: {node}",
    FailureKind.NAT: "The NAT of {node} forgets its mappings",
    HEAL: "Mended: {node}",
}
_LIMITS: dict[str, tuple[Metric, ...]] = {
    FailureKind.SITE: (Metric.SITE_OUTAGE_MEDIAN_MS, Metric.SITE_OUTAGE_MAX_MS),
    FailureKind.NAT: (Metric.NAT_REBINDING_OUTAGE_MAX_MS,),
}


def words(failure: Failure) -> str:
    return _WORDS.get(failure.what, "{what} of {node} fails").format(node=failure.node, what=failure.what)


def section(view: View, result: Result, probes: Sequence[ProbeSeries]) -> str:
    """Empty when nothing was broken."""
    if not result.failures:
        return ""
    drawn = []
    for index, failure in enumerate(result.failures):
        times_s = [other.at_s for other in result.failures] + [move.at_s for move in result.handovers]
        ends_s = min((at_s for at_s in times_s if at_s > failure.at_s), default=view.duration_s)
        if failure.what == HEAL and not failure.packets_lost:
            continue
        limit = limit_of(view, result, failure)
        drawing = draw(view, failure, ends_s, probes, limit.limit if limit is not None else None)
        if drawing is None:
            continue
        head = (
            f'<div class="card-head"><h3>{escape(words(failure))}</h3><span class="kind">{_when(failure)}</span></div>'
        )
        card = f'<div class="card">{head}<div class="figure">{drawing}</div></div>'
        folded = index >= _OPEN
        drawn.append(f"<details><summary>{escape(words(failure))}</summary>{card}</details>" if folded else card)
    return table(view, result) + _false_detections(result) + "".join(drawn)


def limit_of(view: View, result: Result, failure: Failure) -> Expectation | None:
    """What the scenario expects of the outage that a failure causes."""
    metrics = _LIMITS.get(failure.what, ())
    pairs = zip(view.record.scenario.expect, result.expectations, strict=False)
    return next((expectation for expect, expectation in pairs if expect.metric in metrics), None)


def table(view: View, result: Result) -> str:
    rows = []
    for failure in result.failures:
        limit = limit_of(view, result, failure)
        lost = max(0, failure.bindings_before - failure.bindings_after)
        rows.append(
            [
                escape(words(failure)),
                f"{failure.at_s:.2f} s",
                milliseconds(failure.outage_ms),
                milliseconds(limit.limit) if limit is not None else "–",
                number(failure.packets_lost),
                number(failure.resets),
                number(failure.bindings_before),
                number(failure.bindings_after),
                f'<span class="{"fail" if lost else "pass"}">{number(lost)}</span>',
            ]
        )
    heads = ["What", "At", "Outage", "Limit", "Packets lost", "TCP resets", "Bindings before", "After", "Bindings lost"]
    return report_tables.table(heads, rows, 1)


def _false_detections(result: Result) -> str:
    found = [(name, measured) for name, measured, _ in result.metrics if "false" in name and measured is not None]
    told = "; ".join(f"{name.replace('_', ' ')}: {number(measured)}" for name, measured in found)
    return f"<p>{escape(told)[:1].upper()}{escape(told)[1:]}.</p>" if told else ""


def _when(failure: Failure) -> str:
    outage = f", {milliseconds(failure.outage_ms)} of silence" if failure.outage_ms is not None else ""
    return f"at {number(round(failure.at_s, 2))} s{outage}, {number(failure.packets_lost)} packets lost"


# --- the time line ---------------------------------------------------------------------------------------------------


def silence(series: ProbeSeries, since: float, until: float) -> tuple[float, float] | None:
    """The longest time without an arrival that ends in the given one, or has not ended when it does; all on
    CLOCK_MONOTONIC."""
    arrivals = numpy.sort(series.received_at[~series.lost])
    first = max(0, int(numpy.searchsorted(arrivals, since)) - 1)
    last = int(numpy.searchsorted(arrivals, until))
    seen = numpy.append(arrivals[first:last], until)
    if len(seen) < 2:
        return None
    longest = int(numpy.argmax(numpy.diff(seen)))
    return float(seen[longest]), float(seen[longest + 1])


def draw(
    view: View, failure: Failure, ends_s: float, probes: Sequence[ProbeSeries], limit_ms: float | None
) -> str | None:
    """A row for each probe: a tick for each packet where it arrived, a red one where it was sent when it was lost. The
    next event is at ``ends_s``. None when no probe ran."""
    at = view.record.started_at + failure.at_s
    until = min(at + _SEARCHED_S, view.record.started_at + ends_s)
    silences = [(series, silence(series, at, until)) for series in probes if len(series.sent_at)]
    if not silences:
        return None
    shown = sorted(silences, key=lambda pair: -(pair[1][1] - pair[1][0]) if pair[1] else 0.0)[:_ROWS_MAX]
    longest_s = max((gap[1] - at for _, gap in shown if gap), default=0.0)
    end_s = min(max(longest_s, (limit_ms or 0.0) / 1e3) + _AFTER_S, _LONGEST_S)
    time = Scale(-_BEFORE_S, max(end_s, _SHORTEST_S), _LEFT, _WIDTH - _RIGHT)
    bottom = _TOP + len(shown) * _ROW
    drawing = Drawing(_WIDTH, bottom + 44, f"Probe packets around the failure at {failure.at_s:.1f} s")
    for value in time.ticks(12):
        drawing.line(time(value), _TOP, time(value), bottom, "grid")
        drawing.text(time(value), bottom + 18, number(round(value * 1e3)), "tick", "middle")
    drawing.text(_WIDTH - _RIGHT, bottom + 36, "ms after the failure", "tick", "end")
    for row, (series, gap) in enumerate(shown):
        _draw_row(drawing, series, gap, at, time, _TOP + row * _ROW)
        if gap is not None and limit_ms is not None and row == 0:
            x = time(gap[0] - at + series.interval_s + limit_ms / 1e3)
            drawing.line(x, _TOP - 8, x, bottom, "limit-line")
            drawing.text(x, _TOP - 13, f"limit {milliseconds(limit_ms)}", "tick", "middle")
    drawing.line(time(0), _TOP - 8, time(0), bottom, "failure")
    drawing.text(time(0), _TOP - 13, "failure", "failure-name", "middle")
    return drawing.render()


def _draw_row(
    drawing: Drawing,
    series: ProbeSeries,
    gap: tuple[float, float] | None,
    at: float,
    time: Scale,
    top: float,
) -> None:
    middle = top + _ROW / 2 - 4
    drawing.text(0, middle + 4, f"{series.source} → {series.destination}, {series.family}", "lane small")
    received = series.received_at[~series.lost] - at
    inside = received[(received >= time.low) & (received <= time.high)]
    drawing.segments(((time(x), middle - 8, time(x), middle + 8) for x in inside.tolist()), "arrival")
    sent = series.sent_at[series.lost] - at
    lost = sent[(sent >= time.low) & (sent <= time.high)]
    drawing.segments(((time(x), middle + 12, time(x), middle + 20) for x in lost.tolist()), "lost")
    if gap is None or gap[1] - gap[0] < 3 * series.interval_s:
        return
    left, right = time(gap[0] - at), time(gap[1] - at)
    drawing.rect(left, top + 3, right - left, _ROW - 6, "interruption", 3)
    outage_ms = max(0.0, (gap[1] - gap[0] - series.interval_s) * 1e3)
    drawing.text((left + right) / 2, middle + 4.5, milliseconds(outage_ms), "interruption-name", "middle")
