"""What a member of a home agent set does with packets, by BPF_PROG_TEST_RUN: in whose tunnel they go and from whom they
may come."""

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
    TCP,
    UDP,
    fragment,
    home_address_option,
    icmpv6,
    ipv6,
    mobility,
    options,
    udp,
)

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    ForwardingAction,
    Listen,
    ListenToMembers,
    SetMember,
    SetTunnel,
    Tunnel,
)
from unwired.dataplane import devices
from unwired.dataplane.bpf_table import BpfTable
from unwired.dataplane.layout import MARK_FROM_MEMBER
from unwired.wire.address import Address, parse_address

pytestmark = pytest.mark.root

NEXT, PASS, DROP, REDIRECT = 0xFFFFFFFF, 0, 2, 7

US, LIVE, DEAD = (f"2001:db8:100::{number}" for number in (1, 2, 3))
"""Home agent addresses: ours, that of member 2 and that of member 3, which is not up."""
LOCATOR, LIVE_LOCATOR, DEAD_LOCATOR = "2001:db8:1::1", "2001:db8:12::1", "2001:db8:13::1"
HOME, HOME_OF_LIVE, HOME_OF_DEAD, UNBOUND = (f"2001:db8:100::100{number}" for number in range(4))
"""Home addresses by who is the binding's primary."""
CARE_OF, CARE_OF_LIVE, CARE_OF_DEAD = (f"2001:db8:20{number}::2" for number in range(3))
CORRESPONDENT, STRANGER = "2001:db8:c::2", "2001:db8:bad::1"
TO_LIVE, TO_DEAD = 0x8000_0002, 0x8000_0003
LABEL = 0xABCDE
MARKED = MARK_FROM_MEMBER

UPDATE = home_address_option(MOBILITY, HOME_OF_LIVE) + mobility()


def data(destination: str, source: str = CORRESPONDENT, **fields: int) -> bytes:
    return ipv6(source, destination, UDP, udp(), **fields)


def tunnelled(inner: bytes, source: str, destination: str, **fields: int) -> bytes:
    return ipv6(source, destination, IPV6, inner, **fields)


def from_member(inner: bytes, source: str = LIVE_LOCATOR, **fields: int) -> bytes:
    return tunnelled(inner, source, LOCATOR, **fields)


def decremented(packet: bytes) -> bytes:
    return packet[:7] + bytes([packet[7] - 1]) + packet[8:]


def into_live(packet: bytes) -> bytes:
    return tunnelled(decremented(packet), LOCATOR, LIVE_LOCATOR, flow_label=LABEL)


def rows() -> list[ForwardingAction]:
    address = parse_address
    made: list[ForwardingAction] = [
        Listen(0, address(US)),
        ListenToMembers(0, address(LOCATOR)),
        SetTunnel(Tunnel(TO_LIVE, address(LOCATOR), address(LIVE_LOCATOR), flow_label=LABEL)),
        SetTunnel(Tunnel(TO_DEAD, address(LOCATOR), address(DEAD_LOCATOR))),
        SetMember(0, 2, address(LIVE), address(LIVE_LOCATOR), TO_LIVE, True),
        SetMember(0, 3, address(DEAD), address(DEAD_LOCATOR), TO_DEAD, False),
    ]
    for number, home, member, local, care_of in (
        (1, HOME, 0, US, CARE_OF),
        (2, HOME_OF_LIVE, 2, LIVE, CARE_OF_LIVE),
        (3, HOME_OF_DEAD, 3, DEAD, CARE_OF_DEAD),
    ):
        made += [
            SetTunnel(Tunnel(number, address(local), address(care_of), flow_label=number)),
            Forward(0, Direction.TO_HOME_ADDRESS, address(home), number, member),
            Accept(0, Direction.FROM_HOME_ADDRESS, address(home), address(care_of), number),
        ]
    return made


@pytest.fixture
def filled(table: BpfTable, namespace: Namespace) -> Iterator[BpfTable]:
    namespace.ip(
        "link add wire type veth peer name other",
        "link set wire up",
        "link set other up",
        f"addr add {LOCATOR}/64 dev wire nodad",
        "route add default via 2001:db8:1::2",
    )
    namespace.sysctl(all__forwarding=1)
    for action in rows():
        table.apply(action)
    table.set_punt_device(namespace.ifindex("other"))
    with namespace:
        table.attach_tunnel_device(devices.create_tunnel_device("mip0", 1460))
    namespace.ip("route add 2001:db8:100::/64 dev mip0")
    yield table


