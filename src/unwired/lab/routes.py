"""Routes computed from a scenario: what a careful administrator would have typed in, and what routing must find."""

import heapq
import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from unwired.lab import bird, bird_bgp
from unwired.lab.scenario import Role, Routing, Scenario

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOP_COST = 0.001
"""Between paths of equal delay, fewer hops win."""


@dataclass(frozen=True, slots=True)
class Route:
    node: str
    prefix: str
    via: str
    interface: str


@dataclass(frozen=True, slots=True)
class _Edge:
    """From a node to a neighbour: out of ``interface`` to the neighbour's address ``via``."""

    neighbour: str
    interface: str
    via: str
    version: int
    cost: float
    entered_by: str
    """The neighbour's own interface."""


def default_prefix(version: int) -> str:
    return "::/0" if version == 6 else "0.0.0.0/0"


def segments(scenario: Scenario) -> Iterator[tuple[list[str], float]]:
    """The interfaces that share a wire, and its delay."""
    for link in scenario.link:
        yield list(link.between), link.delay_ms
    for network in scenario.network:
        yield network.members, network.delay_ms


def _edges(scenario: Scenario) -> dict[str, list[_Edge]]:
    edges: dict[str, list[_Edge]] = defaultdict(list)
    for ends, delay_ms in segments(scenario):
        for here in ends:
            for there in ends:
                if here == there:
                    continue
                node, _, interface = here.partition(".")
                neighbour, _, entered_by = there.partition(".")
                for version, via in _ways(scenario, here, there).items():
                    edges[node].append(_Edge(neighbour, interface, via, version, delay_ms + _HOP_COST, entered_by))
    return edges


def _ways(scenario: Scenario, here: str, there: str) -> dict[int, str]:
    """By IP version, the first address of ``there`` in a network that ``here`` is in, too."""
    own = {ipaddress.ip_interface(address).network for address in scenario.addresses(here)}
    ways: dict[int, str] = {}
    for address in map(ipaddress.ip_interface, scenario.addresses(there)):
        if address.network in own:
            ways.setdefault(address.version, str(address.ip))
    return ways


def _owners(scenario: Scenario) -> dict[IpNetwork, set[str]]:
    """Who a prefix is delivered to: routers that are in it, and whoever takes it. A host delivers to itself only."""
    routers = {node.name for node in scenario.node if node.role.forwards}
    owners: dict[IpNetwork, set[str]] = defaultdict(set)
    for ends, _ in segments(scenario):
        for end in ends:
            for address in map(ipaddress.ip_interface, scenario.addresses(end)):
                if not address.is_link_local and end.partition(".")[0] in routers:
                    owners[address.network].add(end.partition(".")[0])
    for node in scenario.node:
        for prefix in node.takes:
            owners[ipaddress.ip_network(prefix)].add(node.name)
    return owners


def static_routes(scenario: Scenario) -> list[Route]:
    """Every node's routes to every prefix that it is not in. Only routers and home agents carry others' traffic; a
    host whose routes all go one way has one default route."""
    edges = _edges(scenario)
    passable = {version: _passable(scenario, edges, version) for version in (4, 6)}
    forwards = {node.name: node.role.forwards for node in scenario.node}
    routes: dict[tuple[str, int], list[Route]] = defaultdict(list)
    for prefix, owners in sorted(_owners(scenario).items(), key=lambda item: (item[0].version, item[0])):
        for name, edge in _towards(owners, passable[prefix.version], forwards).items():
            routes[name, prefix.version].append(Route(name, str(prefix), edge.via, edge.interface))
    result: list[Route] = []
    for (name, version), found in routes.items():
        ways = {(route.via, route.interface) for route in found}
        if not forwards[name]:
            via, interface = min(ways)
            default = Route(name, default_prefix(version), via, interface)
            found = [default] if len(ways) == 1 else [*found, default]
        result += found
    return result


def _passable(scenario: Scenario, edges: dict[str, list[_Edge]], version: int) -> dict[str, list[_Edge]]:
    """The edges of one family, but for those into a NAT from outside: nobody there knows what lies behind it."""
    outsides = {(node.name, node.nat.outside) for node in scenario.node if node.nat and version == 4}

    def leads_on(edge: _Edge) -> bool:
        return edge.version == version and (edge.neighbour, edge.entered_by) not in outsides

    return {name: list(filter(leads_on, leaving)) for name, leaving in edges.items()}


def _towards(owners: set[str], edges: dict[str, list[_Edge]], forwards: dict[str, bool]) -> dict[str, _Edge]:
    """The first edge of the shortest path from each node to the nearest owner (Dijkstra from the owners)."""
    distance = dict.fromkeys(owners, 0.0)
    first: dict[str, _Edge] = {}
    waiting = [(0.0, name) for name in sorted(owners)]
    into: dict[str, list[tuple[str, _Edge]]] = defaultdict(list)
    for name, leaving in edges.items():
        for edge in leaving:
            into[edge.neighbour].append((name, edge))
    while waiting:
        reached, name = heapq.heappop(waiting)
        if reached > distance[name] or (name not in owners and not forwards[name]):
            continue
        for before, edge in into[name]:
            if reached + edge.cost < distance.get(before, float("inf")):
                distance[before] = reached + edge.cost
                first[before] = edge
                heapq.heappush(waiting, (reached + edge.cost, before))
    return first


def delays_ms(scenario: Scenario, start: str) -> dict[str, float]:
    """The shortest delay of the wires from a node to every other one."""
    edges = _edges(scenario)
    found: dict[str, float] = {}
    waiting = [(0.0, start)]
    while waiting:
        reached, name = heapq.heappop(waiting)
        if name not in found:
            found[name] = reached
            for edge in edges[name]:
                heapq.heappush(waiting, (reached + edge.cost - _HOP_COST, edge.neighbour))
    return found


def edge_routes(scenario: Scenario) -> Iterator[Route]:
    """With BGP, who is no router has one default route, to the router at the other end of its first link."""
    routers = {node.name for node in scenario.node if node.role is Role.ROUTER}
    served: set[str] = set()
    for ends, _ in segments(scenario):
        for here in ends:
            node, _, interface = here.partition(".")
            for there in ends:
                if node in routers or node in served or there.partition(".")[0] not in routers:
                    continue
                for version, via in _ways(scenario, here, there).items():
                    served.add(node)
                    yield Route(node, default_prefix(version), via, interface)


def wanted_routes(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(router, prefix) for every route that the routers must have found before anything starts."""
    if scenario.routing is not Routing.BGP:
        for route in static_routes(scenario):
            if bird.routes(scenario, scenario.find_node(route.node)):
                yield route.node, route.prefix
        return
    routers = [node for node in scenario.node if node.role is Role.ROUTER]
    for router in routers:
        for other in routers:
            if other.autonomous_system != router.autonomous_system:
                for prefix in bird_bgp.originated(scenario, other):
                    if bird_bgp.speaks(router, prefix):
                        yield router.name, prefix
        for other in bird_bgp.companions(scenario, router):
            for addresses in other.interfaces.values():
                for address in addresses:
                    if bird_bgp.speaks(router, address):
                        yield router.name, str(ipaddress.ip_interface(address).network)
