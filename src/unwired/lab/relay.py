"""Wires with delay, rate and loss on a kernel without netem: one process that carries frames between pairs of ports.

Run inside the namespace of the ports as ``python -m unwired.lab.relay SPECIFICATION``, a JSON file with ``seed`` and
``wires``, each with its two ports (``a``, ``b``) and its shape. A frame is read from one port's packet socket, waits,
and is written to the other's. PACKET_VNET_HDR carries along which checksums are still to be filled in. (It would carry
frames of 64 kB, too, but not such a frame in an IPv6 tunnel: what feeds a relay segments, see ``offload.py``.) recvmmsg
and sendmmsg work on numpy buffers: a batch of frames costs about what one costs.

Memory is bounded: all frames wait in one pool; frames that find it full, or a rate's queue longer than its
``queue_ms``, are dropped and counted. At SIGTERM the counters are printed as a JSON object.
"""

import ctypes
import gc
import json
import mmap
import os
import select
import signal
import socket
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy
from numpy.typing import NDArray

READY = "relay: ready"
_BATCH = 64
_SLOTS = 32_768
_SLOT_BYTES = 65_536 + 256
_VNET_HEADER_BYTES = 10
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_PACKET_QDISC_BYPASS = 20
_PACKET_IGNORE_OUTGOING = 23
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SOCKET_BUFFER_BYTES = 32 << 20
_ETH_P_ALL = 3
_PR_SET_TIMERSLACK = 29
_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1

_libc = ctypes.CDLL(None, use_errno=True)
_message_header = numpy.dtype(
    [
        ("name", "u8"), ("name_length", "u4"), ("_1", "u4"), ("iov", "u8"), ("iov_length", "u8"),
        ("control", "u8"), ("control_length", "u8"), ("flags", "u4"), ("_2", "u4"), ("length", "u4"), ("_3", "u4"),
    ]
)  # fmt: skip

Slots = NDArray[numpy.int64]
Lengths = NDArray[numpy.uint64]


class Pool:
    """The frames that wait. Slots are taken from the top of a stack, so that few pages are ever touched."""

    def __init__(self, slots: int = _SLOTS) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        self._memory = mmap.mmap(-1, slots * _SLOT_BYTES, flags=flags)
        base = numpy.frombuffer(self._memory, numpy.uint8).ctypes.data
        self._addresses = base + numpy.arange(slots, dtype=numpy.uint64) * numpy.uint64(_SLOT_BYTES)
        self._free = numpy.arange(slots, dtype=numpy.int64)
        self._top = slots
        self._iov = numpy.zeros((_BATCH, 2), numpy.uint64)
        self._messages = numpy.zeros(_BATCH, _message_header)
        self._messages["iov"] = self._iov.ctypes.data + numpy.arange(_BATCH, dtype=numpy.uint64) * numpy.uint64(16)
        self._messages["iov_length"] = 1
        self._pointer = self._messages.ctypes.data

    @property
    def free(self) -> int:
        return self._top

    def receive(self, descriptor: int) -> tuple[Slots, Lengths]:
        """As many frames as there are, up to a batch; the caller gives their slots back."""
        room = min(_BATCH, self._top)
        slots = self._free[self._top - room : self._top].copy()
        self._iov[:room, 0] = self._addresses[slots]
        self._iov[:room, 1] = _SLOT_BYTES
        got = _libc.recvmmsg(descriptor, ctypes.c_void_p(self._pointer), room, socket.MSG_DONTWAIT, None)
        got = max(0, got)
        self._free[self._top - room : self._top - got] = slots[got:]
        self._top -= got
        return slots[:got], self._messages["length"][:got].astype(numpy.uint64)

    def send(self, descriptor: int, slots: Slots, lengths: Lengths) -> int:
        """Send frames and give their slots back; how many were not taken."""
        count = len(slots)
        self._iov[:count, 0] = self._addresses[slots]
        self._iov[:count, 1] = lengths
        refused = done = 0
        while done < count:
            pointer = ctypes.c_void_p(self._pointer + done * _message_header.itemsize)
            sent = _libc.sendmmsg(descriptor, pointer, count - done, socket.MSG_DONTWAIT)
            if sent <= 0:  # the first one is refused: go on behind it
                refused += 1
                sent = 1
            done += sent
        self.give_back(slots)
        return refused

    def give_back(self, slots: Slots) -> None:
        self._free[self._top : self._top + len(slots)] = slots
        self._top += len(slots)


@dataclass(slots=True)
class Counters:
    frames: int = 0
    lost: int = 0
    queue_full: int = 0
    pool_full: int = 0
    refused: int = 0


