"""The TCP stream: bytes at an even rate, every one checked by the sink.

Rows are at_ns, event, value. The source's events: ``connected`` (position), ``sent`` (position after it), ``refused``
and ``reset`` (errno), ``delivered`` (position, when the sink has taken the whole stream and closed it),
``undelivered`` (position, when it has not within 10 s). The sink's:
``accepted`` (position), ``received`` (good bytes so far), ``lost``, ``duplicated``, ``corrupted`` (bytes so far),
``reset`` (errno), ``finished`` (position).

After a reset the source connects again and goes on where it was: each connection begins with the position in the
stream, so that what the reset cost shows as lost.
"""

import socket
import struct
import time
from pathlib import Path

from unwired.lab.traffic.log import LogWriter
from unwired.lab.traffic.pattern import Checker, pattern
from unwired.lab.traffic.sockets import open_socket
from unwired.lab.traffic.stop import Stop

_GREETING = struct.Struct("!QQ")
_MAGIC = 0x756E777264746370
_TICK_S = 0.01
_RETRY_S = 0.1
_CONNECT_S = 5.0
_DRAIN_S = 10.0
"""How long a stopped source waits for the sink to have taken everything."""


class TcpSource:
    """Sends ``rate_bps`` bits a second until stopped; then ends the stream and waits for the sink to have it all.

    Time during which the connection takes nothing is not made up for: the rate is a limit.
    """

    def __init__(self, bind: str, port: int, to: str, to_port: int, rate_bps: float, log_path: Path) -> None:
        self._bind, self._port = bind, port
        self._to = (to, to_port)
        self._bytes_a_tick = max(1, round(rate_bps * _TICK_S / 8))
        self._log = LogWriter(log_path, "tcp-source", bind=bind, to=to, to_port=to_port, rate_bps=rate_bps)
        self._position = 0

    def run(self, duration_s: float | None) -> None:
        with Stop(duration_s) as stop:
            while not stop.requested:
                self._run_connection(stop)
        self._log.close()

    def _run_connection(self, stop: Stop) -> None:
        with open_socket(socket.SOCK_STREAM, self._bind, self._port) as connection:
            connection.settimeout(_CONNECT_S)
            try:
                connection.connect(self._to)
            except OSError as error:
                self._event("refused", error.errno or -1)
                stop.wait(until=time.monotonic() + _RETRY_S)
                return
            self._event("connected", self._position)
            try:
                connection.sendall(_GREETING.pack(_MAGIC, self._position))
                connection.setblocking(False)
                self._send(connection, stop)
                connection.settimeout(_DRAIN_S)
                connection.shutdown(socket.SHUT_WR)
                if connection.recv(1) == b"":
                    self._event("delivered", self._position)
            except TimeoutError:
                self._event("undelivered", self._position)
            except OSError as error:
                self._event("reset", error.errno or -1)

    def _send(self, connection: socket.socket, stop: Stop) -> None:
        due = time.monotonic()
        while not stop.requested:
            due = max(due + _TICK_S, time.monotonic())
            waiting = pattern(self._position, self._bytes_a_tick)
            while waiting and not stop.requested:
                if stop.wait_to_write(connection):
                    taken = connection.send(waiting)
                    waiting = waiting[taken:]
                    self._position += taken
            self._event("sent", self._position)
            while time.monotonic() < due and not stop.requested:
                stop.wait(until=due)

    def _event(self, event: str, value: int) -> None:
        self._log.row(time.monotonic_ns(), event, value)


class TcpSink:
    """Accepts one connection after the other and checks the stream that they carry; a new one ends the one before."""

    def __init__(self, bind: str, port: int, log_path: Path) -> None:
        self._bind, self._port, self._log_path = bind, port, log_path
        self._checker = Checker()
        self._reported: dict[str, int] = {}

    def run(self, duration_s: float | None) -> None:
        with open_socket(socket.SOCK_STREAM, self._bind, self._port) as listener, Stop(duration_s) as stop:
            listener.listen(8)
            listener.setblocking(False)
            self._log = LogWriter(self._log_path, "tcp-sink", bind=self._bind, port=self._port)
            while not stop.requested:
                if not stop.wait(listener):
                    continue
                try:
                    connection, _ = listener.accept()
                except OSError:  # gone before it was accepted
                    continue
                with connection:
                    connection.setblocking(False)
                    try:
                        self._receive(connection, listener, stop)
                    except OSError as error:
                        self._event("reset", error.errno or -1)
            self._log.close()

    def _receive(self, connection: socket.socket, listener: socket.socket, stop: Stop) -> None:
        greeting = b""
        while not stop.requested:
            ready = stop.wait(connection, listener)
            if connection not in ready:
                if ready:
                    return
                continue
            data = connection.recv(65536 if len(greeting) == _GREETING.size else _GREETING.size - len(greeting))
            if not data:
                self._checker.finish()
                self._event("finished", self._checker.position)
                return
            if len(greeting) == _GREETING.size:
                self._check(data)
                continue
            greeting += data
            if len(greeting) == _GREETING.size:
                magic, position = _GREETING.unpack(greeting)
                if magic != _MAGIC:
                    return
                self._event("accepted", position)
                self._checker.jump(position)
                self._report_damage()

    def _check(self, data: bytes) -> None:
        self._checker.take(data)
        self._event("received", self._checker.good)
        self._report_damage()

    def _report_damage(self) -> None:
        for event in ("lost", "duplicated", "corrupted"):
            now = getattr(self._checker, event)
            if now != self._reported.get(event, 0):
                self._event(event, now)
                self._reported[event] = now

    def _event(self, event: str, value: int) -> None:
        self._log.row(time.monotonic_ns(), event, value)
