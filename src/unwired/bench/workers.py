"""Processes that work in a namespace while something is done to a home agent, and tell what they saw.

Each is ``python -m MODULE ARGUMENTS``. It prints ``ready``, obeys lines on its standard input, answers each with one
line of JSON, and ends when its input does. Times are of CLOCK_MONOTONIC, which all processes share.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from unwired.bench.namespaces import Namespace

PROBE_PORT = 7777


class Worker:
    """``with`` ends it."""

    def __init__(self, namespace: Namespace, module: str, *arguments: object) -> None:
        words = [sys.executable, "-m", module, *map(str, arguments)]
        self._process = subprocess.Popen(
            [*namespace.command(""), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._module = module
        if self._line() != "ready\n":
            raise RuntimeError(f"{module} does not start")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str) -> Any:
        """The answer to an order. Raises RuntimeError when there is none."""
        answer = ""
        if self._process.stdin is not None and self._process.poll() is None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._line()
        if not answer:
            raise RuntimeError(f"{self._module} has ended")
        return json.loads(answer)

    def _line(self) -> str:
        return "" if self._process.stdout is None else self._process.stdout.readline()


class Orders:
    """The other end: lines of the standard input. ``obey(words)`` gives what is answered."""

    def __init__(self, obey: Callable[[list[str]], object]) -> None:
        self._obey = obey
        self._read = b""
        print("ready", flush=True)

    def follow(self) -> bool:
        """To be called when the input is readable; False at its end."""
        data = os.read(0, 4096)
        *lines, self._read = (self._read + data).split(b"\n")
        for line in lines:
            print(json.dumps(self._obey(line.decode().split())), flush=True)
        return bool(data)
