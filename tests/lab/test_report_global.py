"""The report of a home agent set: map, comparison, failures and switches, of a run that is made up."""

import itertools
import json
import re
import xml.etree.ElementTree
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from synthetic_global import (
    AGENTS,
    CORRESPONDENTS,
    KILLED_AT_S,
    OUTAGE_S,
    ROUTERS,
    STAYS,
    SWITCH_S,
    baseline,
    make_run,
    paths,
)
from synthetic_run import STARTED_AT

from unwired.lab import (
    report,
    report_atlas,
    report_compare,
    report_failures,
    report_map,
    report_paths,
    report_story,
    report_switches,
)
from unwired.lab.analysis import read_traffic
from unwired.lab.record import RunRecord
from unwired.lab.report_atlas import Atlas
from unwired.lab.report_geography import fit
from unwired.lab.report_labels import Box, Mark, place
from unwired.lab.report_svg import milliseconds
from unwired.lab.report_view import View, look
from unwired.lab.result import Result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Result]:
    return make_run(tmp_path_factory.mktemp("global"))


@pytest.fixture(scope="module")
def view(run: tuple[RunRecord, Result]) -> View:
    return look(run[0])


@pytest.fixture(scope="module")
def atlas(run: tuple[RunRecord, Result], view: View) -> Atlas:
    found = report_atlas.survey(view, run[1])
    assert found is not None
    return found


# --- the map ---------------------------------------------------------------------------------------------------------


def test_the_pacific_is_in_the_middle() -> None:
    projection = fit([(139.77, 35.69), (-118.25, 34.05), (126.98, 37.57)], 1000)
    seoul, tokyo, date_line, los_angeles = (projection(longitude, 36)[0] for longitude in (127, 140, 180, -118.25))
    assert 0 < seoul < tokyo < date_line < los_angeles < 1000
    assert abs((seoul + los_angeles) / 2 - 500) < 20


def test_a_map_of_one_city_is_no_single_point() -> None:
    projection = fit([(4.9, 52.37), (4.95, 52.36)], 1000)
    assert projection(4.9, 52.37)[0] == pytest.approx(500, abs=5)
    assert projection.height > 300


def test_coastlines_are_small_and_say_where_they_come_from() -> None:
    text = (files("unwired.lab") / "coastlines.json").read_text(encoding="utf-8")
    shapes = json.loads(text)
    assert len(text) < 60_000
    assert "by hand" in shapes["origin"]
    rings = shapes["land"] + shapes["water"]
    assert all(len(ring) >= 3 for ring in rings)
    assert all(-180 <= longitude <= 200 and -60 <= latitude <= 85 for ring in rings for longitude, latitude in ring)
    for ring in rings:  # none jumps over the globe
        assert all(abs(one[0] - other[0]) < 20 for one, other in itertools.pairwise(ring))


def test_no_two_labels_overlap(atlas: Atlas) -> None:
    cards = [site.card for site in atlas.sites if site.card is not None]
    assert len(cards) == len(atlas.sites)
    for one, other in itertools.combinations(cards, 2):
        assert not one.overlaps(other)
    for card, site in itertools.product(cards, atlas.sites):
        x, y = site.dot
        assert not card.overlaps(Box(x - 1, y - 1, x + 1, y + 1))
    for card in cards:
        assert card.left >= 0 and card.top >= 0
        assert card.right <= atlas.projection.width and card.bottom <= atlas.projection.height
    for one, other in itertools.combinations(atlas.entries.values(), 2):
        assert not one.box.overlaps(other.box)


