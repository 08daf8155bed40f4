"""The whole run on one time axis: where the node was, every probe packet's delay, every stream's rate."""

import itertools
from collections.abc import Sequence

import numpy

from unwired.lab import analysis_probe, report_failures
from unwired.lab.analysis import window_of
from unwired.lab.analysis_failure import HEAL
from unwired.lab.analysis_probe import ProbeSeries
from unwired.lab.analysis_stream import Arrivals
from unwired.lab.report_svg import Drawing, Scale, number
from unwired.lab.report_view import View
from unwired.lab.result import Failure

_WIDTH, _LEFT, _RIGHT = 1080, 204, 14
_BAND, _PROBE, _STREAM, _GAP, _AXIS = 34, 104, 62, 16, 40
_TOP = 26
_RATE_STEP_S = 0.2
_POINTS_MAX = 8000


def draw(
    view: View, probes: Sequence[ProbeSeries], streams: Sequence[Arrivals], failures: Sequence[Failure] = ()
) -> str:
    rows = len(view.stays) * (_BAND + _GAP) + len(probes) * (_PROBE + _GAP) + len(streams) * (_STREAM + _GAP)
    drawing = Drawing(
        _WIDTH, _TOP + rows + _AXIS, "The run over time: networks, delay of every probe packet, stream rates"
    )
    time = Scale(0, view.duration_s, _LEFT, _WIDTH - _RIGHT)
    bottom = _TOP + rows - _GAP
    for second in time.ticks(12):
        drawing.line(time(second), _TOP, time(second), bottom, "grid")
        drawing.text(time(second), bottom + 18, number(second), "tick", "middle")
    drawing.text(_WIDTH - _RIGHT, bottom + 35, "seconds since the start", "tick", "end")
    _draw_moves(drawing, view, time, bottom)
    for failure in failures:
        _draw_failure(drawing, failure, time(failure.at_s), bottom)
    top = float(_TOP)
    for node, interface in view.stays:
        _draw_band(drawing, view, time, top, (node, interface))
        top += _BAND + _GAP
    for series in probes:
        _draw_probe(drawing, view, time, top, series)
        top += _PROBE + _GAP
    for arrivals in streams:
        _draw_stream(drawing, view, time, top, arrivals)
        top += _STREAM + _GAP
    return drawing.render()


def _draw_moves(drawing: Drawing, view: View, time: Scale, bottom: float) -> None:
    for index, move in enumerate(view.record.moves, start=1):
        x = time(view.seconds(move.began_at))
        drawing.line(x, _TOP - 6, x, bottom, "move")
        drawing.add("circle", cx=x, cy=float(_TOP - 14), r=9.0, class_="move-mark")
        drawing.text(x, _TOP - 10, str(index), "move-number", "middle")


def _draw_failure(drawing: Drawing, failure: Failure, x: float, bottom: float) -> None:
    y = _TOP - 14
    drawing.add("path", title=report_failures.words(failure), d=f"M{x:.1f},{y + 8}V{bottom:.1f}", class_="failure")
    mended = failure.what == HEAL
    drawing.add("circle", cx=x, cy=float(y), r=9.0, class_="failure-mark" + (" mended" if mended else ""))
    drawing.text(x, y + 4, "✓" if mended else "✗", "move-number", "middle")


def _draw_label(drawing: Drawing, top: float, first: str, second: str) -> None:
    drawing.text(0, top + 14, first, "lane")
    drawing.text(0, top + 31, second, "lane-detail")


def _draw_band(drawing: Drawing, view: View, time: Scale, top: float, end: tuple[str, str]) -> None:
    _draw_label(drawing, top, end[0], f"{end[1]} is in")
    for stay in view.stays[end]:
        left, right = time(stay.since_s), time(stay.until_s)
        title = f"{stay.network or 'no link'}: {number(stay.since_s)} to {number(stay.until_s)} s"
        drawing.rect(left, top, right - left, _BAND, f"band {view.colour(stay.network)}", 5, title)
        if stay.network and right - left > 9 * len(stay.network):
            drawing.text((left + right) / 2, top + _BAND / 2 + 5, stay.network, "band-name", "middle")


