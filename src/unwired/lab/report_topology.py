"""The emulated Internet as a drawing: nodes, links with their delays, networks, and where the mobile nodes were when.

Nodes are put in rows by their distance from the networks in which mobile nodes move, which stand at the bottom; each
row is ordered so that neighbours come to lie near each other.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

from unwired.lab.report_svg import Drawing, number
from unwired.lab.report_view import Stay, View
from unwired.lab.scenario import Role, Scenario, Shape

_WIDTH, _ROW, _TOP, _SIDE = 1080, 112, 44, 20
_BOX_WIDTH, _BOX_HEIGHT, _BOX_GAP = 128, 44, 12
_VISIT_HEIGHT = 22
_SAME_S = 1e-6
_ICONS = {
    Role.ROUTER: "M-8,0H8M4,-4L8,0L4,4M0,-8V8M-4,4L0,8L4,4",
    Role.HOME_AGENT: "M-8,0L0,-8L8,0M-5,-2V7H5V-2M-1.5,7V2H1.5V7",
    Role.CORRESPONDENT: "M-8,-7H8V4H-8ZM-4,8H4M0,4V8",
    Role.HOST: "M-8,-7H8V4H-8ZM-4,8H4M0,4V8",
    Role.MOBILE_NODE: "M-5,-9H5V9H-5ZM-1.5,6H1.5",
}


@dataclass(frozen=True, slots=True)
class _Visit:
    """``move`` is the number of the move that began it; None: there from the start."""

    move: int | None
    times: str


@dataclass(frozen=True, slots=True)
class _Edge:
    ends: tuple[str, str]
    shape: Shape
    mtu: int | None = None


def draw(view: View) -> str:
    scenario = view.record.scenario
    edges = _edges(scenario)
    rows = [part for row in _rows(view, edges) for part in _split(row)]
    visits = _visits(view)
    most = max((len(visit) for visit in visits.values()), default=0)
    bottom = _TOP + (len(rows) - 1) * _ROW
    height = bottom + 34 + most * _VISIT_HEIGHT
    drawing = Drawing(_WIDTH, height, f"Topology of {scenario.name}")
    places: dict[str, tuple[float, float]] = {}
    for row_number, row in enumerate(rows):
        y = float(bottom - row_number * _ROW)
        for index, name in enumerate(row):
            places[name] = (_SIDE + (_WIDTH - 2 * _SIDE) * (index + 0.5) / len(row), y)
    for edge in edges:
        _draw_edge(drawing, edge, places)
    networks = {network.name: network for network in scenario.network}
    for name, (x, y) in places.items():
        if name in networks:
            _draw_network(drawing, view, name, x, y)
            for line, visit in enumerate(visits.get(name, [])):
                _draw_visit(drawing, visit, x, y + 48 + line * _VISIT_HEIGHT)
        else:
            _draw_node(drawing, scenario, name, x, y)
    return drawing.render()


def _edges(scenario: Scenario) -> list[_Edge]:
    edges = [
        _Edge((link.between[0].partition(".")[0], link.between[1].partition(".")[0]), link, link.mtu)
        for link in scenario.link
    ]
    for network in scenario.network:
        members = dict.fromkeys(end.partition(".")[0] for end in network.members)
        edges += [_Edge((member, network.name), network) for member in members]
    return edges


def _rows(view: View, edges: list[_Edge]) -> list[list[str]]:
    """Rows from the bottom up."""
    scenario = view.record.scenario
    neighbours: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        neighbours[edge.ends[0]].add(edge.ends[1])
        neighbours[edge.ends[1]].add(edge.ends[0])
    visited = {stay.network for stays in view.stays.values() for stay in stays if stay.network}
    distance = {name: 0 for name in view.colours if name in visited or not visited}
    frontier = list(distance)
    while frontier:
        reached = [other for name in frontier for other in sorted(neighbours[name]) if other not in distance]
        for other in reached:
            distance.setdefault(other, min(distance[near] for near in neighbours[other] if near in distance) + 1)
        frontier = list(dict.fromkeys(reached))
    unmoved = [node.name for node in scenario.node if node.role != Role.MOBILE_NODE]
    for name in (*view.colours, *unmoved):
        distance.setdefault(name, 1)
    rows: list[list[str]] = [[] for _ in range(max(distance.values(), default=0) + 1)]
    for name in [*view.colours, *unmoved]:
        rows[distance[name]].append(name)
    _order(rows, neighbours)
    return [row for row in rows if row]


def _split(row: list[str]) -> list[list[str]]:
    """A row that is too wide becomes several, whose nodes stand in each other's gaps."""
    width = sum(_box_width(name) + _BOX_GAP for name in row)
    parts = math.ceil(width / (_WIDTH - 2 * _SIDE))
    return [row[part::parts] for part in range(parts)]


