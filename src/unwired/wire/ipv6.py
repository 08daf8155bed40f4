"""IPv6 packets with what Mobile IPv6 adds to them: the Home Address option and the type 2 routing header. (Packets in
tunnels and IPv4 packets: ``datagram.py``.)

``decode_packet`` takes a packet from its IPv6 header on; what is not for this codec (fragments, ESP, a tunnel's inner
packet, TCP, ...) comes back as ``UnknownPayload``. ``encode_packet`` is its reverse and fills in the checksum.
"""

import struct
from dataclasses import dataclass
from typing import Any

from unwired.wire.address import UNSPECIFIED, V4_MAPPED, Address
from unwired.wire.checksum import checksum_ok, filled
from unwired.wire.errors import DecodeError
from unwired.wire.generate import draft_of
from unwired.wire.icmpv6 import ICMPV6, IcmpMessage, ParameterProblem, ParameterProblemCode, decode_icmp, encode_icmp
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram
from unwired.wire.mobility import (
    MOBILITY_HEADER,
    MobilityMessage,
    decode_message,
    encode_mobility,
    header_end,
    header_problem,
)

HOP_BY_HOP = 0
IPV6_IN_IPV6 = 41
ROUTING = 43
ESP = 50
AUTHENTICATION_HEADER = 51
NO_NEXT_HEADER = 59
DESTINATION_OPTIONS = 60
HEADER_SIZE = 40

_HOME_ADDRESS_OPTION = 201
_TYPE_2 = 2
_MINIMUM_MTU = 1280
_EXTENSIONS = frozenset((HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS))
_header = struct.Struct("!IHBB16s16s")
_extension = struct.Struct("!BBBBI16s")


