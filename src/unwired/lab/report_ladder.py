"""One move, packet by packet: a line from when each was sent to when it arrived, a red stub for each that was lost.

Three rails, time running to the right in milliseconds from the new link being usable: the other end, the mobile node
(its rail shows the network it is in), the other end again.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy

from unwired.lab import analysis_probe
from unwired.lab.analysis_probe import Flags, ProbeSeries, Window
from unwired.lab.report_svg import Drawing, Scale, milliseconds, number
from unwired.lab.report_view import View
from unwired.lab.result import Handover

_WIDTH, _SIDE = 600, 12
_RAILS = (60.0, 168.0, 276.0)
_HEIGHT, _BAND = 322, 18
_BEFORE_S, _AFTER_S, _LONGEST_S = 0.06, 0.09, 3.0
_STUB = 0.4
LINK_USABLE = "link usable"

_Line: TypeAlias = tuple[float, float, float, float]
"""From x, y to x, y."""


def draw(
    view: View, handover: Handover, window: Window, probes: Sequence[ProbeSeries], zero: str = LINK_USABLE
) -> str | None:
    """``zero`` says what happened at 0 ms. None when no probe ran."""
    inward = next((series for series in probes if series.destination == handover.node), None)
    outward = next((series for series in probes if series.source == handover.node), None)
    if inward is None and outward is None:
        return None
    known = [direction.interruption_ms for direction in handover.directions if direction.interruption_ms is not None]
    seen_s = max([*known, handover.registered_ms or 0.0, 60.0]) / 1e3
    start_s = window.began_at - window.usable_at - _BEFORE_S
    end_s = min(seen_s + _AFTER_S, _LONGEST_S, window.ends_at - window.usable_at)
    time = Scale(start_s, end_s, _SIDE, _WIDTH - _SIDE)
    drawing = Drawing(_WIDTH, _HEIGHT, f"Packets around the move to {handover.destination or 'no network'}")
    for value in time.ticks(8):
        drawing.line(time(value), _RAILS[0], time(value), _RAILS[2], "grid")
        drawing.text(time(value), _RAILS[2] + 22, number(round(value * 1e3)), "tick", "middle")
    drawing.text(_WIDTH - _SIDE, _RAILS[2] + 40, f"ms after: {zero}", "tick", "end")
    for series, top in ((inward, 0), (outward, 1)):
        if series is not None:
            _draw_interruption(drawing, handover, series, time, top)
            late = analysis_probe.late(series, handover.node, window)
            _draw_packets(drawing, series, late, window, time, _rails(top))
    _draw_rails(drawing, view, handover, window, time, inward, outward)
    _draw_marks(drawing, handover, time, zero)
    return drawing.render()


def _rails(top: int) -> tuple[float, float]:
    """Where lines begin and end: at the edge of the mobile node's band."""
    if top == 0:
        return _RAILS[0], _RAILS[1] - _BAND / 2
    return _RAILS[1] + _BAND / 2, _RAILS[2]


def _draw_packets(
    drawing: Drawing, series: ProbeSeries, late: Flags, window: Window, time: Scale, rails: tuple[float, float]
) -> None:
    sent = series.sent_at - window.usable_at
    received = series.received_at - window.usable_at
    inside = (sent <= time.high) & (numpy.where(series.lost, sent, received) >= time.low)
    top, bottom = rails
    whole: list[_Line] = []
    delayed: list[_Line] = []
    lost: list[_Line] = []
    for index in numpy.flatnonzero(inside):
        if series.lost[index]:
            if sent[index] >= time.low:
                x = time(sent[index])
                lost.append((x, top, x + 5, top + (bottom - top) * _STUB))
            continue
        (delayed if late[index] else whole).append(
            _clipped(time, float(sent[index]), float(received[index]), top, bottom)
        )
    drawing.segments(whole, "flight")
    drawing.segments(delayed, "flight late")
    drawing.segments(lost, "flight lost")
    crosses = [cross for _, _, x, y in lost for cross in ((x - 3, y - 3, x + 3, y + 3), (x - 3, y + 3, x + 3, y - 3))]
    drawing.segments(crosses, "cross")


def _clipped(time: Scale, sent: float, received: float, top: float, bottom: float) -> _Line:
    """The line from (sent, top) to (received, bottom), cut where the drawing ends."""

    def height(at: float) -> float:
        share = (min(max(at, time.low), time.high) - sent) / max(received - sent, 1e-9)
        return top + (bottom - top) * min(max(share, 0.0), 1.0)

    return time(sent), height(sent), time(received), height(received)


def _draw_interruption(drawing: Drawing, handover: Handover, series: ProbeSeries, time: Scale, top: int) -> None:
    measured = next(
        (
            direction.interruption_ms
            for direction in handover.directions
            if (direction.source, direction.destination, direction.family)
            == (series.source, series.destination, series.family)
        ),
        None,
    )
    if measured is None or handover.make_before_break:
        return
    first, last = _rails(top)
    left, right = time(0.0), time(measured / 1e3)
    drawing.rect(left, first, right - left, last - first, "interruption")
    y = last - 8
    inside = right - left > 52
    x = (left + right) / 2 if inside else min(right + 6, _WIDTH - _SIDE - 50)
    drawing.text(x, y, milliseconds(measured), "interruption-name", "middle" if inside else "start")


def _draw_rails(
    drawing: Drawing,
    view: View,
    handover: Handover,
    window: Window,
    time: Scale,
    inward: ProbeSeries | None,
    outward: ProbeSeries | None,
) -> None:
    for series, y, name in ((inward, _RAILS[0], "source"), (outward, _RAILS[2], "destination")):
        if series is not None:
            drawing.line(_SIDE, y, _WIDTH - _SIDE, y, "rail")
            drawing.text(_SIDE, y - 8 if name == "source" else y + 40, str(getattr(series, name)), "rail-name")
    bands = [stays for (node, _), stays in view.stays.items() if node == handover.node]
    for row, stays in enumerate(bands):
        height = _BAND / len(bands)
        y = _RAILS[1] - _BAND / 2 + row * height
        for stay in stays:
            since, until = (at + view.record.started_at - window.usable_at for at in (stay.since_s, stay.until_s))
            if until > time.low and since < time.high:
                left, right = time(since), time(until)
                drawing.rect(
                    left, y, right - left, height, f"band {view.colour(stay.network)}", title=stay.network or "no link"
                )
                wide = right - left > 8 * len(stay.network or "no link") and len(bands) == 1
                if wide:
                    class_ = "band-name small" if stay.network else "band-name small away"
                    drawing.text((left + right) / 2, y + height / 2 + 4, stay.network or "no link", class_, "middle")


def _draw_marks(drawing: Drawing, handover: Handover, time: Scale, zero: str) -> None:
    """What is zero, binding update sent, acknowledged: each name has a row of its own over the upper rail."""
    registered = handover.registered_ms
    sent = (
        registered - handover.signalling_ms if registered is not None and handover.signalling_ms is not None else None
    )
    marks = ((0.0, zero, 12.0), (sent, "binding update", 26.0), (registered, "acknowledged", 40.0))
    for at, words, y in marks:
        if at is None or at / 1e3 > time.high:
            continue
        x = time(at / 1e3)
        drawing.line(x, y - 9, x, _RAILS[2], "mark")
        label = words if at == 0 else f"{words} {milliseconds(at)}"
        near_the_end = x > _WIDTH - 150
        drawing.text(x - 4 if near_the_end else x + 4, y, label, "mark-name", "end" if near_the_end else "start")
