"""Draws a scenario's topology: as text, for Graphviz, or as an SVG picture."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unwired.lab.scenario import Role, Scenario, Shape


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node or a network. ``kind`` is a role's value, or ``network``; ``notes`` are a node's functions, a network's
    address families."""

    name: str
    kind: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """``movable``: where a mobile node's interface starts, or may go to."""

    first: str
    second: str
    label: str
    movable: bool = False


def vertices(scenario: Scenario) -> list[Vertex]:
    nodes = [Vertex(node.name, node.role.value, tuple(node.functions())) for node in scenario.node]
    networks = [(network, tuple(scenario.families(network))) for network in scenario.network]
    return nodes + [Vertex(_network(network.name), "network", families) for network, families in networks]


def edges(scenario: Scenario) -> list[Edge]:
    """Links, memberships and, movable, the networks that an interface visits in the course of the scenario."""
    result = [
        Edge(link.between[0].partition(".")[0], link.between[1].partition(".")[0], describe(link, link.mtu))
        for link in scenario.link
    ]
    for network in scenario.network:
        result += [Edge(end.partition(".")[0], _network(network.name), describe(network)) for end in network.members]
    for (node, network_name), interfaces in _visits(scenario).items():
        result.append(Edge(node, _network(network_name), ", ".join(sorted(interfaces)), movable=True))
    return result


def describe(shape: Shape, mtu: int | None = None) -> str:
    """A wire's shape in a few words, empty for none."""
    parts = []
    if shape.delay_ms:
        parts.append(f"{shape.delay_ms:g} ms")
    if shape.rate_mbit is not None:
        parts.append(f"{shape.rate_mbit:g} Mbit/s")
    if shape.loss_percent:
        parts.append(f"{shape.loss_percent:g} % loss")
    if mtu is not None:
        parts.append(f"MTU {mtu}")
    return ", ".join(parts)


def as_json(scenario: Scenario) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "vertices": [
            {"name": vertex.name, "kind": vertex.kind, "notes": list(vertex.notes)} for vertex in vertices(scenario)
        ],
        "edges": [
            {"between": [edge.first, edge.second], "label": edge.label, "movable": edge.movable}
            for edge in edges(scenario)
        ],
    }


def as_text(scenario: Scenario) -> str:
    lines = [f"{scenario.name}: {scenario.title}" if scenario.title else scenario.name, ""]
    for node in scenario.node:
        lines.append(f"{node.name} ({', '.join([node.role.value.replace('_', ' '), *node.functions()])})")
        for interface, addresses in node.interfaces.items():
            where = _neighbours(scenario, f"{node.name}.{interface}") or _start(scenario, node.name, interface)
            lines.append(f"  {interface:<8} {', '.join(addresses) or '-':<28} {where}".rstrip())
    if scenario.network:
        lines.append("")
    for network in scenario.network:
        about = ", ".join(filter(None, [*scenario.families(network), describe(network)]))
        lines.append(f"[{network.name}]" + (f" {about}" if about else "") + f": {', '.join(network.members)}")
    return "\n".join(lines) + "\n"


