"""The report of a run: one HTML page that needs nothing but itself.

Figures first, then the drawings, then the tables and the configuration; what a scenario does not have, its page does
not have either. Everything that comes from a scenario or a log is escaped. ``write`` makes ``index.html`` and beside it
``result.json``. A baseline is the result of another scenario, the same journey without what is to be shown.
"""

import itertools
import json
import time
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from unwired import __version__
from unwired.lab import (
    analysis,
    report_compare,
    report_failures,
    report_ladder,
    report_run,
    report_scenes,
    report_sequence,
    report_switches,
    report_tables,
    report_topology,
    sequence,
)
from unwired.lab.agents import configuration_path
from unwired.lab.analysis_probe import ProbeSeries
from unwired.lab.analysis_stream import Arrivals, read_arrivals
from unwired.lab.metric import Metric
from unwired.lab.record import RunRecord
from unwired.lab.report_svg import milliseconds, number
from unwired.lab.report_view import View, look
from unwired.lab.result import LINK_GAINED, LINK_LEFT, LINK_LOST, Expectation, Handover, Json, Result
from unwired.lab.toml import dumps

_OPEN_MOVES = 12
"""Moves beyond these are folded away."""
_TILES = (
    (Metric.PATH_STRETCH_MEDIAN, "path stretch, median"),
    (Metric.SITE_OUTAGE_MEDIAN_MS, "outage when a site dies"),
    (Metric.BINDINGS_LOST, "bindings lost by failures"),
    (Metric.SWITCH_PACKETS_LOST, "packets lost by switches"),
    (Metric.INTERRUPTION_MEDIAN_MS, "interruption, median"),
    (Metric.TCP_RESETS, "TCP resets"),
    (Metric.INTERRUPTION_MAX_MS, "interruption, longest"),
    (Metric.MOVES_DONE, "moves completed"),
    (Metric.MAKE_BEFORE_BREAK_PACKETS_LOST, "packets lost, two links up"),
    (Metric.TCP_BYTES_LOST, "TCP bytes lost"),
    (Metric.TCP_BYTES, "TCP bytes intact"),
)
_TILES_MAX = 7
"""The first ones that there are; all the others stand in the tables."""
_JOURNEY = (
    "Choose a scene: where the mobile node is, before and after each Home Agent Switch, and after each failure. Beside "
    "each correspondent stands its round trip by the home agents."
)
_FAILURES = (
    "What was broken on purpose. Every tick is a probe packet that arrived, every red one a packet that did not, where "
    "it was sent; shaded is the longest silence, its length less the probe's interval is the outage."
)
_SWITCHES = (
    "A home agent that is nearer tells the mobile node to change to it (RFC 5142). Its link stays; every line below is "
    "a probe packet, from when it was sent to when it arrived."
)


def as_json(result: Result, baseline: Result | None) -> dict[str, Json]:
    """The result, and under ``baseline`` that of the other scenario, where there is one."""
    return result.to_json() | ({"baseline": baseline.to_json()} if baseline is not None else {})


