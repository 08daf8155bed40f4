"""Bad input to a home agent: the daemon as a user runs it, one binding, and an attacker on the wire in front of it.

Whatever comes gets the RFC's answer or is counted under a name; after each attack the same process runs, the binding is
as it was and packets flow to and from the home address.
"""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from attacked_agent import (
    AGENT,
    ATTACKER,
    CARE_OF,
    DESTINATION,
    FRAGMENT,
    HOME,
    HOP_BY_HOP,
    ICMPV6,
    MOBILITY,
    OTHER_HOME,
    OTHER_KEY,
    PEER,
    ROUTING,
    WRONG_KEY,
    World,
    acknowledged,
    tunnelled,
)
from bad_packets import (
    HEADERS,
    ICMP,
    LOST_IN_A_TUNNEL,
    MALFORMED,
    REGISTRATION,
    TUNNEL,
    Case,
    icmp,
    mobility,
    with_headers,
)
from host_network import Network, ask, eventually
from hostile_wire import (
    IPV6,
    UDP,
    Impostor,
    address,
    counter,
    packet,
    resident_kb,
    risen,
    udp,
)

from unwired.wire.checksum import filled
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryRequest,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
)
from unwired.wire.ipv6 import decode_headers
from unwired.wire.nd_options import TargetLinkLayerAddress
from unwired.wire.rfc4285 import MobilityMessageAuthentication
from unwired.wire.rfc6275 import (
    BindingRefreshRequest,
    BindingStatus,
    HomeTestInit,
)

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("bad-input")
    network = Network(directory)
    try:
        for name in ("agent", "outside"):
            network.namespace(name)
        network.link("agent", "up0", "outside", "out0")
        # Also what no Ethernet carries: nothing of it may be lost before the daemon's host sees it.
        network.inside("agent", "ip", "link", "set", "up0", "mtu", "65535")
        network.inside("outside", "ip", "link", "set", "out0", "mtu", "65535")
        network.address("outside", "out0", "2001:db8:1::1/64")
        network.address("agent", "up0", "2001:db8:1::2/64")
        network.inside("agent", "ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
        yield World(network, directory)
    finally:
        network.close()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Unharmed before and after each test."""
    shared_world.wire.forget()
    yield shared_world
    shared_world.check_unharmed()


@pytest.mark.parametrize("case", MALFORMED + HEADERS + REGISTRATION + TUNNEL + ICMP, ids=lambda case: case.name)
def test_bad_packet(world: World, case: Case) -> None:
    before = world.status()
    sent = case.make(world)
    world.wire.send(*(sent if isinstance(sent, tuple) else (sent,)))
    if case.answer is not None:
        world.wire.wait_for(case.answer, what=case.name)
    if case.counted is not None:
        risen(world.status, case.counted, counter(before, case.counted))


def test_answer_to_a_stale_sequence_tells_the_right_one(world: World) -> None:
    world.wire.send(world.node.update(sequence=(world.accepted - 40) % 0x10000))
    stale = acknowledged(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, world.accepted)
    answer = world.wire.wait_for(stale)
    assert answer.routing_home_address == address(HOME)
    assert answer.destination == address(CARE_OF)


def test_neighbour_discovery_in_a_tunnel(world: World) -> None:
    """What comes out of a tunnel did not come over this link, whatever its hop limit was inside."""
    forged = NeighborAdvertisement(
        address("2001:db8:1::1"), True, True, True, (TargetLinkLayerAddress(bytes.fromhex("020000006666")),)
    )
    before = world.status()
    inner = icmp(forged, source=HOME, destination="2001:db8:1::2", hop_limit=255)
    world.wire.send(tunnelled(CARE_OF, AGENT, inner))
    risen(world.status, "data_plane.decapsulated", counter(before, "data_plane.decapsulated"))
    risen(world.status, "drops.beyond_the_link", counter(before, "drops.beyond_the_link"))
    assert "02:00:00:00:66:66" not in world.network.inside("agent", "ip", "-6", "neigh")


def test_packets_of_64_kb(world: World) -> None:
    """They pass by what has room for them, and are answered with Packet Too Big where there is none."""
    big = packet(PEER, HOME, UDP, udp(bytes(65_000)))
    before = counter(world.status(), "data_plane.reverse_check")
    world.wire.send(tunnelled(ATTACKER, AGENT, packet(HOME, PEER, UDP, udp(bytes(65_000)))))
    risen(world.status, "data_plane.reverse_check", before)
    world.wire.send(tunnelled(CARE_OF, AGENT, packet(HOME, PEER, UDP, udp(bytes(65_000)))))
    world.wire.wait_for(lambda seen: seen.source == address(HOME) and len(seen.data) > 65_000)
    world.wire.send(big)
    answer = world.wire.wait_for(lambda seen: isinstance(seen.payload, PacketTooBig))
    assert answer.destination == address(PEER)
    assert isinstance(answer.payload, PacketTooBig)
    assert 1280 <= answer.payload.mtu <= 1460


@pytest.mark.parametrize("care_of_address", [HOME, OTHER_HOME, "2001:db8:100::77"])
def test_no_tunnel_leads_back_into_the_home_network(world: World, care_of_address: str) -> None:
    """On a virtual home link are only home addresses: what is tunnelled to one never leaves this host."""
    world.wire.send(world.other.update(key=OTHER_KEY, care_of_address=care_of_address))
    world.wire.wait_for(acknowledged(BindingStatus.INVALID_CARE_OF_ADDRESS))


def test_mutations(world: World) -> None:
    """Thousands of packets, each a good one with some bytes changed; half have a right checksum, to come far."""
    draw = random.Random(6275)
    good = [
        world.node.update(),
        world.node.update(lifetime_units=0, key=WRONG_KEY),
        mobility(BindingRefreshRequest()),
        mobility(HomeTestInit(bytes(8)), home_address=address(HOME)),
        with_headers(ROUTING, bytes((MOBILITY, 2, 2, 1, 0, 0, 0, 0)) + address(HOME)),
        tunnelled(CARE_OF, AGENT, world.node.update()),
        icmp(PacketTooBig(1300, LOST_IN_A_TUNNEL)),
        icmp(ParameterProblem(1, 40, mobility(BindingRefreshRequest()))),
        icmp(HomeAgentAddressDiscoveryRequest(7)),
        icmp(NeighborSolicitation(address(HOME)), destination="2001:db8:1::2", hop_limit=255),
    ]
    before = world.status()
    for _ in range(4000):
        data = bytearray(draw.choice(good))
        for _ in range(draw.randrange(1, 5)):
            data[draw.randrange(4, 8) if draw.random() < 0.1 else draw.randrange(40, len(data))] = draw.randrange(256)
        whole = bytes(data[: len(data) - draw.choice((0, 0, 0, draw.randrange(8)))])
        if draw.random() < 0.5:
            whole = with_right_checksum(whole)
        world.wire.send(whole)
    settled(world)
    after = world.status()
    punted = counter(after, "data_plane.punted") - counter(before, "data_plane.punted")
    assert punted > 2000
    assert accounted(after) - accounted(before) >= punted
    world.register()  # one may have been changed where nobody reads, and taken


def accounted(status: dict[str, Any]) -> int:
    """How many control packets were answered or dropped under a name."""
    answered = ("binding_updates_accepted", "binding_errors_sent", "home_agent_address_discoveries_answered")
    errors = ("tunnel_packets_too_big", "tunnel_unreachable")
    return sum(status["drops"].values()) + sum(
        count for name, count in status["counters"].items() if name in answered + errors or name.startswith("refused_")
    )


def with_right_checksum(whole: bytes) -> bytes:
    try:
        headers = decode_headers(whole)
        if headers.problem or headers.protocol != MOBILITY or len(whole) - headers.start < 8:
            return whole
    except DecodeError:
        return whole
    source = headers.home_address or headers.source
    destination = headers.routing_home_address or headers.destination
    return whole[: headers.start] + filled(source, destination, MOBILITY, whole[headers.start : headers.end], 4)


def settled(world: World) -> None:
    """Wait until the daemon has read all that was sent, and forget the answers."""
    last = -1

    def quiet() -> bool:
        nonlocal last
        status = world.status()
        now, last_ = sum(status["drops"].values()) + sum(status["counters"].values()), last
        last = now
        time.sleep(0.1)
        return now == last_

    eventually(quiet, what="the daemon has read everything")
    world.wire.forget()


def test_random_bytes(world: World) -> None:
    """Any next header, any payload, of any size."""
    draw = random.Random(2473)
    for _ in range(2000):
        protocol = draw.choice(
            (MOBILITY, ICMPV6, DESTINATION, ROUTING, HOP_BY_HOP, FRAGMENT, IPV6, draw.randrange(256))
        )
        world.wire.send(packet(draw.choice((ATTACKER, CARE_OF)), AGENT, protocol, draw.randbytes(draw.randrange(300))))
    settled(world)


def test_flood_of_strangers(world: World) -> None:
    """Each from another address, with another home address and identifier: nothing of them is kept, and the mobile node
    is still answered."""
    before, memory_kb = world.status(), resident_kb(world.daemon.pid)
    count = 12_000
    flood = []
    for number in range(count):
        stranger = Impostor(AGENT, f"n{number}@example.org", f"2001:db8:100::7:{number:x}", f"2001:db8:7::{number:x}")
        kind = number % 3
        if kind == 0:
            flood.append(stranger.update(key=None))
        elif kind == 1:
            flood.append(stranger.update(key=None, options=(MobilityMessageAuthentication(256, bytes(12)),)))
        else:
            stranger.identifier = b"mn@example.org"
            flood.append(stranger.update(key=None, options=(MobilityMessageAuthentication(256, bytes(12)),)))
    for start in range(0, count, 3000):
        world.wire.send(*flood[start : start + 3000])
        world.wire.forget()
        world.register()
    settled(world)
    after = world.status()
    for path in ("drops.no_authentication", "drops.no_security_association", "counters.refused_mipv6_auth_fail"):
        assert counter(after, path) - counter(before, path) > count / 10, path
    assert resident_kb(world.daemon.pid) - memory_kb < 4096
    assert len(world.bindings()) == 1


def test_flood_of_what_is_answered(world: World) -> None:
    """Errors are rationed (RFC 4443 section 2.4 f)."""
    flood = [
        packet(f"2001:db8:7::{number:x}", AGENT, UDP, udp(b"x"), home_address=address(f"2001:db8:100::8:{number:x}"))
        for number in range(3000)
    ]
    before = world.status()
    world.wire.send(*flood)
    risen(world.status, "drops.rate_limited", counter(before, "drops.rate_limited") + 1000)
    settled(world)
    sent = counter(world.status(), "counters.binding_errors_sent") - counter(before, "counters.binding_errors_sent")
    assert 0 < sent < 1000


def test_killed_and_replayed(world: World) -> None:
    """What was acknowledged outlives the process, and so does the memory of what must not be taken again."""
    last = world.register()
    world.daemon.kill()
    world.daemon.wait()
    world.check_traffic()
    world.start()
    world.check_unharmed()
    world.wire.send(last)
    world.wire.wait_for(acknowledged(BindingStatus.MIPV6_ID_MISMATCH))
    world.wire.send(world.node.update(sequence=world.accepted))
    world.wire.wait_for(acknowledged(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, world.accepted))
    status = ask(world.file, "status")
    assert status is not None
    assert status["counters"]["refused_mipv6_id_mismatch"] == 1


def test_nothing_was_said_about_a_defect(world: World) -> None:
    assert "internal_error" not in world.log()
    assert "Traceback" not in world.log()