def test_labels_that_find_no_room_are_left_out_rather_than_laid_over_others() -> None:
    marks = [Mark(50 + index, 50, 4, 60, 30) for index in range(12)]
    boxes = [box for box in place(marks, 130, 100) if box is not None]
    assert boxes
    assert len(boxes) < len(marks)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_everything_is_on_every_map(atlas: Atlas, run: tuple[RunRecord, Result], view: View) -> None:
    for scene in report_paths.scenes(view, run[1]):
        drawing = report_map.draw(atlas, scene, "a scene")
        root = xml.etree.ElementTree.fromstring(drawing)
        words = {element.text for element in root.iter("text")}
        assert {*AGENTS, *CORRESPONDENTS, *ROUTERS.values(), "1", "2", "3"} <= words
        for router in ROUTERS:
            assert f"<title>{router}</title>" in drawing
        assert drawing.count('class="map-direct"') == len(CORRESPONDENTS)
        assert ("map-cross" in drawing) == bool(scene.dead)


def test_scenes_tell_of_switches_and_failures(run: tuple[RunRecord, Result], view: View) -> None:
    record, result = run
    told = [report_paths.heading(record.scenario, scene) for scene in report_paths.scenes(view, result)]
    assert told == [
        "1 Tokyo",
        "2 Seoul",
        "2 Seoul, switched to korea",
        "3 Los Angeles",
        "3 Los Angeles, switched to los-angeles",
        "3 Los Angeles, los-angeles down",
    ]


def test_what_is_mended_is_no_longer_crossed_out(run: tuple[RunRecord, Result], view: View) -> None:
    record, result = run
    healed = replace(result.failures[0], at_s=39.0, what="heal", outage_ms=None)
    again = [replace(path, at_s=42.0) for path in paths() if path.at_s == 26.0]
    result = replace(result, failures=(*result.failures, healed), paths=(*result.paths, *again))
    scenes = report_paths.scenes(view, result)
    assert [sorted(scene.dead) for scene in scenes[-2:]] == [["los-angeles"], []]
    assert report_paths.heading(record.scenario, scenes[-1]) == "3 Los Angeles, mended"


def test_the_way_of_a_flow(atlas: Atlas, run: tuple[RunRecord, Result]) -> None:
    at_seoul = next(path for path in run[1].paths if path.at_s == 14.0 and path.correspondent == "la-server")
    assert report_map.waypoints(atlas, at_seoul) == (["los-angeles", "korea"], ["korea"])
    assert report_map.waypoints(atlas, replace(at_seoul, hops_from_node=()))[1] == ["korea"]
    assert report_map.waypoints(atlas, replace(at_seoul, entry_agent=None)) == (["korea"], ["korea"])
    other_way = replace(at_seoul, hops_from_node=("mobile", "iij-tokyo", "tokyo", "la-server"))
    assert report_map.waypoints(atlas, other_way)[1] == ["tokyo"]


def test_survivors_that_serve_each_its_own_are_one_scene(run: tuple[RunRecord, Result], view: View) -> None:
    record, result = run
    killed = [path for path in result.paths if path.at_s > KILLED_AT_S]
    served = [replace(path, primary_agent=path.entry_agent) for path in killed]
    others = [path for path in result.paths if path.at_s <= KILLED_AT_S]
    scenes = report_paths.scenes(view, replace(result, paths=(*others, *served)))
    assert len(scenes) == 6
    assert report_paths.listed(scenes[-1].primaries) == "korea, tokyo and tokyo-sfc"
    assert report_paths.listed(["korea"]) == "korea"
    assert report_paths.heading(record.scenario, scenes[-1]) == "3 Los Angeles, los-angeles down"


def test_arcs_and_arrow_heads_stay_in_the_picture(atlas: Atlas, run: tuple[RunRecord, Result], view: View) -> None:
    for scene in report_paths.scenes(view, run[1]):
        for steps in re.findall(r'<path d="M([^"Z]*)" class="map-flow', report_map.draw(atlas, scene, "")):
            numbers = [float(figure) for figure in re.findall(r"-?[\d.]+", steps)]
            start, first, second, end = zip(numbers[::2], numbers[1::2], strict=True)
            for share in (0.25, 0.5, 0.75):
                rest = 1 - share
                y = (
                    rest**3 * start[1]
                    + 3 * rest**2 * share * first[1]
                    + 3 * rest * share**2 * second[1]
                    + share**3 * end[1]
                )
                assert 0 <= y <= atlas.projection.height


