"""Addresses as 16 packed bytes.

Everywhere inside Unwired an address is 16 bytes in network order; an IPv4 address is its v4-mapped form
(``::ffff:a.b.c.d``, RFC 4291 section 2.5.5.2). Bytes hash and compare fast and are the kernel maps' own key form;
text exists only where a person reads it.
"""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = bytes

UNSPECIFIED: Address = bytes(16)
ALL_NODES: Address = ipaddress.IPv6Address("ff02::1").packed
ALL_ROUTERS: Address = ipaddress.IPv6Address("ff02::2").packed
V4_MAPPED = bytes(10) + b"\xff\xff"
"""What stands before the four bytes of an IPv4 address."""
UNSPECIFIED_IPV4: Address = V4_MAPPED + bytes(4)
IPV4_BITS = 96
"""What a prefix length of IPv4 is less than that of the v4-mapped form, which is the one used everywhere inside."""
_NOT_ROUTABLE_IPV4 = (0, 127)
_LINK_LOCAL_IPV4 = bytes((169, 254))


def parse_address(text: str) -> Address:
    """The packed form of an IPv6 or IPv4 address in text. Raises ValueError with a clear sentence."""
    address = ipaddress.ip_address(text)
    return V4_MAPPED + address.packed if address.version == 4 else address.packed


def format_address(address: Address) -> str:
    """RFC 5952 text of a packed address; a v4-mapped one as a dotted quad."""
    if address[:12] == V4_MAPPED:
        return str(ipaddress.IPv4Address(address[12:]))
    return str(ipaddress.IPv6Address(address))


def format_prefix(prefix: Address, length: int) -> str:
    """``2001:db8::/32``; of an IPv4 prefix in v4-mapped form ``192.0.2.0/24``."""
    return f"{format_address(prefix)}/{length - IPV4_BITS if is_ipv4(prefix) and length >= IPV4_BITS else length}"


def is_ipv4(address: Address) -> bool:
    return address[:12] == V4_MAPPED


def all_of_family(address: Address) -> tuple[Address, int]:
    """The prefix of all addresses of an address's family."""
    return (UNSPECIFIED_IPV4, IPV4_BITS) if is_ipv4(address) else (UNSPECIFIED, 0)


def is_multicast(address: Address) -> bool:
    return address[0] == 0xFF or (is_ipv4(address) and 224 <= address[12] <= 239)


def is_link_local(address: Address) -> bool:
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def is_unicast_routable(address: Address) -> bool:
    """Whether an address may serve as home or care-of address: unicast, not link-local, loopback or unspecified
    (RFC 6275 sections 9.5.1 and 6.1.7, for IPv4 RFC 6890 section 2.2.2). Private IPv4 addresses may."""
    if is_ipv4(address):
        return address[12] not in _NOT_ROUTABLE_IPV4 and address[12] < 224 and address[12:14] != _LINK_LOCAL_IPV4
    return not (
        is_multicast(address) or is_link_local(address) or address == UNSPECIFIED or address == bytes(15) + b"\x01"
    )


def in_prefix(address: Address, prefix: Address, prefix_length: int) -> bool:
    shift = 128 - prefix_length
    return int.from_bytes(address) >> shift == int.from_bytes(prefix) >> shift


def network(address: Address, prefix_length: int) -> Address:
    """The prefix an address is in: its bits after ``prefix_length`` zero."""
    shift = 128 - prefix_length
    return (int.from_bytes(address) >> shift << shift).to_bytes(16)


def solicited_node(address: Address) -> Address:
    """The solicited-node multicast address (RFC 4291 section 2.7.1)."""
    return bytes.fromhex("ff0200000000000000000001ff") + address[13:]


def home_agents_anycast(prefix: Address, prefix_length: int = 64) -> Address:
    """The Mobile IPv6 Home-Agents anycast address of a prefix (RFC 2526 section 2, anycast ID 0x7e).

    Interface identifiers in EUI-64 format keep the universal/local bit zero: ``fdff:ffff:ffff:fffe``; other prefix
    lengths set all bits between prefix and anycast ID.
    """
    host_bits = 128 - prefix_length
    identifier = ((1 << host_bits) - 1) & ~0x7F | 0x7E
    if prefix_length == 64:
        identifier &= ~(1 << 57)
    return (int.from_bytes(prefix) >> host_bits << host_bits | identifier).to_bytes(16)
