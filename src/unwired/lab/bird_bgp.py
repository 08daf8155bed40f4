"""Configuration of BIRD for a scenario whose routers speak BGP: between autonomous systems, and inside one of several.

The way is chosen as BGP chooses it: the fewest systems, then what was learned from outside before what a router inside
told, then the shortest delay to the neighbour outside. For the last one, every next hop is looked up among our own
routes, and those to the links have their delays as metrics. Home agents speak for their set's system and are heard for
their home prefixes only. BFD (50 ms, 3 times) watches every session.

Where a link has addresses of both families there is a session for each, which carries the routes of its own; what is of
IPv4 has a name that ends so.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from unwired.lab.scenario import Node, Role, Scenario

_COST_A_MS = 10
_SUFFIX = {6: "", 4: "_ipv4"}
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

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.address).version


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
            for version, (own, address) in _ways(scenario, here, there).items():
                heard = _home_prefixes(scenario, other, version) if other.role is Role.HOME_AGENT else None
                if heard != ():
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
    parts = [_learned(), f"protocol bfd {{\n{_BFD}\n}}"]
    for version in (6, 4):
        if _has(router, version):
            parts += _of_family(scenario, router, version)
    return parts


def _of_family(scenario: Scenario, router: Node, version: int) -> list[str]:
    others = [other for other in companions(scenario, router) if _has(other, version)]
    taken = {prefix: address for prefix, address in _taken(scenario, router) if _version(prefix) == version}
    static = [
        f"  route {prefix} unreachable;"
        for prefix in router.originates
        if prefix not in taken and _version(prefix) == version
    ]
    static += [f"  route {prefix} via {address};" for prefix, address in taken.items()]
    own = [prefix for one in (router, *others) for prefix in originated(scenario, one) if _version(prefix) == version]
    merge = "  merge paths yes;\n" if scenario.multipath else ""
    name, channel = _SUFFIX[version], f"ipv{version}"
    parts = [
        _direct(scenario, router, version),
        "\n".join([f"protocol static own_prefixes{name} {{", f"  {channel};", *static, "}"]),
        _announced(own, version),
        f"protocol kernel forwarding{name} {{\n{merge}"
        f"  {channel} {{ import none; export where source != RTS_DEVICE; }};\n}}",
    ]
    if others:
        parts.append(_ospf(scenario, router, version))
    parts += [_inside(router, other, version) for other in others]
    parts += [_outside(router, one) for one in neighbours(scenario, router) if one.version == version]
    return parts


def _announced(own: list[str], version: int) -> str:
    """To other systems: what BGP told, and our system's own prefixes, whichever router has them."""
    ours = [f"  if net ~ [ {', '.join(own)} ] then accept;"] if own else []
    head = f"filter announced{_SUFFIX[version]} {{"
    return "\n".join([head, "  if source = RTS_BGP then accept;", *ours, "  reject;", "}"])


def _direct(scenario: Scenario, router: Node, version: int) -> str:
    delays = {end: link.delay_ms for link in scenario.link for end in link.between}
    lines = [
        f'    if ifname = "{interface}" then igp_metric = {link_cost(delays.get(f"{router.name}.{interface}", 0))};'
        for interface in router.interfaces
    ]
    head = [f"protocol direct links{_SUFFIX[version]} {{", f"  ipv{version} {{ import filter {{"]
    return "\n".join([*head, *lines, "    accept;", "  }; };", "}"])


def _learned() -> str:
    """RFC 8326: what is about to be withdrawn is used only when nothing else is left."""
    return (
        "function hear() {\n  if (65535, 0) ~ bgp_community then bgp_local_pref = 0;\n  accept;\n}\n"
        "filter learned { hear(); }"
    )


def _outside(router: Node, neighbour: Neighbour) -> str:
    name = _SUFFIX[neighbour.version]
    heard, announced, role = "filter learned", f"filter announced{name}", ""
    if neighbour.prefixes is not None:
        role = " local role provider;"
        heard = f"filter {{ if net ~ [ {', '.join(neighbour.prefixes)} ] then hear(); reject; }}"
        announced = "none"
    return (
        f"protocol bgp {_identifier(neighbour.node)}{name} {{\n"
        f"  local {neighbour.own_address} as {router.autonomous_system};\n"
        f"  neighbor {neighbour.address} as {neighbour.autonomous_system};\n  direct;{role} {_SESSION}\n"
        f"  ipv{neighbour.version} {{ gateway recursive; import {heard}; export {announced}; }};\n}}"
    )


