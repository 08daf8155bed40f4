"""Bad input to a home agent set: two members as a user runs them, one binding, and an attacker on all their wires.

Whatever comes is dropped and counted under a name; after each attack the same two processes run, each takes the other
one for what it is, the binding is as it was and packets flow by either member.
"""

import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from attacked_agent import WRONG_KEY, acknowledged, tunnelled
from attacked_set import (
    ADDRESSES,
    CARE_OF,
    GROUP,
    HELLO_SILENCE_S,
    HOME,
    LOCATORS,
    NAMES,
    OTHER_HOME,
    PEER,
    STRANGER,
    THIRD,
    UNBOUND_HOME,
    Third,
    World,
    count,
    datagram,
    ended,
    rises,
    tcp,
    tls,
)
from host_network import Network, eventually
from hostile_wire import IPV6, KEY, UDP, Impostor, address, packet, resident_kb, udp

from unwired.core.global_binding import GlobalBinding
from unwired.lab.namespace import Namespace
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.errors import DecodeError
from unwired.wire.home_agent_hello import HomeAgentHello, MemberState, MemberStateOption
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    IcmpMessage,
    NeighborAdvertisement,
    PacketTooBig,
    ParameterProblem,
    TimeExceeded,
)
from unwired.wire.ipv6 import Packet, encode_packet
from unwired.wire.nd_options import TargetLinkLayerAddress
from unwired.wire.rfc4285 import ntp_timestamp
from unwired.wire.rfc6275 import BindingStatus
from unwired.wire.state_synchronization import BucketDigests, Kind, StreamOpening, encode_frame

pytestmark = pytest.mark.root

OTHER_KEY = replace(KEY, key=bytes.fromhex("ffeeddccbbaa99887766554433221100"))


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("bad-input-set")
    network = Network(directory)
    try:
        yield World(network, directory)
    finally:
        network.close()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Unharmed before and after each test."""
    for wire in shared_world.wires.values():
        wire.forget()
    yield shared_world
    shared_world.check_unharmed()


# --- HELLO -----------------------------------------------------------------------------------------------------------


def put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def later(data: bytes) -> bytes:
    """With a sequence number that is still to come."""
    return put(data, 8, (int.from_bytes(data[8:16]) + 1_000_000).to_bytes(8))


HELLOS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "as it was": (lambda data: data, "hello_replayed"),
    "wrong authenticator": (lambda data: put(later(data), len(data) - 1, b"\xaa"), "hello_bad_authenticator"),
    "right authenticator, other text": (lambda data: later(data), "hello_bad_authenticator"),
    "without authenticator": (lambda data: put(later(data), len(data) - 16, bytes(16)), "hello_bad_authenticator"),
    "last sequence number there is": (lambda data: put(data, 8, b"\xff" * 8), "hello_bad_authenticator"),
    "other epoch": (lambda data: put(data, 4, bytes((data[4] ^ 1,))), "hello_other_epoch"),
    "other group": (lambda data: put(data, 18, (GROUP + 1).to_bytes(2)), "hello_other_group"),
    "other version": (lambda data: put(data, 0, b"\x02"), "hello_malformed"),
    "nothing": (lambda data: b"", "hello_truncated"),
    "a byte more": (lambda data: data + b"\0", "hello_trailing_bytes"),
    "twice": (lambda data: data + data, "hello_trailing_bytes"),
    "as long as can be": (lambda data: put(data + bytes(1300), 2, b"\xff\xff"), "hello_truncated"),
    "no body": (lambda data: put(data[:32], 2, bytes(2)), "hello_malformed"),
}


@pytest.mark.parametrize("name", HELLOS)
def test_a_hello_that_was_changed(world: World, name: str) -> None:
    """From the true member's locator; one that is only the same again, too."""
    change, reason = HELLOS[name]
    for at in (1, 2):
        forged = datagram(LOCATORS[3 - at], LOCATORS[at], change(world.hello(at)))
        rises(world, at, f"drops.{reason}", partial(world.wires[at].send, forged))
    assert world.members(1)[NAMES[2]]["last_refusal"] == reason


