"""Packets of both families in tunnels of all kinds, by BPF_PROG_TEST_RUN: packet in, verdict, packet out, and the
counter that says why."""

import struct
from dataclasses import dataclass

import pytest
from dual_stack_nodes import (
    CORRESPONDENT,
    CORRESPONDENT_IPV4,
    DROP,
    EACH_INNER,
    EACH_NODE,
    ECHO_REPLY,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    IN_IPV4,
    IN_IPV6,
    IN_UDP,
    MESSAGE,
    MY_CARE_OF,
    MY_CARE_OF_IPV4,
    MY_HOME,
    MY_HOME_AGENT,
    MY_HOME_AGENT_IPV4,
    MY_HOME_IPV4,
    NAT_PORT,
    NEXT,
    NODES,
    PASS,
    PORT,
    REDIRECT,
    STRANGER,
    STRANGER_IPV4,
    Node,
    data,
    from_node,
    packet_of,
    run,
    to_node,
)
from packets import ICMPV4, ICMPV6, IPV4, IPV6, MOBILITY, UDP, icmpv4, icmpv6, ipv4, ipv6, udp

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import Encapsulation, RemoveMobilePrefix, SetMobilePrefix
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import IPV4_BITS, parse_address

pytestmark = pytest.mark.root

# --- into and out of each kind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [0, 1, 2, 3, 0xB8, 0xFF])
@EACH_INNER
@EACH_NODE
def test_into_tunnel(node: Node, inner: int, service: int, filled: BpfTable, namespace: Namespace) -> None:
    """Bit for bit: all that an outer header has, and the inner one decremented, its checksum right."""
    verdict, out = run(filled, namespace, to_node(node, inner, hop=9, service=service))
    assert verdict == REDIRECT
    assert out == node.outwards(to_node(node, inner, hop=8, service=service), service)
    assert filled.counters()["encapsulated"] == 1
    carried = filled.tunnel_counters(node.number)
    assert (carried.packets_sent, carried.bytes_sent) == (1, len(to_node(node, inner)))


