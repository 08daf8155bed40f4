"""Bad input to a home agent: the daemon as a user runs it, one binding, and an attacker on the wire in front of it.

Whatever comes gets the RFC's answer or is counted under a name; after each attack the same process runs, the binding is
as it was and packets flow to and from the home address.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from host_network import Network, ask, eventually, home_agent_file
from hostile_wire import (
    IPV6,
    KEY,
    UDP,
    Impostor,
    Wire,
    address,
    ask_socket,
    counter,
    packet,
    resident_kb,
    risen,
    udp,
)

from unwired.host.config import load
from unwired.wire.checksum import filled
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    TimeExceeded,
)
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_headers, decode_packet, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage, encode_mobility
from unwired.wire.nd_options import TargetLinkLayerAddress
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MobilityMessageAuthentication, authenticator_offset, ntp_timestamp
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingStatus,
    HomeTestInit,
    NonceIndices,
)

pytestmark = pytest.mark.root

AGENT = "2001:db8:100::1"
HOME = "2001:db8:100::1000"
CARE_OF = "2001:db8:2::5"
OTHER_HOME = "2001:db8:100::2000"
OTHER_CARE_OF = "2001:db8:2::6"
ATTACKER = "2001:db8:66::6"
PEER = "2001:db8:3::9"
OTHER = f"""
[[home_agent.subscriber]]
identifier = "other@example.org"
home_address = "{OTHER_HOME}"
[[home_agent.subscriber.key]]
spi = 256
secret = "hex:ffeeddccbbaa99887766554433221100"
"""
OTHER_KEY = replace(KEY, key=bytes.fromhex("ffeeddccbbaa99887766554433221100"))
WRONG_KEY = replace(KEY, key=bytes(16))
MOBILITY, ICMPV6, DESTINATION, ROUTING, HOP_BY_HOP, FRAGMENT = 135, 58, 60, 43, 0, 44


class World:
    """The home agent ``agent`` with the binding of one mobile node, and the attacker's end of its only link."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.file = home_agent_file(directory, OTHER)
        self._socket = load(self.file).daemon.control_socket
        self.wire = Wire(network, "outside", "out0", "agent", "up0")
        self.node = Impostor(AGENT, "mn@example.org", HOME, CARE_OF)
        self.other = Impostor(AGENT, "other@example.org", OTHER_HOME, OTHER_CARE_OF)
        self.start()
        self.first_update = self.register()
        self.binding = self.bindings()[0]

    def start(self) -> None:
        self.daemon = self.network.daemon("agent", self.file)
        eventually(lambda: ask(self.file, "bindings"), what="the daemon answers")

    def register(self) -> bytes:
        """Like a mobile node: again until it is answered."""
        for _ in range(5):
            update = self.node.update()
            self.wire.send(update)
            try:
                self.wire.wait_for(acknowledged(BindingStatus.BINDING_UPDATE_ACCEPTED), 1.0)
            except AssertionError:
                continue
            self.accepted = self.node.sequence
            return update
        raise AssertionError(f"no binding update was acknowledged: {self.status()}")

    def status(self) -> dict[str, Any]:
        return ask_socket(self._socket, "status")

    def bindings(self) -> list[dict[str, Any]]:
        answer = ask_socket(self._socket, "bindings")["bindings"]
        return sorted(answer, key=lambda binding: binding["home_address"])

    def log(self) -> str:
        return (self.network.directory / f"{self.file.stem}.log").read_text()

    def check_unharmed(self) -> None:
        status = self.status()
        assert status["pid"] == self.daemon.pid
        assert self.daemon.poll() is None
        assert "internal_errors" not in status["counters"], self.log()
        (binding,) = self.bindings()
        assert {key: binding[key] for key in ("home_address", "care_of_address")} == {
            "home_address": HOME,
            "care_of_address": CARE_OF,
        }
        self.check_traffic()

    def check_traffic(self) -> None:
        """One packet each way."""
        text = os.urandom(16)
        self.wire.send(packet(PEER, HOME, UDP, udp(b"to" + text)))
        self.wire.wait_for(is_tunnelled(AGENT, CARE_OF, b"to" + text), what="to the home address")
        self.wire.send(tunnelled(CARE_OF, AGENT, packet(HOME, PEER, UDP, udp(b"from" + text))))
        self.wire.wait_for(
            lambda seen: seen.source == address(HOME) and seen.data.endswith(b"from" + text), what="from the node"
        )


