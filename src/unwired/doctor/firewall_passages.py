"""Which packets have to pass a host's packet filter, by what the host is to be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unwired.doctor.finding import Level
from unwired.doctor.firewall_model import PORT, Way
from unwired.doctor.host import Host, Interface, Role
from unwired.doctor.packets import tcp_syn, udp
from unwired.host.config_set import HomeAgentSetConfig
from unwired.wire.address import Address, format_address, format_prefix, is_ipv4, parse_address
from unwired.wire.datagram import PORT as NAT_TRAVERSAL
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import IPV4_IN_IP, Icmpv4Message
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
    """Of the address families that ``uplink`` has."""
    for here in uplink.routable(ipv4=False)[:1]:
        yield from _ipv6(here, Role.HOME_AGENT in host.roles)
    for here in uplink.routable(ipv4=True)[:1]:
        yield from _ipv4(here, Level.FAIL if host.uses_ipv4 else Level.WARN)
    if host.home_agent is not None:
        yield from _forwarded(host.home_prefixes, host.uses_shortcut)
        if host.home_agent.home_agent_set is not None:
            yield from _members(host.home_agent.home_agent_set)
    yield from map(_reply, host.home_addresses)


def _ipv6(here: Address, routes: bool) -> Iterator[Passage]:
    what, match = "mobility headers (protocol 135)", ("meta l4proto 135", "-p 135")
    yield Passage(Way.OUT, what, _packet(here, _CALLED, BindingRefreshRequest()), *match)
    yield Passage(Way.IN, what, _packet(_ELSEWHERE, here, BindingRefreshRequest()), *match, Level.WARN, _BEFORE)
    yield from _tunnels(_ELSEWHERE, here)
    what = "Packet Too Big messages (ICMPv6 type 2)"
    match = "icmpv6 type packet-too-big", "-p icmpv6 --icmpv6-type packet-too-big"
    ours = _udp(here, _CALLED)
    yield Passage(Way.IN, what, _packet(_ELSEWHERE, here, PacketTooBig(1400, ours)), *match, Level.WARN, _STALL, ours)
    if routes:
        theirs = _udp(_ELSEWHERE, here)
        yield Passage(Way.OUT, what, _packet(here, _ELSEWHERE, PacketTooBig(1400, theirs)), *match)


def _tunnels(peer: Address, here: Address) -> Iterator[Passage]:
    for protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
        packet = _packet(peer, here, UnknownPayload(protocol, _packet(peer, here, UnknownPayload(NO_NEXT_HEADER, b""))))
        match = f"meta l4proto {protocol}", f"-p {protocol}"
        yield Passage(Way.IN, f"tunnels (protocol {protocol})", packet, *match, Level.WARN, _BEFORE)


def _ipv4(here: Address, level: Level) -> Iterator[Passage]:
    yield from _tunnels(_ELSEWHERE_IPV4, here)
    what = f"UDP port {NAT_TRAVERSAL}, which passes NATs,"
    match = f"udp dport {NAT_TRAVERSAL}", f"-p udp --dport {NAT_TRAVERSAL}"
    ours = _udp(here, _CALLED_IPV4, NAT_TRAVERSAL)
    yield Passage(Way.OUT, what, ours, *match, level)
    yield Passage(Way.IN, what, _udp(_ELSEWHERE_IPV4, here, NAT_TRAVERSAL), *match, Level.WARN, _BEFORE)
    what = "fragmentation needed messages (ICMP type 3 code 4)"
    match = "icmp type destination-unreachable", "-p icmp --icmp-type fragmentation-needed"
    code = Icmpv4Message.FRAGMENTATION_NEEDED
    needed = _packet(_ELSEWHERE_IPV4, here, Icmpv4Message(Icmpv4Message.DESTINATION_UNREACHABLE, code, 1400, ours))
    yield Passage(Way.IN, what, needed, *match, Level.WARN, _STALL, ours)


def _forwarded(home_prefixes: Iterable[tuple[Address, int]], uses_shortcut: bool) -> Iterator[Passage]:
    judged = (Level.WARN, _SHORTCUT) if uses_shortcut else (Level.FAIL, "")
    for prefix, length in home_prefixes:
        text, node, ip = format_prefix(prefix, length), prefix[:-1] + b"\xfe", "ip" if is_ipv4(prefix) else "ip6"
        sender, called = (_ELSEWHERE_IPV4, _CALLED_IPV4) if is_ipv4(prefix) else (_ELSEWHERE, _CALLED)
        to, of = f"packets to {text}", f"packets from {text}, which come by the uplink out of tunnels,"
        yield Passage(Way.TO_HOME, to, _udp(sender, node), f"{ip} daddr {text}", f"-d {text}", *judged)
        yield Passage(Way.FROM_HOME, of, _udp(node, called), f"{ip} saddr {text}", f"-s {text}", *judged)


def _members(ours: HomeAgentSetConfig) -> Iterator[Passage]:
    here, port = ours.settings.self.locator, ours.port
    for protocol, packet in (("udp", _udp(_ELSEWHERE, here, port)), ("tcp", tcp_syn(_ELSEWHERE, here, PORT, port))):
        match = f"{protocol} dport {port}", f"-p {protocol} --dport {port}"
        yield Passage(Way.IN, f"what other members send to {protocol.upper()} port {port}", packet, *match)


def _reply(home: Address) -> Passage:
    text, ip, peer = format_address(home), *(("ip", _ELSEWHERE_IPV4) if is_ipv4(home) else ("ip6", _ELSEWHERE))
    what = f"replies to {text}, which come by the uplink out of the tunnel,"
    return Passage(Way.REPLY, what, _udp(peer, home), f"{ip} daddr {text}", f"-d {text}")


# --- packets ----------------------------------------------------------------------------------------------------------


def _packet(source: Address, destination: Address, payload: Payload) -> bytes:
    return encode_datagram(Packet(source, destination, payload))


def _udp(source: Address, destination: Address, port: int = PORT) -> bytes:
    return udp(source, destination, PORT, port, bytes(8))
