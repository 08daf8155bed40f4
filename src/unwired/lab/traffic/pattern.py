"""Bytes that say where in the stream they belong, and a checker that tells loss, duplication and corruption apart.

The stream is a row of 8-byte words; word n holds n, disguised by a constant so that no run of equal bytes can pass
for a place in it.
"""

import numpy

_KEY = numpy.uint64(0x9E3779B97F4A7C15)
_WORD = 8
_SURE = 2 * _WORD
"""Bytes that must agree before a place in the stream is believed."""


def pattern(position: int, length: int) -> bytes:
    """The ``length`` bytes of the stream from ``position``."""
    first = position // _WORD
    last = (position + length + _WORD - 1) // _WORD
    words = numpy.arange(first, last, dtype=numpy.uint64) ^ _KEY
    skip = position - first * _WORD
    return words.astype(">u8").tobytes()[skip : skip + length]


class Checker:
    """Takes the stream as it comes. ``position`` is the next byte awaited; the counts are in bytes."""

    def __init__(self) -> None:
        self.position = 0
        self.good = 0
        self.lost = 0
        self.duplicated = 0
        self.corrupted = 0
        self._unplaced = b""

    def jump(self, position: int) -> None:
        """The sender says that it goes on from ``position`` (a new connection)."""
        self._jump(position - self.position)

    def take(self, data: bytes) -> None:
        data, self._unplaced = self._unplaced + data, b""
        while data:
            expected = pattern(self.position, len(data))
            if data == expected:
                self._accept(len(data))
                return
            same = next(index for index in range(len(data)) if data[index] != expected[index])
            self._accept(same)
            data = data[same:]
            placed = self._place(data)
            if placed is None:
                keep = min(len(data), _SURE + _WORD - 1)
                self.corrupted += len(data) - keep
                self.position += len(data) - keep
                self._unplaced = data[-keep:]
                return
            offset, position = placed
            if position == self.position + offset:
                self.corrupted += offset
                self.position = position
                data = data[offset:]
            else:
                start = position - offset
                whole = pattern(start, offset) == data[:offset] if start >= 0 else False
                skipped = 0 if whole else offset
                self.corrupted += skipped
                self._jump(position - offset + skipped - self.position)
                data = data[skipped:]

    def finish(self) -> None:
        """The stream has ended: what could not be placed is corrupted."""
        self.corrupted += len(self._unplaced)
        self._unplaced = b""

    def _accept(self, length: int) -> None:
        self.position += length
        self.good += length

    def _jump(self, by: int) -> None:
        self.lost += max(0, by)
        self.duplicated += max(0, -by)
        self.position += by

    @staticmethod
    def _place(data: bytes) -> tuple[int, int] | None:
        """The first offset in ``data`` whose words follow each other, and its position in the stream."""
        for offset in range(len(data) - _SURE + 1):
            word = int.from_bytes(data[offset : offset + _WORD]) ^ int(_KEY)
            if word < 1 << 56 and data[offset : offset + _SURE] == pattern(word * _WORD, _SURE):
                return offset, word * _WORD
        return None
