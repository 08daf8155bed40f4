"""Whole packets as they are on the wire, of either family: what a raw socket sends and what the punt device gives.

A control packet to or from a mobile node in an IPv4 network is an IPv6 packet in a tunnel (RFC 5555 section 4.2):
``Packet`` is then the inner one, and its ``outer`` says how it came or goes.
"""

from dataclasses import replace

from unwired.wire.address import Address, is_ipv4
from unwired.wire.errors import DecodeError
from unwired.wire.ipv4 import (
    ICMPV4,
    IPV4_IN_IP,
    UDP,
    Icmpv4Message,
    Ipv4Header,
    UdpDatagram,
    decode_icmpv4,
    decode_ipv4_header,
    decode_udp,
    encode_icmpv4,
    encode_ipv4,
    encode_udp,
)
from unwired.wire.ipv6 import IPV6_IN_IPV6, Outer, Packet, UnknownPayload, decode_packet, encode_packet

PORT = 4191
"""dsmipv6 (RFC 5555 section 2.3.2.2)."""


def decode_datagram(data: bytes) -> Packet:
    """The packet that starts at ``data[0]``.

    From IPv4, a tunnel (protocol 41 or 4, UDP from or to port 4191) is opened: the packet is the inner one, with
    ``outer``. What else is IPv4 is a packet of its own, v4-mapped addresses and all. From IPv6 no tunnel is opened.
    Raises DecodeError with offsets from the first byte.
    """
    if not data or data[0] >> 4 != 4:
        return decode_packet(data)
    header = decode_ipv4_header(data)
    if header.end > len(data):
        raise DecodeError(f"packet cut short, {header.end - len(data)} bytes missing", len(data))
    if header.is_fragment:
        return _plain(header, UnknownPayload(header.protocol, data[header.start : header.end]))
    if header.protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
        outer = Outer(header.source, header.destination, dont_fragment=header.dont_fragment)
        return _inner(data, header.start, header.end, outer)
    if header.protocol == UDP:
        datagram = decode_udp(data, header.start, header.end)
        ports = datagram.source_port, datagram.destination_port
        if PORT in ports and datagram.data and datagram.data[0] >> 4 in (4, 6):
            outer = Outer(header.source, header.destination, *ports, dont_fragment=header.dont_fragment)
            start = header.start + 8
            return _inner(data, start, start + len(datagram.data), outer)
        return _plain(header, datagram)
    if header.protocol == ICMPV4:
        return _plain(header, decode_icmpv4(data, header.start, header.end))
    return _plain(header, UnknownPayload(header.protocol, data[header.start : header.end]))


def _plain(header: Ipv4Header, payload: UdpDatagram | Icmpv4Message | UnknownPayload) -> Packet:
    return Packet(
        header.source,
        header.destination,
        payload,
        hop_limit=header.time_to_live,
        traffic_class=header.type_of_service,
    )


def _inner(data: bytes, start: int, end: int, outer: Outer) -> Packet:
    try:
        if data[start:end][:1] >= b"\x60":
            return replace(decode_packet(data[start:end]), outer=outer)
        header = decode_ipv4_header(data[:end], start)
    except DecodeError as error:
        raise DecodeError(error.reason, error.offset + (start if error.offset < start else 0)) from None
    return replace(_plain(header, UnknownPayload(header.protocol, data[header.start : header.end])), outer=outer)


def encode_datagram(packet: Packet) -> bytes:
    """The packet's bytes with all its headers, checksums filled in. Raises ValueError for what the wire cannot hold."""
    data = _encode_ipv4(packet) if is_ipv4(packet.source) else encode_packet(packet)
    outer = packet.outer
    if outer is None:
        return data
    protocol = IPV4_IN_IP if is_ipv4(packet.source) else IPV6_IN_IPV6
    if not is_ipv4(outer.source):
        label = packet.flow_label  # the paths that a tunnel's packets take are chosen by it
        return encode_packet(Packet(outer.source, outer.destination, UnknownPayload(protocol, data), flow_label=label))
    if outer.destination_port:
        protocol = UDP
        datagram = UdpDatagram(outer.source_port, outer.destination_port, data)
        data = encode_udp(outer.source, outer.destination, datagram)
    return encode_ipv4(outer.source, outer.destination, protocol, data, dont_fragment=outer.dont_fragment)


def _encode_ipv4(packet: Packet) -> bytes:
    payload = packet.payload
    if isinstance(payload, UdpDatagram):
        protocol, body = UDP, encode_udp(packet.source, packet.destination, payload)
    elif isinstance(payload, Icmpv4Message):
        protocol, body = ICMPV4, encode_icmpv4(payload)
    elif isinstance(payload, UnknownPayload):
        protocol, body = payload.protocol, payload.data
    else:
        raise ValueError(f"{type(payload).__name__} is nothing that IPv4 carries")
    return encode_ipv4(
        packet.source,
        packet.destination,
        protocol,
        body,
        time_to_live=packet.hop_limit,
        type_of_service=packet.traffic_class,
    )


def route_of(packet: Packet) -> tuple[Address, Address]:
    """Source and destination of the outermost header: what decides which way it goes."""
    outer = packet.outer
    return (packet.source, packet.destination) if outer is None else (outer.source, outer.destination)
