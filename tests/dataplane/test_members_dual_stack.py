"""A member of a home agent set with mobile nodes in IPv4 networks, by BPF_PROG_TEST_RUN: all members have one IPv4
address, and the inner destination of a control packet names the one that it is for."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from packets import (
    DESTINATION,
    ETHERNET,
    ETHERNET_IPV4,
    ICMPV4,
    IPV4,
    IPV6,
    MOBILITY,
    UDP,
    icmpv4,
    ipv4,
    ipv6,
    mobility,
    options,
    udp,
)

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import (
    Accept,
    Direction,
    Encapsulation,
    Forward,
    Listen,
    ListenToMembers,
    SetMember,
    SetTunnel,
    Tunnel,
)
from unwired.dataplane import devices
from unwired.dataplane.bpf_table import BpfTable
from unwired.dataplane.layout import MARK_FROM_MEMBER
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

NEXT, PASS, DROP, REDIRECT = 0xFFFFFFFF, 0, 2, 7

COMMON = "198.51.100.1"
"""Of all members."""
US, LIVE, DEAD = (f"2001:db8:100::{number}" for number in (1, 2, 3))
LOCATOR, LIVE_LOCATOR, DEAD_LOCATOR = "2001:db8:1::1", "2001:db8:12::1", "2001:db8:13::1"
TO_LIVE, TO_DEAD, LABEL = 0x8000_0002, 0x8000_0003, 0xABCDE
NAT, PORT, NAT_PORT = "100.64.0.9", 4191, 50_001
STRANGER, CORRESPONDENT, CORRESPONDENT_IPV4 = "100.64.66.6", "2001:db8:c::2", "192.0.2.9"
MARKED = MARK_FROM_MEMBER


@dataclass(frozen=True)
class Node:
    number: int
    member: int

    @property
    def home(self) -> str:
        return f"2001:db8:100::100{self.number}"

    @property
    def home_ipv4(self) -> str:
        return f"203.0.113.{self.number}"

    @property
    def port(self) -> int:
        return NAT_PORT + self.number

    def tunnel(self) -> Tunnel:
        ends = parse_address(COMMON), parse_address(NAT)
        return Tunnel(self.number, *ends, Encapsulation.UDP, local_port=PORT, peer_port=self.port)

    def inwards(self, inner: bytes, source: str = NAT) -> bytes:
        return ipv4(source, COMMON, UDP, udp(inner, self.port, PORT))

    def outwards(self, inner: bytes) -> bytes:
        return ipv4(COMMON, NAT, UDP, udp(inner, PORT, self.port))


OURS, OF_LIVE, OF_DEAD = Node(1, 0), Node(2, 2), Node(3, 3)
"""Mobile nodes behind a NAT, by who is the binding's primary."""


def data(source: str, destination: str, hop: int = 64) -> bytes:
    if ":" in source:
        return ipv6(source, destination, UDP, udp(), hop_limit=hop)
    return ipv4(source, destination, UDP, udp(), time_to_live=hop)


def update(member: str, node: Node) -> bytes:
    return node.inwards(ipv6(node.home, member, MOBILITY, mobility()))


def from_member(inner: bytes, source: str = LIVE_LOCATOR) -> bytes:
    return ipv6(source, LOCATOR, IPV4 if inner[:1] < b"\x60" else IPV6, inner)


def into_live(packet: bytes) -> bytes:
    return ipv6(LOCATOR, LIVE_LOCATOR, IPV4 if packet[:1] < b"\x60" else IPV6, packet, flow_label=LABEL)