@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """A payload that this codec leaves as it is; ``protocol`` is the Next Header value before ``data``."""

    protocol: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a well-formed packet must be discarded by whoever it is addressed to, and the ICMPv6 answer that the RFC asks
    for, ready to be sent to ``Packet.source`` (None: discard silently).

    These are RFC 6275 section 9.2's payload protocol and header length, and RFC 8200 sections 4.2 and 4.4's
    unrecognized options and routing headers. ``offset`` counts from the start of what was decoded.
    """

    reason: str
    offset: int
    answer: ParameterProblem | None


Payload = MobilityMessage | IcmpMessage | UdpDatagram | Icmpv4Message | UnknownPayload


@dataclass(frozen=True, slots=True)
class Outer:
    """The header of the tunnel that a packet came or goes in; with UDP the ports are not 0 (RFC 5555 section 4.1)."""

    source: Address
    destination: Address
    source_port: int = 0
    destination_port: int = 0
    dont_fragment: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """An IPv6 packet; or an IPv4 one, when its addresses are IPv4: its payload is then a UdpDatagram, an Icmpv4Message
    or unknown. ``outer``: it is in a tunnel, whose end we are.

    ``source`` and ``destination`` are as on the wire (a mobile node's care-of address); ``home_address`` is the Home
    Address option (RFC 6275 section 6.3), ``routing_home_address`` the type 2 routing header's (section 6.4).

    ``data`` is the payload as received, a mobility header from its first byte, for authenticators. When encoding, data
    that is not empty is sent as the payload in place of ``payload`` (which still says what it is), its checksum filled
    in.

    With ``problem`` the packet must not be processed, only answered: the payload is then an UnknownPayload.
    """

    source: Address
    destination: Address
    payload: Payload
    home_address: Address | None = None
    routing_home_address: Address | None = None
    hop_limit: int = 64
    traffic_class: int = 0
    flow_label: int = 0
    data: bytes = b""
    checksum_ok: bool = True
    problem: Problem | None = None
    outer: Outer | None = None


_Draft: Any = draft_of(Packet)


@dataclass(slots=True)
class Headers:
    """What stands before a payload: ``data[start:end]`` is the payload, of ``protocol``. ``end`` is where the header
    says that the packet ends, even when less was captured."""

    source: Address
    destination: Address
    hop_limit: int
    first_word: int
    protocol: int
    start: int
    end: int
    home_address: Address | None = None
    routing_home_address: Address | None = None
    problem: Problem | None = None


def decode_headers(data: bytes, at: int = 0) -> Headers:
    """The headers of the packet that starts at ``data[at]``, up to the first one that is not an option or routing
    header. Raises DecodeError; offsets count from the start of ``data``."""
    headers = decode_fixed_header(data, at)
    if headers.protocol in _EXTENSIONS:
        decode_extensions(data, at, headers)
    return headers


def decode_fixed_header(data: bytes, at: int) -> Headers:
    """The IPv6 header at ``data[at]`` alone."""
    if len(data) - at < HEADER_SIZE:
        raise DecodeError(f"IPv6 header of {len(data) - at} bytes where 40 are needed", at)
    first_word, length, protocol, hop_limit, source, destination = _header.unpack_from(data, at)
    if first_word >> 28 != 6:
        raise DecodeError(f"IP version {first_word >> 28} where 6 must be", at)
    start = at + HEADER_SIZE
    return Headers(source, destination, hop_limit, first_word, protocol, start, start + length)


def decode_extensions(data: bytes, at: int, headers: Headers) -> None:
    """Walk hop-by-hop options, destination options and routing headers (RFC 8200 section 4), changing ``headers``.

    After a DecodeError, and with a ``problem``, ``headers`` has come as far as the extension header that caused it.
    """
    limit = min(headers.end, len(data))
    while headers.protocol in _EXTENSIONS:
        start = headers.start
        if start + 8 > limit:
            raise DecodeError("extension header cut short", start)
        end = start + 8 + data[start + 1] * 8
        if end > limit:
            raise DecodeError("extension header that ends after its packet", start + 1)
        if headers.protocol == ROUTING:
            _decode_routing(data, at, headers, start)
        else:
            if headers.protocol == HOP_BY_HOP and start != at + HEADER_SIZE:
                raise DecodeError("hop-by-hop options that are not the first header", start)
            _decode_options(data, at, headers, start, end)
        if headers.problem:
            return
        headers.protocol = data[start]
        headers.start = end


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Next Header  | Hdr Ext Len=2 | Routing Type=2|Segments Left=1|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                            Reserved                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                         Home Address                          +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def _decode_routing(data: bytes, at: int, headers: Headers, start: int) -> None:
    """A routing header of another type with no segments left is skipped (RFC 8200 section 4.4)."""
    if data[start + 2] != _TYPE_2:
        if data[start + 3]:
            headers.problem = _erroneous_field(data, at, headers, "unrecognized routing type", start + 2)
        return
    if data[start + 1] != 2:
        raise DecodeError("type 2 routing header whose length is not 2", start + 1)
    if data[start + 3] != 1:
        raise DecodeError("type 2 routing header whose segments left is not 1", start + 3)
    if headers.routing_home_address is not None:
        raise DecodeError("second type 2 routing header", start)
    if headers.home_address is not None:
        raise DecodeError("routing header after the Home Address option", start)
    headers.routing_home_address = data[start + 8 : start + 24]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |  Option Type  | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                          Home Address                         +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def _decode_options(data: bytes, at: int, headers: Headers, start: int, end: int) -> None:
    """The options of a hop-by-hop or destination options header. An unrecognized one says itself, in its two highest
    bits, what is to be done (RFC 8200 section 4.2)."""
    here = start + 2
    while here < end:
        number = data[here]
        if number == 0:
            here += 1
            continue
        if here + 2 > end:
            raise DecodeError("IPv6 option without a length", here)
        after = here + 2 + data[here + 1]
        if after > end:
            raise DecodeError("IPv6 option that ends after its header", here + 1)
        if number == _HOME_ADDRESS_OPTION and headers.protocol == DESTINATION_OPTIONS:
            if after - here != 18:
                raise DecodeError("Home Address option whose length is not 16", here + 1)
            if headers.home_address is not None:
                raise DecodeError("second Home Address option", here)
            headers.home_address = data[here + 2 : after]
        elif number >> 6:
            reason = f"unrecognized IPv6 option {number}"
            # 01: discard; 10: and answer; 11: and answer when it was not sent to a multicast address.
            if number >> 6 == 1 or (number >> 6 == 3 and headers.destination[0] == 0xFF):
                headers.problem = Problem(reason, here, None)
            else:
                headers.problem = _problem(data, at, headers, reason, here, ParameterProblemCode.UNRECOGNIZED_OPTION)
            return
        here = after


def _problem(data: bytes, at: int, headers: Headers, reason: str, offset: int, code: ParameterProblemCode) -> Problem:
    """A problem with its answer; none to a source that is no single node (RFC 4443 section 2.4 e)."""
    if headers.source[0] == 0xFF or headers.source == UNSPECIFIED:
        return Problem(reason, offset, None)
    quoted = data[at : at + _MINIMUM_MTU - HEADER_SIZE - 8]
    return Problem(reason, offset, ParameterProblem(code, offset - at, quoted))


def _erroneous_field(data: bytes, at: int, headers: Headers, reason: str, offset: int) -> Problem:
    """An erroneous header field, answered when it was not sent to a multicast address (RFC 4443 section 2.4 e)."""
    if headers.destination[0] == 0xFF:
        return Problem(reason, offset, None)
    return _problem(data, at, headers, reason, offset, ParameterProblemCode.ERRONEOUS_HEADER_FIELD)


def decode_packet(data: bytes) -> Packet:
    """Decode a packet from its IPv6 header; bytes after its payload length are ignored.

    Raises DecodeError with offsets from the IPv6 header's first byte. A wrong checksum is no error but
    ``checksum_ok=False``; what the RFCs answer with an ICMPv6 parameter problem is ``problem``.
    """
    if type(data) is not bytes:
        data = bytes(data)
    headers = decode_headers(data)
    if headers.end > len(data):
        raise DecodeError(f"packet cut short, {headers.end - len(data)} bytes missing", len(data))
    if V4_MAPPED in (data[8:20], data[24:36]):
        # Never on the wire (RFC 6890 section 2.2.3), and inside it would pass for IPv4.
        raise DecodeError("IPv4-mapped address in an IPv6 header", 8)
    return decode_payload(data, headers)


def decode_payload(data: bytes, headers: Headers, at: int = 0) -> Packet:
    """The packet at ``data[at]`` whose headers have been decoded, all of it being there."""
    start, end, protocol, problem = headers.start, headers.end, headers.protocol, headers.problem
    source = headers.source if headers.home_address is None else headers.home_address
    destination = headers.destination if headers.routing_home_address is None else headers.routing_home_address
    payload: Payload
    right = True
    if problem:
        body = data[start:end]
        payload = UnknownPayload(protocol, body)
    elif protocol == MOBILITY_HEADER:
        end = header_end(data, start, end)
        body = data[start:end]
        right = checksum_ok(source, destination, MOBILITY_HEADER, body)
        wrong = header_problem(data, start, end)
        if wrong:
            reason, offset = wrong
            problem = _erroneous_field(data, at, headers, reason, offset)
            payload = UnknownPayload(protocol, body)
        else:
            payload = decode_message(data, start, end)
    elif protocol == ICMPV6:
        body = data[start:end]
        payload = decode_icmp(data, start, end)
        right = checksum_ok(source, destination, ICMPV6, body)
    else:
        body = data[start:end]
        payload = UnknownPayload(protocol, body)
    packet = _Draft()
    packet.source = headers.source
    packet.destination = headers.destination
    packet.payload = payload
    packet.home_address = headers.home_address
    packet.routing_home_address = headers.routing_home_address
    packet.hop_limit = headers.hop_limit
    packet.traffic_class = headers.first_word >> 20 & 0xFF
    packet.flow_label = headers.first_word & 0xFFFFF
    packet.data = body
    packet.checksum_ok = right
    packet.problem = problem
    packet.outer = None
    packet.__class__ = Packet
    return packet  # type: ignore[no-any-return]


def encode_packet(packet: Packet) -> bytes:
    """An IPv6 packet's bytes from the IPv6 header on, checksum filled in, without what is around it. Raises ValueError
    for what the wire cannot hold.

    The checksum's pseudo-header has the home address as source when there is one, and the type 2 routing header's
    address as destination (RFC 6275 section 6.1.1, RFC 8200 section 8.1).
    """
    payload, data = packet.payload, packet.data
    source, destination = packet.source, packet.destination
    if isinstance(payload, MobilityMessage):
        protocol, checksum_at = MOBILITY_HEADER, 4
        body = data or encode_mobility(payload)
    elif isinstance(payload, IcmpMessage):
        protocol, checksum_at = ICMPV6, 2
        body = data or encode_icmp(payload)
    elif isinstance(payload, UnknownPayload):
        protocol, checksum_at = payload.protocol, -1
        body = data or payload.data
    else:
        raise ValueError(f"{type(payload).__name__} is nothing that an engine sends in IPv6")
    parts = []
    first = protocol
    # Built from the payload outwards: the Home Address option comes after the routing header (section 6.3).
    if packet.home_address is not None:
        source = packet.home_address
        parts.append(_extension.pack(first, 2, 1, 2, _HOME_ADDRESS_OPTION << 8 | 16, source))
        first = DESTINATION_OPTIONS
    if packet.routing_home_address is not None:
        destination = packet.routing_home_address
        parts.insert(0, _extension.pack(first, 2, _TYPE_2, 1, 0, destination))
        first = ROUTING
    if checksum_at >= 0:
        body = filled(source, destination, protocol, body, checksum_at)
    if not (len(packet.source) == len(packet.destination) == len(source) == len(destination) == 16):
        raise ValueError("an address of a packet is not 16 bytes")
    if packet.traffic_class >> 8 or packet.flow_label >> 20 or packet.hop_limit >> 8:
        raise ValueError("traffic class, flow label or hop limit do not fit in 8, 20 and 8 bits")
    word = 6 << 28 | packet.traffic_class << 20 | packet.flow_label
    size = len(body) + 24 * len(parts)
    if size > 0xFFFF:
        raise ValueError(f"an IPv6 packet holds at most 65535 bytes of payload, not {size}")
    header = _header.pack(word, size, first, packet.hop_limit, packet.source, packet.destination)
    return b"".join((header, *parts, body))
