"""SIGTERM and SIGINT as something that a select loop can wait for."""

import select
import signal
import socket
import time
from types import TracebackType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """While entered, SIGTERM and SIGINT (or ``duration_s`` going by) request a stop: ``wait`` returns at once."""

    def __init__(self, duration_s: float | None = None) -> None:
        self.requested = False
        self._deadline = None if duration_s is None else time.monotonic() + duration_s

    def __enter__(self) -> "Stop":
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in _SIGNALS:
            signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()

    def wait(self, *reading: socket.socket, until: float | None = None) -> list[socket.socket]:
        """Wait until one of ``reading`` has something, the monotonic time ``until`` has come or a stop is requested;
        those that have something."""
        readable, _, _ = select.select([self._reader, *reading], [], [], self._timeout(until))
        self._look_at_the_clock()
        return [item for item in readable if item is not self._reader]

    def wait_to_write(self, writing: socket.socket) -> bool:
        """Wait until ``writing`` takes more or a stop is requested; whether it takes more."""
        _, writable, _ = select.select([self._reader], [writing], [], self._timeout(None))
        self._look_at_the_clock()
        return bool(writable)

    def _timeout(self, until: float | None) -> float | None:
        ends = [end for end in (until, self._deadline) if end is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _look_at_the_clock(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.requested = True

    def _request(self, number: int, frame: object) -> None:
        self.requested = True
