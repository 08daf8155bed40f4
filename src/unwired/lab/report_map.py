"""A scene on the map: for each correspondent the way of its packets by the home agents to the mobile node, the way
back, and the direct path."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from unwired.lab.report_atlas import AGENT, CORRESPONDENT, NETWORK, SITE_RADIUS, Atlas, Entry, Site
from unwired.lab.report_paths import Scene
from unwired.lab.report_svg import Drawing, milliseconds
from unwired.lab.result import PathMeasured

COAST = "coast"
_LIFT, _LANE, _HOOK, _HOOK_LANE = 0.16, 9.0, 16.0, 5.0
_HEAD = 7.0
_EDGE = 8.0
_ICONS = {
    AGENT: "M-6,0L0,-6L6,0M-4,-2V5H4V-2",
    CORRESPONDENT: "M-6,-5H6V3H-6ZM-3,6H3M0,3V6",
}


def coast_definition(atlas: Atlas) -> str:
    """The coastlines, once for all maps of a page."""
    return (
        '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>'
        f'<g id="{COAST}"><path class="land" d="{atlas.land}"/><path class="water" d="{atlas.water}"/></g>'
        "</defs></svg>"
    )


def draw(atlas: Atlas, scene: Scene, label: str) -> str:
    drawing = Drawing(atlas.projection.width, atlas.projection.height, label)
    drawing.rect(0, 0, atlas.projection.width, atlas.projection.height, "water")
    drawing.add("use", href=f"#{COAST}")
    for name, (x, y) in atlas.routers:
        drawing.add("circle", title=name, cx=x, cy=y, r=1.8, class_="map-router")
    _draw_journey(drawing, atlas, scene)
    for site in atlas.sites:
        _draw_card(drawing, site)
    for site in atlas.sites:
        drawing.add("circle", cx=site.dot[0], cy=site.dot[1], r=SITE_RADIUS, class_="map-dot")
    for lane, path in enumerate(scene.paths):
        _draw_path(drawing, atlas, scene, path, lane)
    shown = {path.correspondent: path for path in scene.paths}
    for entry in atlas.entries.values():
        _draw_entry(drawing, atlas, scene, entry, shown.get(entry.name))
    return drawing.render()


def waypoints(atlas: Atlas, path: PathMeasured) -> tuple[list[str], list[str]]:
    """The home agents that packets pass to the mobile node, and those on the way back, in order."""
    inward = list(dict.fromkeys(name for name in (path.entry_agent, path.primary_agent) if name is not None))
    outward = [name for name in path.hops_from_node if (AGENT, name) in atlas.entries]
    if not path.hops_from_node:
        outward = [path.primary_agent] if path.primary_agent else []
    return inward, list(dict.fromkeys(outward))


# --- sites and what is there -----------------------------------------------------------------------------------------


def _draw_card(drawing: Drawing, site: Site) -> None:
    x, y = site.dot
    card = site.card
    if card is not None:
        near_x, near_y = min(max(x, card.left), card.right), min(max(y, card.top), card.bottom)
        drawing.line(x, y, near_x, near_y, "map-leader")
        drawing.rect(card.left, card.top, card.width, card.height, "map-card", 9)
        drawing.text(card.left + 10, card.top + 14, site.name, "map-site")


def _draw_journey(drawing: Drawing, atlas: Atlas, scene: Scene) -> None:
    """The stops up to this one, joined."""
    made = [stop for stop in atlas.stops if stop.node == scene.stop.node and stop.number <= scene.stop.number]
    dots = [dot for stop in made if (dot := atlas.dot_of(NETWORK, stop.network)) is not None]
    for (x1, y1), (x2, y2) in pairwise(dots):
        lift = abs(x2 - x1) * 0.16
        steps = f"M{x1:.1f},{y1:.1f}Q{(x1 + x2) / 2:.1f},{(y1 + y2) / 2 + 2 * lift:.1f} {x2:.1f},{y2:.1f}"
        drawing.path(steps, "map-journey")


def _draw_entry(drawing: Drawing, atlas: Atlas, scene: Scene, entry: Entry, path: PathMeasured | None) -> None:
    box = entry.box
    middle = (box.top + box.bottom) / 2
    is_dead = entry.kind == AGENT and entry.name in scene.dead
    is_here = entry.kind == NETWORK and entry.name == scene.stop.network
    class_ = entry.kind + (" dead" if is_dead else "") + (" here" if is_here else "")
    if entry.kind == AGENT and entry.name in scene.primaries:
        class_ += " primary"
    if entry.kind == CORRESPONDENT:
        class_ += f" {atlas.colours.get(entry.name, '')}"
    title = None if path is None else _path_words(atlas, path)
    drawing.rect(box.left, box.top, box.width, box.height, f"map-entry {class_}", box.height / 2, title)
    x = box.left + 12
    if entry.kind == NETWORK:
        numbers = [stop.number for stop in atlas.stops if (stop.node, stop.network) == (scene.stop.node, entry.name)]
        drawing.add("circle", cx=x, cy=middle, r=7.5, class_="map-number" + (" here" if is_here else ""))
        drawing.text(x, middle + 3.5, ",".join(map(str, numbers)), "map-number-text", "middle")
    else:
        drawing.add("path", d=_ICONS[entry.kind], transform=f"translate({x:.1f},{middle:.1f})", class_=f"icon {class_}")
    drawing.text(x + 12, middle + 4, entry.name, f"map-name {class_}")
    if path is not None:
        drawing.text(box.right - 8, middle + 4, milliseconds(path.rtt_ms), "map-figure", "end")
    if is_here:
        drawing.text(box.right - 8, middle + 4, scene.stop.node, "map-figure here", "end")
    if is_dead:
        drawing.segments(_cross(box.left + 12, middle, 10), "map-cross")


def _cross(x: float, y: float, size: float) -> Iterable[tuple[float, float, float, float]]:
    return ((x - size, y - size, x + size, y + size), (x - size, y + size, x + size, y - size))


# --- paths -----------------------------------------------------------------------------------------------------------


def _draw_path(drawing: Drawing, atlas: Atlas, scene: Scene, path: PathMeasured, lane: int) -> None:
    ends = ((CORRESPONDENT, path.correspondent), (NETWORK, scene.stop.network))
    colour = atlas.colours[path.correspondent]
    inward, outward = waypoints(atlas, path)
    to_node = [ends[0], *((AGENT, name) for name in inward), ends[1]]
    back = [ends[1], *((AGENT, name) for name in outward), ends[0]]
    words = _path_words(atlas, path)
    for route, class_, offset in (
        ((ends[0], ends[1]), "map-direct", -1.0),
        (back, f"map-return {colour}", 0.5),
        (to_node, f"map-flow {colour}", 0.0),
    ):
        known = [atlas.entries[key] for key in route if key in atlas.entries]
        for first, second in pairwise(known):
            _draw_leg(drawing, atlas, first, second, class_, lane + offset, words)


def _draw_leg(
    drawing: Drawing, atlas: Atlas, first: Entry, second: Entry, class_: str, lane: float, title: str
) -> None:
    """A curve from the edge of one entry to that of another: a hook within a card, else an arc that bends north."""
    (x1, y1), (x2, y2) = first.box.middle, second.box.middle
    apart = x2 - x1
    spread = 1.6 * (lane % 4) - 2.4
    if abs(apart) < first.box.width * 0.75:
        side = 1 if (x1 + x2) / 2 < atlas.projection.width / 2 else -1
        start_x, end_x = (box.right if side > 0 else box.left for box in (first.box, second.box))
        away = side * (_HOOK + _HOOK_LANE * max(lane, 0) + abs(y2 - y1) * 0.12)
        controls = (start_x + away, y1), (end_x + away, y2)
    else:
        side = 1 if apart > 0 else -1
        start_x = first.box.right if side > 0 else first.box.left
        end_x = second.box.left if side > 0 else second.box.right
        reach = max(20.0, abs(end_x - start_x) * 0.34)
        wanted = abs(apart) * (_LIFT if "direct" not in class_ else 0.02) + min(_LANE, abs(apart) / 40) * lane
        lift = min(wanted, (min(y1, y2) - _EDGE) / 0.75 - 2 * lane)  # the curve rises to three quarters of it
        controls = (start_x + side * reach, y1 - lift), (end_x - side * reach, y2 - lift)
    start, end = (start_x, y1 + spread), (end_x, y2 + spread)
    is_direct = "direct" in class_
    tip = end if is_direct else _shortened(controls[1], end, _HEAD)
    steps = f"M{_point(start)}C{_point(controls[0])} {_point(controls[1])} {_point(tip)}"
    drawing.path(steps, class_, title)
    if not is_direct:
        drawing.path(_arrow_head(controls[1], end), f"{class_} map-head")


def _point(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _shortened(before: tuple[float, float], end: tuple[float, float], by: float) -> tuple[float, float]:
    length = math.dist(before, end) or 1.0
    return end[0] + (before[0] - end[0]) / length * by, end[1] + (before[1] - end[1]) / length * by


def _arrow_head(before: tuple[float, float], end: tuple[float, float]) -> str:
    base_x, base_y = _shortened(before, end, _HEAD)
    across, down = (base_y - end[1]) * 0.5, (end[0] - base_x) * 0.5
    corners: Sequence[tuple[float, float]] = ((base_x + across, base_y + down), (base_x - across, base_y - down))
    return f"M{_point(end)}L{_point(corners[0])}L{_point(corners[1])}Z"


def _path_words(atlas: Atlas, path: PathMeasured) -> str:
    inward, outward = waypoints(atlas, path)
    there = " → ".join([path.correspondent, *inward, path.node])
    back = " → ".join([path.node, *outward, path.correspondent])
    return (
        f"{there}; back {back}: {milliseconds(path.rtt_ms)}, directly {milliseconds(path.direct_rtt_ms)}, "
        f"stretch {path.stretch:.2f}"
    )


def legend() -> str:
    lines = (
        ("map-flow", "to the mobile node"),
        ("map-return", "and back"),
        ("map-direct", "the direct path"),
        ("map-journey", "the journey"),
    )
    swatches = "".join(
        f'<span><svg viewBox="0 0 34 10" class="swatch" aria-hidden="true"><path class="{class_} flow0" d="M1,5H33"/>'
        f"</svg>{escape(words)}</span>"
        for class_, words in lines
    )
    return f'<p class="legend">{swatches}</p>'