@dataclass(frozen=True)
class Fixture:
    description: str
    packet: bytes
    verdict: int
    counter: str | None = None
    out: bytes | None = None
    """None: as it came in."""
    mark: int = 0


def to_mobile_node(packet: bytes, local: str, care_of: str, number: int) -> bytes:
    return tunnelled(decremented(packet), local, care_of, flow_label=number)


FROM_OUTSIDE = [
    Fixture(
        "to a home address whose primary is a live member",
        data(HOME_OF_LIVE),
        REDIRECT,
        "encapsulated",
        into_live(data(HOME_OF_LIVE)),
    ),
    Fixture(
        "to a home address whose primary is dead",
        data(HOME_OF_DEAD),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME_OF_DEAD), DEAD, CARE_OF_DEAD, 3),
    ),
    Fixture(
        "to a home address of our own",
        data(HOME),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME), US, CARE_OF, 1),
    ),
    Fixture(
        "out of a mobile node's tunnel to a live member: opened here",
        tunnelled(data(CORRESPONDENT, HOME_OF_LIVE), CARE_OF_LIVE, LIVE),
        REDIRECT,
        "decapsulated",
        decremented(data(CORRESPONDENT, HOME_OF_LIVE)),
    ),
    Fixture(
        "the same from a care-of address that is not known here: the member decides",
        tunnelled(data(CORRESPONDENT, HOME_OF_LIVE), STRANGER, LIVE),
        REDIRECT,
        "encapsulated",
        into_live(tunnelled(data(CORRESPONDENT, HOME_OF_LIVE), STRANGER, LIVE)),
    ),
    Fixture(
        "to a mobile node of a live member, out of another's tunnel to it",
        tunnelled(data(HOME_OF_LIVE, HOME), CARE_OF, LIVE),
        REDIRECT,
        "encapsulated",
        into_live(data(HOME_OF_LIVE, HOME)),
    ),
    Fixture(
        "a binding update to a live member",
        ipv6(CARE_OF_LIVE, LIVE, DESTINATION, UPDATE),
        REDIRECT,
        "encapsulated",
        into_live(ipv6(CARE_OF_LIVE, LIVE, DESTINATION, UPDATE)),
    ),
    Fixture(
        "an error to a live member about a packet of its tunnel",
        ipv6(STRANGER, LIVE, ICMPV6, icmpv6(2, tunnelled(data(HOME), LIVE, CARE_OF))),
        REDIRECT,
        "encapsulated",
        into_live(ipv6(STRANGER, LIVE, ICMPV6, icmpv6(2, tunnelled(data(HOME), LIVE, CARE_OF)))),
    ),
    Fixture(
        "a binding update to a dead member: we answer",
        ipv6(CARE_OF_DEAD, DEAD, DESTINATION, UPDATE),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "out of a mobile node's tunnel to a dead member",
        tunnelled(data(CORRESPONDENT, HOME_OF_DEAD), CARE_OF_DEAD, DEAD),
        REDIRECT,
        "decapsulated",
        decremented(data(CORRESPONDENT, HOME_OF_DEAD)),
    ),
    Fixture(
        "forged, to a dead member",
        tunnelled(data(CORRESPONDENT, HOME_OF_DEAD), STRANGER, DEAD),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "a fragment to a live member: by the kernel to the tunnel device",
        ipv6(CARE_OF, LIVE, FRAGMENT, fragment(MOBILITY) + mobility()),
        NEXT,
    ),
    Fixture("datagrams to a live member: by the kernel", data(LIVE), NEXT),
    Fixture(
        "too big for the tunnel to a live member: the kernel says so",
        tunnelled(ipv6(HOME, CORRESPONDENT, UDP, udp(bytes(1400))), STRANGER, LIVE),
        NEXT,
    ),
    Fixture("a binding update to our locator", ipv6(CARE_OF, LOCATOR, DESTINATION, UPDATE), REDIRECT, "punted"),
    Fixture("datagrams to our locator", data(LOCATOR), NEXT),
]

