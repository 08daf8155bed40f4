"""The log of one traffic process: a JSON line that says what it is, comma-separated rows, a JSON line at a clean end.

Each row is one unbuffered write, so that a killed process loses at most the row it was writing.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

SCHEMA = "unwired.lab.traffic/1"


class LogWriter:
    """Appends rows to ``path`` (made anew)."""

    def __init__(self, path: Path, kind: str, **about: str | int | float) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._comment({"schema": SCHEMA, "kind": kind, "ready_at_ns": time.monotonic_ns(), **about})

    def row(self, *values: int | str) -> None:
        os.write(self._descriptor, (",".join(map(str, values)) + "\n").encode())

    def close(self) -> None:
        self._comment({"ended_at_ns": time.monotonic_ns()})
        os.close(self._descriptor)

    def _comment(self, values: dict[str, str | int | float]) -> None:
        os.write(self._descriptor, f"# {json.dumps(values)}\n".encode())


@dataclass(frozen=True, slots=True)
class Log:
    """``ended_at_ns`` is None when the process was killed or still runs; ``rows`` are the columns as text."""

    kind: str
    ready_at_ns: int
    ended_at_ns: int | None
    about: dict[str, str | int | float]
    rows: list[list[str]]


def read_log(path: Path) -> Log:
    """Raises ValueError when the file is not such a log. A last row that was cut off is left out."""
    about: dict[str, str | int | float] = {}
    ended_at_ns: int | None = None
    rows: list[list[str]] = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if not line.startswith("#"):
            rows.append(line.rstrip().split(","))
        elif not about:
            about = json.loads(line[1:])
        else:
            ended_at_ns = int(json.loads(line[1:])["ended_at_ns"])
    if about.get("schema") != SCHEMA:
        raise ValueError(f"{path}: no log of lab traffic")
    return Log(str(about["kind"]), int(about["ready_at_ns"]), ended_at_ns, about, rows)