def test_a_hello_cut_anywhere(world: World) -> None:
    data = world.hello(2)
    cut = [datagram(LOCATORS[1], LOCATORS[2], data[:length]) for length in range(len(data))]
    rises(world, 2, "drops.hello_truncated", lambda: world.wires[2].send(*cut), len(cut))


def test_a_hello_of_long_ago(world: World) -> None:
    """Of before the last hundred."""
    data = world.hello(2)
    eventually(lambda: int.from_bytes(world.hello(2)[8:16]) > int.from_bytes(data[8:16]) + 64)
    rises(world, 2, "drops.hello_replayed", lambda: world.wires[2].send(datagram(LOCATORS[1], LOCATORS[2], data)))


def test_a_hello_sent_back(world: World) -> None:
    """To its sender, from whom it was for; to the other member, as from itself."""
    data = world.hello(2)
    rises(world, 1, "drops.hello_other_epoch", lambda: world.wires[1].send(datagram(LOCATORS[2], LOCATORS[1], data)))
    rises(world, 2, "drops.hello_not_a_member", lambda: world.wires[2].send(datagram(LOCATORS[2], LOCATORS[2], data)))


@pytest.mark.parametrize("source", [STRANGER, ADDRESSES[1], HOME, "fe80::1", "::1", CARE_OF])
def test_a_hello_from_elsewhere(world: World, source: str) -> None:
    data = world.hello(2)
    before = world.status(2)["drops"]
    world.wires[2].send(datagram(source, LOCATORS[2], later(data)), datagram(source, ADDRESSES[2], later(data)))
    if source != "::1":  # which the kernel takes from no wire
        eventually(lambda: world.status(2)["drops"] != before, what=f"counted: {before}")
        assert world.status(2)["drops"]["hello_not_a_member"] == before.get("hello_not_a_member", 0) + 1


def test_a_hello_of_a_member_whose_key_nobody_has(world: World) -> None:
    """The third member has never been here."""
    data = world.hello(2)
    rises(world, 2, "drops.hello_no_key", lambda: world.wires[2].send(datagram(LOCATORS[THIRD], LOCATORS[2], data)))


STATE = MemberStateOption(MemberState.JOINING, 0, 0, 0, b"thirdone")
GOOD = HomeAgentHello(GROUP, 1, False, False, 1, 50, (STATE,))
AUTHENTIC: dict[str, tuple[HomeAgentHello | bytes, bytes, str]] = {
    "other group": (replace(GOOD, group_id=GROUP + 1), b"", "hello_other_group"),
    "no state": (replace(GOOD, options=()), b"", "hello_absurd"),
    "unknown state": (replace(GOOD, options=(replace(STATE, state=9),)), b"", "hello_absurd"),
    "not of a global set": (replace(GOOD, global_set=False), b"", "hello_absurd"),
    "never again": (replace(GOOD, interval_ms=65_535), b"", "hello_absurd"),
    "all the time": (replace(GOOD, interval_ms=0), b"", "hello_absurd"),
    "leaving, but not now": (replace(GOOD, options=(replace(STATE, state=MemberState.LEAVING),)), b"", "hello_absurd"),
    "other HARP message": (replace(GOOD, harp_type=1), b"", "hello_malformed"),
    "option without length": (GOOD, b"\xf0", "hello_malformed"),
    "option beyond the end": (GOOD, b"\xf0\xff", "hello_malformed"),
    "option of another size": (GOOD, b"\xf3\x01\0", "hello_malformed"),
}


@pytest.fixture
def third(world: World) -> Iterator[Third]:
    """The third member, whose key agent 2 has."""
    made = world.third(2)
    made.share_key()
    eventually(lambda: world.members(2)[NAMES[THIRD]]["has_key"], what="its key is known")
    yield made
    made.close()


