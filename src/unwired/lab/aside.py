"""What takes time and must not hold up the timeline of a run: done beside it, each in a thread."""

import threading
import time
from collections.abc import Callable

from unwired.lab.processes import LabError

_TIMEOUT_S = 30.0


class Asides:
    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._problems: list[str] = []

    def begin(self, what: Callable[[], None]) -> None:
        def do() -> None:
            try:
                what()
            except Exception as error:  # a thread's exceptions reach nobody else
                self._problems.append(str(error) if isinstance(error, LabError) else repr(error))

        thread = threading.Thread(target=do, daemon=True)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> list[str]:
        """Wait for all of it. What went wrong, in sentences."""
        deadline = time.monotonic() + _TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._problems.append("Something begun in the run did not come to its end.")
        return self._problems
