"""Probes of a correspondent node: ``python -m unwired.bench.probe INTERVAL_S FIRST COUNT``.

A datagram every INTERVAL_S, to the home addresses of the COUNT mobile nodes from number FIRST on in turn, which send it
back. ``begin`` forgets all so far; ``last`` is when the latest answer came, 0 without; ``tell`` is
``[sent_at, answered_at or null]`` of each since ``begin``.
"""

import contextlib
import select
import socket
import sys
import time

from unwired.bench.binding_updates import home_address
from unwired.bench.workers import PROBE_PORT, Orders
from unwired.wire.address import format_address

_BATCH = 64


class Probe:
    def __init__(self, interval_s: float, first: int, count: int) -> None:
        self._interval_s = interval_s
        self._targets = [format_address(home_address(first + number)) for number in range(count)]
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
        self._socket.bind(("::", PROBE_PORT))
        self._socket.setblocking(False)
        self._sent: dict[int, list[float | None]] = {}
        self._number = 0
        self._last_at = 0.0

    def run(self) -> None:
        orders = Orders(self._obey)
        own = self._socket.fileno()
        next_at = time.monotonic()
        while True:
            readable, _, _ = select.select([own, 0], [], [], max(0.0, next_at - time.monotonic()))
            if own in readable:
                self._receive()
            if 0 in readable and not orders.follow():
                return
            if time.monotonic() >= next_at:
                self._send()
                next_at += self._interval_s

    def _obey(self, words: list[str]) -> object:
        if words[0] == "tell":
            return list(self._sent.values())
        if words[0] == "begin":
            self._sent = {}
            self._last_at = 0.0
        return self._last_at

    def _send(self) -> None:
        target = self._targets[self._number % len(self._targets)]
        self._sent[self._number] = [time.monotonic(), None]
        with contextlib.suppress(OSError):  # no route while routing changes: lost like others
            self._socket.sendto(self._number.to_bytes(8), (target, PROBE_PORT))
        self._number += 1

    def _receive(self) -> None:
        for _ in range(_BATCH):
            try:
                data = self._socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # an ICMPv6 error: the probe is lost
                continue
            sent = self._sent.get(int.from_bytes(data))
            if sent is not None and sent[1] is None:
                sent[1] = self._last_at = time.monotonic()


if __name__ == "__main__":
    Probe(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()