def tunnelled(source: str, destination: str, inner: bytes) -> bytes:
    return packet(source, destination, IPV6, inner)


def is_tunnelled(source: str, destination: str, ending: bytes) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        return (
            (seen.source, seen.destination) == (address(source), address(destination))
            and isinstance(seen.payload, UnknownPayload)
            and seen.payload.protocol == IPV6
            and seen.data.endswith(ending)
        )

    return matches


def acknowledged(status: BindingStatus, sequence: int | None = None) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        payload = seen.payload
        return (
            isinstance(payload, BindingAcknowledgement)
            and payload.status == status
            and (sequence is None or payload.sequence == sequence)
            and seen.checksum_ok
        )

    return matches


def binding_error(status: int, home_address: str) -> Callable[[Packet], bool]:
    return lambda seen: seen.payload == BindingError(status, address(home_address)) and seen.checksum_ok


def parameter_problem(code: int, pointer: int | None = None) -> Callable[[Packet], bool]:
    def matches(seen: Packet) -> bool:
        payload = seen.payload
        return (
            isinstance(payload, ParameterProblem)
            and payload.code == code
            and pointer in (None, payload.pointer)
            and seen.checksum_ok
        )

    return matches


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


# --- what is sent -----------------------------------------------------------------------------------------------------


def mobility(message: MobilityMessage, *, source: str = ATTACKER, **more: Any) -> bytes:
    return encode_packet(Packet(address(source), address(AGENT), message, **more))


def icmp(message: IcmpMessage, *, source: str = ATTACKER, destination: str = AGENT, hop_limit: int = 64) -> bytes:
    return encode_packet(Packet(address(source), address(destination), message, hop_limit=hop_limit))


def edited(whole: bytes, edit: Callable[[bytearray], None], *, fix: bool = True) -> bytes:
    """A packet whose payload was edited; with ``fix`` the mobility header's checksum is right again."""
    headers = decode_headers(whole)
    body = bytearray(whole[headers.start :])
    edit(body)
    data = bytes(body)
    if fix and len(data) >= 8:
        data = filled(headers.home_address or headers.source, headers.destination, MOBILITY, data, 4)
    front = whole[40 : headers.start]
    return whole[:4] + (len(front) + len(data)).to_bytes(2) + whole[6:40] + front + data


def put(at: int, *values: int) -> Callable[[bytearray], None]:
    def edit(body: bytearray) -> None:
        body[at : at + len(values)] = bytes(values)

    return edit


def replaced(data: bytes) -> Callable[[bytearray], None]:
    def edit(body: bytearray) -> None:
        body[:] = data

    return edit


def in_authenticator(body: bytearray) -> None:
    body[authenticator_offset(bytes(body))] ^= 1


def cut(size: int) -> Callable[[bytearray], None]:
    def edit(body: bytearray) -> None:
        del body[size:]

    return edit


