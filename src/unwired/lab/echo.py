"""The correspondents' UDP echo (RFC 862), all by one process, and round trips measured with it.

Run as ``python -m unwired.lab.echo SPECIFICATION``, a JSON file with ``sockets``: each a ``namespace`` (path) and an
``address``.
"""

import contextlib
import json
import os
import select
import signal
import socket
import statistics
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unwired.lab import namespace
from unwired.lab.traffic.sockets import open_socket

READY = "echo: ready"
PORT = 7
_TIMES = 9
_EVERY_S = 0.04
_PATIENCE_S = 1.5
_REQUEST = struct.Struct("!Qd")
_MAGIC = 0x756E776972656563
_LARGEST = 2048


@dataclass(frozen=True, slots=True)
class Pair:
    """Who asks, by which of its addresses, and who answers."""

    source: str
    destination: str


def round_trips_ms(where: namespace.Namespace, pairs: Sequence[Pair]) -> dict[Pair, float]:
    """The median of several round trips of each pair, all measured at the same time. Pairs of which less than half of
    the answers came are left out."""
    with where.inside():
        sockets = {pair: open_socket(socket.SOCK_DGRAM, pair.source, 0) for pair in pairs}
    try:
        return _measure(sockets)
    finally:
        for one in sockets.values():
            one.close()


def _measure(sockets: dict[Pair, socket.socket]) -> dict[Pair, float]:
    found: dict[Pair, list[float]] = {pair: [] for pair in sockets}
    by_socket = {one: pair for pair, one in sockets.items()}
    for one in by_socket:
        one.setblocking(False)
    started = time.monotonic()
    sent = 0
    while True:
        now = time.monotonic()
        if sent < _TIMES and now >= started + sent * _EVERY_S:
            for pair, one in sockets.items():
                with contextlib.suppress(OSError):  # no route at this moment: an answer that is missing
                    one.sendto(_REQUEST.pack(_MAGIC, time.monotonic()), (pair.destination, PORT))
            sent += 1
            continue
        ends = started + (_TIMES - 1) * _EVERY_S + _PATIENCE_S
        if now >= ends or all(len(times) == _TIMES for times in found.values()):
            break
        until = started + sent * _EVERY_S if sent < _TIMES else ends
        for one in select.select(list(by_socket), [], [], max(0.0, until - now))[0]:
            with contextlib.suppress(OSError, struct.error):
                magic, sent_at = _REQUEST.unpack(one.recv(_LARGEST))
                if magic == _MAGIC:
                    found[by_socket[one]].append((time.monotonic() - sent_at) * 1e3)
    return {pair: statistics.median(times) for pair, times in found.items() if 2 * len(times) > _TIMES}


def run(specification: dict[str, list[dict[str, Any]]]) -> None:
    """Answer until SIGTERM or SIGINT."""
    stop_reader, stop_writer = os.pipe()
    os.set_blocking(stop_writer, False)
    signal.set_wakeup_fd(stop_writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    by_descriptor: dict[int, socket.socket] = {}
    for wanted in specification["sockets"]:
        namespace.enter(Path(wanted["namespace"]))
        one = open_socket(socket.SOCK_DGRAM, wanted["address"], PORT)
        one.setblocking(False)
        by_descriptor[one.fileno()] = one
    print(READY, flush=True)
    while True:
        readable, _, _ = select.select([stop_reader, *by_descriptor], [], [])
        if stop_reader in readable:
            signal.set_wakeup_fd(-1)
            return
        for one in map(by_descriptor.__getitem__, readable):
            with contextlib.suppress(OSError):
                data, source = one.recvfrom(_LARGEST)
                one.sendto(data, source)


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
