"""Round trips of every (location, correspondent): directly, by the home agents, and by one home agent alone."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from unwired.lab import report_tables
from unwired.lab.analysis_set import NEAR_MS
from unwired.lab.report_paths import location, scenes
from unwired.lab.report_svg import Drawing, Scale, milliseconds, number
from unwired.lab.report_view import View
from unwired.lab.result import PathMeasured, Result

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _GROUP = 1080, 190, 64, 22, 34, 30


@dataclass(frozen=True, slots=True)
class Row:
    """One pair in one location. ``alone``: the same pair in the baseline. ``is_broken``: something was broken."""

    where: str
    path: PathMeasured
    alone: PathMeasured | None
    is_broken: bool

    @property
    def is_near(self) -> bool:
        return self.path.direct_rtt_ms < NEAR_MS


def rows(view: View, result: Result, baseline: Result | None) -> list[Row]:
    """What holds when Home Agent Switches are over: of each stop, and each failure there, the last scene."""
    alone = {}
    if baseline is not None:
        alone = {(path.network, path.correspondent): path for path in sorted(baseline.paths, key=lambda p: p.at_s)}
    last = {(scene.stop, scene.broken): scene for scene in scenes(view, result)}
    found = []
    for scene in last.values():
        where = location(view.record.scenario, scene)
        for path in scene.paths:
            other = alone.get((path.network, path.correspondent))
            found.append(Row(where, path, other, bool(scene.broken)))
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """Of several pairs: medians, and the largest stretch of all."""

    pairs: int
    direct_ms: float
    rtt_ms: float
    stretch: float
    largest_stretch: float


def summarize(paths: Sequence[PathMeasured]) -> Summary | None:
    if not paths:
        return None
    return Summary(
        pairs=len(paths),
        direct_ms=statistics.median(path.direct_rtt_ms for path in paths),
        rtt_ms=statistics.median(path.rtt_ms for path in paths),
        stretch=statistics.median(path.stretch for path in paths),
        largest_stretch=max(path.stretch for path in paths),
    )


def both(group: Sequence[Row]) -> tuple[Summary | None, Summary | None]:
    """By the home agents, and in the baseline."""
    return summarize([row.path for row in group]), summarize([row.alone for row in group if row.alone is not None])


def unbroken(found: Sequence[Row], near: bool) -> list[Row]:
    return [row for row in found if row.is_near == near and not row.is_broken]


def section(view: View, result: Result, baseline: Result | None) -> str:
    """The chart and, below it, the table."""
    found = rows(view, result, baseline)
    if not found:
        return ""
    alone = baseline.scenario if baseline is not None else None
    return f'<div class="figure">{chart(found, alone)}</div>{table(found, alone)}'


# --- the chart -------------------------------------------------------------------------------------------------------


def chart(found: Sequence[Row], alone: str | None) -> str:
    """A line for each pair: a bar for the direct path, a dot by the home agents, a ring by one alone."""
    places = list(dict.fromkeys(row.where for row in found))
    height = _TOP + len(found) * _ROW + len(places) * _GROUP + 30
    drawing = Drawing(_WIDTH, height, "Round-trip times of every location and correspondent")
    highest = max(max(row.path.rtt_ms, row.alone.rtt_ms if row.alone else 0.0) for row in found)
    scale = Scale(0, highest * 1.04, _LEFT, _WIDTH - _RIGHT)
    bottom = height - 24
    for value in scale.ticks(10):
        drawing.line(scale(value), _TOP - 6, scale(value), bottom, "grid")
        drawing.text(scale(value), bottom + 17, number(value), "tick", "middle")
    drawing.text(_WIDTH, bottom + 17, "ms", "tick", "end")
    _draw_key(drawing, alone)
    y = float(_TOP)
    for place in places:
        y += _GROUP
        drawing.text(0, y - 8, place, "lane")
        for row in (row for row in found if row.where == place):
            _draw_row(drawing, scale, y + _ROW / 2, row)
            y += _ROW
    return drawing.render()


def _draw_key(drawing: Drawing, alone: str | None) -> None:
    x, y = float(_LEFT), 12.0
    _draw_direct(drawing, x, y)
    drawing.text(x + 9, y + 4, "direct path", "tick key")
    drawing.add("circle", cx=x + 112, cy=y, r=5.5, class_="by-set")
    drawing.text(x + 123, y + 4, "by the nearest home agents", "tick key")
    if alone is not None:
        drawing.add("circle", cx=x + 322, cy=y, r=5.0, class_="by-one")
        drawing.text(x + 333, y + 4, f"by one home agent ({alone})", "tick key")
    drawing.text(_WIDTH, y + 4, "stretch", "tick", "end")


def _draw_row(drawing: Drawing, scale: Scale, y: float, row: Row) -> None:
    path = row.path
    drawing.text(_LEFT - 12, y + 4, path.correspondent, "pair", "end")
    direct, by_set = scale(path.direct_rtt_ms), scale(path.rtt_ms)
    if row.alone is not None:
        by_one = scale(row.alone.rtt_ms)
        drawing.line(min(direct, by_set), y, by_one, y, "detour")
        title = f"{path.correspondent}: {milliseconds(row.alone.rtt_ms)} by one home agent"
        drawing.add("circle", title=title, cx=by_one, cy=y, r=5.0, class_="by-one")
    drawing.line(direct, y, by_set, y, "stretch")
    _draw_direct(drawing, direct, y)
    words = f"{path.correspondent}: {milliseconds(path.rtt_ms)}, directly {milliseconds(path.direct_rtt_ms)}"
    drawing.add("circle", title=words, cx=by_set, cy=y, r=5.5, class_="by-set")
    drawing.text(_WIDTH, y + 4, _stretch(path), "pair-figure", "end")


def _draw_direct(drawing: Drawing, x: float, y: float) -> None:
    drawing.line(x, y - 8, x, y + 8, "direct")


# --- the table -------------------------------------------------------------------------------------------------------


def table(found: Sequence[Row], alone: str | None) -> str:
    heads = ["Where", "Correspondent", "Enters at", "Served by", "Direct", "By the home agents", "Stretch"]
    if alone is not None:
        heads += [escape(alone), "Stretch"]
    cells = []
    previous = None
    for row in found:
        path = row.path
        cells.append(
            [
                f"<b>{escape(row.where)}</b>" if row.where != previous else "",
                escape(path.correspondent),
                escape(path.entry_agent or "–"),
                escape(path.primary_agent or "–"),
                milliseconds(path.direct_rtt_ms),
                milliseconds(path.rtt_ms),
                _stretch(path),
            ]
        )
        if alone is not None:
            cells[-1] += [milliseconds(row.alone.rtt_ms), _stretch(row.alone)] if row.alone else ["–", "–"]
        previous = row.where
    return report_tables.table(heads, cells, 4, _medians(found, alone), "tight")


def _medians(found: Sequence[Row], alone: str | None) -> list[list[str]]:
    groups = (
        (f"Median, direct round trip {number(NEAR_MS)} ms or more", unbroken(found, near=False)),
        (f"Median, direct round trip below {number(NEAR_MS)} ms", unbroken(found, near=True)),
        ("Median, while something was broken", [row for row in found if row.is_broken]),
    )
    cells = []
    for words, group in groups:
        by_set, by_one = both(group)
        if by_set is None:
            continue
        figures = [milliseconds(by_set.direct_ms), milliseconds(by_set.rtt_ms), _times(by_set.stretch)]
        largest = ["", "", _times(by_set.largest_stretch)]
        if alone is not None:
            figures += [milliseconds(by_one.rtt_ms), _times(by_one.stretch)] if by_one else ["–", "–"]
            largest += ["", _times(by_one.largest_stretch)] if by_one else ["–", "–"]
        cells.append([words, _pairs(by_set.pairs), "", "", *figures])
        if by_set.pairs > 1:
            cells.append(["Largest stretch of these", "", "", "", *largest])
    return cells


def _pairs(count: int) -> str:
    return f"{count} pair" + ("s" if count != 1 else "")


def _stretch(path: PathMeasured) -> str:
    return _times(path.stretch)


def _times(value: float) -> str:
    return f"× {value:.2f}"
