"""The programs by BPF_PROG_TEST_RUN: packet in, verdict, packet out, and the counter that says why."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from packets import (
    DESTINATION,
    ETHERNET,
    FRAGMENT,
    HOP_BY_HOP,
    ICMPV6,
    IPV6,
    MOBILITY,
    NO_NEXT,
    ROUTING,
    TCP,
    UDP,
    fragment,
    home_address_option,
    icmpv6,
    ipv6,
    mobility,
    options,
    routing_type_2,
    udp,
)

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import Accept, Direction, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane.bpf_table import BpfTable
from unwired.dataplane.table import TunnelCounters
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

NEXT, PASS, DROP, REDIRECT = 0xFFFFFFFF, 0, 2, 7

HOME_AGENT, ANYCAST = "2001:db8:100::1", "2001:db8:100::fdff:ffff:ffff:fffe"
HOME, OTHER_HOME = "2001:db8:100::1000", "2001:db8:100::1001"
CARE_OF, OTHER_CARE_OF = "2001:db8:200::2", "2001:db8:201::2"
CORRESPONDENT, STRANGER = "2001:db8:c::2", "2001:db8:bad::1"
# The mobile node's side of the same host: its own home address, agent and care-of address.
MY_HOME, MY_HOME_AGENT, MY_CARE_OF = "2001:db8:300::1000", "2001:db8:300::1", "2001:db8:400::2"

DATA = ipv6(CORRESPONDENT, HOME, UDP, udp())
FROM_HOME = ipv6(HOME, CORRESPONDENT, UDP, udp())
TO_MY_HOME = ipv6(CORRESPONDENT, MY_HOME, UDP, udp())
MESSAGE = mobility()


def tunnelled(inner: bytes, source: str = CARE_OF, destination: str = HOME_AGENT, **fields: int) -> bytes:
    return ipv6(source, destination, IPV6, inner, **fields)


def decremented(packet: bytes) -> bytes:
    return packet[:7] + bytes([packet[7] - 1]) + packet[8:]


@pytest.fixture
def filled(table: BpfTable, namespace: Namespace) -> Iterator[BpfTable]:
    namespace.ip(
        "link add wire type veth peer name other",
        "link set wire up",
        "link set other up",
        "addr add 2001:db8:1::1/64 dev wire nodad",
        "route add default via 2001:db8:1::2",
    )
    namespace.sysctl(all__forwarding=1)
    address = parse_address
    for action in (
        SetTunnel(Tunnel(1, address(HOME_AGENT), address(CARE_OF))),
        SetTunnel(Tunnel(2, address(HOME_AGENT), address(OTHER_CARE_OF), mtu=1400)),
        SetTunnel(Tunnel(3, address(MY_CARE_OF), address(MY_HOME_AGENT))),
        Forward(0, Direction.TO_HOME_ADDRESS, address(HOME), 1),
        Forward(0, Direction.TO_HOME_ADDRESS, address(OTHER_HOME), 2),
        Accept(0, Direction.FROM_HOME_ADDRESS, address(HOME), address(CARE_OF), 1),
        Accept(0, Direction.TO_HOME_ADDRESS, address(MY_HOME), address(MY_HOME_AGENT), 3),
        Listen(0, address(HOME_AGENT)),
        Listen(0, address(ANYCAST)),
        Listen(0, address(MY_CARE_OF)),
    ):
        table.apply(action)
    table.set_punt_device(namespace.ifindex("other"))
    table._settings |= {"tunnel_mtu": 1460, "tunnel_interface": 4_000}
    table._write_settings()
    yield table


@dataclass(frozen=True)
class Fixture:
    description: str
    packet: bytes
    verdict: int
    counter: str | None = None
    out: bytes | None = None
    """None: as it came in."""


def _quoting(quoted: bytes, kind: int = 2, destination: str = HOME_AGENT) -> bytes:
    return ipv6(STRANGER, destination, ICMPV6, icmpv6(kind, quoted))


OUR_TUNNEL_PACKET = tunnelled(DATA, HOME_AGENT, CARE_OF)
HOME_ADDRESS_MESSAGE = home_address_option(MOBILITY, HOME) + MESSAGE

CONTROL = [
    Fixture("a mobility header", ipv6(CARE_OF, HOME_AGENT, MOBILITY, MESSAGE), REDIRECT, "punted"),
    Fixture(
        "a mobility header behind a Home Address option",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, HOME_ADDRESS_MESSAGE),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "a mobility header behind a type 2 routing header",
        ipv6(MY_HOME_AGENT, MY_CARE_OF, ROUTING, routing_type_2(MOBILITY, MY_HOME) + MESSAGE),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "a mobility header behind hop-by-hop options, a routing header and destination options",
        ipv6(
            CARE_OF,
            HOME_AGENT,
            HOP_BY_HOP,
            options(ROUTING, b"\x01\x04" + bytes(4))
            + routing_type_2(DESTINATION, HOME)
            + options(MOBILITY, b"\x01\x04" + bytes(4))
            + MESSAGE,
        ),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "data with a Home Address option (binding error)",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, home_address_option(UDP, HOME) + udp()),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "a Home Address option behind Pad1 options",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, home_address_option(UDP, HOME, bytes(4)) + udp()),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "data with a type 2 routing header",
        ipv6(CORRESPONDENT, MY_CARE_OF, ROUTING, routing_type_2(UDP, MY_HOME) + udp()),
        REDIRECT,
        "punted",
    ),
    Fixture("home agent discovery", ipv6(CARE_OF, ANYCAST, ICMPV6, icmpv6(144)), REDIRECT, "punted"),
    Fixture("mobile prefix advertisement", ipv6(MY_HOME_AGENT, MY_CARE_OF, ICMPV6, icmpv6(147)), REDIRECT, "punted"),
    Fixture("Packet Too Big about our tunnel packet", _quoting(OUR_TUNNEL_PACKET[:100]), REDIRECT, "punted"),
    Fixture("an error that quotes 40 bytes", _quoting(OUR_TUNNEL_PACKET[:40], 1), REDIRECT, "punted"),
    Fixture(
        "an error about our acknowledgement",
        _quoting(ipv6(HOME_AGENT, CARE_OF, ROUTING, routing_type_2(MOBILITY, HOME) + MESSAGE), 1),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "a mobility header to the home agent inside a tunnel",
        tunnelled(ipv6(HOME, HOME_AGENT, MOBILITY, MESSAGE)),
        REDIRECT,
        "punted",
        ipv6(HOME, HOME_AGENT, MOBILITY, MESSAGE),
    ),
]

NOT_CONTROL = [
    Fixture("a mobility header to somebody else", ipv6(CARE_OF, STRANGER, MOBILITY, MESSAGE), NEXT),
    Fixture("an echo request", ipv6(CARE_OF, HOME_AGENT, ICMPV6, icmpv6(128)), NEXT),
    Fixture("neighbour discovery", ipv6(CARE_OF, HOME_AGENT, ICMPV6, icmpv6(135)), NEXT),
    Fixture("an error about plain data", _quoting(ipv6(HOME_AGENT, STRANGER, UDP, udp())), NEXT),
    Fixture("an error about somebody else's tunnel packet", _quoting(tunnelled(DATA, CARE_OF, STRANGER)), NEXT),
    Fixture("an error whose quotation is cut", _quoting(OUR_TUNNEL_PACKET[:39]), NEXT),
    Fixture("an ICMPv6 header cut short", ipv6(CARE_OF, HOME_AGENT, ICMPV6, b""), NEXT),
    Fixture(
        "a fragment with a mobility header",
        ipv6(CARE_OF, HOME_AGENT, FRAGMENT, fragment(MOBILITY) + MESSAGE),
        NEXT,
    ),
    Fixture(
        "a fragment behind destination options",
        ipv6(
            CARE_OF, HOME_AGENT, DESTINATION, options(FRAGMENT, b"\x01\x04" + bytes(4)) + fragment(MOBILITY) + MESSAGE
        ),
        NEXT,
        "fragment",
    ),
    Fixture("options cut short", ipv6(CARE_OF, HOME_AGENT, DESTINATION, b"\x87"), NEXT),
    Fixture("options longer than the packet", ipv6(CARE_OF, HOME_AGENT, DESTINATION, b"\x87\xff" + bytes(6)), NEXT),
    Fixture(
        "an option longer than its header hides nothing",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, bytes([UDP, 0, 1, 200, 0xC9, 16, 0, 0]) + udp()),
        NEXT,
    ),
    Fixture(
        "too many extension headers",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, options(DESTINATION, b"\x01\x04" + bytes(4)) * 40 + MESSAGE),
        NEXT,
    ),
    Fixture("no next header", ipv6(CARE_OF, HOME_AGENT, NO_NEXT), NEXT),
    Fixture("data to the home agent", ipv6(CARE_OF, HOME_AGENT, TCP, bytes(20)), NEXT),
]

OUT_OF_TUNNEL = [
    Fixture("to the mobile node", tunnelled(TO_MY_HOME, MY_HOME_AGENT, MY_CARE_OF), PASS, "decapsulated", TO_MY_HOME),
    Fixture("from the mobile node", tunnelled(FROM_HOME), REDIRECT, "decapsulated", decremented(FROM_HOME)),
    Fixture(
        "behind a tunnel encapsulation limit (RFC 2473 section 4.1.1)",
        ipv6(CARE_OF, HOME_AGENT, DESTINATION, options(IPV6, b"\x04\x01\x04\x01\x01\x00") + FROM_HOME),
        REDIRECT,
        "decapsulated",
        decremented(FROM_HOME),
    ),
    Fixture(
        "to a host on the way that has no hops left: the kernel says so",
        tunnelled(ipv6(HOME, CORRESPONDENT, UDP, udp(), hop_limit=1)),
        PASS,
        "decapsulated",
        ipv6(HOME, CORRESPONDENT, UDP, udp(), hop_limit=1),
    ),
    Fixture("a tunnel that ends elsewhere", tunnelled(FROM_HOME, CARE_OF, STRANGER), NEXT),
    Fixture("forged inner source", tunnelled(ipv6(STRANGER, CORRESPONDENT, UDP, udp())), DROP, "reverse_check"),
    Fixture("forged outer source", tunnelled(FROM_HOME, OTHER_CARE_OF), DROP, "reverse_check"),
    Fixture("another mobile node's address", tunnelled(ipv6(OTHER_HOME, HOME, UDP, udp())), DROP, "reverse_check"),
    Fixture(
        "to the mobile node from another than its home agent",
        tunnelled(TO_MY_HOME, STRANGER, MY_CARE_OF),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "control inside a forged tunnel",
        tunnelled(ipv6(HOME, HOME_AGENT, MOBILITY, MESSAGE), STRANGER),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "a link-local source inside",
        tunnelled(ipv6("fe80::1", MY_HOME, UDP, udp()), MY_HOME_AGENT, MY_CARE_OF),
        DROP,
        "link_scope",
    ),
    Fixture("to a link-local address", tunnelled(ipv6(HOME, "fe80::1", UDP, udp())), DROP, "link_scope"),
    Fixture("to a group of the link", tunnelled(ipv6(HOME, "ff12::fb", UDP, udp())), DROP, "link_scope"),
    Fixture(
        "on its way through us by a routing header",
        ipv6(CARE_OF, HOME_AGENT, ROUTING, bytes([IPV6, 2, 4, 1, 0, 0, 0, 0]) + parse_address(STRANGER) + FROM_HOME),
        NEXT,
    ),
    Fixture("nothing inside", tunnelled(b""), DROP, "malformed"),
    Fixture("an inner header cut short", tunnelled(FROM_HOME[:39]), DROP, "malformed"),
    Fixture("IPv4 where IPv6 is announced", tunnelled(b"\x45" + FROM_HOME[1:]), DROP, "malformed"),
    Fixture(
        "an outer fragment",
        ipv6(CARE_OF, HOME_AGENT, FRAGMENT, fragment(IPV6) + FROM_HOME),
        NEXT,
    ),
]


@pytest.mark.parametrize("fixture", CONTROL + NOT_CONTROL + OUT_OF_TUNNEL, ids=lambda fixture: fixture.description)
def test_uplink(fixture: Fixture, filled: BpfTable, namespace: Namespace) -> None:
    before = filled.counters()
    verdict, out = _run(filled, namespace, fixture.packet)
    assert verdict == fixture.verdict
    if verdict != DROP:
        assert out == (fixture.packet if fixture.out is None else fixture.out)
    changed = {name for name, value in filled.counters().items() if value != before[name]}
    assert changed - {"decapsulated"} == ({fixture.counter} - {"decapsulated", None})
    if fixture.counter == "decapsulated":
        assert "decapsulated" in changed


@pytest.mark.parametrize("inner", range(4))
@pytest.mark.parametrize("outer", range(4))
def test_congestion_mark_out_of_tunnel(outer: int, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    """RFC 6040 figure 4; DSCP of the inner header stays."""
    expected = [[0, 0, 0, None], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]][inner][outer]
    inner_class, outer_class = 0xB8 | inner, 0x48 | outer
    packet = tunnelled(
        ipv6(CORRESPONDENT, MY_HOME, UDP, udp(), traffic_class=inner_class, flow_label=0xFEDCB),
        MY_HOME_AGENT,
        MY_CARE_OF,
        traffic_class=outer_class,
    )
    verdict, out = _run(filled, namespace, packet)
    if expected is None:
        assert verdict == DROP
        assert filled.counters()["ecn_dropped"] == 1
    else:
        assert verdict == PASS
        assert out == ipv6(CORRESPONDENT, MY_HOME, UDP, udp(), traffic_class=0xB8 | expected, flow_label=0xFEDCB)


@pytest.mark.parametrize("traffic_class", [0, 1, 2, 3, 0xB8, 0xFF])
def test_into_tunnel(traffic_class: int, filled: BpfTable, namespace: Namespace) -> None:
    packet = ipv6(CORRESPONDENT, HOME, UDP, udp(), hop_limit=9, traffic_class=traffic_class, flow_label=0x12345)
    verdict, out = _run(filled, namespace, packet)
    assert verdict == REDIRECT
    label = _flow_label(out)
    assert label
    assert out == tunnelled(
        decremented(packet), HOME_AGENT, CARE_OF, traffic_class=traffic_class, flow_label=label, hop_limit=64
    )
    assert filled.tunnel_counters(1) == TunnelCounters(packets_sent=1, bytes_sent=len(packet))


def test_flow_label_tells_flows_apart(filled: BpfTable, namespace: Namespace) -> None:
    def label(**fields: int) -> int:
        return _flow_label(_run(filled, namespace, ipv6(CORRESPONDENT, HOME, UDP, udp(**fields)))[1])

    assert label() == label()
    assert len({label(source_port=port) for port in range(1, 65)}) > 60


LEFT_TO_THE_KERNEL = [
    ("no hops left", ipv6(CORRESPONDENT, HOME, UDP, udp(), hop_limit=1)),
    ("larger than the tunnel device's MTU", ipv6(CORRESPONDENT, HOME, UDP, udp(bytes(1413)))),
    ("larger than the tunnel's MTU", ipv6(CORRESPONDENT, OTHER_HOME, UDP, udp(bytes(1353)))),
    ("hop-by-hop options", ipv6(CORRESPONDENT, HOME, HOP_BY_HOP, options(UDP, b"\x01\x04" + bytes(4)) + udp())),
    (
        "a neighbour asks for the home address that we are the proxy of",
        ipv6(CORRESPONDENT, HOME, ICMPV6, icmpv6(135, parse_address(HOME)), hop_limit=255),
    ),
    ("link-local source", ipv6("fe80::1", HOME, UDP, udp())),
    ("unspecified source", ipv6("::", HOME, UDP, udp())),
    ("multicast source", ipv6("ff02::1", HOME, UDP, udp())),
    ("cut short", DATA[:-1]),
    ("longer than it says", DATA + b"padding of the link"),
    ("another version of IP", b"\x50" + DATA[1:]),
    ("no binding", ipv6(CORRESPONDENT, "2001:db8:100::1002", UDP, udp())),
]


@pytest.mark.parametrize("packet", [packet for _, packet in LEFT_TO_THE_KERNEL], ids=[x for x, _ in LEFT_TO_THE_KERNEL])
def test_left_to_the_kernel(packet: bytes, filled: BpfTable, namespace: Namespace) -> None:
    assert _run(filled, namespace, packet) == (NEXT, packet)


def test_largest_packets_pass(filled: BpfTable, namespace: Namespace) -> None:
    assert _run(filled, namespace, ipv6(CORRESPONDENT, HOME, UDP, udp(bytes(1412))))[0] == REDIRECT
    assert _run(filled, namespace, ipv6(CORRESPONDENT, OTHER_HOME, UDP, udp(bytes(1352))))[0] == REDIRECT


def test_mobile_node_to_mobile_node(filled: BpfTable, namespace: Namespace) -> None:
    """Out of one tunnel and into the other at once."""
    packet = ipv6(HOME, OTHER_HOME, UDP, udp())
    verdict, out = _run(filled, namespace, tunnelled(packet))
    assert verdict == REDIRECT
    assert out == tunnelled(decremented(packet), HOME_AGENT, OTHER_CARE_OF, flow_label=_flow_label(out))
    assert filled.tunnel_counters(1).packets_received == 1
    assert filled.tunnel_counters(2).packets_sent == 1


def test_missing_tunnel_and_missing_route_are_counted(filled: BpfTable, namespace: Namespace) -> None:
    filled.apply(Forward(0, Direction.TO_HOME_ADDRESS, parse_address(HOME), 99))
    assert _run(filled, namespace, DATA)[0] == DROP
    assert filled.counters()["no_tunnel"] == 1
    namespace.ip("route del default")
    assert _run(filled, namespace, ipv6(CORRESPONDENT, OTHER_HOME, UDP, udp()))[0] == DROP
    assert filled.counters()["no_route"] == 1


def test_punts_are_limited(filled: BpfTable, namespace: Namespace) -> None:
    filled._settings |= {"punt_interval_ns": 10**9, "punt_burst_ns": 10 * 10**9}
    filled._write_settings()
    packet = ipv6(CARE_OF, HOME_AGENT, MOBILITY, MESSAGE)
    _run(filled, namespace, packet, repeat=100)
    counters = filled.counters()
    assert counters["punted"] == 11
    assert counters["punt_limited"] == 89


def test_shortcut_can_be_switched_off(filled: BpfTable, namespace: Namespace) -> None:
    filled._settings["flags"] &= ~1
    filled._write_settings()
    assert _run(filled, namespace, DATA) == (NEXT, DATA)
    assert _run(filled, namespace, tunnelled(FROM_HOME)) == (PASS, FROM_HOME)


def test_every_length_and_every_flipped_byte_is_survived(filled: BpfTable, namespace: Namespace) -> None:
    """Whatever a hostile packet says of itself, it gets a verdict, and never the inside of a tunnel it may not use."""
    packets = [fixture.packet for fixture in CONTROL + OUT_OF_TUNNEL]
    for packet in packets:
        for length in range(40, len(packet)):  # the kernel's own test refuses less
            assert _run(filled, namespace, packet[:length])[0] in (NEXT, PASS, DROP, REDIRECT)
    forged = tunnelled(ipv6(STRANGER, CORRESPONDENT, UDP, udp()))
    for position in range(40):
        for value in (0, 0x3C, 0xFF):
            packet = forged[:position] + bytes([value]) + forged[position + 1 :]
            verdict, out = _run(filled, namespace, packet)
            assert verdict == DROP or out == packet


def _run(table: BpfTable, namespace: Namespace, packet: bytes, repeat: int = 1) -> tuple[int, bytes]:
    """Verdict of the uplink's program and the packet afterwards, without Ethernet headers."""
    with namespace:
        verdict, out, _, _ = table._library.test_run(
            table.program("uplink_ethernet"), ETHERNET + packet, bytes(192), repeat
        )
    return verdict, out[len(ETHERNET) :]


def _flow_label(packet: bytes) -> int:
    return int(struct.unpack_from("!I", packet)[0]) & 0xFFFFF
