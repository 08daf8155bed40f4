"""The tunnels between members over paths that carry less than 1500 bytes."""

from set_world import HOMES, World, address_of, care_of, locator_of

from unwired.core.forwarding import Tunnel
from unwired.core.notices import Drop
from unwired.core.path_mtu import PATH_MTU_LIFETIME_S
from unwired.core.set_peer import MEMBER_TUNNEL
from unwired.wire.address import Address, parse_address
from unwired.wire.icmpv6 import DestinationUnreachable, IcmpMessage, PacketTooBig, TimeExceeded
from unwired.wire.ipv6 import IPV6_IN_IPV6, Packet, UnknownPayload, encode_packet

HOME, OTHER_HOME = HOMES[0], HOMES[1]
CORRESPONDENT = parse_address("2001:db8:cc::1")
ROUTER = parse_address("2001:db8:ee::1")
LOCATOR_1, LOCATOR_2 = locator_of(1), locator_of(2)
TO_1 = MEMBER_TUNNEL | 1


def tunnelled(
    destination: Address = HOME,
    source: Address = CORRESPONDENT,
    size: int = 1400,
    start: Address = LOCATOR_2,
    end: Address = LOCATOR_1,
) -> bytes:
    """As much as an error quotes of a packet that member 2 sent to member 1."""
    inner = encode_packet(Packet(source, destination, UnknownPayload(17, bytes(size - 40))))
    return encode_packet(Packet(start, end, UnknownPayload(IPV6_IN_IPV6, inner)))[:1232]


def tell(world: World, message: IcmpMessage, source: Address = ROUTER) -> list[Packet]:
    """What member 2 sends when this comes to its locator."""
    site = world.site(2)
    before = len(site.sent)
    site.receive(Packet(source, locator_of(2), message))
    return site.sent[before:]


def tunnel(world: World) -> Tunnel:
    return next(row for row in world.site(2).table.rows().tunnels if row.number == TO_1)


def bound() -> World:
    world = World()
    world.update(HOME, to=1)
    world.run(0.1)
    return world


def test_a_narrow_path_lowers_the_tunnel_to_the_member_and_tells_the_source() -> None:
    world = bound()
    (sent,) = tell(world, PacketTooBig(1400, tunnelled()))
    assert tunnel(world).mtu == 1360
    assert (sent.source, sent.destination) == (address_of(2), CORRESPONDENT)
    assert isinstance(sent.payload, PacketTooBig) and sent.payload.mtu == 1360
    assert sent.payload.quoted[24:40] == HOME and len(encode_packet(sent)) <= 1280
    members = world.site(2).running.members
    assert members is not None
    report = members.members_report(world.site(2).now())
    assert [entry.get("tunnel_mtu") for entry in report] == [1360, None, None]


def test_what_the_data_plane_says_is_the_same() -> None:
    """It speaks as if the error came from our own locator."""
    world = bound()
    assert tell(world, PacketTooBig(1400, tunnelled()), source=locator_of(2))
    assert tunnel(world).mtu == 1360


def test_a_mobile_nodes_tunnel_packet_to_the_member() -> None:
    world = bound()
    (sent,) = tell(world, PacketTooBig(1400, tunnelled(address_of(1), care_of(1))))
    assert sent.destination == care_of(1) and tunnel(world).mtu == 1360


def test_the_mtu_outlives_the_members_death_and_is_tried_again_after_a_while() -> None:
    world = bound()
    tell(world, PacketTooBig(1400, tunnelled()))
    tell(world, PacketTooBig(1450, tunnelled()))
    world.site(1).restart()
    world.run(5)
    assert tunnel(world).mtu == 1360
    tell(world, PacketTooBig(1340, tunnelled()))
    world.run(PATH_MTU_LIFETIME_S - 10)
    assert tunnel(world).mtu == 1300
    world.run(20)
    assert tunnel(world).mtu == 0


def test_no_less_than_any_ipv6_packet() -> None:
    world = bound()
    assert tell(world, PacketTooBig(1280, tunnelled(size=1280))) == [], "the source can't send less"
    assert tunnel(world).mtu == 1240, "what is larger is fragmented on the outside"


def test_who_does_not_know_what_we_send_changes_nothing() -> None:
    world = bound()
    for quoted in (
        tunnelled(OTHER_HOME),  # it has no binding
        tunnelled(parse_address("2001:db8:9::1")),
        tunnelled(end=locator_of(3)),  # which is not its primary home agent
        tunnelled(start=locator_of(3)),
        tunnelled(start=locator_of(1), end=locator_of(2)),
        tunnelled(end=locator_of(2)),
        tunnelled(start=address_of(2)),
        tunnelled()[:70],
    ):
        assert tell(world, PacketTooBig(1300, quoted)) == []
    assert {row.mtu for row in world.site(2).table.rows().tunnels} == {0}
    assert world.site(2).running.drops[Drop.UNRELATED_ERROR] == 8


def test_that_a_member_is_out_of_reach_is_not_said_of_its_mobile_nodes() -> None:
    """HELLO notices it soon, and then packets go directly."""
    world = bound()
    for message in (DestinationUnreachable(0, tunnelled()), TimeExceeded(0, tunnelled())):
        assert tell(world, message) == []
    assert world.site(2).running.counters["member_tunnel_unreachable"] == 2


def test_nothing_else_is_heard_at_the_locator() -> None:
    world = bound()
    world.site(2).receive(Packet(ROUTER, locator_of(3), PacketTooBig(1400, tunnelled())))
    assert world.site(2).running.drops[Drop.NOT_OUR_ADDRESS] == 1
