"""Configuration of BIRD for a scenario whose routers speak BGP: between autonomous systems, and inside one of several.

The way is chosen as BGP chooses it: the fewest systems, then what was learned from outside before what a router inside
told, then the shortest delay to the neighbour outside. For the last one, every next hop is looked up among our own
routes, and those to the links have their delays as metrics. Home agents speak for their set's system and are heard for
their home prefixes only. BFD (50 ms, 3 times) watches every session.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from unwired.lab.scenario import Node, Role, Scenario

_COST_A_MS = 10
_BFD = '  interface "*" { interval 50 ms; multiplier 3; };'
_SESSION = (
    "bfd; connect delay time 1; connect retry time 2; error wait time 1, 4; hold time 30; keepalive time 10;"
    " startup hold time 10;"
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A session over a link: the neighbour's node, our own and its address. ``prefixes`` is what it may announce; None:
    anything."""

    node: str
    autonomous_system: int
    own_address: str
    address: str
    prefixes: tuple[str, ...] | None = None


def link_cost(delay_ms: float) -> int:
    """A metric of at least 1."""
    return min(1 + round(_COST_A_MS * delay_ms), 65_535)


def neighbours(scenario: Scenario, router: Node) -> Iterator[Neighbour]:
    """The sessions with other autonomous systems."""
    for link in scenario.link:
        for here, there in (link.between, link.between[::-1]):
            other = scenario.find_node(there.partition(".")[0])
            if here.partition(".")[0] != router.name:
                continue
            number = _system(scenario, other)
            if number is None or number == router.autonomous_system:
                continue
            ways = list(_shared(scenario, here, there))
            if ways:
                own, address = ways[0]
                heard = _home_prefixes(scenario, other) if other.role is Role.HOME_AGENT else None
                yield Neighbour(other.name, number, own, address, heard)


def originated(scenario: Scenario, router: Node) -> list[str]:
    """The prefixes that a router announces to other systems as its own."""
    taken = [prefix for prefix, _ in _taken(scenario, router)]
    if router.originates:
        return [*router.originates, *taken]
    outside = {neighbour.own_address for neighbour in neighbours(scenario, router) if neighbour.prefixes is None}
    return [
        str(address.network)
        for addresses in router.interfaces.values()
        for address in map(ipaddress.ip_interface, addresses)
        if str(address.ip) not in outside
    ] + taken


def companions(scenario: Scenario, router: Node) -> list[Node]:
    """The other routers of the same autonomous system."""
    return [
        node
        for node in scenario.node
        if node.role is Role.ROUTER and node.autonomous_system == router.autonomous_system and node.name != router.name
    ]


def configuration(scenario: Scenario, router: Node) -> list[str]:
    others = companions(scenario, router)
    taken = dict(_taken(scenario, router))
    static = [f"  route {prefix} unreachable;" for prefix in router.originates if prefix not in taken]
    static += [f"  route {prefix} via {address};" for prefix, address in taken.items()]
    merge = "  merge paths yes;\n" if scenario.multipath else ""
    parts = [
        _direct(scenario, router),
        "\n".join(["protocol static {", "  ipv6;", *static, "}"]),
        _learned(),
        _announced([prefix for one in (router, *others) for prefix in originated(scenario, one)]),
        f"protocol kernel {{\n{merge}  ipv6 {{ import none; export where source != RTS_DEVICE; }};\n}}",
        f"protocol bfd {{\n{_BFD}\n}}",
    ]
    if others:
        parts.append(_ospf(scenario, router))
    parts += [_inside(router, other) for other in others]
    parts += [_outside(router, neighbour) for neighbour in neighbours(scenario, router)]
    return parts


def _announced(own: list[str]) -> str:
    """To other systems: what BGP told, and our system's own prefixes, whichever router has them."""
    ours = [f"  if net ~ [ {', '.join(own)} ] then accept;"] if own else []
    return "\n".join(["filter announced {", "  if source = RTS_BGP then accept;", *ours, "  reject;", "}"])


def _direct(scenario: Scenario, router: Node) -> str:
    delays = {end: link.delay_ms for link in scenario.link for end in link.between}
    lines = [
        f'    if ifname = "{interface}" then igp_metric = {link_cost(delays.get(f"{router.name}.{interface}", 0))};'
        for interface in router.interfaces
    ]
    return "\n".join(["protocol direct {", "  ipv6 { import filter {", *lines, "    accept;", "  }; };", "}"])


