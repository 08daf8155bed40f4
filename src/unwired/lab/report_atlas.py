"""What a map shows wherever the mobile node is: its part of the world, and for each site a card that lists the home
agents, correspondents and access networks there.

Things that lie near each other are one site: at the scale of an ocean a city is a dot.
"""

from dataclasses import dataclass, field

from unwired.lab.report_geography import Degrees, Projection, coast, fit
from unwired.lab.report_labels import Box, Mark, place
from unwired.lab.report_paths import Stop, is_near, place_of, site_name, stops
from unwired.lab.report_view import View
from unwired.lab.result import Result
from unwired.lab.scenario import Place, Role, Scenario

WIDTH = 1080.0
SITE_RADIUS = 4.5
TITLE_HEIGHT, ENTRY_HEIGHT, ENTRY_GAP = 19.0, 20.0, 3.0
_TEXT_WIDTH, _ICON_WIDTH, _FIGURE_WIDTH, _SIDE = 7.9, 24.0, 68.0, 8.0
_FLOW_COLOURS = 8

AGENT, CORRESPONDENT, NETWORK = "agent", "correspondent", "network"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a site's card. ``name`` is a node's or, for ``kind`` network, a network's."""

    kind: str
    name: str
    box: Box


@dataclass(slots=True)
class Site:
    name: str
    place: Place
    things: list[tuple[str, str]] = field(default_factory=list)
    """(kind, name) of what is there."""
    dot: tuple[float, float] = (0.0, 0.0)
    card: Box | None = None


@dataclass(frozen=True, slots=True)
class Atlas:
    """``entries`` by (kind, name); ``colours``: a class of the style sheet for each correspondent; ``land`` and
    ``water`` are path data; ``routers`` are points."""

    projection: Projection
    land: str
    water: str
    sites: tuple[Site, ...]
    entries: dict[tuple[str, str], Entry]
    routers: tuple[tuple[str, tuple[float, float]], ...]
    stops: tuple[Stop, ...]
    colours: dict[str, str]

    def dot_of(self, kind: str, name: str) -> tuple[float, float] | None:
        return next((site.dot for site in self.sites if (kind, name) in site.things), None)


def survey(view: View, result: Result) -> Atlas | None:
    """None when nothing was measured of paths, or when nodes have no places."""
    scenario = view.record.scenario
    journey = tuple(stops(view))
    sites = _sites(scenario, journey)
    if not result.paths or len(sites) < 2:
        return None
    routers = [(n.name, n.place) for n in scenario.node if n.role is Role.ROUTER and n.place is not None]
    degrees: list[Degrees] = [(site.place.longitude, site.place.latitude) for site in sites]
    projection = fit(degrees, WIDTH)
    entries = _lay_out(sites, projection)
    land, water = coast(projection)
    correspondents = dict.fromkeys(path.correspondent for path in result.paths)
    return Atlas(
        projection=projection,
        land=land,
        water=water,
        sites=tuple(sites),
        entries=entries,
        routers=tuple((name, projection(where.longitude, where.latitude)) for name, where in routers),
        stops=journey,
        colours={name: f"flow{index % _FLOW_COLOURS}" for index, name in enumerate(correspondents)},
    )


def _sites(scenario: Scenario, journey: tuple[Stop, ...]) -> list[Site]:
    things = [
        (kind, node.name, node.place)
        for kind, role in ((AGENT, Role.HOME_AGENT), (CORRESPONDENT, Role.CORRESPONDENT))
        for node in scenario.node
        if node.role is role
    ]
    things += [
        (NETWORK, network, place_of(scenario, network)) for network in dict.fromkeys(stop.network for stop in journey)
    ]
    sites: list[Site] = []
    for kind, name, where in things:
        if where is None:
            continue
        site = next((site for site in sites if is_near(site.place, where)), None)
        if site is None:
            site = Site(site_name(scenario, where) or name, where)
            sites.append(site)
        site.things.append((kind, name))
    return sites


def _lay_out(sites: list[Site], projection: Projection) -> dict[tuple[str, str], Entry]:
    """Puts the cards on the map, the largest first."""
    marks = []
    ordered = sorted(sites, key=lambda site: -len(site.things))
    for site in ordered:
        site.dot = projection(site.place.longitude, site.place.latitude)
        longest = max(len(name) + (0 if kind == CORRESPONDENT else -4) for kind, name in site.things)
        width = max(longest * _TEXT_WIDTH + _ICON_WIDTH + _FIGURE_WIDTH, len(site.name) * _TEXT_WIDTH) + 2 * _SIDE
        height = TITLE_HEIGHT + len(site.things) * (ENTRY_HEIGHT + ENTRY_GAP) + 4
        marks.append(Mark(*site.dot, SITE_RADIUS + 4, width, height))
    entries = {}
    for site, card in zip(ordered, place(marks, projection.width, projection.height), strict=True):
        if card is None:
            continue
        site.card = card
        for index, (kind, name) in enumerate(site.things):
            top = card.top + TITLE_HEIGHT + index * (ENTRY_HEIGHT + ENTRY_GAP)
            box = Box(card.left + _SIDE, top, card.right - _SIDE, top + ENTRY_HEIGHT)
            entries[kind, name] = Entry(kind, name, box)
    return entries
