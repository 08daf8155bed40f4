"""A pool of IPv4 addresses or prefixes, of which a member of a home agent set gives out its own share.

A block is an address or a prefix: its first address and how many there are, both as numbers; blocks do not overlap.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from unwired.core.settings import Prefix
from unwired.wire.address import Address


def block_of(prefix: Address, length: int = 128) -> tuple[int, int]:
    """First address and size of a prefix; an address is one of length 128."""
    size = 1 << (128 - length)
    return int.from_bytes(prefix) // size * size, size


def prefix_of(start: int, size: int) -> Prefix:
    """The other way round."""
    return start.to_bytes(16), 129 - size.bit_length()


class Ipv4Pool:
    """``share`` is (which, of how many): each pool prefix is cut into so many equal parts, and the one counted from 0
    is ours to give out of. What others have given is known here all the same.

    ``unbound`` has our own blocks that are given but in no binding, the one that has been so for the longest first.
    """

    def __init__(self, prefixes: Iterable[Prefix], share: tuple[int, int] = (0, 1)) -> None:
        which, count = share
        self._ranges = [(start, start + size) for start, size in (block_of(*prefix) for prefix in prefixes)]
        self._ours = [
            (start + (end - start) * which // count, start + (end - start) * (which + 1) // count)
            for start, end in self._ranges
        ]
        self._starts: list[int] = []
        self._blocks: dict[int, tuple[int, Address]] = {}
        self._next = 0
        self._full: set[int] = set()
        self._reserved = 0
        self.unbound: dict[int, None] = {}

    @property
    def size(self) -> int:
        """How many addresses the whole pool has."""
        return sum(end - start for start, end in self._ranges)

    @property
    def size_of_ours(self) -> int:
        """How many addresses there are in our share."""
        return sum(end - start for start, end in self._ours)

    @property
    def given(self) -> int:
        """How many blocks are somebody's, whoever gave them."""
        return len(self._starts) - self._reserved

    def covers(self, start: int, size: int) -> bool:
        """Whether a block is in the pool, in whoever's share."""
        return any(first <= start and start + size <= end for first, end in self._ranges)

    def is_ours(self, start: int) -> bool:
        return any(first <= start < end for first, end in self._ours)

    def owner(self, start: int) -> Address:
        """The home address of who has the block that begins here; empty when it is reserved."""
        return self._blocks[start][1]

    def overlapping(self, start: int, size: int) -> list[int]:
        """Where the blocks begin that have addresses in common with this one."""
        at = bisect_left(self._starts, start)
        found = []
        if at and self._end(self._starts[at - 1]) > start:
            found.append(self._starts[at - 1])
        while at < len(self._starts) and self._starts[at] < start + size:
            found.append(self._starts[at])
            at += 1
        return found

    def give(self, start: int, size: int, home_address: Address) -> None:
        """A block that overlaps no other one is this home address's; with an empty one it is reserved for good."""
        self._starts.insert(bisect_right(self._starts, start), start)
        self._blocks[start] = size, home_address
        self._reserved += not home_address

    def take_back(self, start: int) -> None:
        """The block that begins here is nobody's again."""
        del self._blocks[start], self._starts[bisect_left(self._starts, start)]
        self.unbound.pop(start, None)
        self._full.clear()

    def free(self, size: int) -> int | None:
        """Where a block of this size is free in our share; None: nowhere. Looked for behind the last one that was
        given, so that each search is short; once in vain, not again until something is taken back."""
        if size in self._full:
            return None
        for begin in (self._next, 0):
            for first, end in self._ours:
                start = self._first_free(max(first, begin), end, size)
                if start is not None:
                    self._next = start + size
                    return start
        self._full.add(size)
        return None

    def longest_unbound(self, size: int) -> int | None:
        """Where the block of this size begins that was in no binding for the longest; None: all are in use."""
        return next((start for start in self.unbound if self._blocks[start][0] == size), None)

    def _first_free(self, start: int, end: int, size: int) -> int | None:
        while True:
            start = -(-start // size) * size
            if start + size > end:
                return None
            found = self.overlapping(start, size)
            if not found:
                return start
            start = self._end(found[-1])

    def _end(self, start: int) -> int:
        return start + self._blocks[start][0]