def as_dot(scenario: Scenario) -> str:
    shapes = {"network": "ellipse", "router": "diamond", "mobile_node": "doublecircle"}
    lines = [f'graph "{scenario.name}" {{', "  node [shape=box];"]
    for one in vertices(scenario):
        label = "\\n".join(filter(None, [one.name, ", ".join(one.notes)]))
        lines.append(f'  "{one.name}" [shape={shapes.get(one.kind, "box")}, label="{label}"];')
    for edge in edges(scenario):
        style = ", style=dashed" if edge.movable else ""
        lines.append(f'  "{edge.first}" -- "{edge.second}" [label="{edge.label}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"


_COLOURS = {
    "home_agent": "#b9770e",
    "mobile_node": "#1b6ca8",
    "correspondent": "#5b4b8a",
    "host": "#5b4b8a",
    "router": "#4d5656",
    "network": "#1e8449",
}
_WIDTH, _HEIGHT, _MARGIN = 900, 560, 80
"""At least."""
_COLUMN, _ROW = 235, 62


def as_svg(scenario: Scenario) -> str:
    """A picture that needs nothing else."""
    places = layout(scenario)
    width, height = size(scenario)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="13" role="img" aria-label="{html.escape(f"Topology of {scenario.name}", quote=True)}">'
    ]
    for edge in edges(scenario):
        (x1, y1), (x2, y2) = places[edge.first], places[edge.second]
        dashes = ' stroke-dasharray="5 5"' if edge.movable else ""
        line = f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#99a3a4"'
        parts.append(f'{line} stroke-width="2"{dashes}/>')
        if edge.label and not edge.movable:
            x, y = (x1 + x2) / 2, (y1 + y2) / 2 - 4
            parts.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" fill="#566573">{edge.label}</text>')
    for vertex in vertices(scenario):
        x, y = places[vertex.name]
        name = vertex.name.removeprefix("net:")
        width = 24 + 8 * len(name)
        radius = 16 if vertex.kind == "network" else 4
        if vertex.notes:
            notes = html.escape(", ".join(vertex.notes))
            parts.append(f'<text x="{x:.0f}" y="{y + 29:.0f}" text-anchor="middle" fill="#566573">{notes}</text>')
        parts.append(
            f'<rect x="{x - width / 2:.0f}" y="{y - 16:.0f}" width="{width}" height="32" rx="{radius}"'
            f' fill="{_COLOURS[vertex.kind]}"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="#fff">{html.escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def size(scenario: Scenario) -> tuple[int, int]:
    """Width and height of the picture: there is room for every box."""
    columns = _columns(scenario, _neighbour_lists(scenario))
    highest = max(len(column) for column in columns)
    return max(_WIDTH, 2 * _MARGIN + (len(columns) - 1) * _COLUMN), max(_HEIGHT, (highest + 1) * _ROW)


def layout(scenario: Scenario) -> dict[str, tuple[float, float]]:
    """Places for the vertices, the same ones every time: columns by distance from the home agents (or the first node),
    each column ordered by where its neighbours are."""
    neighbours = _neighbour_lists(scenario)
    columns = _columns(scenario, neighbours)
    width, height = size(scenario)
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        if number:
            column.sort(key=lambda name: _mean([places[other][1] for other in neighbours[name] if other in places]))
        x = _MARGIN + number * (width - 2 * _MARGIN) / max(1, len(columns) - 1)
        for index, name in enumerate(column):
            places[name] = (x, height * (index + 1) / (len(column) + 1))
    return places


def _neighbour_lists(scenario: Scenario) -> dict[str, list[str]]:
    neighbours: dict[str, list[str]] = {vertex.name: [] for vertex in vertices(scenario)}
    for edge in edges(scenario):
        if not edge.movable:
            neighbours[edge.first].append(edge.second)
            neighbours[edge.second].append(edge.first)
    return neighbours


def _columns(scenario: Scenario, neighbours: dict[str, list[str]]) -> list[list[str]]:
    names = list(neighbours)
    mobile = [node.name for node in scenario.node if node.role is Role.MOBILE_NODE]
    roots = [node.name for node in scenario.node if node.role is Role.HOME_AGENT] or [names[0]]
    distance = dict.fromkeys(roots, 0)
    waiting = list(roots)
    for name in waiting:
        for other in neighbours[name]:
            if other not in distance:
                distance[other] = distance[name] + 1
                waiting.append(other)
    last = max(distance.values(), default=0) + 1
    columns: list[list[str]] = [[] for _ in range(last + 1)]
    for name in names:
        columns[last if name in mobile else min(distance.get(name, last), last)].append(name)
    return [column for column in columns if column]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.inf


def _network(name: str) -> str:
    """A network's vertex: a node may have the same name."""
    return f"net:{name}"


def _visits(scenario: Scenario) -> dict[tuple[str, str], set[str]]:
    visits: dict[tuple[str, str], set[str]] = {}
    for node in scenario.node:
        for interface, network in node.attached.items():
            visits.setdefault((node.name, network), set()).add(interface)
    for move in scenario.moves():
        node_name, _, interface = move.interface.partition(".")
        if move.to is not None:
            visits.setdefault((node_name, move.to), set()).add(interface)
    return visits


def _neighbours(scenario: Scenario, end: str) -> str:
    for link in scenario.link:
        if end in link.between:
            other = link.between[1] if link.between[0] == end else link.between[0]
            shape = describe(link, link.mtu)
            return f"-- {other}" + (f" ({shape})" if shape else "")
    for network in scenario.network:
        if end in network.members:
            return f"-- [{network.name}]"
    return ""


def _start(scenario: Scenario, node: str, interface: str) -> str:
    start = scenario.find_node(node).attached.get(interface)
    visited = [network for (name, network), interfaces in _visits(scenario).items()
               if name == node and interface in interfaces and network != start]  # fmt: skip
    parts = ([f"starts in [{start}]"] if start else ["starts unplugged"]) + [f"[{network}]" for network in visited]
    return "-- " + ", then ".join(parts)


FORMATS: dict[str, Callable[[Scenario], str]] = {"text": as_text, "dot": as_dot, "svg": as_svg}