TO_MEMBER_TUNNEL = [
    Fixture("from no member", from_member(data(HOME), STRANGER), DROP, "not_a_member"),
    Fixture("from our own locator", from_member(data(HOME), LOCATOR), DROP, "not_a_member"),
    Fixture("from a member's home agent address", from_member(data(HOME), LIVE), DROP, "not_a_member"),
    Fixture(
        "from a mobile node",
        tunnelled(data(CORRESPONDENT, HOME), CARE_OF, LOCATOR),
        DROP,
        "not_a_member",
    ),
    Fixture(
        "behind other headers, as no member sends it",
        ipv6(LIVE_LOCATOR, LOCATOR, DESTINATION, options(IPV6, b"\x04\x01\x04\x01\x01\x00") + data(HOME)),
        DROP,
        "not_a_member",
    ),
    Fixture("with the hop limit that only we use", from_member(data(HOME), hop_limit=0), DROP, "malformed"),
    Fixture("nothing inside", from_member(b""), DROP, "malformed"),
    Fixture("an inner header cut short", from_member(data(HOME)[:39]), DROP, "malformed"),
    Fixture("IPv4 inside", from_member(b"\x45" + data(HOME)[1:]), DROP, "malformed"),
    Fixture(
        "to our mobile node",
        from_member(data(HOME)),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME), US, CARE_OF, 1),
    ),
    Fixture(
        "from a member that we think dead",
        from_member(data(HOME), DEAD_LOCATOR),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME), US, CARE_OF, 1),
    ),
    Fixture(
        "to a mobile node that we think that member's: delivered, never sent back",
        from_member(data(HOME_OF_LIVE)),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME_OF_LIVE), LIVE, CARE_OF_LIVE, 2),
    ),
    Fixture(
        "to a mobile node, but for the kernel: marked",
        from_member(ipv6(CORRESPONDENT, HOME, HOP_BY_HOP, options(UDP, b"\x01\x04" + bytes(4)) + udp())),
        PASS,
        "decapsulated",
        ipv6(CORRESPONDENT, HOME, HOP_BY_HOP, options(UDP, b"\x01\x04" + bytes(4)) + udp()),
        MARKED,
    ),
    Fixture("to a home address without binding", from_member(data(UNBOUND)), DROP, "member_no_forward"),
    Fixture("to anywhere: we are no open relay", from_member(data(CORRESPONDENT, HOME)), DROP, "member_no_forward"),
    Fixture("to our locator", from_member(data(LOCATOR)), DROP, "member_no_forward"),
    Fixture("to another live member's address", from_member(data(LIVE), DEAD_LOCATOR), DROP, "member_no_forward"),
    Fixture(
        "a binding update for another live member",
        from_member(ipv6(CARE_OF, LIVE, DESTINATION, UPDATE), DEAD_LOCATOR),
        DROP,
        "member_no_forward",
    ),
    Fixture(
        "a member's tunnel inside a member's tunnel",
        from_member(from_member(data(HOME))),
        DROP,
        "member_no_forward",
    ),
    Fixture("of one link", from_member(data(HOME, "fe80::1")), DROP, "link_scope"),
    Fixture(
        "a binding update for us: with the outer header",
        from_member(ipv6(CARE_OF, US, DESTINATION, UPDATE)),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "home agent discovery for us",
        from_member(ipv6(CARE_OF, US, ICMPV6, icmpv6(144))),
        REDIRECT,
        "punted",
    ),
    Fixture(
        "an error about a packet of ours",
        from_member(ipv6(STRANGER, US, ICMPV6, icmpv6(2, tunnelled(data(HOME), US, CARE_OF)))),
        REDIRECT,
        "punted",
    ),
    Fixture("an echo request for us", from_member(ipv6(CARE_OF, US, ICMPV6, icmpv6(128))), PASS, "decapsulated"),
    Fixture("datagrams for us", from_member(data(US)), PASS, "decapsulated"),
    Fixture(
        "a mobile node's tunnel inside",
        from_member(tunnelled(data(CORRESPONDENT, HOME), CARE_OF, US)),
        REDIRECT,
        "decapsulated",
        decremented(data(CORRESPONDENT, HOME)),
    ),
    Fixture(
        "a mobile node's tunnel inside, which leads to a live member's mobile node",
        from_member(tunnelled(data(HOME_OF_LIVE, HOME), CARE_OF, US)),
        REDIRECT,
        "encapsulated",
        to_mobile_node(data(HOME_OF_LIVE, HOME), LIVE, CARE_OF_LIVE, 2),
    ),
    Fixture(
        "a mobile node's tunnel inside, which leads to a live member: marked, and dropped later",
        from_member(tunnelled(data(LIVE, HOME), CARE_OF, US)),
        PASS,
        "decapsulated",
        data(LIVE, HOME),
        MARKED,
    ),
    Fixture(
        "control in a mobile node's tunnel inside",
        from_member(tunnelled(ipv6(HOME, US, MOBILITY, mobility()), CARE_OF, US)),
        REDIRECT,
        "punted",
        ipv6(HOME, US, MOBILITY, mobility()),
    ),
    Fixture(
        "a forged tunnel inside",
        from_member(tunnelled(data(CORRESPONDENT, HOME), STRANGER, US)),
        DROP,
        "reverse_check",
    ),
]