class Direction:
    """One way of a wire: when each frame that comes in is due at the other end."""

    def __init__(self, pool: Pool, source: int, sink: int, shape: dict[str, Any], seed: tuple[int, ...]) -> None:
        self._pool, self._source, self._sink = pool, source, sink
        self._delay_s = shape.get("delay_ms", 0) / 1e3
        rate_mbit = shape.get("rate_mbit")
        self._seconds_a_byte = 8 / (rate_mbit * 1e6) if rate_mbit else 0.0
        self._loss = shape.get("loss_percent", 0) / 100
        self._queue_s = shape.get("queue_ms", 100) / 1e3
        self._random = numpy.random.default_rng(seed)
        self._busy_until = 0.0
        self._waiting: deque[tuple[float, Slots, Lengths]] = deque()
        self.counters = Counters()

    @property
    def due(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def pull(self) -> None:
        """Take in what has arrived."""
        while True:
            full = self._pool.free <= _BATCH  # keep a batch to read into, or the socket would stay readable
            slots, lengths = self._pool.receive(self._source)
            if not len(slots):
                return
            self.counters.frames += len(slots)
            if full:
                self.counters.pool_full += len(slots)
                self._pool.give_back(slots)
            else:
                self._schedule(monotonic(), slots, lengths)
            if len(slots) < _BATCH:
                return

    def _schedule(self, now: float, slots: Slots, lengths: Lengths) -> None:
        if self._loss:
            kept = self._random.random(len(slots)) >= self._loss
            self.counters.lost += len(slots) - int(kept.sum())
            self._pool.give_back(slots[~kept])
            slots, lengths = slots[kept], lengths[kept]
        if not self._seconds_a_byte:
            if len(slots):
                self._waiting.append((now + self._delay_s, slots, lengths))
            return
        frame_bytes = lengths - numpy.uint64(_VNET_HEADER_BYTES)
        gone = max(now, self._busy_until) + numpy.cumsum(frame_bytes) * self._seconds_a_byte
        fitting = int(numpy.searchsorted(gone, now + self._queue_s, side="right"))
        self.counters.queue_full += len(slots) - fitting
        self._pool.give_back(slots[fitting:])
        if fitting:
            self._busy_until = float(gone[fitting - 1])
        for index in range(fitting):
            due = float(gone[index]) + self._delay_s
            self._waiting.append((due, slots[index : index + 1], lengths[index : index + 1]))

    def push(self, now: float) -> None:
        """Send what is due."""
        while self._waiting and self._waiting[0][0] <= now:
            _, slots, lengths = self._waiting.popleft()
            self.counters.refused += self._pool.send(self._sink, slots, lengths)


class _Timer:
    """A timer that epoll waits for with better than its own millisecond."""

    def __init__(self) -> None:
        self.descriptor = _libc.timerfd_create(1, _TFD_NONBLOCK_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = (ctypes.c_long * 4)()
        self._at: float | None = None

    def set(self, at: float | None) -> None:
        """``at`` in CLOCK_MONOTONIC seconds; None: never."""
        if at == self._at:
            return
        self._at = at
        self._setting[2], self._setting[3] = (0, 0) if at is None else (int(at), max(1, int(at % 1 * 1e9)))
        _libc.timerfd_settime(self.descriptor, _TFD_TIMER_ABSTIME, self._setting, None)

    def clear(self) -> None:
        self._at = None
        os.read(self.descriptor, 8)


def _open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    for option in (_PACKET_VNET_HDR, _PACKET_QDISC_BYPASS, _PACKET_IGNORE_OUTGOING):
        port.setsockopt(_SOL_PACKET, option, 1)
    for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
        port.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    port.setblocking(False)
    port.bind((name, _ETH_P_ALL))
    return port


def run(specification: dict[str, Any]) -> None:
    """Relay until SIGTERM or SIGINT."""
    pool = Pool()
    epoll = select.epoll()
    timer = _Timer()
    epoll.register(timer.descriptor, select.EPOLLIN)
    stop_reader, stop_writer = socket.socketpair()
    stop_writer.setblocking(False)
    signal.set_wakeup_fd(stop_writer.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    epoll.register(stop_reader.fileno(), select.EPOLLIN)
    by_source: dict[int, Direction] = {}
    ports: list[socket.socket] = []
    names: list[str] = []
    for index, wire in enumerate(specification["wires"]):
        a, b = _open_port(wire["a"]), _open_port(wire["b"])
        ports += [a, b]
        for way, (source, sink) in enumerate(((a, b), (b, a))):
            seed = (specification["seed"], index, way)
            by_source[source.fileno()] = Direction(pool, source.fileno(), sink.fileno(), wire, seed)
            epoll.register(source.fileno(), select.EPOLLIN)
        names += [f"{wire['a']}>{wire['b']}", f"{wire['b']}>{wire['a']}"]
    directions = list(by_source.values())
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.freeze()
    gc.disable()
    print(READY, flush=True)
    while True:
        timer.set(min((direction.due for direction in directions if direction.due is not None), default=None))
        for descriptor, _ in epoll.poll():
            if descriptor == timer.descriptor:
                timer.clear()
            elif descriptor == stop_reader.fileno():
                counted = {name: vars_of(one.counters) for name, one in zip(names, directions, strict=True)}
                print(json.dumps(counted), flush=True)
                signal.set_wakeup_fd(-1)
                return
            else:
                by_source[descriptor].pull()
        now = monotonic()
        for direction in directions:
            direction.push(now)


def vars_of(counters: Counters) -> dict[str, int]:
    return {name: getattr(counters, name) for name in Counters.__slots__}


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
