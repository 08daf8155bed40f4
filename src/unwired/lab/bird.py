"""Configuration of BIRD for a router of a scenario: router advertisements, and the routing that the scenario wants."""

import ipaddress

from unwired.lab import bird_bgp
from unwired.lab.scenario import Network, Node, Role, Routing, Scenario

_HELLO_S = 1
_DEAD_S = 4


def needs_bird(scenario: Scenario, node: Node) -> bool:
    return bool(advertised(scenario, node, "bird")) or routes(scenario, node)


def routes(scenario: Scenario, node: Node) -> bool:
    """Whether this node's routes are BIRD's. With BGP, a home agent's daemon has a BIRD of its own."""
    if scenario.routing is Routing.BGP:
        return node.role is Role.ROUTER
    return scenario.routing is Routing.OSPF and node.role.forwards


def configuration(scenario: Scenario, node: Node, number: int) -> str:
    """The text of bird.conf; ``number`` makes the router id unique."""
    parts = [
        f"router id 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255};",
        "log stderr all;",
        "protocol device {}",
    ]
    networks = advertised(scenario, node, "bird")
    if networks:
        interfaces = "\n".join(_advertisement(scenario, network, end) for network, end in networks)
        parts.append(f"protocol radv {{\n{interfaces}\n}}")
    if scenario.routing is Routing.OSPF and node.role.forwards:
        parts += _ospf(scenario, node)
    if scenario.routing is Routing.BGP and routes(scenario, node):
        parts += bird_bgp.configuration(scenario, node)
    return "\n".join(parts) + "\n"


def advertised(scenario: Scenario, node: Node, advertiser: str) -> list[tuple[Network, str]]:
    """The networks in which ``advertiser`` advertises a router, with its interface there. Home agents do it
    themselves."""
    if node.role is not Role.ROUTER:
        return []
    return [
        (network, end)
        for network in scenario.network
        if network.advertise and network.advertiser == advertiser
        for end in network.members
        if end.partition(".")[0] == node.name and ipv6_prefixes(scenario, end)
    ]


def ipv6_prefixes(scenario: Scenario, end: str) -> list[str]:
    """The prefixes of an interface that hosts may take addresses from."""
    addresses = [ipaddress.ip_interface(address) for address in scenario.addresses(end)]
    return [str(address.network) for address in addresses if address.version == 6 and not address.is_link_local]


def _advertisement(scenario: Scenario, network: Network, end: str) -> str:
    # BIRD answers a solicitation from a link-local source at once only when it may answer by unicast (measured: 0.2 ms
    # against 700 ms and more); 3 and 4 s are the shortest intervals that RFC 4861 section 6.2.1 leaves.
    prefixes = " ".join(
        f"prefix {prefix} {{ valid lifetime {network.valid_lifetime_s};"
        f" preferred lifetime {network.preferred_lifetime_s}; }};"
        for prefix in ipv6_prefixes(scenario, end)
    )
    return (
        f'  interface "{end.partition(".")[2]}" {{ solicited ra unicast yes; min ra interval 3; max ra interval 4;'
        f" default lifetime {network.router_lifetime_s}; {prefixes} }};"
    )


def _ospf(scenario: Scenario, node: Node) -> list[str]:
    """One OSPF process for each family in use: point to point on links between routers, stub elsewhere."""
    delays = {end: link.delay_ms for link in scenario.link for end in link.between}
    routers = {other.name for other in scenario.node if other.role.forwards}
    peered = {
        end
        for link in scenario.link
        if all(end.partition(".")[0] in routers for end in link.between)
        for end in link.between
    }
    parts = []
    for version, family, protocol in ((4, "ipv4", "v2"), (6, "ipv6", "v3")):
        lines = []
        for interface, addresses in node.interfaces.items():
            if not any(ipaddress.ip_interface(address).version == version for address in addresses):
                continue
            end = f"{node.name}.{interface}"
            cost = bird_bgp.link_cost(delays.get(end, 0))
            how = f"type ptp; hello {_HELLO_S}; dead {_DEAD_S};" if end in peered else "stub yes;"
            lines.append(f'    interface "{interface}" {{ cost {cost}; {how} }};')
        taken = [prefix for prefix in node.takes if ipaddress.ip_network(prefix).version == version]
        if not lines:
            continue
        stubnets = "".join(f"    stubnet {prefix};\n" for prefix in taken)
        area = "\n".join(lines)
        parts += [
            f"protocol ospf {protocol} {{\n  {family} {{ import all; export none; }};\n"
            f"  area 0 {{\n{stubnets}{area}\n  }};\n}}",
            f"protocol kernel {{\n  {family} {{ import none; export where source ~ [ RTS_OSPF, RTS_OSPF_IA ]; }};\n}}",
        ]
    return parts
