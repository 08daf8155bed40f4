"""State synchronization of a home agent set: how long a new member takes to take over all bindings, what a binding
update costs on the wire to each member, and how soon it is there.

Two processes on the loopback with the real engine, journal and mesh, each on a processor of its own where there are
two; rows are kept in memory. Beside them, as the ceiling, the same number of bytes copied over TLS, and a short
message. Bytes are those that the kernel counts on the stream's socket, in both directions: TLS records and
acknowledgements are among them.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unwired.bench import tls_copy
from unwired.bench.loaded_agent import processors
from unwired.bench.sync_member import HOLDER, JOINER, locators
from unwired.core.mesh import RECONCILE_INTERVAL_S
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import parse_address

SCHEMA = "unwired.bench.sync/1"
GOAL_TAKEOVER_S = 60.0
GOAL_BYTES = 100.0
RATE = 1000
"""Binding updates a second, for which the bytes are counted, those of the regular comparisons among them."""
_SLOW_RATE = 20
"""So few that none waits for others to go with it."""
_SLOW_S = 5.0
_HEADERS = 72
"""IPv6 and TCP headers of a segment, timestamps included."""


def run(bindings: int = 1_000_000, seconds: float = 2 * RECONCILE_INTERVAL_S) -> dict[str, object]:
    """Raises RuntimeError when a part does not start or a binding is not taken over."""
    os.environ["UNWIRED_BENCH_RUN"] = str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="unwired-bench-") as name:
        directory = Path(name)
        authority = create_authority(directory, "authority")
        for number, locator in zip((HOLDER, JOINER), locators(), strict=True):
            create_member(directory, *authority, f"member-{number}", parse_address(locator))
        first, last = processors()
        with (
            _member(directory, HOLDER, bindings, first) as holder,
            _member(directory, JOINER, bindings, last) as joiner,
        ):
            takeover = _ask(joiner, "join")
            if takeover["bindings"] != bindings:
                raise RuntimeError(f"{takeover['bindings']} of {bindings} bindings were taken over")
            loaded = _updates(holder, joiner, RATE, seconds)
            slow = _updates(holder, joiner, _SLOW_RATE, min(seconds, _SLOW_S))
        with _process([sys.executable, "-m", "unwired.bench.tls_copy", str(directory)], first):
            copied_s = asyncio.run(tls_copy.copy(directory, takeover["bytes"]))
            message_ms = asyncio.run(tls_copy.message_ms(directory))
    return _result(bindings, seconds, takeover, loaded, slow, copied_s, message_ms)


def _result(
    bindings: int,
    seconds: float,
    takeover: dict[str, Any],
    loaded: dict[str, float],
    slow: dict[str, float],
    copied_s: float,
    message_ms: float,
) -> dict[str, object]:
    medians = {
        "takeover": round(takeover["durable_s"], 3),
        "takeover_until_current": round(takeover["current_s"], 3),
        "bytes_per_update": round(loaded["bytes"], 1),
        "bytes_per_update_with_ip_headers": round(loaded["bytes_with_headers"], 1),
        "latency_at_1000_per_s": round(loaded["latency_ms"], 3),
        "latency_alone": round(slow["latency_ms"], 3),
    }
    baselines = {"tls_copy": round(copied_s, 3), "tls_message": round(message_ms, 3)}
    units = {
        name: "s" if name.startswith("takeover") else "bytes" if name.startswith("bytes") else "ms" for name in medians
    }
    return {
        "schema": SCHEMA,
        "bindings": bindings,
        "seconds": seconds,
        "units": units | {"tls_copy": "s", "tls_message": "ms"},
        "medians": medians,
        "baselines": baselines,
        "ratios": {
            "takeover_to_tls_copy": round(takeover["durable_s"] / copied_s, 2),
            "latency_alone_to_tls_message": round(slow["latency_ms"] / message_ms, 2),
        },
        "bindings_per_s": round(bindings / takeover["durable_s"]),
        "bytes_taken_over": takeover["bytes"],
        "goals": {"takeover": GOAL_TAKEOVER_S, "bytes_per_update": GOAL_BYTES},
    }


def _updates(
    holder: "subprocess.Popen[str]", joiner: "subprocess.Popen[str]", rate: int, seconds: float
) -> dict[str, float]:
    """Bytes per update, and the median of the times from a binding update's arrival to its record at the other one."""
    _ask(joiner, "received")
    sample = _ask(holder, f"update {rate} {seconds}")
    arrived = {(number, sequence): at for number, sequence, at in _ask(joiner, "received")["received"]}
    latencies = [
        (arrived[number, sequence] - at) * 1000
        for number, sequence, at in sample["updates"]
        if (number, sequence) in arrived
    ]
    if not latencies:
        raise RuntimeError(f"no update reached the other member; {sample['accepted']} were accepted")
    counted = sample["socket"]
    total = counted["sent"] + counted["received"]
    headers = (counted["segments_out"] + counted["segments_in"]) * _HEADERS
    return {
        "latency_ms": statistics.median(latencies),
        "bytes": total / len(latencies),
        "bytes_with_headers": (total + headers) / len(latencies),
    }


@contextmanager
def _member(directory: Path, number: int, bindings: int, processor: int) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "unwired.bench.sync_member", str(directory), str(number), str(bindings)]
    with _process(command, processor) as process:
        yield process


@contextmanager
def _process(command: list[str], processor: int) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        ["taskset", "-c", str(processor), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        _answer(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(process: "subprocess.Popen[str]", command: str) -> dict[str, Any]:
    if process.stdin is None:
        raise RuntimeError("the process takes no commands")
    process.stdin.write(command + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(_answer(process))
    return answer


def _answer(process: "subprocess.Popen[str]") -> str:
    line = "" if process.stdout is None else process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the measurement died")
    return line
