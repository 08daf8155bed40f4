"""Captures: the frames of a pcap or pcapng file, one at a time, and where IP starts in each.

The reader takes a binary file that the caller opened and holds one frame at a time: a capture of any size needs the
same memory.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

LINK_NULL = 0
LINK_ETHERNET = 1
LINK_RAW = 101
LINK_LINUX_COOKED = 113
LINK_IPV6 = 229
LINK_LINUX_COOKED_2 = 276
_RAW_ALIASES = (12, 14, LINK_RAW, LINK_IPV6)
"""Raw IP as some systems number it."""

_ETHERTYPES_IP = (0x0800, 0x86DD)
_ETHERTYPES_VLAN = (0x8100, 0x88A8)
_FRAME_MAX = 1 << 20
"""A record that claims more bytes than any link carries means that the file is damaged."""
_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First bytes -> (byte order, nanoseconds in one unit of the fraction of a second)."""
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_PCAPNG_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_SECTION, _INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BLOCK_MAX = _FRAME_MAX * 2


class CaptureError(ValueError):
    """The file is no capture, or it is damaged; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A captured frame. ``number`` counts from 1 as Wireshark does; ``timestamp_ns`` since 1970 (0 when the file has
    none); ``data`` is what was captured, possibly less than was on the wire."""

    number: int
    timestamp_ns: int
    link_type: int
    data: bytes


def read_frames(file: BinaryIO) -> Iterator[Frame]:
    """The frames of a pcap or pcapng capture, in order. Raises CaptureError when the file is none, or where it is
    damaged or cut short."""
    magic = file.read(4)
    if magic in _PCAP_MAGIC:
        order, fraction_ns = _PCAP_MAGIC[magic]
        yield from _read_pcap(file, order, fraction_ns)
    elif magic == _PCAPNG_MAGIC:
        yield from _read_pcapng(file)
    elif not magic:
        raise CaptureError("the file is empty")
    else:
        raise CaptureError(f"neither a pcap nor a pcapng file: it starts with {magic.hex(' ')}")


#                          1                   2                   3
#      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#     +---------------------------------------------------------------+
#   0 |                         Magic Number                          |
#     +---------------------------------------------------------------+
#   4 |          Major Version        |         Minor Version         |
#     +---------------------------------------------------------------+
#   8 |                      Reserved1, Reserved2                     |
#     +---------------------------------------------------------------+
#  16 |                            SnapLen                            |
#     +-------------------------------+-------------------------------+
#  20 | FCS |f|0 0 0 0 0 0 0 0 0 0 0 0|         LinkType              |
#     +-------------------------------+-------------------------------+
#  then for each frame: seconds, fraction, captured length, original length, data
def _read_pcap(file: BinaryIO, order: str, fraction_ns: int) -> Iterator[Frame]:
    rest = file.read(20)
    if len(rest) < 20:
        raise CaptureError("the file ends inside the pcap header")
    link_type = struct.unpack(order + "16xI", rest)[0] & 0xFFFF
    record = struct.Struct(order + "IIII")
    number = 0
    while head := file.read(16):
        number += 1
        if len(head) < 16:
            raise CaptureError(f"the file ends inside the header of frame {number}")
        seconds, fraction, captured, _ = record.unpack(head)
        if captured > _FRAME_MAX:
            raise CaptureError(f"frame {number} claims {captured} bytes: the file is damaged")
        data = file.read(captured)
        if len(data) < captured:
            raise CaptureError(f"the file ends inside frame {number}, {captured - len(data)} bytes are missing")
        yield Frame(number, seconds * 1_000_000_000 + fraction * fraction_ns, link_type, data)


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    ticks_per_second: int