def test_authentic_hellos_that_say_what_cannot_be(world: World, third: Third) -> None:
    for name, (body, tail, reason) in AUTHENTIC.items():
        before = world.members(2)[NAMES[THIRD]]["hellos_received"]
        rises(world, 2, f"drops.{reason}", partial(world.wires[2].send, third.hello(body, tail)))
        assert world.members(2)[NAMES[THIRD]]["hellos_received"] == before, name
    assert world.members(2)[NAMES[THIRD]]["state"] == "unknown"


def test_a_flood_of_hellos(world: World) -> None:
    """From strangers, some from the true member's locator without its key, for as long as would make it dead several
    times over: it is still heard, and mobile nodes are answered."""
    data = later(world.hello(2))
    before, memory_kb = world.status(2), resident_kb(world.daemons[2].pid)
    of_member = datagram(LOCATORS[1], LOCATORS[2], data)
    of_strangers = [datagram(f"2001:db8:7::{number:x}", LOCATORS[2], data) for number in range(1000)]
    sent, until = 0, time.monotonic() + 4 * HELLO_SILENCE_S
    while sent < 50_000 or time.monotonic() < until:
        world.wires[2].send(*of_strangers, *[of_member] * 10)
        sent += 1010
        if sent % 10_100 == 0:
            world.register()
    after = world.status(2)
    for reason in ("hello_not_a_member", "hello_bad_authenticator"):
        assert count(after, f"drops.{reason}") > count(before, f"drops.{reason}")
    assert resident_kb(world.daemons[2].pid) - memory_kb < 4096
    world.changed()


# --- the streams -----------------------------------------------------------------------------------------------------


def test_strangers_at_the_stream_port(world: World) -> None:
    """Hundreds that connect and say nothing are turned away at once."""

    def connect() -> None:
        for _ in range(200):
            ended(tcp(world, 2, STRANGER))

    rises(world, 2, "carrier.refused_stranger", connect, 200)


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.0\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(70_000)],
    ids=["text", "0", "TLS"],
)
def test_garbage_instead_of_tls(world: World, garbage: bytes) -> None:
    def connect() -> None:
        connection = tcp(world, 2)
        connection.sendall(garbage)
        ended(connection)

    rises(world, 2, "carrier.refused_handshake", connect)


def test_handshakes_that_never_end(world: World) -> None:
    """From a member's locator: four wait for a few seconds, one of them a byte at a time; all others go at once."""
    before = world.status(2)
    connections = [tcp(world, 2) for _ in range(100)]
    try:
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
            connections[0].sendall(bytes((byte,)))
            world.check_traffic()
            time.sleep(0.05)  # as slow as it likes: it is not waited for
    except OSError:
        pass
    for connection in connections:
        ended(connection)
    after = world.status(2)
    assert (
        count(after, "carrier.refused_handshakes_too_many") - count(before, "carrier.refused_handshakes_too_many") > 50
    )
    assert count(after, "carrier.refused_handshake") - count(before, "carrier.refused_handshake") >= 4


