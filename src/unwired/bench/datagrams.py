"""How many small UDP datagrams a second get through: sendmmsg and recvmmsg, one thread each, in two namespaces. And
frames as they are, at a given rate."""

import ctypes
import os
import socket
import threading
import time
from typing import Any

from unwired.bench.namespaces import Namespace

_BATCH = 64
_PORT = 7777
_IDLE_S = 0.2


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),  # an int, padded
        ("length", ctypes.c_size_t),  # an unsigned int, padded
    ]


_libc = ctypes.CDLL(None, use_errno=True)


def datagrams_per_second(
    sender: Namespace, source: str, receiver: Namespace, destination: str, payload_bytes: int, seconds: float
) -> float:
    """Datagrams that arrive per second of processor time that one thread spends sending as fast as it can. Between
    namespaces the whole path runs in the sender's thread, so on an idle machine this is what gets through per second,
    and on a busy one other processes' time doesn't count."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with receiver:
        incoming = socket.socket(family, socket.SOCK_DGRAM)
    with sender:
        outgoing = socket.socket(family, socket.SOCK_DGRAM)
    with incoming, outgoing:
        incoming.setsockopt(socket.SOL_SOCKET, 33, 1 << 27)  # SO_RCVBUFFORCE
        incoming.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_IDLE_S))
        incoming.bind((destination, _PORT))
        outgoing.bind((source, 0))
        outgoing.connect((destination, _PORT))
        counted: list[int] = []
        reader = threading.Thread(target=lambda: counted.append(_receive(incoming, 1)))
        reader.start()
        elapsed_s = _send(outgoing, payload_bytes, seconds, 0)
        reader.join()
    return counted[0] / elapsed_s


def send_frames(sender: Namespace, device: str, frames: bytearray, size: int, per_second: float) -> None:
    """Send a row of whole frames of ``size`` bytes each, by a device."""
    with sender:
        outgoing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with outgoing:
        outgoing.bind((device, 0))
        buffer = (ctypes.c_char * len(frames)).from_buffer(frames)
        messages, vectors = _messages_of(ctypes.addressof(buffer), size)
        start, count = time.monotonic(), len(frames) // size
        for first in range(0, count - _BATCH + 1, _BATCH):
            for index in range(_BATCH):
                vectors[index].base = ctypes.addressof(buffer) + (first + index) * size
            _libc.sendmmsg(outgoing.fileno(), messages, _BATCH, 0)
            ahead_s = first / per_second - (time.monotonic() - start)
            if ahead_s > 0:
                time.sleep(ahead_s)


def _messages(payload_bytes: int) -> tuple[object, object]:
    buffers = ctypes.create_string_buffer(payload_bytes * _BATCH)
    messages, vectors = _messages_of(ctypes.addressof(buffers), payload_bytes)
    return messages, (buffers, vectors)


def _messages_of(address: int, payload_bytes: int) -> tuple[Any, Any]:
    vectors = (_Vector * _BATCH)()
    messages = (_Message * _BATCH)()
    for index in range(_BATCH):
        vectors[index].base = address + index * payload_bytes
        vectors[index].length = payload_bytes
        messages[index].vectors = ctypes.pointer(vectors[index])
        messages[index].vector_count = 1
    return messages, vectors


def _send(outgoing: socket.socket, payload_bytes: int, seconds: float, processor: int) -> float:
    messages, _kept = _messages(payload_bytes)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[processor % len(before)]})
    start = time.thread_time()
    try:
        while (elapsed_s := time.thread_time() - start) < seconds:
            _libc.sendmmsg(outgoing.fileno(), messages, _BATCH, 0)
    finally:
        os.sched_setaffinity(0, before)
    return elapsed_s


def _receive(incoming: socket.socket, processor: int) -> int:
    """Count until nothing has come for a while."""
    messages, _kept = _messages(2048)
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {available[processor % len(available)]})
    received = 0
    while (count := _libc.recvmmsg(incoming.fileno(), messages, _BATCH, 0x10000, None)) > 0:  # MSG_WAITFORONE
        received += count
    return received


def _timeval(seconds: float) -> bytes:
    return bytes(ctypes.c_long(int(seconds))) + bytes(ctypes.c_long(int(seconds % 1 * 1_000_000)))