@pytest.fixture
def filled(table: BpfTable, namespace: Namespace) -> Iterator[BpfTable]:
    namespace.ip(
        "link add wire type veth peer name other",
        "link set wire up",
        "link set other up",
        f"addr add {LOCATOR}/64 dev wire nodad",
        "route add default via 2001:db8:1::2",
    )
    namespace.ipv4("addr add 10.1.0.1/24 dev wire", "route add default via 10.1.0.2", f"addr add {COMMON}/32 dev lo")
    namespace.sysctl(all__forwarding=1)
    namespace.sysctl_ipv4(all__forwarding=1)
    address = parse_address
    for action in (
        Listen(0, address(US)),
        Listen(0, address(COMMON)),
        ListenToMembers(0, address(LOCATOR)),
        SetTunnel(Tunnel(TO_LIVE, address(LOCATOR), address(LIVE_LOCATOR), flow_label=LABEL)),
        SetTunnel(Tunnel(TO_DEAD, address(LOCATOR), address(DEAD_LOCATOR))),
        SetMember(0, 2, address(LIVE), address(LIVE_LOCATOR), TO_LIVE, True),
        SetMember(0, 3, address(DEAD), address(DEAD_LOCATOR), TO_DEAD, False),
    ):
        table.apply(action)
    for node in (OURS, OF_LIVE, OF_DEAD):
        table.apply(SetTunnel(node.tunnel()))
        for home in (address(node.home), address(node.home_ipv4)):
            table.apply(Forward(0, Direction.TO_HOME_ADDRESS, home, node.number, node.member))
            table.apply(Accept(0, Direction.FROM_HOME_ADDRESS, home, address(NAT), node.number, node.port))
    table.set_punt_device(namespace.ifindex("other"))
    with namespace:
        table.attach_tunnel_device(devices.create_tunnel_device("mip0", 1460))
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


FROM_OUTSIDE = [
    Fixture("a binding update for us", update(US, OURS), REDIRECT, "punted"),
    Fixture(
        "a binding update for a live member: with the headers that name the mapping, time to live and all",
        update(LIVE, OF_LIVE),
        REDIRECT,
        "encapsulated",
        into_live(update(LIVE, OF_LIVE)),
    ),
    Fixture("a binding update for a dead member: we answer", update(DEAD, OF_DEAD), REDIRECT, "punted"),
    Fixture(
        "data of a live member's mobile node: opened here, and sent on",
        OF_LIVE.inwards(data(OF_LIVE.home, CORRESPONDENT)),
        REDIRECT,
        "decapsulated",
        data(OF_LIVE.home, CORRESPONDENT, 63),
    ),
    Fixture(
        "IPv4 data of a live member's mobile node",
        OF_LIVE.inwards(data(OF_LIVE.home_ipv4, CORRESPONDENT_IPV4)),
        REDIRECT,
        "decapsulated",
        data(OF_LIVE.home_ipv4, CORRESPONDENT_IPV4, 63),
    ),
    Fixture(
        "from one mobile node to a live member's: to that member",
        OURS.inwards(data(OURS.home_ipv4, OF_LIVE.home_ipv4)),
        REDIRECT,
        "encapsulated",
        into_live(data(OURS.home_ipv4, OF_LIVE.home_ipv4, 63)),
    ),
    Fixture(
        "to an IPv4 home address whose primary is a live member",
        data(CORRESPONDENT_IPV4, OF_LIVE.home_ipv4),
        REDIRECT,
        "encapsulated",
        into_live(data(CORRESPONDENT_IPV4, OF_LIVE.home_ipv4, 63)),
    ),
    Fixture(
        "to an IPv4 home address whose primary is dead: by the mapping that its NAT has",
        data(CORRESPONDENT_IPV4, OF_DEAD.home_ipv4),
        REDIRECT,
        "encapsulated",
        OF_DEAD.outwards(data(CORRESPONDENT_IPV4, OF_DEAD.home_ipv4, 63)),
    ),
    Fixture(
        "data of a live member's mobile node by an unknown mapping",
        OF_LIVE.inwards(data(OF_LIVE.home, CORRESPONDENT), STRANGER),
        REDIRECT,
        "nat_unknown",
    ),
    Fixture(
        "an error about a tunnel of all members",
        ipv4(STRANGER, COMMON, ICMPV4, icmpv4(3, OURS.outwards(data(CORRESPONDENT, OURS.home)), 4)),
        REDIRECT,
        "punted",
    ),
]

