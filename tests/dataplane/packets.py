"""Packets byte by byte, written without the product's codec."""

import struct

from unwired.wire.address import parse_address

ETHERNET, ETHERNET_IPV4 = bytes(12) + b"\x86\xdd", bytes(12) + b"\x08\x00"
ICMPV4, IPV4 = 1, 4
HOP_BY_HOP, TCP, UDP, IPV6, ROUTING, FRAGMENT, ICMPV6, NO_NEXT, DESTINATION, MOBILITY = (
    0, 6, 17, 41, 43, 44, 58, 59, 60, 135,
)  # fmt: skip


def ipv6(
    source: str,
    destination: str,
    next_header: int,
    payload: bytes = b"",
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow_label: int = 0,
) -> bytes:
    first = 6 << 28 | traffic_class << 20 | flow_label
    addresses = parse_address(source) + parse_address(destination)
    return struct.pack("!IHBB", first, len(payload), next_header, hop_limit) + addresses + payload


def udp(payload: bytes = b"hello", source_port: int = 1111, destination_port: int = 2222) -> bytes:
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def mobility(kind: int = 5, payload: bytes = bytes(10)) -> bytes:
    data = bytes([NO_NEXT, 0, kind, 0, 0, 0]) + payload
    data += bytes(-len(data) % 8)
    return data[:1] + bytes([len(data) // 8 - 1]) + data[2:]


def home_address_option(next_header: int, home_address: str, before: bytes = b"\x01\x02\x00\x00") -> bytes:
    """A destination options header: padding, then the option at 8n+6 (RFC 6275 section 6.3)."""
    options = before + b"\xc9\x10" + parse_address(home_address)
    return bytes([next_header, (2 + len(options)) // 8 - 1]) + options


def options(next_header: int, data: bytes) -> bytes:
    """A hop-by-hop or destination options header with these option bytes."""
    return bytes([next_header, (2 + len(data)) // 8 - 1]) + data


def routing_type_2(next_header: int, home_address: str) -> bytes:
    return bytes([next_header, 2, 2, 1, 0, 0, 0, 0]) + parse_address(home_address)


def fragment(next_header: int, offset: int = 0, more: bool = True) -> bytes:
    return struct.pack("!BBHI", next_header, 0, offset << 3 | more, 7)


def icmpv6(kind: int, body: bytes = b"", code: int = 0) -> bytes:
    return struct.pack("!BBHI", kind, code, 0, 0) + body


def ipv4(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes = b"",
    *,
    time_to_live: int = 64,
    type_of_service: int = 0,
    identification: int = 0,
    dont_fragment: bool = True,
    more_fragments: bool = False,
    fragment_offset: int = 0,
    options: bytes = b"",
) -> bytes:
    size = 20 + len(options)
    flags = dont_fragment << 14 | more_fragments << 13 | fragment_offset
    addresses = parse_address(source)[12:] + parse_address(destination)[12:]
    fields = 0x40 | size // 4, type_of_service, size + len(payload), identification, flags, time_to_live, protocol
    header = struct.pack("!BBHHHBBH", *fields, 0) + addresses + options
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + payload


def icmpv4(kind: int, body: bytes = b"", code: int = 0) -> bytes:
    return struct.pack("!BBHI", kind, code, 0, 0) + body


def tcp(source: str, destination: str, options: bytes = b"", flags: int = 2) -> bytes:
    """A segment without data, its checksum right; the options as they are, filled up with zeros."""
    options += bytes(-len(options) % 4)
    size = 20 + len(options)
    segment = struct.pack("!HHIIBBHHH", 1111, 2222, 1, 0, size // 4 << 4, flags, 65535, 0, 0) + options
    ends = parse_address(source), parse_address(destination)
    pseudo = b"".join(end if ":" in source else end[12:] for end in ends) + struct.pack("!II", size, TCP)
    return segment[:16] + checksum(pseudo + segment).to_bytes(2) + segment[18:]


def checksum(data: bytes) -> int:
    """The complement of the one's complement sum; 0 for data that has its checksum in it."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
