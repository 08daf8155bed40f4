"""Wires with delay, rate and loss on a kernel without netem: one process that carries frames between pairs of ports.

Run inside the namespace of the ports as ``python -m unwired.lab.relay SPECIFICATION``, a JSON file with ``seed`` and
``wires``, each with its two ports (``a``, ``b``) and its shape. A frame is read from one port's packet socket, waits,
and is written to the other's. PACKET_VNET_HDR carries along which checksums are still to be filled in. (It would carry
frames of 64 kB, too, but not such a frame in an IPv6 tunnel: what feeds a relay segments, see ``offload.py``.) recvmmsg
and sendmmsg carry a batch of frames for little more than one costs.

Memory is bounded: all frames wait in one pool; frames that find it full, or a rate's queue longer than its
``queue_ms``, are dropped and counted. At SIGTERM the counters are printed as a JSON object.

While it runs, a datagram to the socket ``control`` of the specification cuts wires, which then swallow every frame, or
heals them: see ``cut.py``.
"""

import contextlib
import ctypes
import gc
import heapq
import json
import mmap
import os
import random
import select
import signal
import socket
import sys
from array import array
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from unwired.lab import cut

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
_libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

# struct mmsghdr as eight 64-bit words: name, name length, iov, iov length, control, its length, flags, received bytes.
_HEADER_WORDS = 8
_HEADER_BYTES = 8 * _HEADER_WORDS
_IOV, _IOV_LENGTH, _RECEIVED = 2, 3, 7
_LOW_HALF = 0xFFFFFFFF


class _Headers:
    """A batch of message headers for recvmmsg or sendmmsg, each with one part (iov)."""

    def __init__(self) -> None:
        self.words = array("Q", bytes(_BATCH * _HEADER_BYTES))
        self.address = self.words.buffer_info()[0]
        for index in range(_BATCH):
            self.words[index * _HEADER_WORDS + _IOV_LENGTH] = 1


class Pool:
    """The frames that wait, in slots. Those given back last are used first, so that few pages are ever touched."""

    def __init__(self, slots: int = _SLOTS) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        self._memory = mmap.mmap(-1, slots * _SLOT_BYTES, flags=flags)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._parts = array("Q", [0]) * (2 * slots)
        """Each slot's struct iovec: address, length."""
        for slot in range(slots):
            self._parts[2 * slot] = base + slot * _SLOT_BYTES
            self._parts[2 * slot + 1] = _SLOT_BYTES
        parts = self._parts.buffer_info()[0]
        self._part_addresses = [parts + 16 * slot for slot in range(slots)]
        self._free = list(range(slots - 1, _BATCH - 1, -1))
        self._sending, self._receiving = _Headers(), _Headers()
        self._window = list(range(_BATCH))
        """The slots that the next frames are read into."""
        for index, slot in enumerate(self._window):
            self._receiving.words[index * _HEADER_WORDS + _IOV] = self._part_addresses[slot]

    @property
    def free(self) -> int:
        return len(self._free)

    def receive(self, descriptor: int) -> tuple[int, list[int]]:
        """How many frames were read, at most a batch, and the slots they are in. No slots: there is no room for them,
        and they are gone. The caller gives the slots back."""
        received: int = _libc.recvmmsg(descriptor, self._receiving.address, _BATCH, socket.MSG_DONTWAIT, None)
        if received <= 0:
            return 0, []
        if len(self._free) < received:
            return received, []
        words, parts, window = self._receiving.words, self._parts, self._window
        slots = window[:received]
        for index, slot in enumerate(slots):
            at = index * _HEADER_WORDS
            parts[2 * slot + 1] = words[at + _RECEIVED] & _LOW_HALF
            window[index] = fresh = self._free.pop()
            parts[2 * fresh + 1] = _SLOT_BYTES
            words[at + _IOV] = self._part_addresses[fresh]
        return received, slots

    def frame_bytes(self, slot: int) -> int:
        return self._parts[2 * slot + 1] - _VNET_HEADER_BYTES

    def send(self, descriptor: int, slots: list[int]) -> int:
        """Send frames, at most a batch, and give their slots back; how many were not taken."""
        words, count = self._sending.words, len(slots)
        for index, slot in enumerate(slots):
            words[index * _HEADER_WORDS + _IOV] = self._part_addresses[slot]
        refused = done = 0
        while done < count:
            first = self._sending.address + done * _HEADER_BYTES
            sent = _libc.sendmmsg(descriptor, first, count - done, socket.MSG_DONTWAIT)
            if sent <= 0:  # the first one is refused: go on behind it
                refused += 1
                sent = 1
            done += sent
        self._free += slots
        return refused

    def give_back(self, slots: list[int]) -> None:
        self._free += slots


@dataclass(slots=True)
class Counters:
    frames: int = 0
    lost: int = 0
    queue_full: int = 0
    pool_full: int = 0
    refused: int = 0
    cut: int = 0
    late_max_ms: float = 0.0
    """The longest that a frame waited for this process beyond its time."""


