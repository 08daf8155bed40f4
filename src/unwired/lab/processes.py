"""The processes of a run: started inside its namespaces, written into its ledger, ended in order."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unwired.lab.ledger import Ledger
from unwired.lab.namespace import Namespace

_END_ALL_S = 3.0


class LabError(Exception):
    """Something could not be built or run; the message is a sentence for a person."""


def module(name: str, *arguments: str | Path) -> list[str]:
    """The command that runs a Python module with this interpreter."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def wait_until(condition: Callable[[], bool], timeout_s: float, every_s: float = 0.01) -> bool:
    """Poll until the condition holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


@dataclass(slots=True)
class Process:
    """A process of a run. What it prints goes to ``log``; ``expected_to_run``: its end is a problem."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    expected_to_run: bool = True

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def log_tail(self, lines: int = 3) -> str:
        with contextlib.suppress(FileNotFoundError):
            return " / ".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def end(self, timeout_s: float = 5.0) -> bool:
        """SIGTERM, then SIGKILL when that does not help in time; whether SIGTERM was enough."""
        self.expected_to_run = False
        if self.is_running:
            self.popen.terminate()
        try:
            self.popen.wait(timeout_s)
            return True
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return False


class Processes:
    def __init__(self, ledger: Ledger, log_directory: Path) -> None:
        self._ledger = ledger
        self._log_directory = log_directory
        log_directory.mkdir(exist_ok=True)
        self._all: list[Process] = []

    def start(
        self, name: str, command: Sequence[str | Path], namespace: Namespace, niceness: int = 0, foreground: bool = True
    ) -> Process:
        """Start a command inside a namespace. It gets a session of its own, so that Ctrl-C reaches only the lab, which
        then ends it in its turn. ``foreground`` False: a helper whose early end is no problem."""
        log = self._log_directory / f"{name}.log"
        arguments = list(map(str, command))
        try:
            with log.open("wb") as output, namespace.inside():
                popen = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError:
            raise LabError(f"{arguments[0]} is not installed: the lab needs it to run {name}") from None
        self._ledger.add_process(popen.pid, name)
        if niceness:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, popen.pid, niceness)
        process = Process(name, popen, log, foreground)
        self._all.append(process)
        return process

    def died(self) -> list[Process]:
        """Those that ended although they should run; each is told once."""
        found = [process for process in self._all if process.expected_to_run and not process.is_running]
        for process in found:
            process.expected_to_run = False
        return found

    def wait_for_line(self, process: Process, line: str, timeout_s: float = 20.0) -> None:
        """Until the process has printed ``line``. Raises LabError when it ended or did not in time."""

        def printed() -> bool:
            return line in process.log.read_text(errors="replace") or not process.is_running

        if not wait_until(printed, timeout_s) or line not in process.log.read_text(errors="replace"):
            how = "is not ready" if process.is_running else "ended"
            raise LabError(f"{process.name} {how}: {process.log_tail() or 'it printed nothing'}")

    def end_all(self) -> None:
        """End what still runs: SIGTERM to all of it, SIGKILL to what that does not end in time."""
        for process in reversed(self._all):
            process.expected_to_run = False
            if process.is_running:
                process.popen.terminate()
        wait_until(lambda: not any(process.is_running for process in self._all), _END_ALL_S)
        for process in self._all:
            if process.is_running:
                process.popen.kill()
                process.popen.wait()
