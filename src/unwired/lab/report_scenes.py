"""The map of a journey, scene by scene: radio buttons choose one, so that the page needs no script. On paper all of
them follow one another."""

import statistics
from collections.abc import Sequence
from html import escape

from unwired.lab import report_failures, report_map
from unwired.lab.report_atlas import survey
from unwired.lab.report_paths import Scene, heading, listed, scenes
from unwired.lab.report_svg import number
from unwired.lab.report_view import View
from unwired.lab.result import Result
from unwired.lab.scenario import Scenario


def section(view: View, result: Result) -> str:
    """Empty when no paths were measured or when nodes have no places."""
    atlas = survey(view, result)
    shown = scenes(view, result)
    if atlas is None or not shown:
        return ""
    scenario = view.record.scenario
    several = len({scene.stop.node for scene in shown}) > 1
    chosen = _first_choice(shown)
    panels = []
    for index, scene in enumerate(shown):
        name = heading(scenario, scene) + (f" ({scene.stop.node})" if several else "")
        checked = " checked" if index == chosen else ""
        panels.append(
            f'<div class="scene"><input type="radio" name="scene" id="scene{index}"{checked}>'
            f'<label for="scene{index}">{escape(name)}</label>'
            f'<div class="panel"><p>{_words(scenario, scene)}</p>'
            f'<div class="figure">{report_map.draw(atlas, scene, f"Paths: {name}")}</div></div></div>'
        )
    inside = f'<div class="scenes" role="radiogroup" aria-label="Scene">{"".join(panels)}</div>'
    return f"{report_map.coast_definition(atlas)}{inside}{report_map.legend()}"


def _first_choice(shown: Sequence[Scene]) -> int:
    """The farthest stop with everything well: the scene that says most of where packets go."""
    well = [index for index, scene in enumerate(shown) if not (scene.broken or scene.mended)]
    return well[-1] if well else 0


def _words(scenario: Scenario, scene: Scene) -> str:
    said = [f"Measured at {number(round(scene.at_s, 1))} s."]
    for failure in scene.broken:
        said.append(f"{report_failures.words(failure)} at {number(round(failure.at_s, 1))} s.")
    if scene.primaries:
        verb = "is moved by Home Agent Switch to" if scene.switched else "is served by"
        said.append(f"{scene.stop.node} {verb} {listed(scene.primaries)}.")
    stretch = statistics.median(path.stretch for path in scene.paths)
    agents = [node.name for node in scenario.node if node.role == "home_agent"]
    if len(agents) > 1:
        said.append("What is sent to it enters at the home agent nearest to the sender.")
    said.append(f"Round trips are × {stretch:.2f} the direct ones (median).")
    return escape(" ".join(said))