class Direction:
    """One way of a wire: when each frame that comes in is due at the other end. ``seed`` chooses which are lost."""

    def __init__(self, pool: Pool, source: int, sink: int, shape: dict[str, Any], seed: str) -> None:
        self._pool, self._source, self._sink = pool, source, sink
        self._delay_s = shape.get("delay_ms", 0) / 1e3
        rate_mbit = shape.get("rate_mbit")
        self._seconds_a_byte = 8 / (rate_mbit * 1e6) if rate_mbit else 0.0
        self._loss = shape.get("loss_percent", 0) / 100
        self._queue_s = shape.get("queue_ms", 100) / 1e3
        self._random = random.Random(seed)
        self._busy_until = 0.0
        self._waiting: deque[tuple[float, list[int]]] = deque()
        self.is_on_agenda = False
        self._is_cut = False
        self.counters = Counters()

    @property
    def due(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def pull(self) -> None:
        """Take in what has arrived."""
        while True:
            received, slots = self._pool.receive(self._source)
            self.counters.frames += received
            if slots and self._is_cut:
                self._swallow(slots)
            elif slots:
                self._schedule(monotonic(), slots)
            else:
                self.counters.pool_full += received
            if received < _BATCH:
                return

    def cut(self, cut: bool) -> None:
        """Swallow every frame from now on, those on their way included; or carry them again."""
        self._is_cut = cut
        if cut:
            for _, slots in self._waiting:
                self._swallow(slots)
            self._waiting.clear()

    def _swallow(self, slots: list[int]) -> None:
        self.counters.cut += len(slots)
        self._pool.give_back(slots)

    def _schedule(self, now: float, slots: list[int]) -> None:
        if self._loss:
            lost = [slot for slot in slots if self._random.random() < self._loss]
            if lost:
                self.counters.lost += len(lost)
                slots = [slot for slot in slots if slot not in lost]
                self._pool.give_back(lost)
        if not self._seconds_a_byte:
            if slots:
                self._waiting.append((now + self._delay_s, slots))
            return
        for slot in slots:
            gone = max(now, self._busy_until) + self._pool.frame_bytes(slot) * self._seconds_a_byte
            if gone - now > self._queue_s:
                self.counters.queue_full += 1
                self._pool.give_back([slot])
            else:
                self._busy_until = gone
                self._waiting.append((gone + self._delay_s, [slot]))

    def push(self, now: float) -> None:
        """Send what is due."""
        if self._waiting:
            self.counters.late_max_ms = max(self.counters.late_max_ms, (now - self._waiting[0][0]) * 1e3)
        while self._waiting and self._waiting[0][0] <= now:
            _, slots = self._waiting.popleft()
            self.counters.refused += self._pool.send(self._sink, slots)


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
    control = cut.open_control(Path(specification["control"]))
    epoll.register(control.fileno(), select.EPOLLIN)
    by_source: dict[int, Direction] = {}
    ports: list[socket.socket] = []
    names: list[str] = []
    for index, wire in enumerate(specification["wires"]):
        a, b = _open_port(wire["a"]), _open_port(wire["b"])
        ports += [a, b]
        for way, (source, sink) in enumerate(((a, b), (b, a))):
            seed = f"{specification['seed']}/{index}/{way}"
            by_source[source.fileno()] = Direction(pool, source.fileno(), sink.fileno(), wire, seed)
            epoll.register(source.fileno(), select.EPOLLIN)
        names += [f"{wire['a']}>{wire['b']}", f"{wire['b']}>{wire['a']}"]
    directions = list(by_source.values())
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with contextlib.suppress(OSError):  # a wire waits for nobody
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.freeze()
    gc.disable()
    print(READY, flush=True)
    agenda: list[tuple[float, int]] = []
    """When the first frame of a direction is due, and the direction's place in the list."""
    places = {direction: place for place, direction in enumerate(directions)}

    def put(direction: Direction) -> None:
        due = direction.due
        direction.is_on_agenda = due is not None
        if due is not None:
            heapq.heappush(agenda, (due, places[direction]))

    while True:
        # A direction that was cut may stay on the agenda with nothing due: push finds nothing.
        timer.set(agenda[0][0] if agenda else None)
        for descriptor, _ in epoll.poll():
            if descriptor == timer.descriptor:
                timer.clear()
            elif descriptor == stop_reader.fileno():
                counted = {name: vars_of(one.counters) for name, one in zip(names, directions, strict=True)}
                print(json.dumps(counted), flush=True)
                signal.set_wakeup_fd(-1)
                return
            elif descriptor == control.fileno():
                cut.obey(control, directions)
            else:
                direction = by_source[descriptor]
                direction.pull()
                if not direction.is_on_agenda:
                    put(direction)
        now = monotonic()
        while agenda and agenda[0][0] <= now:
            direction = directions[heapq.heappop(agenda)[1]]
            direction.push(now)
            put(direction)


def vars_of(counters: Counters) -> dict[str, float]:
    return {name: getattr(counters, name) for name in Counters.__slots__}


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