@pytest.mark.parametrize("fixture", FROM_OUTSIDE + TO_MEMBER_TUNNEL, ids=lambda fixture: fixture.description)
def test_uplink(fixture: Fixture, filled: BpfTable, namespace: Namespace) -> None:
    expected = fixture.packet if fixture.out is None else fixture.out
    if fixture.out is None and fixture.verdict == PASS:
        expected = fixture.packet[40:]
    before = filled.counters()
    # A mark from elsewhere means nothing.
    verdict, out, mark = _run(filled, namespace, "uplink_ethernet", fixture.packet, MARKED | 1)
    assert verdict == fixture.verdict
    if verdict != DROP:
        assert out == expected
        assert mark == fixture.mark | 1
    changed = {name for name, value in filled.counters().items() if value != before[name]}
    assert changed - {"decapsulated"} == {fixture.counter} - {"decapsulated", None}
    if fixture.counter == "decapsulated":
        assert "decapsulated" in changed


@pytest.mark.parametrize(
    ("destination", "mark", "verdict", "counter", "tunnel"),
    [
        pytest.param(HOME_OF_LIVE, 0, REDIRECT, "encapsulated", TO_LIVE, id="to a live member's mobile node"),
        pytest.param(HOME_OF_DEAD, 0, REDIRECT, "encapsulated", 3, id="to a dead member's mobile node"),
        pytest.param(LIVE, 0, REDIRECT, "encapsulated", TO_LIVE, id="to a live member"),
        pytest.param(DEAD, 0, NEXT, "no_forward", None, id="to a dead member"),
        pytest.param(UNBOUND, 0, NEXT, "no_forward", None, id="to a home address without binding"),
        pytest.param(HOME_OF_LIVE, MARKED, REDIRECT, "encapsulated", 2, id="from a member to its own mobile node"),
        pytest.param(LIVE, MARKED, DROP, "member_no_forward", None, id="from a member to a live member"),
        pytest.param(UNBOUND, MARKED, DROP, "member_no_forward", None, id="from a member to nobody"),
    ],
)
def test_tunnel_device(
    destination: str,
    mark: int,
    verdict: int,
    counter: str,
    tunnel: int | None,
    filled: BpfTable,
    namespace: Namespace,
) -> None:
    """A device without link header. The test run takes one for granted: it finds the packet's type in the middle of the
    source address, and writes what is encapsulated to a wrong place, so that only its tunnel is looked at here."""
    packet = ipv6("2001:db8:86dd::2", destination, UDP, udp(bytes(100)))
    before = filled.tunnel_counters(tunnel or 0).packets_sent
    found, _, left = _run(filled, namespace, "tunnel_egress", packet, mark | 1, b"")
    assert (found, left) == (verdict, 1)
    assert filled.counters()[counter] == 1
    if tunnel is not None:
        assert filled.tunnel_counters(tunnel).packets_sent == before + 1


def test_a_members_death_is_one_row(filled: BpfTable, namespace: Namespace) -> None:
    """Data, tunnels and control of the dead member are then handled here; and it comes back as it went."""
    dead, alive = (SetMember(0, 2, *_addresses(LIVE, LIVE_LOCATOR), TO_LIVE, up) for up in (False, True))
    update = ipv6(CARE_OF_LIVE, LIVE, DESTINATION, UPDATE)
    filled.apply(dead)
    direct = to_mobile_node(data(HOME_OF_LIVE), LIVE, CARE_OF_LIVE, 2)
    assert _run(filled, namespace, "uplink_ethernet", data(HOME_OF_LIVE))[1] == direct
    assert _run(filled, namespace, "uplink_ethernet", update)[1] == update
    assert filled.counters()["punted"] == 1
    filled.apply(alive)
    assert _run(filled, namespace, "uplink_ethernet", data(HOME_OF_LIVE))[1] == into_live(data(HOME_OF_LIVE))
    assert _run(filled, namespace, "uplink_ethernet", update)[1] == into_live(update)


