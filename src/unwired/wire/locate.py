"""Which part of a malformed mobility packet an error is about, and the section of the RFC that says how it must be."""

from typing import NamedTuple

from unwired.wire.families import FAMILIES, SubOptions
from unwired.wire.icmpv6 import ICMPV6, icmp_class
from unwired.wire.ipv6 import DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING, Headers
from unwired.wire.mobility import HEADER_SIZE, MOBILITY_HEADER, OPTIONS, message_class, option_end
from unwired.wire.nd_options import ND_OPTIONS


class Part(NamedTuple):
    """A header field, message, option or sub-option by its RFC's name, and the section."""

    name: str
    reference: str


_EXTENSIONS = {
    HOP_BY_HOP: Part("Hop-by-Hop Options header", "RFC 8200, 4.3"),
    ROUTING: Part("Type 2 Routing Header", "RFC 6275, 6.4"),
    DESTINATION_OPTIONS: Part("Destination Options header", "RFC 8200, 4.6"),
}
_HOME_ADDRESS = Part("Home Address Option", "RFC 6275, 6.3")
_HOME_ADDRESS_OPTION = 201
_HEADER_FIELDS = ("Payload Proto", "Header Len", "MH Type", "Reserved", "Checksum", "Checksum")
_ND_OPTIONS_START = {133: 8, 134: 16, 135: 24, 136: 24, 146: 8, 147: 8, 154: 8}
"""Where the options of an ICMPv6 message start, by its type (RFC 4861 section 4, RFC 6275 sections 6.7 and 6.8, RFC
5568 section 6.1)."""


def part_at(data: bytes, headers: Headers, offset: int) -> Part:
    """The part at ``data[offset]`` of a packet whose headers have been walked as far as they go."""
    if offset >= min(headers.end, len(data)):
        return Part("Payload Length", "RFC 8200, 3")
    if headers.protocol in _EXTENSIONS:
        is_home_address = _HOME_ADDRESS_OPTION in data[max(headers.start, offset - 1) : offset + 1]
        if headers.protocol == DESTINATION_OPTIONS and is_home_address:
            return _HOME_ADDRESS
        return _EXTENSIONS[headers.protocol]
    at = offset - headers.start
    if headers.protocol == ICMPV6:
        return _part_of_icmp(data[headers.start : headers.end], at)
    header = data[headers.start : headers.end]
    return _part_of_mobility(header, at) if headers.protocol == MOBILITY_HEADER else Part("payload", "RFC 8200, 3")


def _part_of_mobility(header: bytes, at: int) -> Part:
    if at < HEADER_SIZE:
        return Part(_HEADER_FIELDS[at], "RFC 6275, 6.1.1")
    cls = message_class(header)
    if cls is None:
        return Part("Message Data", "RFC 6275, 6.1.1")
    message = Part(cls.NAME, cls.REFERENCE)
    if len(header) < HEADER_SIZE + cls.LAYOUT.size:
        return message
    start = HEADER_SIZE + cls.LAYOUT.length(header, HEADER_SIZE)
    while start <= at and start + 1 < len(header):
        end = start + 1 if header[start] == 0 else option_end(header, start)
        if at < end:
            return _part_of_option(header, start, end, at)
        start = end
    return message


def _part_of_option(header: bytes, start: int, end: int, at: int) -> Part:
    """The option, or the sub-option in it."""
    option = OPTIONS.get(header[start])
    if option is None:
        return Part(f"option {header[start]}", "RFC 6275, 6.2.1")
    tail = option.LAYOUT.tail
    family = FAMILIES.get(tail.kind) if tail else None
    inside = start + 2 + option.LAYOUT.size
    member = family.member_at(header, inside, end, at) if isinstance(family, SubOptions) else None
    return _of(member or option)


def _part_of_icmp(message: bytes, at: int) -> Part:
    cls = icmp_class(message, 0)
    if cls is None:
        return Part("ICMPv6 message", "RFC 4443, 2.1")
    start = _ND_OPTIONS_START.get(message[0], len(message))
    while start <= at and start + 1 < len(message) and message[start + 1]:
        end = start + 8 * message[start + 1]
        if at < end and message[start] in ND_OPTIONS:
            return _of(ND_OPTIONS[message[start]])
        start = end
    return Part(cls.NAME, cls.REFERENCE)


def _of(declared: type) -> Part:
    return Part(declared.NAME, declared.REFERENCE)  # type: ignore[attr-defined]