FROM_MEMBER = [
    Fixture("a binding update for us: with all outer headers", from_member(update(US, OURS)), REDIRECT, "punted"),
    Fixture("a binding update for a dead member", from_member(update(DEAD, OF_DEAD)), REDIRECT, "punted"),
    Fixture(
        "a binding update for a live member: nothing goes from member to member twice",
        from_member(update(LIVE, OURS), DEAD_LOCATOR),
        DROP,
        "member_no_forward",
    ),
    Fixture("from no member", from_member(update(US, OURS), "2001:db8:bad::1"), DROP, "not_a_member"),
    Fixture(
        "to our IPv4 home address",
        from_member(data(CORRESPONDENT_IPV4, OURS.home_ipv4)),
        REDIRECT,
        "encapsulated",
        OURS.outwards(data(CORRESPONDENT_IPV4, OURS.home_ipv4, 63)),
    ),
    Fixture(
        "to an IPv4 home address that we think that member's",
        from_member(data(CORRESPONDENT_IPV4, OF_LIVE.home_ipv4)),
        REDIRECT,
        "encapsulated",
        OF_LIVE.outwards(data(CORRESPONDENT_IPV4, OF_LIVE.home_ipv4, 63)),
    ),
    Fixture(
        "to our IPv4 home address, but for the kernel: marked",
        from_member(ipv4(CORRESPONDENT_IPV4, OURS.home_ipv4, UDP, udp(), options=b"\x01\x01\x01\0")),
        PASS,
        "decapsulated",
        ipv4(CORRESPONDENT_IPV4, OURS.home_ipv4, UDP, udp(), options=b"\x01\x01\x01\0"),
        MARKED,
    ),
    Fixture(
        "to an IPv4 home address without binding",
        from_member(data(CORRESPONDENT_IPV4, "203.0.113.99")),
        DROP,
        "member_no_forward",
    ),
    Fixture(
        "to anywhere: we are no open relay",
        from_member(data(OURS.home_ipv4, CORRESPONDENT_IPV4)),
        DROP,
        "member_no_forward",
    ),
    Fixture(
        "a mobile node's tunnel in UDP inside",
        from_member(OURS.inwards(data(OURS.home, CORRESPONDENT))),
        REDIRECT,
        "decapsulated",
        data(OURS.home, CORRESPONDENT, 63),
    ),
    Fixture(
        "a forged tunnel inside",
        from_member(OURS.inwards(data(OURS.home, CORRESPONDENT), STRANGER)),
        DROP,
        "reverse_check",
    ),
    Fixture(
        "behind other headers, as no member sends it",
        ipv6(LIVE_LOCATOR, LOCATOR, DESTINATION, options(IPV4, b"\x04\x01\x04\x01\x01\x00") + update(US, OURS)),
        DROP,
        "not_a_member",
    ),
    Fixture("half an IPv4 header", from_member(update(US, OURS)[:19]), DROP, "malformed"),
    Fixture("cut short", from_member(update(US, OURS)[:-1]), DROP, "malformed"),
]


@pytest.mark.parametrize("fixture", FROM_OUTSIDE + FROM_MEMBER, ids=lambda fixture: fixture.description)
def test_uplink(fixture: Fixture, filled: BpfTable, namespace: Namespace) -> None:
    before = filled.counters()
    verdict, out, mark = _run(filled, namespace, fixture.packet)
    assert verdict == fixture.verdict
    if verdict != DROP:
        assert out == (fixture.packet if fixture.out is None else fixture.out)
        assert mark == fixture.mark
    changed = {name for name, value in filled.counters().items() if value != before[name]}
    assert changed - {"decapsulated"} == {fixture.counter} - {"decapsulated", None}


def test_a_members_death_leaves_every_mapping_valid(filled: BpfTable, namespace: Namespace) -> None:
    """One row, and what went to the member goes out by the NAT's mapping; its control is ours."""
    ends = parse_address(LIVE), parse_address(LIVE_LOCATOR)
    filled.apply(SetMember(0, 2, *ends, TO_LIVE, False))
    expected = OF_LIVE.outwards(data(CORRESPONDENT, OF_LIVE.home, 63))
    assert _run(filled, namespace, data(CORRESPONDENT, OF_LIVE.home))[:2] == (REDIRECT, expected)
    packet = update(LIVE, OF_LIVE)
    assert _run(filled, namespace, packet)[:2] == (REDIRECT, packet)
    assert filled.counters()["punted"] == 1


def test_without_the_shortcut_control_still_goes_to_its_member(filled: BpfTable, namespace: Namespace) -> None:
    """The kernel could not send on what is for an address of its own."""
    filled.set_shortcut(False)
    packet = update(LIVE, OF_LIVE)
    assert _run(filled, namespace, packet)[:2] == (REDIRECT, into_live(packet))


def _run(table: BpfTable, namespace: Namespace, packet: bytes) -> tuple[int, bytes, int]:
    """Verdict of the uplink's program, the packet afterwards without link header, and its mark."""
    link = ETHERNET_IPV4 if packet[:1] < b"\x60" else ETHERNET
    with namespace:
        verdict, out, context, _ = table._library.test_run(table.program("uplink_ethernet"), link + packet, bytes(192))
    return verdict, out[len(link) :], struct.unpack_from("=I", context, 8)[0]
