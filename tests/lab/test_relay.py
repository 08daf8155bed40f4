"""The relay's schedule, on datagram sockets instead of packet sockets: no namespaces, no waiting."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from unwired.lab.relay import Direction, Pool

FRAME = bytes(10 + 990)
"""The kernel's note (virtio_net_hdr) and a frame."""


class Wire:
    """A direction between two socket pairs."""

    def __init__(self, pool: Pool, seed: str = "1/0/0", **shape: Any) -> None:
        self.pool = pool
        self.into, source = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        sink, self.out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ends = (self.into, source, sink, self.out)
        for end in self.ends:
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.direction = Direction(pool, source.fileno(), sink.fileno(), shape, seed)

    def offer(self, count: int, first: int = 0) -> None:
        """Frames that carry their number, taken in as they come: a datagram socket holds few."""
        for number in range(first, first + count):
            self.into.send(FRAME + number.to_bytes(4))
            self.direction.pull()

    def delivered(self, now: float = float("inf")) -> list[int]:
        numbers = []
        while (due := self.direction.due) is not None and due <= now:
            self.direction.push(due)
            while True:
                try:
                    numbers.append(int.from_bytes(self.out.recv(2000)[-4:]))
                except BlockingIOError:
                    break
        return numbers


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Every slot must be back at the end."""
    made = Pool(512)
    free = made.free
    yield made
    assert made.free == free


def test_frames_leave_in_order_when_they_are_due(pool: Pool) -> None:
    wire = Wire(pool, delay_ms=50)
    wire.offer(20)
    due = wire.direction.due
    assert due is not None
    assert wire.delivered(now=due - 0.001) == []
    assert wire.delivered() == list(range(20))


def test_loss_is_the_same_for_the_same_seed(pool: Pool) -> None:
    runs = []
    for seed in ("1/0/0", "1/0/0", "2/0/0"):
        wire = Wire(pool, seed, loss_percent=30)
        wire.offer(100)
        runs.append(wire.delivered())
        assert wire.direction.counters.lost == 100 - len(runs[-1])
    assert runs[0] == runs[1] != runs[2]
    assert 50 < len(runs[0]) < 90


def test_rate_spaces_frames_and_bounds_the_queue(pool: Pool) -> None:
    wire = Wire(pool, rate_mbit=8, queue_ms=50)  # a frame of about 1 kB takes 1 ms
    wire.offer(200)
    counters = wire.direction.counters
    assert counters.frames == 200
    delivered = wire.delivered()
    assert 45 <= len(delivered) <= 90  # 50 in the queue, and those that left it while 200 were offered
    assert counters.queue_full == 200 - len(delivered)
    assert delivered[:45] == list(range(45))


def test_a_full_pool_drops_and_recovers(pool: Pool) -> None:
    wire = Wire(pool, delay_ms=1000)
    wire.offer(600)
    counters = wire.direction.counters
    assert counters.pool_full == 600 - len(wire.delivered())
    assert counters.pool_full >= 600 - pool.free
    wire.offer(10)
    assert len(wire.delivered()) == 10


def test_a_cut_wire_swallows_everything_until_it_is_healed(pool: Pool) -> None:
    wire = Wire(pool, delay_ms=50)
    wire.offer(3)
    wire.direction.cut(True)
    assert wire.direction.due is None, "what was on its way is gone, too"
    wire.offer(4, first=3)
    assert wire.delivered() == []
    assert (wire.direction.counters.frames, wire.direction.counters.cut) == (7, 7)
    wire.direction.cut(False)
    wire.offer(2, first=7)
    assert wire.delivered() == [7, 8]
