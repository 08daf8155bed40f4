"""A packet that was in a tunnel, of which an ICMP error quotes the beginning."""

from dataclasses import dataclass

from unwired.wire.address import Address
from unwired.wire.datagram import PORT
from unwired.wire.errors import DecodeError
from unwired.wire.ipv4 import IPV4_IN_IP, UDP, UDP_HEADER_SIZE, decode_ipv4_header
from unwired.wire.ipv6 import IPV6_IN_IPV6, decode_headers


@dataclass(frozen=True, slots=True)
class Tunnelled:
    """The tunnel's ends with the UDP port of the far one, 0 without UDP; the packet's own addresses, length and as much
    of it as came back. ``dont_fragment``: nobody on the way may fragment it."""

    tunnel_start: Address
    tunnel_end: Address
    tunnel_end_port: int
    source: Address
    destination: Address
    length: int
    dont_fragment: bool
    data: bytes


def tunnelled(quoted: bytes) -> Tunnelled | None:
    """What an error's quoted packet had in it; None when that was no tunnel's, or less came back than its header."""
    try:
        start, end, port, inner = _outer(quoted)
        if inner[:1] >= b"\x60":
            if len(inner) < 40 or inner[0] >> 4 != 6:
                return None
            length = 40 + int.from_bytes(inner[4:6])
            return Tunnelled(start, end, port, inner[8:24], inner[24:40], length, True, inner)
        header = decode_ipv4_header(inner)
        return Tunnelled(start, end, port, header.source, header.destination, header.end, header.dont_fragment, inner)
    except DecodeError:
        return None


def _outer(quoted: bytes) -> tuple[Address, Address, int, bytes]:
    """Source, destination and destination port of the outer headers, and what is behind them. Raises DecodeError."""
    if quoted[:1] >= b"\x60":
        headers = decode_headers(quoted)
        if headers.protocol not in (IPV6_IN_IPV6, IPV4_IN_IP) or headers.problem:
            raise DecodeError("no tunnel", 0)
        return headers.source, headers.destination, 0, quoted[headers.start :]
    header = decode_ipv4_header(quoted)
    if header.is_fragment and quoted[6] & 0x1F | quoted[7]:
        raise DecodeError("a fragment that is not the first", 0)
    inner = quoted[header.start :]
    if header.protocol in (IPV6_IN_IPV6, IPV4_IN_IP):
        return header.source, header.destination, 0, inner
    if header.protocol != UDP or len(inner) < UDP_HEADER_SIZE or int.from_bytes(inner[:2]) != PORT:
        raise DecodeError("no tunnel", 0)
    return header.source, header.destination, int.from_bytes(inner[2:4]), inner[UDP_HEADER_SIZE:]
