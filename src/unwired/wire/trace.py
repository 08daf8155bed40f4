"""The mobility packets of a capture: found through tunnels, decoded, and where malformed said so.

A mobility packet has a mobility header, or is one of the ICMPv6 messages of home agent address discovery, of mobile
prefix discovery and of fast handovers. Tunnels are IPv6 and IPv4 headers around another one (RFC 2473, 4213, 2003), UDP
on the port of dual-stack Mobile IPv6 or of Proxy Mobile IPv6's data (RFC 5555 section 4.1, RFC 5844 section 4), and GRE
(RFC 2784).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from unwired.wire.address import Address
from unwired.wire.checksum import checksum_ok
from unwired.wire.datagram import PORT
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    ICMPV6,
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    icmp_class,
)
from unwired.wire.ipv4 import IPV4_IN_IP, UDP, UDP_HEADER_SIZE, decode_ipv4_header
from unwired.wire.ipv6 import (
    DESTINATION_OPTIONS,
    IPV6_IN_IPV6,
    ROUTING,
    Headers,
    decode_extensions,
    decode_fixed_header,
    decode_payload,
)
from unwired.wire.locate import Part, part_at
from unwired.wire.mobility import MOBILITY_HEADER, MobilityMessage, header_end, message_class
from unwired.wire.pcap import Frame, ip_offset
from unwired.wire.rfc5568_discovery import ProxyRouterAdvertisement, RouterSolicitationForProxyAdvertisement
from unwired.wire.rfc5845 import tlv_payload

GRE = 47
PROXY_SIGNALLING_PORT = 5436
"""pmip6-cntl: a mobility header directly behind UDP in IPv4 (RFC 5844 section 4)."""
PROXY_DATA_PORT = 5437
"""pmip6-data."""
_ETHERTYPES_IP = (0x0800, 0x86DD)
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE, _GRE_VERSION = 0x8000, 0x2000, 0x1000, 0x0007
_DISCOVERY = {
    message.TYPE
    for message in (
        HomeAgentAddressDiscoveryRequest,
        HomeAgentAddressDiscoveryReply,
        MobilePrefixSolicitation,
        MobilePrefixAdvertisement,
        ProxyRouterAdvertisement,
        RouterSolicitationForProxyAdvertisement,
    )
}


class LayerKind(StrEnum):
    IPV6 = "IPv6"
    IPV4 = "IPv4"
    UDP = "UDP"
    GRE = "GRE"


@dataclass(frozen=True, slots=True)
class Layer:
    """A header around a mobility packet: addresses of IPv6 and IPv4, ports of UDP, the key of GRE if it has one (RFC
    2890); what the kind has not is None."""

    kind: LayerKind
    source: Address | None = None
    destination: Address | None = None
    source_port: int | None = None
    destination_port: int | None = None
    key: int | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A mobility packet in a frame. ``message`` is None when it is malformed: ``error`` says why, its offset counting
    from the start of the frame, and ``part`` what is concerned. ``number`` is the mobility header's or ICMPv6 type,
    ``name`` the RFC's name of it and ``reference`` the section; None where the frame does not reach so far.
    ``encapsulation`` is outermost first. ``checksum_ok`` is None when the checksum cannot be verified because bytes are
    missing, or where there is none: directly in UDP it is UDP's that counts (RFC 5844 section 4.1.3.1)."""

    frame: int
    timestamp_ns: int
    source: Address
    destination: Address
    home_address: Address | None
    routing_home_address: Address | None
    encapsulation: tuple[Layer, ...]
    number: int | None
    name: str | None
    reference: str | None
    message: MobilityMessage | IcmpMessage | None
    checksum_ok: bool | None
    error: DecodeError | None
    part: Part | None


def mobility_packets(frames: Iterator[Frame]) -> Iterator[Sighting]:
    """The mobility packets among frames, in order."""
    for frame in frames:
        sighting = find(frame)
        if sighting is not None:
            yield sighting


def find(frame: Frame) -> Sighting | None:
    """The mobility packet in a frame, through all tunnels; None when there is none."""
    at = ip_offset(frame)
    layers: list[Layer] = []
    while at is not None and at < len(frame.data):
        try:
            if frame.data[at] >> 4 == 4:
                found, at = _in_ipv4(frame, layers, at)
            else:
                found, at = _in_ipv6(frame, layers, at)
        except DecodeError:
            return None  # no header of a tunnel that leads anywhere
        if found is not None:
            return found
    return None


_Step = tuple[Sighting | None, int | None]
"""The mobility packet, or where the next header of IP starts; neither: there is none."""


def _in_ipv6(frame: Frame, layers: list[Layer], at: int) -> _Step:
    data = frame.data
    headers = decode_fixed_header(data, at)
    try:
        decode_extensions(data, at, headers)
    except DecodeError as error:
        return _broken(frame, headers, layers, error), None
    if headers.problem:
        wrong = DecodeError(headers.problem.reason, headers.problem.offset)
        return _broken(frame, headers, layers, wrong), None
    if headers.protocol == MOBILITY_HEADER:
        return _decoded(frame, headers, layers, at, number_at=headers.start + 2), None
    if headers.protocol == ICMPV6:
        type_byte = data[headers.start : headers.start + 1]
        is_discovery = type_byte != b"" and type_byte[0] in _DISCOVERY
        return (_decoded(frame, headers, layers, at, number_at=headers.start) if is_discovery else None), None
    layers.append(Layer(LayerKind.IPV6, headers.source, headers.destination))
    return _behind(frame, layers, headers)


