"""Packets that are wrong in one way each, with the answer or the counter that they must lead to."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

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
    OTHER_CARE_OF,
    OTHER_HOME,
    OTHER_KEY,
    PEER,
    ROUTING,
    WRONG_KEY,
    World,
    acknowledged,
    binding_error,
    is_tunnelled,
    parameter_problem,
    tunnelled,
)
from hostile_wire import (
    KEY,
    UDP,
    address,
    packet,
    udp,
)

from unwired.wire.checksum import filled
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixSolicitation,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    TimeExceeded,
)
from unwired.wire.ipv6 import Packet, decode_headers, decode_packet, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MobilityMessageAuthentication, authenticator_offset, ntp_timestamp
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingRefreshRequest,
    BindingStatus,
    HomeTestInit,
    NonceIndices,
)


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