def _draw_probe(drawing: Drawing, view: View, time: Scale, top: float, series: ProbeSeries) -> None:
    _draw_label(drawing, top, f"→ {series.destination}", f"{series.family} probe from {series.source}")
    drawing.text(0, top + 47, "one-way delay, ms", "lane-detail")
    _draw_tints(drawing, view, time, top, _PROBE, series.source, series.destination)
    delay_ms = series.delay_s * 1e3
    arrived = ~series.lost
    highest = float(numpy.percentile(delay_ms[arrived], 99.5)) * 1.25 if arrived.any() else 1.0
    floor = top + _PROBE - 16
    scale = Scale(0, max(highest, 1.0), floor, top + 6)
    for value in scale.ticks(3):
        drawing.text(_LEFT - 8, scale(value) + 4, number(value), "tick", "end")
        drawing.line(_LEFT, scale(value), _WIDTH - _RIGHT, scale(value), "grid")
    sent_s = series.sent_at - view.record.started_at
    late = numpy.zeros(len(delay_ms), dtype=numpy.bool_)
    for index, move in enumerate(view.record.moves):
        if move.node in (series.source, series.destination):
            late |= analysis_probe.late(series, move.node, window_of(view.record, index))
    on_time = numpy.flatnonzero(arrived & ~late)
    shown = on_time[:: max(1, len(on_time) // _POINTS_MAX)]
    drawing.dots(((time(sent_s[i]), scale(delay_ms[i])) for i in shown), "packet")
    drawing.dots(((time(sent_s[i]), scale(delay_ms[i])) for i in numpy.flatnonzero(late)), "packet late")
    drawing.segments(
        ((time(sent_s[i]), floor + 4, time(sent_s[i]), floor + 15) for i in numpy.flatnonzero(series.lost)), "lost"
    )
    drawing.text(_LEFT - 8, floor + 14, "lost", "tick lost-name", "end")


def _draw_tints(
    drawing: Drawing, view: View, time: Scale, top: float, height: float, source: str, destination: str
) -> None:
    """The networks of the mobile node at one of the ends, the sender's when both move."""
    mover = next((node for node in (source, destination) if node in view.in_use), None)
    for stay in view.in_use.get(mover or "", []):
        left, right = time(stay.since_s), time(stay.until_s)
        drawing.rect(left, top, right - left, height, f"tint {view.colour(stay.network)}")


def _draw_stream(drawing: Drawing, view: View, time: Scale, top: float, arrivals: Arrivals) -> None:
    _draw_label(drawing, top, f"→ {arrivals.destination}", f"{arrivals.family} TCP from {arrivals.source}")
    drawing.text(0, top + 47, "Mbit/s", "lane-detail")
    _draw_tints(drawing, view, time, top, _STREAM, arrivals.source, arrivals.destination)
    edges = numpy.arange(0, view.duration_s + _RATE_STEP_S, _RATE_STEP_S)
    at = numpy.array(arrivals.at) - view.record.started_at
    total = numpy.concatenate(([0], numpy.array(arrivals.bytes, dtype=float)))
    rate = numpy.diff(total[numpy.searchsorted(at, edges)]) * 8e-6 / _RATE_STEP_S
    highest = float(numpy.percentile(rate, 98)) * 1.5 if len(rate) else 1.0
    scale = Scale(0, max(highest, 0.1), top + _STREAM, top + 4)
    for value in scale.ticks(2):
        drawing.text(_LEFT - 8, scale(value) + 4, number(value), "tick", "end")
        drawing.line(_LEFT, scale(value), _WIDTH - _RIGHT, scale(value), "grid")
    steps = [
        f"L{time(left):.1f},{scale(value):.1f}L{time(right):.1f},{scale(value):.1f}"
        for (left, right), value in zip(itertools.pairwise(edges), rate, strict=True)
    ]
    base = top + _STREAM
    drawing.path(f"M{_LEFT},{base:.1f}{''.join(steps)}L{_WIDTH - _RIGHT},{base:.1f}Z", "rate")