def _inside(router: Node, other: Node, version: int) -> str:
    """The next hop outside stays as it is: OSPF knows the links to other systems, too, and their delay counts. What is
    inside OSPF tells."""
    return (
        f"protocol bgp {_identifier(other.name)}{_SUFFIX[version]} {{\n"
        f"  local {first_address(router, version)} as {router.autonomous_system};\n"
        f"  neighbor {first_address(other, version)} as {router.autonomous_system};\n  multihop; {_SESSION}\n"
        f"  ipv{version} {{ gateway recursive; import filter learned;"
        " export where source ~ [ RTS_BGP, RTS_STATIC ]; };\n}"
    )


def _ospf(scenario: Scenario, router: Node, version: int) -> str:
    """Point to point on links to routers of the same system, stub elsewhere."""
    inside = {node.name for node in companions(scenario, router)}
    links = {end: (link, other) for link in scenario.link for end, other in (link.between, link.between[::-1])}
    lines = []
    for interface, addresses in router.interfaces.items():
        if not any(_version(address) == version for address in addresses):
            continue
        link, other = links.get(f"{router.name}.{interface}", (None, ""))
        peered = other.partition(".")[0] in inside
        how = "type ptp; hello 1; dead 4; bfd yes;" if peered else "stub yes;"
        lines.append(f'    interface "{interface}" {{ cost {link_cost(link.delay_ms if link else 0)}; {how} }};')
    area = "\n".join(lines)
    protocol = "v3" if version == 6 else "v2"
    return (
        f"protocol ospf {protocol} inside{_SUFFIX[version]} {{\n  ipv{version} {{ import all; export none; }};\n"
        f"  area 0 {{\n{area}\n  }};\n}}"
    )


def first_address(router: Node, version: int) -> str:
    """The address by which the other routers of its system know a router."""
    found = (address for addresses in router.interfaces.values() for address in addresses)
    return next(address for address in found if _version(address) == version).partition("/")[0]


def speaks(router: Node, prefix: str) -> bool:
    """Whether a router has addresses of the family of a prefix."""
    return _has(router, _version(prefix))


def _has(router: Node, version: int) -> bool:
    return any(_version(address) == version for addresses in router.interfaces.values() for address in addresses)


def _version(prefix: str) -> int:
    return ipaddress.ip_interface(prefix).version


def _system(scenario: Scenario, node: Node) -> int | None:
    if node.role is Role.HOME_AGENT:
        number = scenario.daemon_configuration(node).get("bgp", {}).get("as")
        return number if isinstance(number, int) else None
    return node.autonomous_system


def _home_prefixes(scenario: Scenario, agent: Node, version: int) -> tuple[str, ...]:
    key = "home_prefixes" if version == 6 else "home_prefixes_ipv4"
    return tuple(scenario.daemon_configuration(agent).get("home_agent", {}).get(key, ()))


def _taken(scenario: Scenario, router: Node) -> Iterator[tuple[str, str]]:
    """What hosts and home agents beside a router take, and the address to send it to."""
    for link in scenario.link:
        for here, there in (link.between, link.between[::-1]):
            other = scenario.find_node(there.partition(".")[0])
            if here.partition(".")[0] == router.name and other.role is not Role.ROUTER:
                for version, (_, address) in _ways(scenario, here, there).items():
                    yield from ((prefix, address) for prefix in other.takes if _version(prefix) == version)


def _ways(scenario: Scenario, here: str, there: str) -> dict[int, tuple[str, str]]:
    """By IP version, the first pair of addresses of the two ends that are in one network."""
    found: dict[int, tuple[str, str]] = {}
    for own in map(ipaddress.ip_interface, scenario.addresses(here)):
        for address in map(ipaddress.ip_interface, scenario.addresses(there)):
            if own.network == address.network:
                found.setdefault(own.version, (str(own.ip), str(address.ip)))
    return found


def _identifier(name: str) -> str:
    return "to_" + name.replace("-", "_")