@EACH_INNER
@EACH_NODE
def test_the_checksum_of_every_time_to_live(node: Node, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    for hop in range(2, 256):
        _, out = run(filled, namespace, to_node(node, inner, hop=hop))
        assert out == node.outwards(to_node(node, inner, hop=hop - 1))


@EACH_INNER
@EACH_NODE
def test_out_of_tunnel(node: Node, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    """And on to the correspondent node."""
    verdict, out = run(filled, namespace, node.inwards(from_node(node, inner)))
    assert (verdict, out) == (REDIRECT, from_node(node, inner, hop=63))
    carried = filled.tunnel_counters(node.number)
    assert (carried.packets_received, carried.bytes_received) == (1, len(from_node(node, inner)))


@EACH_NODE
def test_an_ipv4_mapped_address_in_an_ipv6_header_is_no_ipv4_address(
    node: Node, filled: BpfTable, namespace: Namespace
) -> None:
    """Neither as inner source, where it has the acceptance row of the IPv4 home address, nor as outer one."""
    before = filled.counters()["malformed"]
    forged = ipv6(f"::ffff:{node.home_ipv4}", CORRESPONDENT, UDP, udp())
    assert run(filled, namespace, node.inwards(forged))[0] == DROP
    assert filled.counters()["malformed"] == before + 1
    outside = ipv6(f"::ffff:{IN_IPV4.care_of}", HOME_AGENT, IPV6, from_node(IN_IPV4, 6))
    assert run(filled, namespace, outside)[0] == NEXT


@EACH_INNER
@pytest.mark.parametrize("kind", list(Encapsulation), ids=lambda kind: kind.name)
def test_to_the_mobile_node(kind: Encapsulation, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    packet = data(*((CORRESPONDENT, MY_HOME) if inner == 6 else (CORRESPONDENT_IPV4, MY_HOME_IPV4)))
    assert run(filled, namespace, to_me(packet, kind)) == (PASS, packet)


def to_me(packet: bytes, kind: Encapsulation) -> bytes:
    protocol = IPV4 if packet[:1] < b"\x60" else IPV6
    if kind == Encapsulation.IPV6:
        return ipv6(MY_HOME_AGENT, MY_CARE_OF, protocol, packet)
    if kind == Encapsulation.IPV4:
        return ipv4(MY_HOME_AGENT_IPV4, MY_CARE_OF_IPV4, protocol, packet)
    return ipv4(MY_HOME_AGENT_IPV4, MY_CARE_OF_IPV4, UDP, udp(packet, PORT, PORT))


@EACH_INNER
@pytest.mark.parametrize("second", NODES, ids=lambda node: f"into {node.kind.name}")
@pytest.mark.parametrize("first", NODES, ids=lambda node: f"out of {node.kind.name}")
def test_out_of_one_and_into_another(
    first: Node, second: Node, inner: int, filled: BpfTable, namespace: Namespace
) -> None:
    ends = (first.home, second.home) if inner == 6 else (first.home_ipv4, second.home_ipv4)
    verdict, out = run(filled, namespace, first.inwards(data(*ends)))
    assert verdict == REDIRECT
    assert out == second.outwards(data(*ends, hop=63))


@EACH_INNER
@EACH_NODE
def test_congestion_marks(node: Node, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    """RFC 6040 figure 4; DSCP of the inner header stays, and IPv4's checksum is right."""
    expected = [[0, 0, 0, None], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]]
    for inner_mark in range(4):
        for outer_mark in range(4):
            packet = node.inwards(from_node(node, inner, service=0xB8 | inner_mark), 0x48 | outer_mark)
            verdict, out = run(filled, namespace, packet)
            mark = expected[inner_mark][outer_mark]
            if mark is None:
                assert verdict == DROP
                assert filled.counters()["ecn_dropped"] == 1
            else:
                assert (verdict, out) == (REDIRECT, from_node(node, inner, hop=63, service=0xB8 | mark))


def test_hop_limit_of_neighbour_discovery_is_not_spoken_in_a_tunnel(filled: BpfTable, namespace: Namespace) -> None:
    """IPv4 has no such proof, so its time to live is left alone."""
    packet = ipv6(CORRESPONDENT, MY_HOME, ICMPV6, icmpv6(136), hop_limit=255)
    verdict, out = run(filled, namespace, to_me(packet, Encapsulation.UDP))
    assert (verdict, out[7]) == (PASS, 254)
    packet = ipv4(CORRESPONDENT_IPV4, MY_HOME_IPV4, UDP, udp(), time_to_live=255)
    assert run(filled, namespace, to_me(packet, Encapsulation.IPV6)) == (PASS, packet)


# --- what is opened, what is the daemon's, what is neither -----------------------------------------------------------


@dataclass(frozen=True)
class Fixture:
    description: str
    packet: bytes
    verdict: int
    counter: str | None = None
    out: bytes | None = None
    """None: as it came in."""


def in_udp(
    inner: bytes, source: str = STRANGER_IPV4, destination: str = HOME_AGENT_IPV4, port: int = NAT_PORT
) -> bytes:
    return ipv4(source, destination, UDP, udp(inner, port, PORT))


UPDATE = ipv6(IN_UDP.home, HOME_AGENT, MOBILITY, MESSAGE)
ACKNOWLEDGEMENT = ipv6(MY_HOME_AGENT, MY_HOME, MOBILITY, MESSAGE)
OURS = IN_UDP.outwards(to_node(IN_UDP, 6))
"""A tunnel packet of ours, for errors to quote."""


def error(quoted: bytes, kind: int = 3, destination: str = HOME_AGENT_IPV4) -> bytes:
    return ipv4(STRANGER_IPV4, destination, ICMPV4, icmpv4(kind, quoted, 4))


CONTROL = [
    Fixture("a binding update in UDP, from where nobody is known", in_udp(UPDATE), REDIRECT, "punted"),
    Fixture(
        "a binding update in IPv4",
        ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, IPV6, UPDATE),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "a binding acknowledgement in UDP",
        ipv4(MY_HOME_AGENT_IPV4, MY_CARE_OF_IPV4, UDP, udp(ACKNOWLEDGEMENT, PORT, PORT)),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "an answer to our echo request, in UDP",
        ipv4(
            MY_HOME_AGENT_IPV4,
            MY_CARE_OF_IPV4,
            UDP,
            udp(
                ipv6(MY_HOME_AGENT, MY_HOME, ICMPV6, ECHO_REPLY),
                PORT,
                PORT,
            ),
        ),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "an answer to our echo request, in IPv6: without the outer header",
        ipv6(MY_HOME_AGENT, MY_CARE_OF, IPV6, ipv6(MY_HOME_AGENT, MY_HOME, ICMPV6, ECHO_REPLY)),
        REDIRECT,
        "punted",
        ipv6(MY_HOME_AGENT, MY_HOME, ICMPV6, ECHO_REPLY),
    ),
    Fixture("a NAT probe", in_udp(b"\x0e\0\0\x05abcd"), REDIRECT, "punted"),
    Fixture("fragmentation needed about our tunnel in UDP", error(OURS), REDIRECT, "punted"),
    Fixture("an error that quotes 28 bytes", error(OURS[:28]), REDIRECT, "punted"),
    Fixture("time exceeded in our tunnel", error(OURS[:28], 11), REDIRECT, "punted"),
    Fixture(
        "host unreachable about our tunnel in IPv4",
        error(IN_IPV4.outwards(to_node(IN_IPV4, 4))[:28]),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "from a home address that has a binding, by a mapping that is not known",
        in_udp(from_node(IN_UDP, 6), IN_UDP.care_of, port=NAT_PORT + 1),
        REDIRECT,
        "nat_unknown",
    ),
    Fixture(
        "the same of its IPv4 home address",
        in_udp(from_node(IN_UDP, 4), STRANGER_IPV4),
        REDIRECT,
        "nat_unknown",
    ),
]

REFUSED = [
    Fixture("from a home address without binding", in_udp(data(STRANGER, CORRESPONDENT)), DROP, "reverse_check"),
    Fixture(
        "from an IPv4 home address without binding",
        in_udp(data(STRANGER_IPV4, CORRESPONDENT_IPV4)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "forged, in IPv4: there is no mapping to change",
        ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, IPV6, from_node(IN_IPV4, 6)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "by UDP where it was to come without",
        ipv4(IN_IPV4.care_of, HOME_AGENT_IPV4, UDP, udp(data(MY_HOME, CORRESPONDENT), PORT, PORT)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "without UDP where it was to come by it",
        ipv4(IN_UDP.care_of, HOME_AGENT_IPV4, IPV6, from_node(IN_UDP, 6)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "forged, in IPv6, with IPv4 inside",
        ipv6(STRANGER, HOME_AGENT, IPV4, from_node(IN_IPV6, 4)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "another's IPv4 home address",
        IN_IPV4.inwards(data(IN_IPV6.home_ipv4, CORRESPONDENT_IPV4)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "to the mobile node from another than its home agent",
        ipv4(STRANGER_IPV4, MY_CARE_OF_IPV4, UDP, udp(data(CORRESPONDENT, MY_HOME), PORT, PORT)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "to the mobile node from another port",
        ipv4(MY_HOME_AGENT_IPV4, MY_CARE_OF_IPV4, UDP, udp(data(CORRESPONDENT, MY_HOME), 1, PORT)),
        DROP,
        "reverse_check",
    ),
    Fixture("link-local IPv4 inside", IN_IPV4.inwards(data(IN_IPV4.home_ipv4, "169.254.1.1")), DROP, "link_scope"),
    Fixture("to a group of the link", IN_IPV4.inwards(data(IN_IPV4.home_ipv4, "224.0.0.251")), DROP, "link_scope"),
    Fixture("to everybody", IN_IPV4.inwards(data(IN_IPV4.home_ipv4, "255.255.255.255")), DROP, "link_scope"),
    Fixture("nothing in UDP", in_udp(b""), DROP, "malformed"),
    Fixture("nothing in IPv4", ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, IPV6, b""), DROP, "malformed"),
    Fixture("an inner header cut short", in_udp(from_node(IN_UDP, 6)[:39]), DROP, "malformed"),
    Fixture("an inner packet cut short", in_udp(from_node(IN_UDP, 6)[:-1]), DROP, "malformed"),
    Fixture("an inner IPv4 packet cut short", in_udp(from_node(IN_UDP, 4)[:-1]), DROP, "malformed"),
    Fixture(
        "IPv4 where IPv6 is announced",
        ipv4(IN_IPV4.care_of, HOME_AGENT_IPV4, IPV6, from_node(IN_IPV4, 4)),
        DROP,
        "malformed",
    ),
    Fixture(
        "IPv6 where IPv4 is announced",
        ipv4(IN_IPV4.care_of, HOME_AGENT_IPV4, IPV4, from_node(IN_IPV4, 6)),
        DROP,
        "malformed",
    ),
    Fixture(
        "an inner IPv4 header of 16 bytes",
        IN_IPV4.inwards(b"\x44" + from_node(IN_IPV4, 4)[1:]),
        DROP,
        "malformed",
    ),
    Fixture(
        "an inner IPv4 packet that says it is shorter than its header",
        IN_IPV4.inwards(from_node(IN_IPV4, 4)[:2] + b"\0\x13" + from_node(IN_IPV4, 4)[4:]),
        DROP,
        "malformed",
    ),
    Fixture(
        "a UDP length that is more than there is",
        ipv4(IN_UDP.care_of, HOME_AGENT_IPV4, UDP, struct.pack("!HHHH", NAT_PORT, PORT, 900, 0) + from_node(IN_UDP, 6)),
        DROP,
        "malformed",
    ),
    Fixture(
        "a UDP length that is less than its header",
        ipv4(IN_UDP.care_of, HOME_AGENT_IPV4, UDP, struct.pack("!HHHH", NAT_PORT, PORT, 7, 0) + from_node(IN_UDP, 6)),
        DROP,
        "malformed",
    ),
    Fixture(
        "with no hops left, as only we say it",
        ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, UDP, udp(UPDATE, NAT_PORT, PORT), time_to_live=0),
        DROP,
        "malformed",
    ),
    Fixture(
        "IPv6 with no hops left, as only we say it",
        ipv6(STRANGER, HOME_AGENT, MOBILITY, MESSAGE, hop_limit=0),
        DROP,
        "malformed",
    ),
]

LEFT = [
    Fixture("datagrams to another port", ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, UDP, udp(UPDATE, PORT, 4190)), NEXT),
    Fixture("datagrams from our port", ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, UDP, udp(UPDATE, PORT, 53)), NEXT),
    Fixture("a tunnel that ends elsewhere", in_udp(UPDATE, destination=STRANGER_IPV4), NEXT),
    Fixture("an echo request", ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, ICMPV4, icmpv4(8, b"hello")), NEXT),
    Fixture(
        "an error about a datagram of ours",
        error(ipv4(HOME_AGENT_IPV4, STRANGER_IPV4, UDP, udp(b"hello", 53, PORT))),
        NEXT,
    ),
    Fixture("an error about somebody else's tunnel", error(IN_UDP.inwards(to_node(IN_UDP, 6))), NEXT),
    Fixture("an error that quotes too little", error(OURS[:19]), NEXT),
    Fixture("an error that quotes IPv6", error(IN_IPV6.outwards(to_node(IN_IPV6, 6))), NEXT),
    Fixture("source quench about our tunnel", error(OURS, 4), NEXT),
    Fixture(
        "the first fragment of a tunnel packet",
        ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, UDP, udp(UPDATE, NAT_PORT, PORT), more_fragments=True),
        NEXT,
        "fragment",
    ),
    Fixture(
        "a later fragment of a tunnel packet",
        ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, IPV6, bytes(64), fragment_offset=8),
        NEXT,
        "fragment",
    ),
    Fixture("half a UDP header", ipv4(STRANGER_IPV4, HOME_AGENT_IPV4, UDP, udp()[:4]), NEXT),
    Fixture("an IPv4 header of 16 bytes", b"\x44" + in_udp(UPDATE)[1:], NEXT),
    Fixture("IPv4 that is shorter than its header", in_udp(UPDATE)[:2] + b"\0\x13" + in_udp(UPDATE)[4:], NEXT),
    Fixture("another version of IP", b"\x75" + in_udp(UPDATE)[1:], NEXT),
    Fixture(
        "an echo reply to somebody else's request",
        ipv6(STRANGER, HOME_AGENT, ICMPV6, b"\x81\0\0\0\0\1\0\7"),
        NEXT,
    ),
    Fixture(
        "to a home address, with options: the kernel's",
        ipv4(CORRESPONDENT_IPV4, IN_IPV4.home_ipv4, UDP, udp(), options=b"\x01\x01\x01\x00"),
        NEXT,
    ),
    Fixture("to a home address, without hops", to_node(IN_IPV4, 4, hop=1), NEXT),
    Fixture(
        "to a home address, too big", packet_of(CORRESPONDENT_IPV4, IN_IPV4.home_ipv4, UDP, udp(bytes(1433))), NEXT
    ),
    Fixture("to a home address, from nowhere", data("0.0.0.0", IN_IPV4.home_ipv4), NEXT),
    Fixture("to a home address, from ourselves", data("127.0.0.1", IN_IPV4.home_ipv4), NEXT),
    Fixture("to a home address, from a group", data("224.0.0.1", IN_IPV4.home_ipv4), NEXT),
    Fixture("to a home address, from a link", data("169.254.1.1", IN_IPV4.home_ipv4), NEXT),
    Fixture("to a home address, with padding of the link", to_node(IN_IPV4, 4) + bytes(9), NEXT),
    Fixture("to an IPv4 address without binding", data(CORRESPONDENT_IPV4, "203.0.113.99"), NEXT),
]

OPENED = [
    Fixture(
        "behind IPv4 options",
        ipv4(IN_IPV4.care_of, HOME_AGENT_IPV4, IPV6, from_node(IN_IPV4, 6), options=b"\x01\x01\x01\x00"),
        REDIRECT,
        None,
        from_node(IN_IPV4, 6, hop=63),
    ),
    Fixture(
        "with a UDP checksum, which a NAT or another implementation may have put there",
        ipv4(
            IN_UDP.care_of,
            HOME_AGENT_IPV4,
            UDP,
            struct.pack("!HHHH", NAT_PORT, PORT, 8 + len(from_node(IN_UDP, 6)), 0x1234) + from_node(IN_UDP, 6),
        ),
        REDIRECT,
        None,
        from_node(IN_UDP, 6, hop=63),
    ),
    Fixture(
        "to a correspondent node, no control of ours: a home test init of RFC 6275 section 11.6.1",
        IN_UDP.inwards(ipv6(IN_UDP.home, CORRESPONDENT, MOBILITY, MESSAGE)),
        REDIRECT,
        None,
        ipv6(IN_UDP.home, CORRESPONDENT, MOBILITY, MESSAGE, hop_limit=63),
    ),
    Fixture(
        "an echo request to the home agent: its kernel answers",
        IN_UDP.inwards(ipv6(IN_UDP.home, HOME_AGENT, ICMPV6, icmpv6(128, b"\x10\x5f\0\7"))),
        PASS,
        None,
        ipv6(IN_UDP.home, HOME_AGENT, ICMPV6, icmpv6(128, b"\x10\x5f\0\7")),
    ),
    Fixture(
        "a fragment of an IPv4 packet",
        IN_IPV6.inwards(ipv4(IN_IPV6.home_ipv4, CORRESPONDENT_IPV4, UDP, bytes(64), fragment_offset=8)),
        REDIRECT,
        None,
        ipv4(IN_IPV6.home_ipv4, CORRESPONDENT_IPV4, UDP, bytes(64), fragment_offset=8, time_to_live=63),
    ),
]


@pytest.mark.parametrize("fixture", CONTROL + REFUSED + LEFT + OPENED, ids=lambda fixture: fixture.description)
def test_uplink(fixture: Fixture, filled: BpfTable, namespace: Namespace) -> None:
    before = filled.counters()
    verdict, out = run(filled, namespace, fixture.packet)
    assert verdict == fixture.verdict
    if verdict != DROP:
        assert out == (fixture.packet if fixture.out is None else fixture.out)
    changed = {name for name, value in filled.counters().items() if value != before[name]} - {"decapsulated"}
    assert changed == ({fixture.counter} if fixture.counter else set())


def test_unknown_mappings_are_limited(filled: BpfTable, namespace: Namespace) -> None:
    """100 a second after a burst of eleven; the rest is refused."""
    run(filled, namespace, in_udp(from_node(IN_UDP, 6), STRANGER_IPV4), repeat=2000)
    counters = filled.counters()
    assert 11 <= counters["nat_unknown"] < 100
    assert counters["nat_unknown"] + counters["reverse_check"] == 2000
    run(filled, namespace, in_udp(b"\x0e\0\0\x05abcd"), repeat=2000)
    assert 101 <= filled.counters()["punted"] < 1000
    run(filled, namespace, in_udp(UPDATE))
    assert filled.counters()["punt_limited"] == 2000 - filled.counters()["punted"] + 1


def test_every_length_and_every_flipped_byte_is_survived(filled: BpfTable, namespace: Namespace) -> None:
    """Whatever a hostile packet says of itself, it gets a verdict, and never the inside of a tunnel it may not use."""
    for fixture in CONTROL + REFUSED + OPENED:
        least = 20 if fixture.packet[:1] < b"\x60" else 40  # the kernel's own test refuses less
        for length in range(least, len(fixture.packet)):
            assert run(filled, namespace, fixture.packet[:length])[0] in (NEXT, PASS, DROP, REDIRECT)
    forged = in_udp(data(STRANGER, CORRESPONDENT))
    for position in range(len(forged)):
        for value in (0, 0x3C, 0x46, 0x60, 0xFF):
            packet = forged[:position] + bytes([value]) + forged[position + 1 :]
            verdict, out = run(filled, namespace, packet)
            assert verdict == DROP or out == packet


# --- mobile prefixes -------------------------------------------------------------------------------------------------


@EACH_NODE
def test_a_prefix_is_as_the_home_address(node: Node, filled: BpfTable, namespace: Namespace) -> None:
    home = parse_address(node.home)
    wide, narrow = "2001:db8:aa00::", "2001:db8:aa00:1::"
    prefixes = (
        SetMobilePrefix(0, parse_address(wide), 40, home),
        SetMobilePrefix(0, parse_address("10.64.1.0"), IPV4_BITS + 24, home),
    )
    inside, inside_ipv4 = "2001:db8:aa00:2::5", "10.64.1.77"
    assert run(filled, namespace, data(CORRESPONDENT, inside))[0] == NEXT
    for prefix in prefixes:
        filled.apply(prefix)
    for source, destination in ((CORRESPONDENT, inside), (CORRESPONDENT_IPV4, inside_ipv4)):
        expected = node.outwards(data(source, destination, hop=63))
        assert run(filled, namespace, data(source, destination)) == (REDIRECT, expected)
        expected = data(destination, source, hop=63)
        assert run(filled, namespace, node.inwards(data(destination, source))) == (REDIRECT, expected)
    assert run(filled, namespace, data(CORRESPONDENT_IPV4, "10.64.2.77"))[0] == NEXT
    # The longest prefix is the one.
    filled.apply(SetMobilePrefix(0, parse_address(narrow), 64, parse_address(STRANGER)))
    assert run(filled, namespace, data(CORRESPONDENT, "2001:db8:aa00:1::5"))[0] == NEXT
    assert run(filled, namespace, data(CORRESPONDENT, inside))[0] == REDIRECT
    filled.apply(RemoveMobilePrefix(0, parse_address(wide), 40))
    assert run(filled, namespace, data(CORRESPONDENT, inside))[0] == NEXT
    assert run(filled, namespace, node.inwards(data(inside, CORRESPONDENT)))[0] == DROP
    assert filled.counters()["reverse_check"] == 1


def test_a_row_of_its_own_wins_over_a_prefix(filled: BpfTable, namespace: Namespace) -> None:
    filled.apply(SetMobilePrefix(0, parse_address("203.0.113.0"), IPV4_BITS + 24, parse_address(IN_UDP.home)))
    expected = IN_IPV4.outwards(to_node(IN_IPV4, 4, hop=63))
    assert run(filled, namespace, to_node(IN_IPV4, 4)) == (REDIRECT, expected)
    unbound = data(CORRESPONDENT_IPV4, "203.0.113.99")
    expected = IN_UDP.outwards(data(CORRESPONDENT_IPV4, "203.0.113.99", hop=63))
    assert run(filled, namespace, unbound) == (REDIRECT, expected)


def test_from_a_prefix_by_an_unknown_mapping(filled: BpfTable, namespace: Namespace) -> None:
    filled.apply(SetMobilePrefix(0, parse_address("10.64.1.0"), IPV4_BITS + 24, parse_address(IN_UDP.home)))
    packet = in_udp(data("10.64.1.77", CORRESPONDENT_IPV4), STRANGER_IPV4)
    assert run(filled, namespace, packet) == (REDIRECT, packet)
    assert filled.counters()["nat_unknown"] == 1