def test_tunnels_to_members_count_both_ways(filled: BpfTable, namespace: Namespace) -> None:
    _run(filled, namespace, "uplink_ethernet", data(HOME_OF_LIVE))
    _run(filled, namespace, "uplink_ethernet", from_member(data(HOME)))
    carried = filled.tunnel_counters(TO_LIVE)
    size = len(data(HOME))
    assert (carried.packets_sent, carried.packets_received) == (1, 1)
    assert (carried.bytes_sent, carried.bytes_received) == (size, size)


def test_without_the_shortcut_the_kernel_forwards(filled: BpfTable, namespace: Namespace) -> None:
    """And what it may not forward is refused before."""
    filled.set_shortcut(False)
    for packet in (data(HOME_OF_LIVE), ipv6(CARE_OF_LIVE, LIVE, DESTINATION, UPDATE)):
        assert _run(filled, namespace, "uplink_ethernet", packet)[:2] == (NEXT, packet)
    assert _run(filled, namespace, "uplink_ethernet", from_member(data(HOME))) == (PASS, data(HOME), MARKED)
    assert _run(filled, namespace, "uplink_ethernet", from_member(data(UNBOUND)))[0] == DROP


@pytest.mark.parametrize(("segment", "verdict"), [(1356, DROP), (1357, NEXT)])
def test_segments_of_a_tunnel_in_a_tunnel(segment: int, verdict: int, filled: BpfTable, namespace: Namespace) -> None:
    """A segment is counted with all its headers, 40 + 40 + 24 bytes. An offloaded packet that is small enough gets as
    far as the kernel's refusal to change one that does not say what it is made of."""
    tcp = bytes(12) + b"\x60" + bytes(11)
    packet = tunnelled(ipv6(HOME, CORRESPONDENT, TCP, tcp + bytes(2800)), STRANGER, LIVE)
    assert _run(filled, namespace, "uplink_ethernet", packet, segment_bytes=segment)[0] == verdict
    assert filled.counters()["encapsulate_failed"] == (verdict == DROP)


@pytest.mark.parametrize("outer", range(4))
def test_congestion_marks_come_through_both_tunnels(outer: int, filled: BpfTable, namespace: Namespace) -> None:
    """RFC 6040 figure 4, twice."""
    inner = data(CORRESPONDENT, HOME, traffic_class=2)
    packet = from_member(tunnelled(inner, CARE_OF, US, traffic_class=2), traffic_class=outer)
    verdict, out, _ = _run(filled, namespace, "uplink_ethernet", packet)
    assert verdict == REDIRECT
    assert struct.unpack_from("!I", out)[0] >> 20 & 3 == [2, 1, 2, 3][outer]


def test_a_host_without_members_looks_at_no_mark(table: BpfTable, namespace: Namespace) -> None:
    packet = data(HOME)
    assert _run(table, namespace, "uplink_ethernet", packet, MARKED) == (NEXT, packet, MARKED)


def test_every_length_and_every_flipped_byte_is_survived(filled: BpfTable, namespace: Namespace) -> None:
    for fixture in FROM_OUTSIDE + TO_MEMBER_TUNNEL:
        for length in range(40, len(fixture.packet)):
            _run(filled, namespace, "uplink_ethernet", fixture.packet[:length])
    forged = from_member(data(HOME), STRANGER)
    for position in range(40):
        for value in (0, 0x3C, 0xFF):
            packet = forged[:position] + bytes([value]) + forged[position + 1 :]
            verdict, out, _ = _run(filled, namespace, "uplink_ethernet", packet)
            assert verdict == DROP or out == packet


def _addresses(address: str, locator: str) -> tuple[Address, Address]:
    return parse_address(address), parse_address(locator)


def _run(
    table: BpfTable,
    namespace: Namespace,
    program: str,
    packet: bytes,
    mark: int = 0,
    link_header: bytes = ETHERNET,
    segment_bytes: int = 0,
) -> tuple[int, bytes, int]:
    """Verdict of a program, the packet afterwards without link header, and its mark."""
    context = bytearray(192)
    struct.pack_into("=I", context, 8, mark)
    struct.pack_into("=I", context, 176, segment_bytes)  # gso_size
    with namespace:
        verdict, out, context_out, _ = table._library.test_run(
            table.program(program), link_header + packet, bytes(context)
        )
    return verdict, out[len(link_header) :], struct.unpack_from("=I", context_out, 8)[0]