def _read_pcapng(file: BinaryIO) -> Iterator[Frame]:
    """Blocks of type, length, body, length; a section header says the byte order and forgets the interfaces."""
    order = "<"
    interfaces: list[_Interface] = []
    number = 0
    head = _PCAPNG_MAGIC + file.read(4)
    while head:
        if len(head) < 8:
            raise CaptureError(f"the file ends inside a block header, after frame {number}")
        start = b""
        if head[:4] == _PCAPNG_MAGIC:
            start = file.read(4)
            if start not in _PCAPNG_ORDER:
                raise CaptureError(f"pcapng section without a byte order, after frame {number}")
            order = _PCAPNG_ORDER[start]
            interfaces = []
        kind, length = struct.unpack(order + "II", head)
        if length % 4 or not 12 <= length <= _BLOCK_MAX:
            raise CaptureError(f"pcapng block of {length} bytes after frame {number}: the file is damaged")
        body = start + file.read(length - 8 - len(start))
        if len(body) < length - 8:
            raise CaptureError(f"the file ends inside a block, after frame {number}")
        if kind == _INTERFACE:
            interfaces.append(_pcapng_interface(body, order))
        elif kind in (_ENHANCED_PACKET, _SIMPLE_PACKET, _OBSOLETE_PACKET):
            number += 1
            yield _pcapng_frame(kind, body[:-4], order, interfaces, number)
        head = file.read(8)


def _pcapng_interface(body: bytes, order: str) -> _Interface:
    """Link type and, in option 9, the resolution of the timestamps: 10**-n or, with the high bit, 2**-n seconds."""
    if len(body) < 12:
        raise CaptureError("pcapng interface description cut short: the file is damaged")
    link_type = struct.unpack_from(order + "H", body)[0]
    ticks = 1_000_000
    at = 8
    while at + 4 <= len(body) - 4:
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 0:
            break
        if code == 9 and length == 1:
            resolution = body[at + 4]
            ticks = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link_type, ticks)


def _pcapng_frame(kind: int, body: bytes, order: str, interfaces: list[_Interface], number: int) -> Frame:
    index = high = low = 0
    if kind == _SIMPLE_PACKET:
        size = 4
        captured = min(struct.unpack_from(order + "I", body)[0], len(body) - 4) if len(body) >= 4 else 0
    else:
        size = 20
        layout = "IIIII" if kind == _ENHANCED_PACKET else "HxxIIII"
        if len(body) < size:
            raise CaptureError(f"pcapng block of frame {number} cut short: the file is damaged")
        index, high, low, captured, _ = struct.unpack_from(order + layout, body)
    if index >= len(interfaces):
        raise CaptureError(f"frame {number} is from interface {index}, which the file does not describe")
    if size + captured > len(body):
        raise CaptureError(f"frame {number} claims {captured} bytes: the file is damaged")
    interface = interfaces[index]
    timestamp_ns = (high << 32 | low) * 1_000_000_000 // interface.ticks_per_second
    return Frame(number, timestamp_ns, interface.link_type, body[size : size + captured])


def ip_offset(frame: Frame) -> int | None:
    """Where the IPv6 or IPv4 header starts in a frame; None when it carries something else, or nothing we can tell."""
    data = frame.data
    if frame.link_type == LINK_ETHERNET:
        type_at = 12
        while data[type_at : type_at + 2] and int.from_bytes(data[type_at : type_at + 2]) in _ETHERTYPES_VLAN:
            type_at += 4
        at = type_at + 2
    elif frame.link_type == LINK_LINUX_COOKED:
        type_at, at = 14, 16
    elif frame.link_type == LINK_LINUX_COOKED_2:
        type_at, at = 0, 20
    elif frame.link_type in (LINK_NULL, *_RAW_ALIASES):
        at = 4 if frame.link_type == LINK_NULL else 0
        return at if len(data) > at and data[at] >> 4 in (4, 6) else None
    else:
        return None
    return at if int.from_bytes(data[type_at : type_at + 2]) in _ETHERTYPES_IP else None


KNOWN_LINK_TYPES = frozenset((LINK_NULL, LINK_ETHERNET, LINK_LINUX_COOKED, LINK_LINUX_COOKED_2, *_RAW_ALIASES))
"""The link types in which ``ip_offset`` finds IP."""
