"""Helpers of the lab's tests: a small scenario, and ways to look inside it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from unwired.lab import scenario_file
from unwired.lab.build import Lab
from unwired.lab.run import built


class Silent:
    """Looks on and does nothing."""

    def say(self, at_s: float | None, sentence: str) -> None:
        pass

    def advance(self, elapsed_s: float, duration_s: float) -> None:
        pass


UNWIRED = [sys.executable, "-m", "unwired"]

SMALL = """
name = "small"
duration_s = {duration_s}

[[node]]
name = "left"
role = "host"
interfaces = {{ eth0 = ["2001:db8:1::2/64", "10.0.1.2/24"] }}

[[node]]
name = "middle"
role = "router"
interfaces = {{ eth0 = ["2001:db8:1::1/64", "10.0.1.1/24"], eth1 = ["2001:db8:2::1/64", "10.0.2.1/24"] }}

[[node]]
name = "right"
role = "host"
interfaces = {{ eth0 = ["2001:db8:2::2/64", "10.0.2.2/24"] }}

[[link]]
between = ["left.eth0", "middle.eth0"]
{shape}

[[link]]
between = ["middle.eth1", "right.eth0"]

[[traffic]]
kind = "udp"
between = ["left", "right"]

[[traffic]]
kind = "tcp"
between = ["left", "right"]
rate_mbit = 1

[[expect]]
metric = "tcp_bytes_lost"
exactly = 0
"""
"""Two hosts, a router, and a wire with a shape."""


@contextmanager
def lab_of(path: Path) -> Iterator[Lab]:
    with built(scenario_file.load(path), Silent()) as lab:
        yield lab


def inside(lab: Lab, node: str, *command: str) -> str:
    """What a command prints inside a node; it must succeed."""
    with lab.namespaces[node].inside():
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def run_shipped(name: str, *options: str | Path) -> dict[str, Any]:
    """The result of a scenario, which must pass. What the run told is shown when it does not."""
    command = [*UNWIRED, "lab", "run", name, "--json", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr + done.stdout
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["passed"]
    assert not result["problems"]
    return result


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces, which takes root")
