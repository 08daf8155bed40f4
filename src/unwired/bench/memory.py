"""Memory that a home agent needs for each binding, measured twice.

``daemon``: the real daemon's private memory before and after that many mobile nodes have registered over real packets
and refreshed once. Memory that its start freed is used again there, so it may flatter. ``engine``: what the engine
alone allocates in a fresh process, by Python's count. Beside them a bare dictionary from home address to care-of
address: what Python needs at least.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unwired.bench.binding_updates import HOME_AGENT, Fleet
from unwired.bench.loaded_agent import home_agent, join, load_program, send
from unwired.bench.namespaces import Namespace

SCHEMA = "unwired.bench.memory/1"
GOAL_BYTES = 600
_ROW = 10_000
"""Updates encoded at a time: their timestamps must not grow old before they are sent."""
_ROW_AHEAD_S = 1.0
_ROW_LIMIT_S = 60.0
_SETTLED_S = 1.0
_SETTLING_LIMIT_S = 60.0
_BARE = """
import sys
from unwired.bench.memory import private_bytes
count = int(sys.argv[1])
before = private_bytes("self")
table = {number.to_bytes(16): (number + count).to_bytes(16) for number in range(count)}
print((private_bytes("self") - before) / len(table))
"""


def run(bindings: int = 100_000) -> dict[str, object]:
    """Bytes per binding, one measurement: memory does not vary as times do. Raises RuntimeError when a registration
    was not accepted."""
    with tempfile.TemporaryDirectory(prefix="unwired-bench-") as name, load_program(Path(name)) as program:
        directory = Path(name)
        agent, load = Namespace(), Namespace()
        try:
            join(agent, load)
            with home_agent(agent, directory / "agent", bindings) as daemon:
                before = _settled_bytes(daemon.pid)
                fleet = Fleet(bindings)
                _register(load, program, directory, fleet, bindings)
                _register(load, program, directory, fleet, bindings)
                refreshed = _settled_bytes(daemon.pid)
        finally:
            agent.close()
            load.close()
    bare = _ask("-c", _BARE, str(bindings))
    medians = {
        "daemon": round((refreshed - before) / bindings, 1),
        "engine": round(_ask("-m", "unwired.bench.engine_memory", str(bindings)), 1),
    }
    baselines = {"bare_dictionary": round(bare, 1)}
    return {
        "schema": SCHEMA,
        "bindings": bindings,
        "units": dict.fromkeys([*medians, *baselines], "bytes"),
        "medians": medians,
        "baselines": baselines,
        "ratios": {f"{name}_to_bare_dictionary": round(medians[name] / bare, 2) for name in medians},
        "daemon_bytes": {"without_bindings": before, "with_bindings": refreshed},
        "goals": dict.fromkeys(medians, GOAL_BYTES),
    }


def _ask(*arguments: str) -> float:
    """The figure that a fresh Python process prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return float(done.stdout)


def private_bytes(process: int | str) -> int:
    """Anonymous memory that a process alone holds."""
    for line in (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell a process's private memory")


def _settled_bytes(process: int) -> int:
    """Once it has not changed for a while."""
    deadline = time.monotonic() + _SETTLING_LIMIT_S
    last, since = private_bytes(process), time.monotonic()
    while time.monotonic() - since < _SETTLED_S:
        if time.monotonic() > deadline:
            raise RuntimeError("the daemon's memory does not settle")
        time.sleep(0.1)
        now = private_bytes(process)
        if now != last:
            last, since = now, time.monotonic()
    return last


def _register(load: Namespace, program: Path, directory: Path, fleet: Fleet, bindings: int) -> None:
    done = 0
    while done < bindings:
        total = min(_ROW, bindings - done)
        packets = fleet.updates(total, moving=False, ahead_of=time.time() + _ROW_AHEAD_S)
        sample = send(load, program, directory, packets, len(packets) // total, _ROW_LIMIT_S, HOME_AGENT)
        if sample["accepted"] != total:
            raise RuntimeError(f"{total} binding updates were sent; the answers: {sample}")
        done += total