def _in_ipv4(frame: Frame, layers: list[Layer], at: int) -> _Step:
    header = decode_ipv4_header(frame.data, at)
    if header.is_fragment:
        return None, None
    layers.append(Layer(LayerKind.IPV4, header.source, header.destination))
    as_ipv6 = Headers(
        header.source, header.destination, header.time_to_live, 0, header.protocol, header.start, header.end
    )
    return _behind(frame, layers, as_ipv6)


def _behind(frame: Frame, layers: list[Layer], headers: Headers) -> _Step:
    """What an IP header is followed by, when that is a tunnel."""
    data, start = frame.data, headers.start
    if headers.protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
        return None, start
    if headers.protocol == GRE:
        return None, _behind_gre(data, layers, start)
    if headers.protocol != UDP or start + UDP_HEADER_SIZE > len(data):
        return None, None
    ports = int.from_bytes(data[start : start + 2]), int.from_bytes(data[start + 2 : start + 4])
    layers.append(Layer(LayerKind.UDP, source_port=ports[0], destination_port=ports[1]))
    start += UDP_HEADER_SIZE
    if PROXY_SIGNALLING_PORT in ports:
        inner = Headers(headers.source, headers.destination, 0, 0, MOBILITY_HEADER, start, headers.end)
        layers.pop(-2)  # whose addresses are the packet's own
        return _decoded(frame, inner, layers, start, number_at=start + 2, has_checksum=False), None
    if PORT not in ports and PROXY_DATA_PORT not in ports:
        return None, None
    protocol, start = tlv_payload(data, start) or (IPV6_IN_IPV6, start)
    if protocol == GRE:
        return None, _behind_gre(data, layers, start)
    return None, start if protocol in (IPV6_IN_IPV6, IPV4_IN_IP) else None


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |C| |K|S| Reserved0       | Ver |         Protocol Type         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |      Checksum (optional)      |       Reserved1 (Optional)    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Key (optional)                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                 Sequence Number (Optional)                    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def _behind_gre(data: bytes, layers: list[Layer], start: int) -> int | None:
    """RFC 2784 section 2, RFC 2890 section 2."""
    flags, protocol = int.from_bytes(data[start : start + 2]), int.from_bytes(data[start + 2 : start + 4])
    if flags & _GRE_VERSION or protocol not in _ETHERTYPES_IP:
        return None
    at = start + (8 if flags & _GRE_CHECKSUM else 4)
    key = int.from_bytes(data[at : at + 4]) if flags & _GRE_KEY else None
    layers.append(Layer(LayerKind.GRE, key=key))
    return at + (4 if flags & _GRE_KEY else 0) + (4 if flags & _GRE_SEQUENCE else 0)


def _broken(frame: Frame, headers: Headers, layers: list[Layer], error: DecodeError) -> Sighting | None:
    """A packet with an extension header that can't be walked through, when that belongs to Mobile IPv6: the mobility
    header is next, or it is a type 2 routing header or has a Home Address option."""
    header = frame.data[headers.start : headers.start + 24]
    is_about_mobility = (
        header[:1] == bytes((MOBILITY_HEADER,))
        or (headers.protocol == ROUTING and header[2:3] == b"\x02")
        or (headers.protocol == DESTINATION_OPTIONS and b"\xc9" in header[2:7])
    )
    return _sighting(frame, headers, layers, error=error) if is_about_mobility else None


def _decoded(
    frame: Frame, headers: Headers, layers: list[Layer], at: int, number_at: int, has_checksum: bool = True
) -> Sighting:
    data = frame.data
    number = data[number_at] if number_at < min(len(data), headers.end) else None
    if headers.end > len(data):
        short = DecodeError(f"packet cut short, {headers.end - len(data)} bytes missing", len(data))
        return _sighting(frame, headers, layers, number, error=short)
    try:
        packet = decode_payload(data, headers, at)
    except DecodeError as error:
        right = _checksum_ok(data, headers) if has_checksum else None
        return _sighting(frame, headers, layers, number, right=right, error=error)
    right = packet.checksum_ok if has_checksum else None
    if packet.problem:
        wrong = DecodeError(packet.problem.reason, packet.problem.offset)
        return _sighting(frame, headers, layers, number, right=right, error=wrong)
    if not isinstance(packet.payload, MobilityMessage | IcmpMessage):
        raise TypeError(f"protocol {headers.protocol} decoded to {type(packet.payload).__name__}")
    return _sighting(frame, headers, layers, number, packet.payload, right)


def _checksum_ok(data: bytes, headers: Headers) -> bool | None:
    """The checksum of a payload that does not decode."""
    payload = data[headers.start : headers.end]
    if headers.protocol == MOBILITY_HEADER:
        try:
            payload = payload[: header_end(payload, 0, len(payload))]
        except DecodeError:
            return None
    source = headers.source if headers.home_address is None else headers.home_address
    destination = headers.destination if headers.routing_home_address is None else headers.routing_home_address
    return checksum_ok(source, destination, headers.protocol, payload)


def _sighting(
    frame: Frame,
    headers: Headers,
    layers: list[Layer],
    number: int | None = None,
    message: MobilityMessage | IcmpMessage | None = None,
    right: bool | None = None,
    error: DecodeError | None = None,
) -> Sighting:
    name = reference = None
    if number is not None:
        cls = (message_class if headers.protocol == MOBILITY_HEADER else icmp_class)(frame.data, headers.start)
        name, reference = (cls.NAME, cls.REFERENCE) if cls else (f"Unknown ({number})", None)
    return Sighting(
        frame.number,
        frame.timestamp_ns,
        headers.source,
        headers.destination,
        headers.home_address,
        headers.routing_home_address,
        tuple(layers),
        number,
        name,
        reference,
        message,
        right,
        error,
        None if error is None else part_at(frame.data, headers, error.offset),
    )
