"""Captures of every kind that is read, the ways to be damaged, and that they are read as a stream."""

import io
import struct
from typing import BinaryIO, cast

import pytest

from unwired.wire.pcap import (
    LINK_ETHERNET,
    LINK_IPV6,
    LINK_LINUX_COOKED,
    LINK_LINUX_COOKED_2,
    LINK_NULL,
    LINK_RAW,
    CaptureError,
    Frame,
    ip_offset,
    read_frames,
)

PACKET = b"\x60" + bytes(39)


def pcap(*packets: bytes, order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = LINK_RAW) -> bytes:
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    return header + b"".join(struct.pack(order + "IIII", 7, 5, len(data), len(data)) + data for data in packets)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, 0) + options, order)


def enhanced(data: bytes, number: int = 0, ticks: int = 0, order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data, order)


def read(data: bytes) -> list[Frame]:
    return list(read_frames(io.BytesIO(data)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap(order: str, magic: int, fraction_ns: int) -> None:
    frames = read(pcap(PACKET, b"x", b"", order=order, magic=magic))
    timestamp_ns = 7_000_000_000 + 5 * fraction_ns
    assert frames == [Frame(number, timestamp_ns, LINK_RAW, data) for number, data in enumerate((PACKET, b"x", b""), 1)]


def test_pcap_with_frame_check_sequence_flag() -> None:
    """The upper bits of the link type say how long the frame check sequence is."""
    assert read(pcap(PACKET, link_type=0x2400_0000 | LINK_ETHERNET))[0].link_type == LINK_ETHERNET


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    nanoseconds = struct.pack(order + "HHBxxxHH", 9, 1, 9, 0, 0)
    halves = struct.pack(order + "HHBxxx", 9, 1, 0x81)
    data = b"".join(
        (
            section(order),
            interface(LINK_RAW, order=order),
            interface(LINK_ETHERNET, nanoseconds, order),
            interface(LINK_IPV6, halves, order),
            block(5, bytes(12), order),  # statistics: skipped
            enhanced(PACKET, 0, 5, order),
            enhanced(b"odd", 1, 1 << 33, order),
            enhanced(PACKET, 2, 3, order),
            block(3, struct.pack(order + "I", 40) + PACKET, order),
        )
    )
    assert read(data) == [
        Frame(1, 5000, LINK_RAW, PACKET),
        Frame(2, 1 << 33, LINK_ETHERNET, b"odd"),
        Frame(3, 1_500_000_000, LINK_IPV6, PACKET),
        Frame(4, 0, LINK_RAW, PACKET),
    ]


def test_pcapng_sections_have_their_own_interfaces() -> None:
    data = section() + interface(LINK_RAW) + enhanced(PACKET) + section(">") + interface(LINK_ETHERNET, order=">")
    frames = read(data + enhanced(PACKET, order=">"))
    assert [(frame.number, frame.link_type) for frame in frames] == [(1, LINK_RAW), (2, LINK_ETHERNET)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"#!/bin/sh", "neither a pcap nor a pcapng file"),
        (pcap()[:20], "ends inside the pcap header"),
        (pcap(PACKET)[:-1], "ends inside frame 1, 1 bytes are missing"),
        (pcap(PACKET)[:30], "ends inside the header of frame 1"),
        (pcap() + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31), "frame 1 claims 2147483648 bytes"),
        (section()[:6], "ends inside a block header"),
        (section()[:8] + bytes(20), "without a byte order"),
        (section() + struct.pack("<II", 6, 13), "block of 13 bytes"),
        (section() + struct.pack("<II", 6, 1 << 30), "block of 1073741824 bytes"),
        (section() + enhanced(PACKET), "interface 0, which the file does not describe"),
        (section() + interface(LINK_RAW) + enhanced(PACKET)[:-1], "ends inside a block"),
        (section() + interface(LINK_RAW) + block(6, bytes(12)), "block of frame 1 cut short"),
        (section() + block(1, b""), "interface description cut short"),
        (section() + interface(LINK_RAW) + block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99)), "claims 99 bytes"),
    ],
)
def test_damaged(data: bytes, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        read(data)


def test_frames_before_the_damage_are_given() -> None:
    frames = read_frames(io.BytesIO(pcap(PACKET, PACKET)[:-1]))
    assert next(frames).number == 1
    with pytest.raises(CaptureError):
        next(frames)


def test_a_capture_is_read_as_a_stream() -> None:
    """No more is read than the frame that is asked for, however large the file is."""

    class Endless:
        def __init__(self) -> None:
            self.given = 0
            self.left = pcap()

        def read(self, size: int) -> bytes:
            if len(self.left) < size:
                self.left += struct.pack("<IIII", 0, 0, len(PACKET), len(PACKET)) + PACKET
            data, self.left = self.left[:size], self.left[size:]
            self.given += len(data)
            return data

    file = Endless()
    frames = read_frames(cast(BinaryIO, file))
    for number in range(1, 1000):
        assert next(frames).number == number
        assert file.given == 24 + number * 56


ETHERTYPE = b"\x86\xdd"


@pytest.mark.parametrize(
    ("link_type", "data", "offset"),
    [
        (LINK_ETHERNET, bytes(12) + ETHERTYPE + PACKET, 14),
        (LINK_ETHERNET, bytes(12) + b"\x81\0\0\x07" + ETHERTYPE + PACKET, 18),
        (LINK_ETHERNET, bytes(12) + b"\x88\xa8\0\x07\x81\0\0\x08" + ETHERTYPE + PACKET, 22),
        (LINK_ETHERNET, bytes(12) + b"\x08\0\x45" + bytes(30), 14),
        (LINK_ETHERNET, bytes(12) + b"\x08\x06" + PACKET, None),
        (LINK_ETHERNET, bytes(12) + b"\x81\0" * 3, None),
        (LINK_ETHERNET, bytes(5), None),
        (LINK_LINUX_COOKED, bytes(14) + ETHERTYPE + PACKET, 16),
        (LINK_LINUX_COOKED, bytes(14) + b"\x08\0\x45" + bytes(30), 16),
        (LINK_LINUX_COOKED, bytes(14) + b"\x08\x06" + PACKET, None),
        (LINK_LINUX_COOKED_2, ETHERTYPE + bytes(18) + PACKET, 20),
        (LINK_LINUX_COOKED_2, bytes(20) + PACKET, None),
        (LINK_RAW, PACKET, 0),
        (LINK_RAW, b"\x45" + bytes(30), 0),
        (LINK_RAW, b"\x35" + bytes(30), None),
        (LINK_RAW, b"", None),
        (LINK_IPV6, PACKET, 0),
        (LINK_NULL, b"\x1e\0\0\0" + PACKET, 4),
        (LINK_NULL, b"\x02\0\0\0\x45", 4),
        (LINK_NULL, b"\x02\0\0\0", None),
        (105, bytes(60), None),
    ],
)
def test_where_ip_starts(link_type: int, data: bytes, offset: int | None) -> None:
    assert ip_offset(Frame(1, 0, link_type, data)) == offset