# --- round trips -----------------------------------------------------------------------------------------------------


def test_each_pair_once_with_its_settled_figures(run: tuple[RunRecord, Result], view: View) -> None:
    found = report_compare.rows(view, run[1], baseline(run[0]))
    assert len(found) == (len(STAYS) + 1) * len(CORRESPONDENTS)
    seoul = [row for row in found if row.where == "2 Seoul"]
    assert {row.path.primary_agent for row in seoul} == {"korea"}
    local = next(row for row in seoul if row.path.correspondent == "seoul-server")
    assert local.is_near and local.alone is not None
    assert local.alone.primary_agent == "tokyo"
    assert local.alone.rtt_ms > 4 * local.path.rtt_ms
    assert [row.is_broken for row in found].count(True) == len(CORRESPONDENTS)


def test_medians_are_of_the_far_pairs_while_nothing_is_broken(run: tuple[RunRecord, Result], view: View) -> None:
    found = report_compare.rows(view, run[1], baseline(run[0]))
    far = sorted(row.path.stretch for row in found if not row.is_broken and row.path.direct_rtt_ms >= 10)
    middle = (far[len(far) // 2 - 1] + far[len(far) // 2]) / 2 if len(far) % 2 == 0 else far[len(far) // 2]
    table = report_compare.table(found, "single-ha")
    foot = table[table.index("<tfoot>") :]
    assert f"{len(far)} pairs" in foot
    assert f"× {middle:.2f}" in foot
    assert foot.count("<tr>") == 6


def test_medians_are_those_that_the_analysis_expects_something_of(run: tuple[RunRecord, Result], view: View) -> None:
    found = report_compare.rows(view, run[1], None)
    metrics = {name: measured for name, measured, _ in run[1].metrics}
    for name, near in (("path_stretch_median", False), ("near_path_stretch_median", True)):
        by_set, by_one = report_compare.both(report_compare.unbroken(found, near))
        assert by_set is not None
        assert by_one is None
        assert by_set.stretch == pytest.approx(metrics[name])


def test_without_a_baseline_nothing_is_said_of_one(run: tuple[RunRecord, Result], view: View) -> None:
    text = report_compare.section(view, run[1], None)
    assert "single" not in text
    assert "by-one" not in text
    for name in CORRESPONDENTS:
        assert text.count(f">{name}<") == 2 * (len(STAYS) + 1)


# --- failures and switches -------------------------------------------------------------------------------------------


def test_silence_around_a_failure(run: tuple[RunRecord, Result]) -> None:
    series = read_traffic(run[0]).probes[0]
    at = STARTED_AT + KILLED_AT_S
    gap = report_failures.silence(series, at, at + 5)
    assert gap is not None
    assert gap[1] - gap[0] == pytest.approx(OUTAGE_S, abs=0.02)


def test_failures_in_figures(run: tuple[RunRecord, Result], view: View) -> None:
    record, result = run
    site = result.failures[0]
    assert site.outage_ms == pytest.approx(OUTAGE_S * 1e3, abs=12)
    lost = replace(site, at_s=20.0, bindings_after=9_998, outage_ms=None)
    text = report_failures.section(view, replace(result, failures=(site, lost)), read_traffic(record).probes)
    assert "The site of los-angeles disappears" in text
    assert milliseconds(site.outage_ms) in text
    assert '<span class="fail">2</span>' in text
    assert text.count("<svg") == 2


def test_switches_from_notices(run: tuple[RunRecord, Result]) -> None:
    record, _ = run
    switches = report_switches.find(record, read_traffic(record).probes)
    assert [(switch.source, switch.destination) for switch in switches] == [
        ("tokyo", "korea"),
        ("korea", "los-angeles"),
    ]
    for switch in switches:
        assert switch.signalling_ms == pytest.approx(SWITCH_S * 1e3)
        assert switch.packets_lost == 0


def test_the_story_has_every_event_with_its_figures(run: tuple[RunRecord, Result]) -> None:
    record, result = run
    told = report_story.tell(result, record, baseline(run[0]))
    sentences = "\n".join(sentence for _, sentence in told)
    assert [at_s for at_s, _ in told if at_s is not None] == sorted(at_s for at_s, _ in told if at_s is not None)
    assert "mobile moves from tokyo-access to seoul-access: first packet" in sentences
    assert "from korea to los-angeles: 6 ms of signalling, no packet lost" in sentences
    site = result.failures[0]
    cost = f"silence of {milliseconds(site.outage_ms)}, {site.packets_lost} packets lost"
    assert f"The site of los-angeles disappears: {cost}, 10 000 of 10 000 bindings still held" in sentences
    assert "single-ha" in sentences


def test_a_move_without_a_probe_is_told_by_its_registration(run: tuple[RunRecord, Result]) -> None:
    record, result = run
    unwatched = tuple(replace(move, directions=(), interruption_ms=None) for move in result.handovers)
    sentences = [sentence for _, sentence in report_story.tell(replace(result, handovers=unwatched), record)]
    assert sentences[0].startswith("mobile moves from tokyo-access to seoul-access: registered ")


def test_a_silence_is_searched_up_to_the_next_event(run: tuple[RunRecord, Result], view: View) -> None:
    record, result = run
    early = replace(result.failures[0], at_s=5.0)
    drawing = report_failures.draw(view, early, 10.0, read_traffic(record).probes, None)
    assert drawing is not None
    assert "interruption" not in drawing  # the move at 10 s is not its doing


# --- the page --------------------------------------------------------------------------------------------------------


def test_page_is_whole_and_needs_nothing_else(run: tuple[RunRecord, Result], tmp_path: Path) -> None:
    record, result = run
    page = report.write(result, record, tmp_path, baseline(run[0])).read_text()
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img|\$[a-z]", page)
    assert not re.search(r"\b(nan|inf|None)\b(?!\.<)", page)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        xml.etree.ElementTree.fromstring(drawing)
    assert page.count('type="radio"') == 6
    assert page.count(" checked>") == 1
    assert len(page) < 1_500_000
    kept = json.loads((tmp_path / "result.json").read_text())
    assert kept["baseline"]["scenario"] == "single-ha"
    assert len(kept["baseline"]["paths"]) == len(STAYS) * len(CORRESPONDENTS)


def test_names_of_places_are_escaped(run: tuple[RunRecord, Result], tmp_path: Path) -> None:
    record, result = run
    nodes = [
        node.model_copy(update={"place": node.place.model_copy(update={"name": "<b>Tōkyō & co"})})
        if node.place
        else node
        for node in record.scenario.node
    ]
    scenario = record.scenario.model_copy(update={"node": nodes})
    page = report.write(result, replace(record, scenario=scenario), tmp_path).read_text()
    assert "<b>Tōkyō" not in page
    assert "&lt;b&gt;Tōkyō &amp; co" in page


def test_without_places_there_is_no_map_but_the_figures(run: tuple[RunRecord, Result], tmp_path: Path) -> None:
    record, result = run
    nodes = [node.model_copy(update={"place": None}) for node in record.scenario.node]
    scenario = record.scenario.model_copy(update={"node": nodes})
    page = report.write(result, replace(record, scenario=scenario), tmp_path).read_text()
    assert "Where packets go" not in page
    assert "Round trips" in page
    assert "2 seoul-access" in page


def test_agents_of_an_unmeasured_run_make_no_section(run: tuple[RunRecord, Result], tmp_path: Path) -> None:
    record, result = run
    bare = replace(result, paths=(), failures=())
    page = report.write(bare, replace(record, notices=()), tmp_path).read_text()
    for title in ("Where packets go", "Round trips", "Failures", "Home Agent Switches"):
        assert f"<h2>{title}</h2>" not in page
