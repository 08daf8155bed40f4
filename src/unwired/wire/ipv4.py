"""IPv4 as far as mobility needs it: headers (RFC 791), UDP (RFC 768) and the ICMPv4 errors about tunnels (RFC 792).

Addresses are v4-mapped, as everywhere inside.
"""

import struct
from dataclasses import dataclass

from unwired.wire.address import V4_MAPPED, Address, is_ipv4
from unwired.wire.checksum import ones_sum
from unwired.wire.errors import DecodeError

ICMPV4 = 1
IPV4_IN_IP = 4
UDP = 17
HEADER_SIZE = 20
UDP_HEADER_SIZE = 8
DONT_FRAGMENT = 0x4000
_MORE_FRAGMENTS = 0x2000
_OFFSET = 0x1FFF
_header = struct.Struct("!BBHHHBBH4s4s")
_udp = struct.Struct("!HHHH")
_icmp = struct.Struct("!BBHHH")


@dataclass(frozen=True, slots=True)
class Ipv4Header:
    """What stands before a payload: ``data[start:end]`` is the payload, of ``protocol``. ``is_fragment``: it is a part
    of one only."""

    source: Address
    destination: Address
    protocol: int
    time_to_live: int
    type_of_service: int
    is_fragment: bool
    dont_fragment: bool
    start: int
    end: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |Version|  IHL  |Type of Service|          Total Length         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |         Identification        |Flags|      Fragment Offset    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Time to Live |    Protocol   |         Header Checksum       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       Source Address                          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                    Destination Address                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def decode_ipv4_header(data: bytes, at: int = 0) -> Ipv4Header:
    """The header at ``data[at]``. ``end`` is where it says that the packet ends, even when less is there. The header
    checksum is not looked at: the kernel drops what has a wrong one. Raises DecodeError."""
    if len(data) - at < HEADER_SIZE:
        raise DecodeError(f"IPv4 header of {len(data) - at} bytes where 20 are needed", at)
    first, service, length, _, flags, time_to_live, protocol, _, source, destination = _header.unpack_from(data, at)
    size = (first & 15) * 4
    if first >> 4 != 4:
        raise DecodeError(f"IP version {first >> 4} where 4 must be", at)
    if size < HEADER_SIZE or at + size > len(data):
        raise DecodeError(f"IPv4 header length of {size} bytes", at)
    if length < size:
        raise DecodeError(f"IPv4 total length of {length} bytes, less than the header", at + 2)
    return Ipv4Header(
        V4_MAPPED + source,
        V4_MAPPED + destination,
        protocol,
        time_to_live,
        service,
        bool(flags & (_MORE_FRAGMENTS | _OFFSET)),
        bool(flags & DONT_FRAGMENT),
        at + size,
        at + length,
    )


def encode_ipv4(
    source: Address,
    destination: Address,
    protocol: int,
    payload: bytes,
    *,
    time_to_live: int = 64,
    type_of_service: int = 0,
    dont_fragment: bool = False,
) -> bytes:
    """A packet, its header checksum filled in. The identification is 0, which a raw socket replaces where it matters
    (RFC 6864 section 4). Raises ValueError for what the wire cannot hold."""
    if not (is_ipv4(source) and is_ipv4(destination)):
        raise ValueError("an address of an IPv4 packet is not IPv4")
    size = HEADER_SIZE + len(payload)
    if size > 0xFFFF:
        raise ValueError(f"an IPv4 packet holds at most 65535 bytes, not {size}")
    fields = (0x45, type_of_service, size, 0, DONT_FRAGMENT if dont_fragment else 0, time_to_live, protocol)
    addresses = source[12:], destination[12:]
    checksum = _complement(ones_sum(_header.pack(*fields, 0, *addresses)))
    return _header.pack(*fields, checksum, *addresses) + payload


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """A UDP payload (RFC 768) with the ports."""

    source_port: int
    destination_port: int
    data: bytes


def decode_udp(data: bytes, start: int, end: int) -> UdpDatagram:
    """The datagram in ``data[start:end]``. The checksum is not looked at: it may be left out in IPv4, and what is
    inside of a tunnel has its own. Raises DecodeError."""
    if end - start < UDP_HEADER_SIZE:
        raise DecodeError(f"UDP header of {end - start} bytes where 8 are needed", start)
    source_port, destination_port, length, _ = _udp.unpack_from(data, start)
    if not UDP_HEADER_SIZE <= length <= end - start:
        raise DecodeError(f"UDP length of {length} bytes where {end - start} are there", start + 4)
    return UdpDatagram(source_port, destination_port, data[start + UDP_HEADER_SIZE : start + length])


def encode_udp(source: Address, destination: Address, datagram: UdpDatagram) -> bytes:
    """Header and payload, the checksum over IPv4's pseudo-header filled in. Raises ValueError for what the wire cannot
    hold."""
    size = UDP_HEADER_SIZE + len(datagram.data)
    if size > 0xFFFF or datagram.source_port >> 16 or datagram.destination_port >> 16:
        raise ValueError("a UDP port or length does not fit in 16 bits")
    header = _udp.pack(datagram.source_port, datagram.destination_port, size, 0)
    total = ones_sum(source[12:] + destination[12:]) + UDP + size + ones_sum(header) + ones_sum(datagram.data)
    return header[:6] + _complement(total % 0xFFFF).to_bytes(2) + datagram.data


@dataclass(frozen=True, slots=True)
class Icmpv4Message:
    """An ICMPv4 message (RFC 792). ``mtu`` is that of a destination unreachable with code 4 (RFC 1191 section 4), 0 in
    others; ``quoted`` is everything behind the first 8 bytes: of an error the beginning of the packet concerned."""

    type: int
    code: int
    mtu: int
    quoted: bytes

    DESTINATION_UNREACHABLE = 3
    TIME_EXCEEDED = 11
    FRAGMENTATION_NEEDED = 4
    HOST_UNREACHABLE = 1


def decode_icmpv4(data: bytes, start: int, end: int) -> Icmpv4Message:
    """The message in ``data[start:end]``, its checksum not looked at. Raises DecodeError."""
    if end - start < _icmp.size:
        raise DecodeError(f"ICMP message of {end - start} bytes where 8 are needed", start)
    kind, code, _, _, mtu = _icmp.unpack_from(data, start)
    is_too_big = kind == Icmpv4Message.DESTINATION_UNREACHABLE and code == Icmpv4Message.FRAGMENTATION_NEEDED
    return Icmpv4Message(kind, code, mtu if is_too_big else 0, data[start + _icmp.size : end])


def encode_icmpv4(message: Icmpv4Message) -> bytes:
    """The message with its checksum. Raises ValueError for what the wire cannot hold."""
    if message.type >> 8 or message.code >> 8 or message.mtu >> 16:
        raise ValueError("type, code or MTU of an ICMP message do not fit")
    data = _icmp.pack(message.type, message.code, 0, 0, message.mtu) + message.quoted
    return data[:2] + _complement(ones_sum(data)).to_bytes(2) + data[4:]


def _complement(total: int) -> int:
    """Never 0, which UDP takes for no checksum; 0xffff is the same number in one's complement."""
    return 0xFFFF - total