def test_connections_that_are_reset(world: World) -> None:
    for _ in range(50):
        connection = tcp(world, 2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    def gets_in() -> bool:
        try:
            third = world.third(2)
            return bool(third.key_of_the_other())
        except (OSError, DecodeError):
            return False

    eventually(gets_in, what="a member still gets in")


def refused(world: World, reason: str, certificate: Path | None, key: Path | None = None, **how: object) -> None:
    def connect() -> None:
        try:
            connection = tls(world, 2, certificate, key, **how)  # type: ignore[arg-type]
        except (ssl.SSLError, OSError):
            return
        ended(connection)

    rises(world, 2, f"carrier.refused_{reason}", connect)


def test_wrong_certificates(world: World, tmp_path: Path) -> None:
    other = create_authority(tmp_path, "other")
    forged = create_member(tmp_path, *other, NAMES[THIRD], address(LOCATORS[THIRD]))
    of_another = world.directory / f"{NAMES[1]}.crt", world.directory / f"{NAMES[1]}.key"
    own = world.directory / f"{NAMES[THIRD]}.crt", world.directory / f"{NAMES[THIRD]}.key"
    refused(world, "handshake", None)
    refused(world, "certificate", *forged)
    refused(world, "certificate", *other)
    refused(world, "certificate", *world.authority)  # the authority itself is no member
    refused(world, "certificate", *of_another)
    refused(world, "handshake", *own, most=ssl.TLSVersion.TLSv1_2)
    # A true certificate, but from the place of another member: the stream of that member stays.
    inside = Namespace(Path(world.network.command(NAMES[1])[1].removeprefix("--net=")))
    refused(world, "certificate", *own, source=LOCATORS[1], namespace=inside)


FRAMES: dict[str, tuple[bytes, str]] = {
    "a gigabyte": ((1 << 30).to_bytes(4), "oversized"),
    "as long as can be": (b"\xff\xff\xff\xff", "oversized"),
    "a text": (b"GET / HTTP/1.0\r\n\r\n", "oversized"),
    "nothing": (bytes(4), "malformed"),
    "unknown message": (b"\x00\x00\x00\x04\x77\xc0\x00\x02", "malformed"),
    "option beyond the end": (b"\x00\x00\x00\x06\x01\xc0\x00\x02\xf0\xff", "malformed"),
    "binding without a version": (
        b"\x00\x00\x00\x40\x01\xc0\x00\x02" + b"\xf2\x10" + bytes(16) + b"\xf0\x28" + bytes(40),
        "malformed",
    ),
    "version without a binding": (b"\x00\x00\x00\x20\x01\xc0\x00\x02\xf3\x1a" + bytes(26), "malformed"),
    "request with a reply's number": (encode_frame(Kind.REQUEST, 5), "malformed"),
    "digests of other buckets": (encode_frame(Kind.REQUEST, 0x8001, BucketDigests(0, bytes(8))), "other_buckets"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_member_that_speaks_wrongly(world: World, name: str) -> None:
    frame, reason = FRAMES[name]

    def speak() -> None:
        third = world.third(2)
        third.send(frame)
        ended(third.stream)

    rises(world, 2, f"carrier.refused_{reason}", speak)


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (StreamOpening(1, GROUP + 1, address(LOCATORS[THIRD])), "other_group"),
        (StreamOpening(1, GROUP, address(LOCATORS[1])), "other_member"),
        (StreamOpening(9, GROUP, address(LOCATORS[THIRD])), "other_protocol_version"),
    ],
    ids=["group", "member", "version"],
)
def test_a_member_that_opens_wrongly(world: World, opening: StreamOpening, reason: str) -> None:
    directory, name = world.directory, NAMES[THIRD]

    def speak() -> None:
        stream = tls(world, 2, directory / f"{name}.crt", directory / f"{name}.key")
        stream.sendall(encode_frame(Kind.LINK, 0, opening))
        ended(stream)

    rises(world, 2, f"carrier.refused_{reason}", speak)


def test_garbage_in_a_stream(world: World) -> None:
    """Frames of the right length whose content is whatever."""
    draw = random.Random(5142)
    for _ in range(60):
        third = world.third(2)
        for _ in range(20):
            body = bytes((draw.choice((0, 1, 2, 128)), 0xC0)) + draw.randbytes(draw.randrange(200))
            try:
                third.send(len(body).to_bytes(4) + body)
            except OSError:
                break
        third.close()


def record(home_address: str = HOME, **changes: object) -> GlobalBinding:
    """A binding that would win over whatever there is."""
    now = time.time()
    made = GlobalBinding(
        address(home_address),
        address("2001:db8:6::6"),
        address(LOCATORS[THIRD]),
        ntp_timestamp(now + 60),
        0,
        now + 300,
        9,
        75,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


LIES: dict[str, tuple[Callable[[], GlobalBinding], str]] = {
    "a stranger is primary": (lambda: record(primary=address(STRANGER)), "refused_unknown_primary"),
    "of the far future": (lambda: record(version=ntp_timestamp(time.time() + 7200)), "refused_in_the_future"),
    "timestamp of the far future": (
        lambda: record(timestamp=ntp_timestamp(time.time() + 7200)),
        "refused_in_the_future",
    ),
    "for ever": (lambda: record(ends_at=time.time() + 1e9), "refused_lasts_too_long"),
    "tombstone for ever": (lambda: record(deleted=True, ends_at=time.time() + 1e9), "refused_lasts_too_long"),
    "to a multicast address": (lambda: record(care_of_address=address("ff0e::1")), "refused_bad_care_of_address"),
    "to a member": (lambda: record(care_of_address=address(ADDRESSES[1])), "refused_bad_care_of_address"),
    "to itself": (lambda: record(care_of_address=address(HOME)), "refused_bad_care_of_address"),
    "to its locator": (lambda: record(care_of_address=address(LOCATORS[1])), "refused_bad_care_of_address"),
    "of no home prefix": (lambda: record(PEER), "refused_not_a_home_address"),
    "of a home agent": (lambda: record(ADDRESSES[2]), "refused_not_a_home_address"),
    "of a locator": (lambda: record(LOCATORS[2]), "refused_not_a_home_address"),
    "older than what there is": (lambda: record(version=ntp_timestamp(time.time() - 3600)), "old"),
    "end of what was replaced": (
        lambda: record(version=ntp_timestamp(time.time() - 3600), deleted=True),
        "old",
    ),
}


def test_a_member_that_lies(world: World) -> None:
    third = world.third(2)
    for number, (lie, reason) in enumerate(LIES.values(), 2):
        frame = encode_frame(Kind.REPLY, number, acknowledge=True, bindings=[lie()])
        rises(world, 2, f"counters.global_bindings_{reason}", partial(third.send, frame))
        assert world.known(1) == world.known(2)
    third.close()


# --- the tunnels between members -------------------------------------------------------------------------------------


def between(inner: bytes, source: str = LOCATORS[1], **more: int) -> bytes:
    return packet(source, LOCATORS[2], IPV6, inner, **more)


def to(destination: str, source: str = PEER, **more: int) -> bytes:
    return packet(source, destination, UDP, udp(b"x"), **more)


def error(message: IcmpMessage, source: str = PEER, destination: str = LOCATORS[2]) -> bytes:
    return encode_packet(Packet(address(source), address(destination), message))


HANDED_ON = packet(LOCATORS[2], LOCATORS[1], IPV6, to(HOME))
"""What agent 2 has sent to agent 1."""
NEVER_HANDED_ON = {
    "somebody without binding": packet(LOCATORS[2], LOCATORS[1], IPV6, to(UNBOUND_HOME)),
    "a member that is not its primary": packet(LOCATORS[2], LOCATORS[THIRD], IPV6, to(HOME)),
    "a stranger": packet(LOCATORS[2], STRANGER, IPV6, to(HOME)),
    "half a header": packet(LOCATORS[2], LOCATORS[1], IPV6, to(HOME)[:30]),
}


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[World], bytes]
    counted: str


def case(name: str, whole: bytes, counted: str) -> Case:
    return Case(name, lambda world: whole, counted)


FORGED = NeighborAdvertisement(
    address("2001:db8:2:a::1"), True, True, True, (TargetLinkLayerAddress(bytes.fromhex("020000006666")),)
)
TUNNELS = [
    case("from a stranger", between(to(HOME), STRANGER), "data_plane.not_a_member"),
    case("from itself", between(to(HOME), LOCATORS[2]), "data_plane.not_a_member"),
    case("from a member's home agent address", between(to(HOME), ADDRESSES[1]), "data_plane.not_a_member"),
    case("from the mobile node", between(to(PEER, HOME), CARE_OF), "data_plane.not_a_member"),
    case("from a link-local address", between(to(HOME), "fe80::1"), "data_plane.not_a_member"),
    case(
        "options before the tunnel",
        packet(LOCATORS[1], LOCATORS[2], 60, bytes((IPV6, 0, 1, 4, 0, 0, 0, 0)) + to(HOME)),
        "data_plane.not_a_member",
    ),
    case("hop limit 0 outside", between(to(HOME), hop_limit=0), "data_plane.malformed"),
    case("half a header", between(to(HOME)[:39]), "data_plane.malformed"),
    case("nothing in it", between(b""), "data_plane.malformed"),
    case("another version in it", between(b"\x45" + to(HOME)[1:]), "data_plane.malformed"),
    case("to the locator", between(to(LOCATORS[2])), "data_plane.member_no_forward"),
    case("to the other's locator", between(to(LOCATORS[1])), "data_plane.member_no_forward"),
    case("to the other's address", between(to(ADDRESSES[1])), "data_plane.member_no_forward"),
    case("to a home address without binding", between(to(UNBOUND_HOME)), "data_plane.member_no_forward"),
    case("to the Internet", between(to(STRANGER)), "data_plane.member_no_forward"),
    case("to the router", between(to("2001:db8:2:a::1")), "data_plane.member_no_forward"),
    case("to a group of this link", between(to("ff02::1")), "data_plane.link_scope"),
    case("to a group of everywhere", between(to("ff0e::1")), "data_plane.member_no_forward"),
    case("to a link-local address", between(to("fe80::1")), "data_plane.link_scope"),
    case("from a link-local address inside", between(to(HOME, "fe80::1")), "data_plane.link_scope"),
    case("to nobody", between(to("::")), "data_plane.member_no_forward"),
    case("to this host", between(to("::1")), "data_plane.member_no_forward"),
    case("neighbour discovery", between(error(FORGED, destination="2001:db8:2:a::2")), "data_plane.member_no_forward"),
    case("a member's tunnel in it", between(between(to(HOME))), "data_plane.member_no_forward"),
    case(
        "three tunnels in it",
        between(tunnelled(HOME, ADDRESSES[2], tunnelled(HOME, ADDRESSES[2], to(PEER, HOME)))),
        "data_plane.reverse_check",
    ),
    case(
        "a mobile node's tunnel from elsewhere",
        between(tunnelled(STRANGER, ADDRESSES[2], to(PEER, HOME))),
        "data_plane.reverse_check",
    ),
    case(
        "a mobile node's tunnel with half a header",
        between(tunnelled(CARE_OF, ADDRESSES[2], to(PEER, HOME)[:30])),
        "data_plane.malformed",
    ),
    case("garbage for the daemon", between(packet(PEER, ADDRESSES[2], 135, bytes(7) + b"x")), "drops.bad_checksum"),
    case("cut short", between(packet(PEER, ADDRESSES[2], 135, bytes(40))[:60]), "data_plane.malformed"),
    Case(
        "a binding update without authentication",
        lambda world: between(other_node(ADDRESSES[2]).update(key=None)),
        "drops.no_authentication",
    ),
    Case(
        "a binding update with a wrong key",
        lambda world: between(other_node(ADDRESSES[2]).update(key=WRONG_KEY)),
        "counters.refused_mipv6_auth_fail",
    ),
    Case(
        "a binding update in a stranger's tunnel",
        lambda world: between(other_node(ADDRESSES[2]).update(key=OTHER_KEY), STRANGER),
        "data_plane.not_a_member",
    ),
]
ERRORS = [
    case(f"{type(message).__name__} about a packet to {what}", error(message), "drops.unrelated_error")
    for what, quoted in NEVER_HANDED_ON.items()
    for message in (PacketTooBig(1280, quoted), DestinationUnreachable(3, quoted), TimeExceeded(0, quoted))
]
ERRORS += [
    case("a path of no bytes", error(PacketTooBig(0, HANDED_ON)), "counters.tunnel_packets_too_big"),
    case("a path to nowhere", error(ParameterProblem(1, 6, HANDED_ON)), "counters.member_tunnel_unreachable"),
]


def other_node(agent: str) -> Impostor:
    return Impostor(agent, "other@example.org", OTHER_HOME, "2001:db8:2::6")


@pytest.mark.parametrize("one", TUNNELS + ERRORS, ids=lambda one: one.name)
def test_bad_packet(world: World, one: Case) -> None:
    rises(world, 2, one.counted, lambda: world.wires[2].send(one.make(world)))


def test_hop_limits_in_a_tunnel(world: World) -> None:
    """The kernel's to answer; nothing comes out."""
    for hop_limit in (0, 1):
        world.wires[2].send(between(to(HOME, hop_limit=hop_limit)))
    assert not [seen for seen in world.wires[2].all_within(0.3) if seen.destination == address(CARE_OF)]


def test_random_bytes_in_a_tunnel(world: World) -> None:
    draw = random.Random(2473)
    for _ in range(2000):
        inner = to(draw.choice((HOME, ADDRESSES[2], ADDRESSES[1], LOCATORS[2], OTHER_HOME)))
        protocol = draw.choice((135, 58, 60, 43, 0, 44, IPV6, draw.randrange(256)))
        inner = inner[:4] + inner[4:6] + bytes((protocol,)) + inner[7:40] + draw.randbytes(draw.randrange(300))
        world.wires[2].send(between(inner))
    eventually(lambda: world.status(2), what="it answers")
    world.wires[1].forget()
    world.wires[2].forget()


# --- registration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", [ADDRESSES[2], ADDRESSES[THIRD]], ids=["the other", "a dead one"])
def test_registration_elsewhere(world: World, agent: str) -> None:
    """Forged, replayed or stale, to another member or to the address of one that is not there."""
    node = Impostor(agent, "mn@example.org", HOME, CARE_OF)
    wire = world.wires[2]
    wire.send(node.update(key=WRONG_KEY, care_of_address="2001:db8:6::6", source="2001:db8:6::6"))
    wire.wait_for(acknowledged(BindingStatus.MIPV6_AUTH_FAIL))
    wire.send(node.update(key=WRONG_KEY, lifetime_units=0))
    wire.wait_for(acknowledged(BindingStatus.MIPV6_AUTH_FAIL))
    stale = ntp_timestamp(time.time() - 3600)
    wire.send(node.update(timestamp=stale))
    wire.wait_for(acknowledged(BindingStatus.MIPV6_ID_MISMATCH))
    rises(world, 2, "drops.no_authentication", lambda: wire.send(node.update(key=None, lifetime_units=0)))
    # What the mobile node has said to its own home agent, to another one.
    replayed = put(world.first_update, 24, address(agent))
    before = world.status(2)
    wire.send(replayed)
    eventually(lambda: world.status(2)["drops"] != before["drops"] or world.status(2)["counters"] != before["counters"])


def test_a_deregistration_at_a_former_home_agent(world: World) -> None:
    """It is acknowledged, and removes nothing that is registered elsewhere."""
    node = Impostor(ADDRESSES[2], "mn@example.org", HOME, CARE_OF)
    world.wires[2].send(node.update(lifetime_units=0))
    world.wires[2].wait_for(acknowledged(BindingStatus.BINDING_UPDATE_ACCEPTED))


def test_nothing_was_said_about_a_defect(world: World) -> None:
    for number in (1, 2):
        assert "internal_error" not in world.log(number)
        assert "Traceback" not in world.log(number)