def options(next_header: int, data: bytes) -> bytes:
    """A destination or hop-by-hop options header."""
    return bytes((next_header, (2 + len(data)) // 8 - 1)) + data


def home_address_option(home_address: str) -> bytes:
    return b"\x01\x02\0\0\xc9\x10" + address(home_address)


def refresh_request(checksum: bool = True) -> bytes:
    """A mobility header as a payload: the smallest."""
    body = encode_mobility(BindingRefreshRequest())
    return filled(address(ATTACKER), address(AGENT), MOBILITY, body, 4) if checksum else body


def with_headers(first: int, headers: bytes, payload: bytes | None = None, source: str = ATTACKER) -> bytes:
    """Extension headers, the last of which says what comes then: by default a mobility header."""
    return packet(source, AGENT, first, headers + (refresh_request() if payload is None else payload))


def nested(depth: int, source: str) -> bytes:
    """IPv6 in IPv6 in IPv6 ..., with ``source`` outside and the home address inside."""
    inner = packet(HOME, PEER, UDP, udp(b"bomb"))
    for _ in range(depth):
        inner = tunnelled(HOME, AGENT, inner)
    return tunnelled(source, AGENT, inner)


@dataclass(frozen=True)
class Case:
    """``answer`` is what must come back on the wire, ``counted`` the path of a counter in ``unwired status``."""

    name: str
    make: Callable[[World], bytes | tuple[bytes, ...]]
    answer: Callable[[Packet], bool] | None = None
    counted: str | None = None


def update(**how: Any) -> Callable[[World], bytes]:
    return lambda world: world.node.update(**how)


def of_other(**how: Any) -> Callable[[World], bytes]:
    return lambda world: world.other.update(**how)


def update_edited(edit: Callable[[bytearray], None], fix: bool = True) -> Callable[[World], bytes]:
    return lambda world: edited(world.node.update(), edit, fix=fix)


MALFORMED = [
    Case("IPv6 packet cut short", lambda world: world.node.update()[:-9], counted="drops.malformed"),
    Case("mobility header of 6 bytes", update_edited(cut(6)), counted="drops.malformed"),
    Case(
        "mobility header of 6 bytes without Home Address option: the kernel's",
        lambda world: packet(ATTACKER, AGENT, MOBILITY, refresh_request()[:6]),
        parameter_problem(1),
    ),
    Case("cut inside an option", update_edited(cut(40)), counted="drops.malformed"),
    Case("header length beyond the packet", update_edited(put(1, 255)), counted="drops.malformed"),
    Case(
        "header length too small",
        update_edited(replaced(bytes((59, 0, 5, 0, 0, 0, 0, 0)))),
        parameter_problem(0, 65),
        "drops.malformed",
    ),
    Case("payload protocol", update_edited(put(0, 6)), parameter_problem(0, 64), "drops.malformed"),
    Case("option beyond the message", update_edited(put(13, 250)), counted="drops.malformed"),
    Case("wrong checksum", update_edited(put(4, 0, 0), fix=False), counted="drops.bad_checksum"),
    Case("reserved bits and unknown flags", update_edited(put(9, 0xFF)), acknowledged(BindingStatus.MIPV6_AUTH_FAIL)),
    Case(
        "unknown MH type",
        lambda world: mobility(UnknownMessage(255, bytes(2))),
        binding_error(2, "::"),
        "counters.binding_errors_sent",
    ),
    Case(
        "unknown MH type of a home address",
        lambda world: mobility(UnknownMessage(99, bytes(10)), source=CARE_OF, home_address=address(HOME)),
        binding_error(2, HOME),
    ),
    Case(
        "unknown MH type from a multicast address",
        lambda world: mobility(UnknownMessage(255, bytes(2)), source="ff02::1"),
        counted="drops.forged_source",
    ),
    Case("not for a home agent", lambda world: mobility(HomeTestInit(bytes(8))), None, "drops.not_for_this_role"),
    Case(
        "acknowledgement to the home agent",
        lambda world: mobility(BindingAcknowledgement(0, 1, 100)),
        counted="drops.not_for_this_role",
    ),
]
HEADERS = [
    Case(
        "Home Address option of nobody",
        lambda world: packet(ATTACKER, AGENT, UDP, udp(b"x"), home_address=address("2001:db8:100::dead")),
        binding_error(1, "2001:db8:100::dead"),
        "counters.binding_errors_sent",
    ),
    Case(
        "Home Address option of a binding from elsewhere",
        lambda world: packet(ATTACKER, AGENT, UDP, udp(b"x"), home_address=address(HOME)),
        binding_error(1, HOME),
    ),
    Case(
        "Home Address option as bound, nothing we speak",
        lambda world: packet(CARE_OF, AGENT, UDP, udp(b"x"), home_address=address(HOME)),
        counted="drops.unknown_payload",
    ),
    Case(
        "Home Address option and nothing",
        lambda world: packet(ATTACKER, AGENT, DESTINATION, options(59, home_address_option(HOME))),
        binding_error(1, HOME),
    ),
    Case(
        "Home Address option twice",
        lambda world: with_headers(
            DESTINATION, options(DESTINATION, home_address_option(HOME)) + options(MOBILITY, home_address_option(HOME))
        ),
        counted="drops.malformed",
    ),
    Case(
        "Home Address option of 17 bytes",
        lambda world: with_headers(DESTINATION, options(MOBILITY, b"\x01\x01\0\xc9\x11" + bytes(17))),
        counted="drops.malformed",
    ),
    Case(
        "Home Address option that ends after its header",
        lambda world: with_headers(DESTINATION, options(MOBILITY, b"\x01\x02\0\0\xc9\xff" + bytes(16))),
        counted="drops.malformed",
    ),
    Case(
        "unknown IPv6 option",
        lambda world: with_headers(DESTINATION, options(MOBILITY, b"\xbe\x04\0\0\0\0")),
        parameter_problem(2, 42),
        "drops.malformed",
    ),
    Case(
        "unknown IPv6 option, to be silently discarded",
        lambda world: with_headers(DESTINATION, options(MOBILITY, b"\x5e\x04\0\0\0\0")),
        counted="drops.malformed",
    ),
    Case(
        "hop-by-hop options in the middle",
        lambda world: with_headers(
            DESTINATION, options(HOP_BY_HOP, b"\x01\x04" + bytes(4)) + options(MOBILITY, b"\x01\x04" + bytes(4))
        ),
        counted="drops.malformed",
    ),
    Case(
        "extension header beyond the packet",
        lambda world: with_headers(DESTINATION, bytes((MOBILITY, 200)) + home_address_option(HOME)),
        counted="drops.malformed",
    ),
    Case(
        "routing header of type 0 with segments left",
        lambda world: with_headers(ROUTING, bytes((MOBILITY, 2, 0, 1, 0, 0, 0, 0)) + address(HOME)),
        parameter_problem(0, 42),
    ),
    Case(
        "type 2 routing header to somebody else",
        lambda world: with_headers(ROUTING, bytes((MOBILITY, 2, 2, 1, 0, 0, 0, 0)) + address(PEER), bytes(8)),
        counted="drops.bad_checksum",
    ),
    Case(
        "update by way of a type 2 routing header",
        lambda world: encode_packet(replace(decode_packet(world.node.update()), routing_home_address=address(PEER))),
        counted="drops.not_our_address",
    ),
    Case(
        "type 2 routing header with no segments left",
        lambda world: with_headers(ROUTING, bytes((MOBILITY, 2, 2, 0, 0, 0, 0, 0)) + address(HOME)),
        counted="drops.malformed",
    ),
    Case(
        "a hundred extension headers",
        lambda world: with_headers(
            DESTINATION, options(DESTINATION, b"\x01\x04" + bytes(4)) * 99 + options(MOBILITY, b"\x01\x04" + bytes(4))
        ),
        parameter_problem(1),
    ),
    Case(
        "fragment behind options",
        lambda world: with_headers(
            DESTINATION, options(FRAGMENT, b"\x01\x04" + bytes(4)) + bytes((MOBILITY, 0, 0, 1, 1, 2, 3, 4))
        ),
        counted="data_plane.fragment",
    ),
    Case(
        "mobility header in two fragments: the kernel's",
        lambda world: (
            with_headers(FRAGMENT, bytes((MOBILITY, 0, 0, 1, 9, 9, 9, 9)), encode_mobility(HomeTestInit(bytes(8)))[:8]),
            with_headers(FRAGMENT, bytes((MOBILITY, 0, 0, 8, 9, 9, 9, 9)), bytes(8)),
        ),
        parameter_problem(1),
    ),
    Case(
        "mobility header of 60,000 bytes",
        lambda world: packet(ATTACKER, AGENT, MOBILITY, bytes((59, 255, 5, 0, 0, 0)) + bytes(59_994)),
        counted="drops.bad_checksum",
    ),
]
REGISTRATION = [
    Case("no authentication", update(key=None), counted="drops.no_authentication"),
    Case(
        "no authentication, from nobody",
        update(key=None, source=ATTACKER, home_address="2001:db8:100::9"),
        None,
        "drops.no_authentication",
    ),
    Case(
        "wrong key",
        update(key=WRONG_KEY),
        acknowledged(BindingStatus.MIPV6_AUTH_FAIL),
        "counters.refused_mipv6_auth_fail",
    ),
    Case("authenticator changed", update_edited(in_authenticator), acknowledged(BindingStatus.MIPV6_AUTH_FAIL)),
    Case(
        "care-of address changed",
        update_edited(put(16, 0x20, 0x01, 0x0D, 0xB8, 0, 0x66)),
        acknowledged(BindingStatus.MIPV6_AUTH_FAIL),
    ),
    Case(
        "empty authenticator",
        update(key=None, options=(MobilityMessageAuthentication(256, b""),)),
        acknowledged(BindingStatus.MIPV6_AUTH_FAIL),
    ),
    Case("key nobody has", update(key=replace(KEY, spi=999)), counted="drops.no_security_association"),
    Case("unknown node", update(identifier=b"stranger@example.org"), counted="drops.no_security_association"),
    Case(
        "authenticated twice",
        update(options=(MobilityMessageAuthentication(256, bytes(12)),)),
        counted="drops.ambiguous_options",
    ),
    Case(
        "identified twice",
        update(options=(MobileNodeIdentifier(b"other@example.org"),)),
        None,
        "drops.ambiguous_options",
    ),
    Case("nonce indices", update(options=(NonceIndices(1, 2),)), counted="drops.ambiguous_options"),
    Case("no message id", update(message_id=False), acknowledged(BindingStatus.MIPV6_MESG_ID_REQD)),
    Case(
        "replayed",
        lambda world: world.first_update,
        acknowledged(BindingStatus.MIPV6_ID_MISMATCH),
        "counters.refused_mipv6_id_mismatch",
    ),
    Case(
        "an hour old",
        lambda world: world.node.update(timestamp=ntp_timestamp(time.time() - 3600)),
        acknowledged(BindingStatus.MIPV6_ID_MISMATCH),
    ),
    Case(
        "stale sequence number",
        lambda world: world.node.update(sequence=world.accepted),
        acknowledged(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW),
        "counters.refused_sequence_number_out_of_window",
    ),
    Case(
        "another's key for the home address",
        of_other(key=OTHER_KEY, home_address=HOME),
        acknowledged(BindingStatus.ADMINISTRATIVELY_PROHIBITED),
    ),
    Case(
        "another's key to de-register",
        of_other(key=OTHER_KEY, home_address=HOME, lifetime_units=0),
        acknowledged(BindingStatus.ADMINISTRATIVELY_PROHIBITED),
    ),
    Case(
        "home address from elsewhere",
        update(home_address="2001:db8:999::1"),
        acknowledged(BindingStatus.NOT_HOME_SUBNET),
    ),
    Case("home address multicast", update(home_address="ff05::1"), counted="drops.forged_source"),
    Case("home address loopback", update(home_address="::1"), counted="drops.forged_source"),
    Case("care-of address multicast", update(care_of_address="ff02::1"), counted="drops.forged_source"),
    Case("care-of address link-local", update(care_of_address="fe80::1"), counted="drops.forged_source"),
    Case("care-of address of IPv4", update(care_of_address="::ffff:192.0.2.1"), counted="drops.forged_source"),
    Case("sent from nowhere", update(source="::"), counted="drops.forged_source"),
    Case("sent from everybody", update(source="ff02::1"), counted="drops.forged_source"),
    Case(
        "care-of address the home agent's",
        update(care_of_address=AGENT),
        acknowledged(BindingStatus.INVALID_CARE_OF_ADDRESS),
    ),
    Case(
        "care-of address the home address",
        update(care_of_address=HOME),
        acknowledged(BindingStatus.INVALID_CARE_OF_ADDRESS),
    ),
    Case(
        "not a home registration",
        update(home_registration=False),
        acknowledged(BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED),
    ),
    Case(
        "de-registration of what is not there",
        of_other(key=OTHER_KEY, lifetime_units=0),
        acknowledged(BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE),
    ),
    Case(
        "from the home address without Home Address option",
        lambda world: encode_packet(
            replace(decode_packet(world.node.update()), source=address(HOME), home_address=None)
        ),
        counted="counters.refused_reason_unspecified",
    ),
    Case(
        "in the tunnel of another",
        lambda world: tunnelled(OTHER_CARE_OF, AGENT, world.node.update()),
        None,
        "data_plane.reverse_check",
    ),
]
TUNNEL = [
    Case(
        "forged reverse tunnel",
        lambda world: tunnelled(ATTACKER, AGENT, packet(HOME, PEER, UDP, udp(b"forged"))),
        counted="data_plane.reverse_check",
    ),
    Case(
        "inner source not the home address",
        lambda world: tunnelled(CARE_OF, AGENT, packet(PEER, OTHER_HOME, UDP, udp(b"forged"))),
        counted="data_plane.reverse_check",
    ),
    Case("tunnel without a packet", lambda world: tunnelled(CARE_OF, AGENT, b""), counted="data_plane.malformed"),
    Case(
        "tunnel with a piece of a header",
        lambda world: tunnelled(CARE_OF, AGENT, packet(HOME, PEER, UDP, b"")[:39]),
        counted="data_plane.malformed",
    ),
    Case(
        "tunnel with IPv4", lambda world: tunnelled(CARE_OF, AGENT, b"\x45" + bytes(60)), None, "data_plane.malformed"
    ),
    Case("tunnels in tunnels from elsewhere", lambda world: nested(30, ATTACKER), counted="data_plane.reverse_check"),
    Case("tunnels in tunnels", lambda world: nested(30, CARE_OF), counted="data_plane.decapsulated"),
    Case(
        "tunnel to itself",
        lambda world: tunnelled(CARE_OF, AGENT, packet(HOME, HOME, UDP, udp(b"self"))),
        is_tunnelled(AGENT, CARE_OF, b"self"),
    ),
    Case(
        "unbound home address in the tunnel",
        lambda world: tunnelled(CARE_OF, AGENT, packet(HOME, OTHER_HOME, UDP, udp(b"x"))),
        counted="data_plane.no_forward",
    ),
]
LOST_IN_A_TUNNEL = tunnelled(AGENT, CARE_OF, packet(PEER, HOME, UDP, udp(b"lost")))
ICMP = [
    Case(
        "unreachable, of a tunnel that is not there",
        lambda world: icmp(DestinationUnreachable(0, tunnelled(AGENT, ATTACKER, packet(PEER, HOME, UDP, udp(b"x"))))),
        counted="drops.unrelated_error",
    ),
    Case(
        "unreachable, of half a packet in the tunnel",
        lambda world: icmp(DestinationUnreachable(0, LOST_IN_A_TUNNEL[:60])),
        counted="drops.unrelated_error",
    ),
    Case(
        "unreachable, of an error in the tunnel",
        lambda world: icmp(
            TimeExceeded(0, tunnelled(AGENT, CARE_OF, packet(PEER, HOME, ICMPV6, bytes((3,)) + bytes(48))))
        ),
        counted="drops.unrelated_error",
    ),
    Case(
        "unreachable, of a packet from everybody",
        lambda world: icmp(
            DestinationUnreachable(0, tunnelled(AGENT, CARE_OF, packet("ff02::1", HOME, UDP, udp(b"x"))))
        ),
        counted="drops.unrelated_error",
    ),
    Case(
        "unreachable with a wrong checksum",
        lambda world: edited(icmp(DestinationUnreachable(0, LOST_IN_A_TUNNEL)), put(2, 1, 2), fix=False),
        counted="drops.bad_checksum",
    ),
    Case(
        "too big for a path that can't be",
        lambda world: icmp(PacketTooBig(0, LOST_IN_A_TUNNEL)),
        counted="counters.tunnel_packets_too_big",
    ),
    Case(
        "parameter problem, pointing into nothing",
        lambda world: icmp(ParameterProblem(1, 0xFFFF_FFFF, LOST_IN_A_TUNNEL)),
        counted="counters.tunnel_unreachable",
    ),
    Case(
        "discovery request, wrong checksum",
        lambda world: edited(icmp(HomeAgentAddressDiscoveryRequest(7)), put(2, 1, 2), fix=False),
        counted="drops.bad_checksum",
    ),
    Case(
        "prefix solicitation",
        lambda world: encode_packet(
            Packet(address(CARE_OF), address(AGENT), MobilePrefixSolicitation(7), home_address=address(HOME))
        ),
        counted="drops.prefix_discovery_off",
    ),
    Case(
        "prefix solicitation of nobody",
        lambda world: encode_packet(
            Packet(address(ATTACKER), address(AGENT), MobilePrefixSolicitation(7), home_address=address(HOME))
        ),
        binding_error(1, HOME),
    ),
    Case(
        "router advertisement from far",
        lambda world: icmp(RouterAdvertisement(router_lifetime_s=1800), source="fe80::66", destination="2001:db8:1::2"),
        counted="drops.beyond_the_link",
    ),
    Case(
        "neighbour solicitation from far",
        lambda world: icmp(NeighborSolicitation(address(HOME)), destination="2001:db8:1::2"),
        counted="drops.beyond_the_link",
    ),
]


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