def _box_width(name: str) -> float:
    return max(float(_BOX_WIDTH), len(name) * 8.3 + 58)


def _order(rows: list[list[str]], neighbours: dict[str, set[str]]) -> None:
    """Sweeps down and up, each row sorted by where its neighbours are."""
    place = {name: (index + 0.5) / len(row) for row in rows for index, name in enumerate(row)}
    for _ in range(6):
        for row in [*rows, *reversed(rows)]:
            means = {
                name: sum(place[other] for other in near) / len(near)
                if (near := neighbours[name] & place.keys())
                else 0.5
                for name in row
            }
            row.sort(key=lambda name: means[name])
            for index, name in enumerate(row):
                place[name] = (index + 0.5) / len(row)


def _visits(view: View) -> dict[str, list[_Visit]]:
    """For each network, every stay of a mobile node's interface."""
    visits: dict[str, list[_Visit]] = defaultdict(list)
    several = len(view.stays) > 1
    for (node, interface), stays in view.stays.items():
        for stay in stays:
            if stay.network is not None:
                who = f"{interface} " if several else ""
                times = f"{who}{number(round(stay.since_s, 1))} – {number(round(stay.until_s, 1))} s"
                visits[stay.network].append(_Visit(_move_number(view, (node, interface), stay), times))
    return visits


def _move_number(view: View, end: tuple[str, str], stay: Stay) -> int | None:
    for index, move in enumerate(view.record.moves, start=1):
        at = move.attached_at if (move.node, move.interface) == end else None
        if at is not None and abs(view.seconds(at) - stay.since_s) < _SAME_S:
            return index
    return None


def _draw_visit(drawing: Drawing, visit: _Visit, x: float, y: float) -> None:
    left = x - (len(visit.times) * 6.3 + 24) / 2
    place = f"translate({left:.1f},{y - 4:.1f}) scale(0.75)"
    drawing.add("path", d=_ICONS[Role.MOBILE_NODE], transform=place, class_="icon")
    if visit.move is not None:
        drawing.add("circle", cx=left + 18, cy=y - 4, r=7.5, class_="move-mark")
        drawing.text(left + 18, y - 0.5, str(visit.move), "move-number small", "middle")
    drawing.text(left + (30 if visit.move is not None else 12), y, visit.times, "visit")


def _draw_edge(drawing: Drawing, edge: _Edge, places: dict[str, tuple[float, float]]) -> None:
    if any(end not in places for end in edge.ends):
        return
    (x1, y1), (x2, y2) = (places[end] for end in edge.ends)
    drawing.line(x1, y1, x2, y2, "wire")
    words = _shape_words(edge.shape, edge.mtu)
    if words:
        drawing.text((x1 + x2) / 2, (y1 + y2) / 2 + 4, words, "wire-name", "middle")


def _shape_words(shape: Shape, mtu: int | None) -> str:
    words = []
    if shape.delay_ms:
        words.append(f"{number(shape.delay_ms)} ms")
    if shape.rate_mbit is not None:
        words.append(f"{number(shape.rate_mbit)} Mbit/s")
    if shape.loss_percent:
        words.append(f"{number(shape.loss_percent)} % loss")
    if mtu is not None:
        words.append(f"MTU {mtu}")
    return ", ".join(words)


def _draw_network(drawing: Drawing, view: View, name: str, x: float, y: float) -> None:
    width = max(110.0, len(name) * 8 + 36)
    drawing.rect(x - width / 2, y - 17, width, 34, f"band {view.colour(name)}", 17)
    drawing.text(x, y + 5, name, "band-name", "middle")
    scenario = view.record.scenario
    drawing.text(x, y + 29, ", ".join(scenario.families(scenario.find_network(name))), "wire-name", "middle")


def _draw_node(drawing: Drawing, scenario: Scenario, name: str, x: float, y: float) -> None:
    node = scenario.find_node(name)
    width = _box_width(name)
    drawing.rect(x - width / 2, y - _BOX_HEIGHT / 2, width, _BOX_HEIGHT, f"node {node.role.value.replace('_', '-')}", 9)
    left = x - width / 2 + 22
    drawing.add("path", d=_ICONS[node.role], transform=f"translate({left:.1f},{y:.1f})", class_="icon")
    drawing.text(left + 18, y + 1, name, "node-name")
    drawing.text(left + 18, y + 14, ", ".join([node.role.value.replace("_", " "), *node.functions()]), "node-role")
