"""The list of checks: the one place that says what is examined, why it matters, and for whom.

docs/doctor.md shows the same list; a test compares the two.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from unwired.doctor import clock, firewall, kernel, network, ports, programs, site
from unwired.doctor.exchange import Exchange
from unwired.doctor.finding import Finding, Result, unknown
from unwired.doctor.host import Host, Role
from unwired.doctor.peer_results import peer_results


@dataclass(frozen=True, slots=True)
class Check:
    """``code`` names it for good. ``role`` None: both. ``root_for``: what root is needed for; empty: for nothing.
    ``configured``: it is about what a configuration says, and is left out without one."""

    code: str
    examine: Callable[[Host], Iterable[Result]]
    why: str
    role: Role | None = None
    root_for: str = ""
    configured: bool = False


_LOADING = "loading BPF programs in a namespace of its own"
_RULES = "trying out a copy of the packet filter's rules in a namespace of its own"
_HOME_AGENT, _MOBILE_NODE = Role.HOME_AGENT, Role.MOBILE_NODE

CHECKS: tuple[Check, ...] = (
    Check("host.rights", kernel.rights, "the daemon makes devices, routes and BPF programs"),
    Check("host.parts", kernel.parts, "the data plane is compiled by `make setup`, and libbpf loads it"),
    Check(
        "host.settings", network.settings_writable, "the daemon sets what it needs, and gives it back", None, "writing"
    ),
    Check("kernel.version", kernel.version, "older kernels lack parts of eBPF"),
    Check("kernel.bpf", kernel.bpf, "packets are forwarded by eBPF programs"),
    Check("kernel.bpf_file_system", kernel.bpf_file_system, "what is pinned there forwards without a daemon"),
    Check(
        "kernel.just_in_time",
        kernel.just_in_time,
        "without it every packet costs several times as much",
        None,
        "reading the setting",
    ),
    Check("kernel.tun", kernel.tun, "the tunnel device and the daemon's own are TUN devices"),
    Check("kernel.programs", kernel.programs, "the kernel verifies each program before it runs it", None, _LOADING),
    Check("kernel.attachment", kernel.attachment, "programs see packets at tcx or clsact hooks", None, _LOADING),
    Check(
        "kernel.forwarding",
        kernel.forwarding,
        "the kernel may take a program and yet lack what it calls",
        None,
        _LOADING,
    ),
    Check(
        "kernel.policy_rules",
        kernel.policy_rules,
        "rules send what comes from the home address into the tunnel",
        _MOBILE_NODE,
    ),
    Check(
        "kernel.optimistic_addresses",
        kernel.optimistic_addresses,
        "without them a handover waits a second for duplicate address detection",
        _MOBILE_NODE,
    ),
    Check("network.uplinks", network.uplinks, "by them packets come and go"),
    Check("network.ipv6", network.ipv6, "mobility signalling is IPv6, also inside of IPv4"),
    Check("network.addresses", network.addresses, "who can't be reached at all can't be reached by tunnels"),
    Check(
        "network.native_ipv6",
        network.native_ipv6,
        "a tunnel below ours narrows every path and makes it longer",
        _HOME_AGENT,
    ),
    Check("network.mtu", network.mtu, "each tunnel takes its outer headers from what a packet may carry"),
    Check("network.forwarding", network.forwarding, "a home agent is a router", _HOME_AGENT),
    Check("network.reverse_path", network.reverse_path, "out of a tunnel come packets whose way back is another one"),
    Check(
        "network.router_advertisements", network.router_advertisements, "care-of addresses come from them", _MOBILE_NODE
    ),
    Check("network.express_data_path", network.express_data_path, "what another program takes never gets to ours"),
    Check(
        "network.home_prefix",
        network.home_prefix,
        "home addresses live behind tunnels, on no wire",
        _HOME_AGENT,
        configured=True,
    ),
    Check(
        "firewall.outgoing",
        firewall.outgoing,
        "binding updates, acknowledgements and errors have to leave",
        None,
        _RULES,
    ),
    Check("firewall.incoming", firewall.incoming, "what is for this host has to come in", None, _RULES),
    Check(
        "firewall.forwarded",
        firewall.forwarded,
        "mobile nodes' packets pass through a home agent",
        _HOME_AGENT,
        _RULES,
        configured=True,
    ),
    Check(
        "firewall.replies",
        firewall.replies,
        "a reverse path filter drops all that comes out of a tunnel, without a word",
        _MOBILE_NODE,
        _RULES,
        configured=True,
    ),
    Check(
        "clock.synchronized",
        clock.synchronized,
        "a timestamp that is more than 7 s off is refused (RFC 4285 section 7)",
    ),
    Check("clock.home_agent", clock.home_agent, "both ends' clocks have to agree", _MOBILE_NODE, configured=True),
    Check("ports.nat_traversal", ports.nat_traversal, "tunnels through NATs use UDP port 4191 (RFC 5555)"),
    Check(
        "ports.members",
        ports.members,
        "the members of a home agent set talk on one TCP and UDP port",
        _HOME_AGENT,
        configured=True,
    ),
    Check("programs.networkd", programs.networkd, "routes and rules that are removed interrupt all connections"),
    Check(
        "programs.network_manager",
        programs.network_manager,
        "a host manager may reconfigure devices that it takes for its own",
    ),
    Check("programs.mobility", programs.mobility, "another mobility daemon answers for the same addresses"),
    Check(
        "programs.advertising",
        programs.advertising,
        "two kinds of router advertisements contradict each other",
        _HOME_AGENT,
        configured=True,
    ),
    Check("site.certificates", site.certificates, "members prove by them who they are", _HOME_AGENT, configured=True),
    Check(
        "site.routing_daemon",
        site.routing_daemon,
        "the home prefixes are announced by BGP",
        _HOME_AGENT,
        configured=True,
    ),
    Check(
        "site.bgp_sessions",
        site.bgp_sessions,
        "without a session nobody hears of the home prefixes",
        _HOME_AGENT,
        configured=True,
    ),
)


PEER_CHECKS: dict[str, str] = {
    "peer.answer": "two sites can only work together if they hear of each other",
    "peer.mobility_headers": "binding updates and acknowledgements are mobility headers",
    "peer.ipv6_tunnels": "mobile nodes' packets travel in them",
    "peer.ipv4_tunnels": "mobile nodes' IPv4 packets travel in them",
    "peer.nat_traversal": "it is the only tunnel that passes NATs",
    "peer.packet_too_big": "without it large packets vanish where the path is narrow",
    "peer.members_port": "members of a home agent set notice each other's death by what does not come there",
    "peer.path_mtu": "each tunnel takes its outer headers from what the path carries",
    "peer.clock": "a timestamp that is more than 7 s off is refused (RFC 4285 section 7)",
}
"""Codes of what is found with a peer, and why each matters."""


def examine(host: Host) -> Iterator[Finding]:
    """Everything that concerns the host's roles, in the order of the list."""
    for check in CHECKS:
        if (check.role is not None and check.role not in host.roles) or (check.configured and host.config is None):
            continue
        for result in _results(check, host):
            yield _finding(check.code, check.role, check.why, result)


def examine_exchange(host: Host, exchange: Exchange) -> Iterator[Finding]:
    for code, result in peer_results(host, exchange):
        yield _finding(code, None, PEER_CHECKS[code], result)


def _results(check: Check, host: Host) -> Iterable[Result]:
    if check.root_for and not host.is_root:
        return [unknown(f"not looked at: {check.root_for} needs root", "sudo unwired doctor")]
    return check.examine(host)


def _finding(code: str, role: Role | None, why: str, result: Result) -> Finding:
    return Finding(code, role, result.level, result.about, result.found, why, result.fix)
