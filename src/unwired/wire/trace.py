"""The mobility packets of a capture: found through tunnels, decoded, and where malformed said so.

A mobility packet has a mobility header, or is one of the ICMPv6 messages of home agent address discovery and mobile
prefix discovery.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from unwired.wire.address import Address
from unwired.wire.checksum import checksum_ok
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
from unwired.wire.ipv6 import (
    DESTINATION_OPTIONS,
    HEADER_SIZE,
    IPV6_IN_IPV6,
    ROUTING,
    Headers,
    decode_extensions,
    decode_fixed_header,
    decode_payload,
)
from unwired.wire.mobility import MOBILITY_HEADER, MobilityMessage, message_class
from unwired.wire.pcap import Frame, ipv6_offset

_DISCOVERY = {
    message.TYPE
    for message in (
        HomeAgentAddressDiscoveryRequest,
        HomeAgentAddressDiscoveryReply,
        MobilePrefixSolicitation,
        MobilePrefixAdvertisement,
    )
}


@dataclass(frozen=True, slots=True)
class Outer:
    """A tunnel's header around a mobility packet."""

    source: Address
    destination: Address


@dataclass(frozen=True, slots=True)
class Sighting:
    """A mobility packet in a frame. ``message`` is None when it is malformed: ``error`` says why, its offset counting
    from the start of the frame. ``number`` is the mobility header's or ICMPv6 type and ``name`` the RFC's name of it;
    None where the frame does not reach so far. ``encapsulation`` is outermost first. ``checksum_ok`` is None when the
    checksum cannot be verified because bytes are missing."""

    frame: int
    timestamp_ns: int
    source: Address
    destination: Address
    home_address: Address | None
    routing_home_address: Address | None
    encapsulation: tuple[Outer, ...]
    number: int | None
    name: str | None
    message: MobilityMessage | IcmpMessage | None
    checksum_ok: bool | None
    error: DecodeError | None


def mobility_packets(frames: Iterator[Frame]) -> Iterator[Sighting]:
    """The mobility packets among frames, in order."""
    for frame in frames:
        sighting = find(frame)
        if sighting is not None:
            yield sighting


def find(frame: Frame) -> Sighting | None:
    """The mobility packet in a frame, through IPv6-in-IPv6 tunnels; None when there is none."""
    data = frame.data
    at = ipv6_offset(frame)
    outers: list[Outer] = []
    while at is not None and len(data) - at >= HEADER_SIZE:
        try:
            headers = decode_fixed_header(data, at)
        except DecodeError:
            return None
        try:
            decode_extensions(data, at, headers)
        except DecodeError as error:
            return _sighting(frame, headers, outers, error=error) if _is_about_mobility(data, headers) else None
        if headers.problem:
            wrong = DecodeError(headers.problem.reason, headers.problem.offset)
            return _sighting(frame, headers, outers, error=wrong) if _is_about_mobility(data, headers) else None
        if headers.protocol == MOBILITY_HEADER:
            return _decoded(frame, headers, outers, at, number_at=headers.start + 2)
        if headers.protocol == ICMPV6:
            type_byte = data[headers.start : headers.start + 1]
            is_discovery = type_byte != b"" and type_byte[0] in _DISCOVERY
            return _decoded(frame, headers, outers, at, number_at=headers.start) if is_discovery else None
        if headers.protocol != IPV6_IN_IPV6:
            return None
        outers.append(Outer(headers.source, headers.destination))
        at = headers.start
    return None


def _is_about_mobility(data: bytes, headers: Headers) -> bool:
    """Whether an extension header that could not be walked through belongs to Mobile IPv6: the mobility header is next,
    or it is a type 2 routing header or has a Home Address option."""
    header = data[headers.start : headers.start + 24]
    if header[:1] == bytes((MOBILITY_HEADER,)):
        return True
    if headers.protocol == ROUTING:
        return header[2:3] == b"\x02"
    return headers.protocol == DESTINATION_OPTIONS and b"\xc9" in header[2:7]


def _decoded(frame: Frame, headers: Headers, outers: list[Outer], at: int, number_at: int) -> Sighting:
    data = frame.data
    number = data[number_at] if number_at < min(len(data), headers.end) else None
    if headers.end > len(data):
        short = DecodeError(f"packet cut short, {headers.end - len(data)} bytes missing", len(data))
        return _sighting(frame, headers, outers, number, error=short)
    try:
        packet = decode_payload(data, headers, at)
    except DecodeError as error:
        return _sighting(frame, headers, outers, number, right=_checksum_ok(data, headers), error=error)
    if packet.problem:
        wrong = DecodeError(packet.problem.reason, packet.problem.offset)
        return _sighting(frame, headers, outers, number, right=packet.checksum_ok, error=wrong)
    if not isinstance(packet.payload, MobilityMessage | IcmpMessage):
        raise TypeError(f"protocol {headers.protocol} decoded to {type(packet.payload).__name__}")
    return _sighting(frame, headers, outers, number, packet.payload, packet.checksum_ok)


def _checksum_ok(data: bytes, headers: Headers) -> bool | None:
    """The checksum of a payload that does not decode."""
    payload = data[headers.start : headers.end]
    if headers.protocol == MOBILITY_HEADER:
        size = 8 + payload[1] * 8 if len(payload) > 1 else 8
        if size > len(payload):
            return None
        payload = payload[:size]
    source = headers.source if headers.home_address is None else headers.home_address
    destination = headers.destination if headers.routing_home_address is None else headers.routing_home_address
    return checksum_ok(source, destination, headers.protocol, payload)


def _sighting(
    frame: Frame,
    headers: Headers,
    outers: list[Outer],
    number: int | None = None,
    message: MobilityMessage | IcmpMessage | None = None,
    right: bool | None = None,
    error: DecodeError | None = None,
) -> Sighting:
    name = None
    if number is not None:
        cls = (message_class if headers.protocol == MOBILITY_HEADER else icmp_class)(frame.data, headers.start)
        name = cls.NAME if cls else f"Unknown ({number})"
    return Sighting(
        frame.number,
        frame.timestamp_ns,
        headers.source,
        headers.destination,
        headers.home_address,
        headers.routing_home_address,
        tuple(outers),
        number,
        name,
        message,
        right,
        error,
    )