def _learned() -> str:
    """RFC 8326: what is about to be withdrawn is used only when nothing else is left."""
    return (
        "function hear() {\n  if (65535, 0) ~ bgp_community then bgp_local_pref = 0;\n  accept;\n}\n"
        "filter learned { hear(); }"
    )


def _outside(router: Node, neighbour: Neighbour) -> str:
    heard, announced, role = "filter learned", "filter announced", ""
    if neighbour.prefixes is not None:
        role = " local role provider;"
        heard = f"filter {{ if net ~ [ {', '.join(neighbour.prefixes)} ] then hear(); reject; }}"
        announced = "none"
    return (
        f"protocol bgp {_identifier(neighbour.node)} {{\n"
        f"  local {neighbour.own_address} as {router.autonomous_system};\n"
        f"  neighbor {neighbour.address} as {neighbour.autonomous_system};\n  direct;{role} {_SESSION}\n"
        f"  ipv6 {{ gateway recursive; import {heard}; export {announced}; }};\n}}"
    )


def _inside(router: Node, other: Node) -> str:
    """The next hop outside stays as it is: OSPF knows the links to other systems, too, and their delay counts. What is
    inside OSPF tells."""
    return (
        f"protocol bgp {_identifier(other.name)} {{\n"
        f"  local {first_address(router)} as {router.autonomous_system};\n"
        f"  neighbor {first_address(other)} as {router.autonomous_system};\n  multihop; {_SESSION}\n"
        "  ipv6 { gateway recursive; import filter learned; export where source ~ [ RTS_BGP, RTS_STATIC ]; };\n}"
    )


def _ospf(scenario: Scenario, router: Node) -> str:
    """Point to point on links to routers of the same system, stub elsewhere."""
    inside = {node.name for node in companions(scenario, router)}
    links = {end: (link, other) for link in scenario.link for end, other in (link.between, link.between[::-1])}
    lines = []
    for interface in router.interfaces:
        link, other = links.get(f"{router.name}.{interface}", (None, ""))
        peered = other.partition(".")[0] in inside
        how = "type ptp; hello 1; dead 4; bfd yes;" if peered else "stub yes;"
        lines.append(f'    interface "{interface}" {{ cost {link_cost(link.delay_ms if link else 0)}; {how} }};')
    area = "\n".join(lines)
    return f"protocol ospf v3 {{\n  ipv6 {{ import all; export none; }};\n  area 0 {{\n{area}\n  }};\n}}"


def first_address(router: Node) -> str:
    """The address by which the other routers of its system know a router."""
    addresses = next(addresses for addresses in router.interfaces.values() if addresses)
    return addresses[0].partition("/")[0]


def _system(scenario: Scenario, node: Node) -> int | None:
    if node.role is Role.HOME_AGENT:
        number = scenario.daemon_configuration(node).get("bgp", {}).get("as")
        return number if isinstance(number, int) else None
    return node.autonomous_system


def _home_prefixes(scenario: Scenario, agent: Node) -> tuple[str, ...]:
    return tuple(scenario.daemon_configuration(agent).get("home_agent", {}).get("home_prefixes", ()))


def _taken(scenario: Scenario, router: Node) -> Iterator[tuple[str, str]]:
    """What hosts and home agents beside a router take, and the address to send it to."""
    for link in scenario.link:
        for here, there in (link.between, link.between[::-1]):
            other = scenario.find_node(there.partition(".")[0])
            if here.partition(".")[0] == router.name and other.role is not Role.ROUTER:
                for _, address in list(_shared(scenario, here, there))[:1]:
                    yield from ((prefix, address) for prefix in other.takes)


def _shared(scenario: Scenario, here: str, there: str) -> Iterator[tuple[str, str]]:
    """Pairs of addresses of the two ends that are in one network."""
    for own in map(ipaddress.ip_interface, scenario.addresses(here)):
        for address in map(ipaddress.ip_interface, scenario.addresses(there)):
            if own.network == address.network:
                yield str(own.ip), str(address.ip)


def _identifier(name: str) -> str:
    return "to_" + name.replace("-", "_")