def write(result: Result, record: RunRecord, directory: Path, baseline: Result | None = None) -> Path:
    """Makes ``directory``; gives the page's path."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(result, baseline), indent=2, ensure_ascii=False)
    (directory / "result.json").write_text(text + "\n", encoding="utf-8")
    page = directory / "index.html"
    page.write_text(render(result, record, baseline), encoding="utf-8")
    return page


def render(result: Result, record: RunRecord, baseline: Result | None = None) -> str:
    view = look(record)
    traffic = analysis.read_traffic(record)
    templates = files("unwired.lab")
    failed = [expectation for expectation in result.expectations if not expectation.passed]
    scenario = record.scenario
    return Template((templates / "report.html").read_text(encoding="utf-8")).substitute(
        style=(templates / "report.css").read_text(encoding="utf-8"),
        title=escape(scenario.title or scenario.name),
        scenario=escape(scenario.name),
        description=escape(scenario.description.strip()),
        verdict_class="passed" if result.passed else "failed",
        verdict="✓ Passed" if result.passed else "✗ Failed",
        verdict_detail=_verdict(result, len(failed)),
        problems=_list("problems", result.problems),
        tiles="".join(itertools.islice(_tiles(view, result, baseline), _TILES_MAX)),
        journey=_section("Where packets go", _JOURNEY, report_scenes.section(view, result)),
        round_trips=_section(
            "Round trips", _round_trip_words(baseline), report_compare.section(view, result, baseline)
        ),
        failures=_section("Failures", _FAILURES, report_failures.section(view, result, traffic.probes)),
        switches=_section(
            "Home Agent Switches",
            _SWITCHES,
            report_switches.section(view, report_switches.find(record, traffic.probes), traffic.probes),
        ),
        topology=report_topology.draw(view),
        run=report_run.draw(view, traffic.probes, _arrivals(record), result.failures),
        expectations=report_tables.expectations(result),
        moves="".join(_moves(result, view, traffic.probes)),
        handovers=report_tables.handovers(result),
        streams=report_tables.streams(result),
        probes=report_tables.probes(result),
        configurations="".join(_configurations(record)),
        footer=_footer(record),
    )


def _verdict(result: Result, failed: int) -> str:
    if not result.expectations:
        return "no expectations"
    if failed:
        return f"{failed} of {len(result.expectations)} expectations do not hold"
    return (
        f"all {len(result.expectations)} expectations hold" if not result.problems else "the run itself had a problem"
    )


def _list(class_: str, items: Sequence[str]) -> str:
    inside = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f'<ul class="{class_}">{inside}</ul>' if items else ""


def _tiles(view: View, result: Result, baseline: Result | None) -> Iterable[str]:
    figures = {name: (measured, unit) for name, measured, unit in result.metrics}
    expected = dict(zip((expect.metric for expect in view.record.scenario.expect), result.expectations, strict=True))
    switches = figures.get(Metric.HOME_AGENT_SWITCHES.value, (None, ""))[0]
    for metric, name in _TILES:
        measured, unit = figures.get(metric.value, (None, ""))
        if measured is None or (metric is Metric.SWITCH_PACKETS_LOST and not switches):
            continue
        if metric is Metric.PATH_STRETCH_MEDIAN:
            yield from _stretch_tiles(view, result, baseline, expected.get(metric))
        else:
            yield _tile(name, measured, unit, expected.get(metric))


def _stretch_tiles(view: View, result: Result, baseline: Result | None, expected: Expectation | None) -> Iterable[str]:
    far = report_compare.unbroken(report_compare.rows(view, result, baseline), near=False)
    by_set, by_one = report_compare.both(far)
    if by_set is not None:
        name = baseline.scenario if baseline is not None else ""
        yield _tile(
            "path stretch, median", by_set.stretch, "", expected, f"{name}: {by_one.stretch:.2f}" if by_one else ""
        )
        largest = f"{name}: {by_one.largest_stretch:.2f}" if by_one else ""
        yield _tile("path stretch, largest", by_set.largest_stretch, "", None, largest)


def _tile(name: str, measured: float, unit: str, expected: Expectation | None, beside: str = "") -> str:
    if unit == "bytes" and measured >= 1e6:
        measured, unit = measured / 1e6, "MB"
        limit = ""
    else:
        limit = f"{expected.comparison} {report_tables.figure(expected.limit, unit)}" if expected else ""
    failed = expected is not None and not expected.passed
    figure = report_tables.figure(measured, unit)
    return (
        f'<div class="tile{" failed" if failed else ""}"><div class="figure-name">{escape(name)}</div>'
        f'<div class="value">{figure} <small>{escape(unit if unit != "packets" else "")}</small></div>'
        f'<div class="limit">{escape(", ".join(filter(None, (limit, beside))))}</div></div>'
    )


def _section(title: str, words: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p>{body}</section>" if body else ""


def _round_trip_words(baseline: Result | None) -> str:
    beside = f", and by the one home agent of {baseline.scenario}" if baseline is not None else ""
    return (
        "From where the mobile node is to each correspondent and back: directly from the care-of address, by the home "
        f"agents from the home address{beside}. Stretch is the round trip over the direct one."
    )


def _arrivals(record: RunRecord) -> list[Arrivals]:
    arrivals = []
    for flow in record.flows:
        if flow.kind == "tcp":
            try:
                arrivals.append(read_arrivals(flow))
            except (OSError, ValueError):
                continue  # told as a problem of the result
    return arrivals


def _moves(result: Result, view: View, probes: Sequence[ProbeSeries]) -> Iterable[str]:
    sightings = sequence.read_sightings(view.record)
    for index, handover in enumerate(result.handovers):
        if handover.kind in (LINK_GAINED, LINK_LEFT, LINK_LOST) and not handover.packets_lost:
            continue
        window = analysis.window_of(view.record, index)
        ladder = report_ladder.draw(view, handover, window, probes)
        exchange = sequence.exchange(view.record, index, sightings, probes)
        drawings = [ladder, report_sequence.draw(exchange, window.usable_at) if exchange else None]
        card = (
            f'<div class="card">{_move_head(index, handover)}<div class="pair">'
            f"{''.join(f'<div>{drawing}</div>' for drawing in drawings if drawing)}</div></div>"
        )
        folded = index >= _OPEN_MOVES
        yield f"<details><summary>Move {index + 1}</summary>{card}</details>" if folded else card


def _move_head(index: int, handover: Handover) -> str:
    ends = f"{escape(handover.source or 'no network')} → {escape(handover.destination or 'no network')}"
    kind = handover.kind + (", both links up" if handover.make_before_break else "")
    lost = {direction.source: direction.packets_lost for direction in handover.directions}
    told = ", ".join(f"{count} from {escape(source)}" for source, count in lost.items())
    return (
        f'<div class="card-head"><h3>{index + 1} · {ends}</h3>'
        f'<span class="kind">{escape(f"{handover.node}, {kind}, at {number(round(handover.at_s, 1))} s")}</span></div>'
        f'<div class="figures"><span><b>{milliseconds(handover.interruption_ms)}</b>interruption</span>'
        f"<span><b>{milliseconds(handover.signalling_ms)}</b>binding update to acknowledgement</span>"
        f"<span><b>{handover.packets_lost}</b>lost{f' ({told})' if told else ''}</span>"
        f"<span><b>{handover.packets_late}</b>late</span></div>"
    )


def _configurations(record: RunRecord) -> Iterable[str]:
    for node in record.scenario.node:
        if node.config:
            path = configuration_path(record.directory, node.name)
            text = path.read_text() if path.exists() else dumps(node.config)
            yield f"<details><summary>{escape(node.name)}</summary><pre>{escape(text.strip())}</pre></details>"


def _footer(record: RunRecord) -> str:
    started = time.localtime(record.started_at + record.wall_minus_monotonic_s)
    when = time.strftime("%Y-%m-%d %H:%M:%S", started)
    return f"Unwired {escape(__version__)}, run on {when}, seed {record.scenario.seed}."
