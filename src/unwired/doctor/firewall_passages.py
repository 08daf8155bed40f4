"""Which packets have to pass a host's packet filter, by what the host is to be."""

from collections.abc import Iterator
from dataclasses import dataclass

from unwired.doctor.finding import Level
from unwired.doctor.firewall_model import PORT, Way
from unwired.doctor.host import Host, Interface, Role
from unwired.doctor.packets import tcp_syn, udp
from unwired.host.config import HomeAgentConfig, MobileNodeConfig
from unwired.wire.address import Address, format_address, parse_address
from unwired.wire.datagram import PORT as NAT_TRAVERSAL
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import IPV4_IN_IP, Icmpv4Message, UdpDatagram
from unwired.wire.ipv6 import IPV6_IN_IPV6, NO_NEXT_HEADER, Packet, Payload, UnknownPayload
from unwired.wire.rfc6275 import BindingRefreshRequest

_ELSEWHERE, _ELSEWHERE_IPV4 = parse_address("2a00::1"), parse_address("5.0.0.1")
_CALLED, _CALLED_IPV4 = parse_address("2a00::2"), parse_address("5.0.0.2")
"""Some in the Internet that send to us, and some that we send to: a filter that tracks connections knows these. Filters
often drop what comes from addresses for documentation."""
_BEFORE = "; our program on the uplink takes them before the filter does, except fragments"
_STALL = "; what this host itself sends by TCP may stall, also the streams between members"
_SHORTCUT = "; most take our shortcut past the filter, but not what the kernel must answer, as with Packet Too Big"


@dataclass(frozen=True, slots=True)
class Passage:
    """A packet that should pass; ``nft`` and ``iptables`` match it in their words. ``what`` names all that are like it,
    ``level`` is that of a filter which drops them, and ``but`` what there is to say about that. ``after`` is a packet
    of this host that goes out before."""

    way: Way
    what: str
    packet: bytes
    nft: str
    iptables: str
    level: Level = Level.FAIL
    but: str = ""
    after: bytes = b""


def passages(host: Host, uplink: Interface) -> Iterator[Passage]:
    """``uplink`` has an IPv6 address."""
    here, peer = uplink.routable(ipv4=False)[0], _ELSEWHERE
    what, match = "mobility headers (protocol 135)", ("meta l4proto 135", "-p 135")
    yield Passage(Way.OUT, what, _packet(here, _CALLED, BindingRefreshRequest()), *match)
    yield Passage(Way.IN, what, _packet(peer, here, BindingRefreshRequest()), *match, Level.WARN, _BEFORE)
    yield from _tunnels(here, peer)
    what = "Packet Too Big messages (ICMPv6 type 2)"
    match = "icmpv6 type packet-too-big", "-p icmpv6 --icmpv6-type packet-too-big"
    ours = udp(here, _CALLED, PORT, PORT, bytes(8))
    yield Passage(Way.IN, what, _packet(peer, here, PacketTooBig(1400, ours)), *match, Level.WARN, _STALL, ours)
    if Role.HOME_AGENT in host.roles:
        theirs = udp(peer, here, PORT, PORT, bytes(8))
        yield Passage(Way.OUT, what, _packet(here, peer, PacketTooBig(1400, theirs)), *match)
    if uplink.routable(ipv4=True):
        yield from _ipv4(uplink.routable(ipv4=True)[0], Level.FAIL if host.uses_ipv4 else Level.WARN)
    if host.home_agent is not None:
        yield from _home_agent(host.home_agent, here, host.uses_shortcut)
    if host.mobile_node is not None:
        yield _reply(host.mobile_node)


def _tunnels(here: Address, peer: Address) -> Iterator[Passage]:
    for protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
        packet = _packet(peer, here, UnknownPayload(protocol, _packet(peer, here, UnknownPayload(NO_NEXT_HEADER, b""))))
        match = f"meta l4proto {protocol}", f"-p {protocol}"
        yield Passage(Way.IN, f"tunnels (protocol {protocol})", packet, *match, Level.WARN, _BEFORE)


def _ipv4(here: Address, level: Level) -> Iterator[Passage]:
    peer = _ELSEWHERE_IPV4
    yield from _tunnels(here, peer)
    what = f"UDP port {NAT_TRAVERSAL}, which passes NATs,"
    match = f"udp dport {NAT_TRAVERSAL}", f"-p udp --dport {NAT_TRAVERSAL}"
    datagram = UdpDatagram(NAT_TRAVERSAL, NAT_TRAVERSAL, bytes(8))
    ours = _packet(here, _CALLED_IPV4, datagram)
    yield Passage(Way.OUT, what, ours, *match, level)
    yield Passage(Way.IN, what, _packet(peer, here, datagram), *match, Level.WARN, _BEFORE)
    needed = Icmpv4Message(3, 4, 1400, ours)
    what, match = "fragmentation needed messages (ICMP type 3 code 4)", ("icmp type destination-unreachable", "-p icmp")
    yield Passage(Way.IN, what, _packet(peer, here, needed), *match, Level.WARN, _STALL, ours)


def _home_agent(agent: HomeAgentConfig, here: Address, uses_shortcut: bool) -> Iterator[Passage]:
    level, but = (Level.WARN, _SHORTCUT) if uses_shortcut else (Level.FAIL, "")
    home = agent.settings.home_prefixes[0]
    prefix, node = f"{format_address(home.prefix)}/{home.length}", home.prefix[:-1] + b"\xfe"
    to, of = f"packets to {prefix}", f"packets from {prefix}, which come by the uplink out of tunnels,"
    yield Passage(
        Way.TO_HOME, to, udp(_ELSEWHERE, node, PORT, PORT, bytes(8)), f"ip6 daddr {prefix}", f"-d {prefix}", level, but
    )
    yield Passage(
        Way.FROM_HOME,
        of,
        udp(node, _CALLED, PORT, PORT, bytes(8)),
        f"ip6 saddr {prefix}",
        f"-s {prefix}",
        level,
        but,
    )
    if agent.home_agent_set is None:
        return
    port = agent.home_agent_set.port
    for protocol, packet in (
        ("udp", udp(_ELSEWHERE, here, PORT, port, bytes(8))),
        ("tcp", tcp_syn(_ELSEWHERE, here, PORT, port)),
    ):
        match = f"{protocol} dport {port}", f"-p {protocol} --dport {port}"
        yield Passage(Way.IN, f"what other members send to {protocol.upper()} port {port}", packet, *match)


def _reply(node: MobileNodeConfig) -> Passage:
    home = node.settings.home_address
    text = format_address(home)
    what = f"replies to {text}, which come by the uplink out of the tunnel,"
    return Passage(Way.REPLY, what, udp(_ELSEWHERE, home, PORT, PORT, bytes(8)), f"ip6 daddr {text}", f"-d {text}")


# --- packets ----------------------------------------------------------------------------------------------------------


def _packet(source: Address, destination: Address, payload: Payload) -> bytes:
    return encode_datagram(Packet(source, destination, payload))
