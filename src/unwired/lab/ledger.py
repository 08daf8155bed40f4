"""What a run has created, written down before it is created; the clean-up reads this and nothing else.

A JSON line each, synced: the owner (process id and start time), network namespaces, processes, BPF pins. A run whose
owner is dead is a killed run. Nothing is found by the pattern of a name: processes are ended when they are in the
ledger with their start time, or when they are inside one of the run's own network namespaces.
"""

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unwired.lab import namespace

ROOT = Path("/run/unwired-lab")
"""A directory for each run; shared by all runs of this host."""
_LEDGER = "ledger.jsonl"
_TERM_S = 3.0
_KILL_S = 5.0


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when there is none, or one that has ended."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one with the same number."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        started = start_time(pid)
        return None if started is None else cls(pid, started)

    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


class Ledger:
    """The ledger of one run, open for writing by its owner."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor = os.open(
            directory / _LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode=0o600
        )

    @classmethod
    def open_run(cls, name: str, root: Path = ROOT) -> "Ledger":
        """A directory for a new run, named after ``name`` and this process, with its owner written down."""
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        owner = ProcessId.of(os.getpid())
        if owner is None:
            raise OSError("/proc is not mounted")
        suffix = 0
        while True:
            directory = root / (f"{name}-{os.getpid()}" + (f"-{suffix}" if suffix else ""))
            try:
                directory.mkdir(mode=0o755)
                break
            except FileExistsError:
                suffix += 1
        ledger = cls(directory)
        ledger.add("owner", pid=owner.pid, started=owner.started, scenario=name)
        return ledger

    def add(self, kind: str, **values: str | int) -> None:
        os.write(self._descriptor, (json.dumps({"kind": kind, **values}) + "\n").encode())
        os.fsync(self._descriptor)

    def add_process(self, pid: int, what: str) -> None:
        process = ProcessId.of(pid)
        if process is not None:
            self.add("process", pid=process.pid, started=process.started, what=what)

    def close(self) -> None:
        os.close(self._descriptor)


@dataclass(slots=True)
class Run:
    """What a ledger says. ``owner`` None: the run was killed before it wrote that down, and made nothing."""

    directory: Path
    scenario: str = ""
    owner: ProcessId | None = None
    kept: bool = False
    """``unwired lab up`` left it running on purpose."""
    namespaces: list[Path] = field(default_factory=list)
    processes: list[ProcessId] = field(default_factory=list)
    pins: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def state(self) -> str:
        """``running``, ``up`` or ``killed``."""
        if self.owner is not None and self.owner.is_alive():
            return "running"
        return "up" if self.kept else "killed"

    @classmethod
    def read(cls, directory: Path) -> "Run":
        run = cls(directory)
        for entry in _entries(directory / _LEDGER):
            kind = entry.get("kind")
            if kind == "owner":
                run.owner = ProcessId(entry["pid"], entry["started"])
                run.scenario = entry["scenario"]
            elif kind == "kept":
                run.kept = True
            elif kind == "namespace":
                run.namespaces.append(Path(entry["path"]))
            elif kind == "process":
                run.processes.append(ProcessId(entry["pid"], entry["started"]))
            elif kind == "pins":
                run.pins.append(Path(entry["path"]))
        return run

    def clean_up(self) -> None:
        """Remove everything that the ledger names, and the run's directory at last. Can be repeated."""
        try:
            descriptor = os.open(self.directory / _LEDGER, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if self.directory.is_dir() and not any(self.directory.iterdir()):
                self.directory.rmdir()
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # two clean-ups at once: one after the other
            self._end_processes()
            for path in self.namespaces:
                namespace.remove(path)
            for path in self.pins:
                shutil.rmtree(path, ignore_errors=True)
            shutil.rmtree(self.directory, ignore_errors=True)
        finally:
            os.close(descriptor)

    def _end_processes(self) -> None:
        inodes = {(status.st_dev, status.st_ino) for status in map(_stat, self.namespaces) if status is not None}
        for number, patience_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, _KILL_S)):
            deadline = time.monotonic() + patience_s
            left = self._alive(inodes)
            for process in left:
                process.signal(number)
            while left and time.monotonic() < deadline:
                time.sleep(0.01)
                left = {process for process in left if process.is_alive()}

    def _alive(self, inodes: set[tuple[int, int]]) -> set[ProcessId]:
        recorded = {process for process in self.processes if process.is_alive()}
        return recorded | set(_processes_inside(inodes))


def runs(root: Path = ROOT) -> list[Run]:
    """Every run of this host that has left something, oldest first."""
    if not root.is_dir():
        return []
    directories = [path for path in root.iterdir() if path.is_dir()]
    return [Run.read(path) for path in sorted(directories, key=lambda path: path.stat().st_ctime)]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):  # a last line cut off by the kill names what was not made yet
            yield json.loads(line)


def _stat(path: Path) -> os.stat_result | None:
    """The namespace bound to ``path``; None for a plain file or nothing: it was never bound."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status if status.st_dev == Path("/proc/self/ns/net").stat().st_dev else None


def _processes_inside(inodes: set[tuple[int, int]]) -> Iterator[ProcessId]:
    if not inodes:
        return
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or int(path.name) == os.getpid():
            continue
        try:
            status = (path / "ns" / "net").stat()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        process = ProcessId.of(int(path.name))
        if process is not None and (status.st_dev, status.st_ino) in inodes:
            yield process
