"""A member's daemon is killed and started again, with all its bindings: what packets and binding updates notice of it.

Two members of a set, real daemons (``set_network.py``); every mobile node is registered with the first, whose data
plane forwards a probe every 2 ms, to a mobile node and back. Its daemon is killed (SIGKILL) and started again, several
times. ``status_s``: from the start until the control socket tells the role's status; ``acknowledgement_s``: until a
binding update is acknowledged that was sent after the kill, which needs the other member's journal besides. The parts
are those that the new daemon tells.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from unwired.bench.failure import register
from unwired.bench.loaded_agent import load_program
from unwired.bench.set_network import NODES_DEVICE, SetNetwork
from unwired.bench.workers import Worker

SCHEMA = "unwired.bench.restart/1"
MEMBERS = 2
GOAL_S = 2.0
PROBE_INTERVAL_S = 0.002
RATE = 50
"""Registrations a second while the daemon is away."""
_STEADY_S = 1.0
_LIMIT_S = 300.0


def run(bindings: int = 100_000, kills: int = 3) -> dict[str, object]:
    """Raises RuntimeError when a part does not start or a daemon does not come back."""
    if bindings < 2:
        raise RuntimeError("at least two bindings are needed: one to be probed, one to register")
    moving = bindings - 1
    with (
        tempfile.TemporaryDirectory(prefix="unwired-bench-") as name,
        load_program(Path(name)) as program,
        SetNetwork(Path(name), MEMBERS, bindings) as network,
    ):
        register(network, program, Path(name), bindings)
        with (
            Worker(network.nodes, "unwired.bench.mobile_nodes", NODES_DEVICE, moving) as nodes,
            Worker(network.correspondent, "unwired.bench.probe", PROBE_INTERVAL_S, moving, 1) as correspondent,
        ):
            found = [_kill(network, nodes, correspondent, bindings) for _ in range(kills)]
    return _result(bindings, found)


def _kill(network: SetNetwork, nodes: Worker, correspondent: Worker, bindings: int) -> dict[str, Any]:
    nodes.ask(f"rate {RATE}")
    correspondent.ask("begin")
    network.until(lambda: correspondent.ask("last") > 0, _LIMIT_S, "probes are answered")
    time.sleep(_STEADY_S)
    nodes.ask("tell")
    network.kill(1)
    killed_at = time.monotonic()
    network.start(1)
    started_at = time.monotonic()
    network.until(lambda: network.ask(1, "status") is not None, _LIMIT_S, "the daemon answers")
    answered_at = time.monotonic()
    acknowledged_at: list[float] = []
    network.until(
        lambda: _acknowledged(nodes, killed_at, acknowledged_at), _LIMIT_S, "a binding update is acknowledged"
    )
    network.until(network.all_serve, _LIMIT_S, "all members serve again")
    time.sleep(_STEADY_S)
    nodes.ask("rate 0")
    probes = [one for one in correspondent.ask("tell") if one[0] < time.monotonic() - _STEADY_S / 2]
    status = network.ask(1, "status")
    if status is None or status["engine"]["bindings"] != bindings:
        raise RuntimeError(f"the daemon has not all bindings after its restart: {status and status['engine']}")
    return {
        "status_s": round(answered_at - started_at, 3),
        "acknowledgement_s": round(min(acknowledged_at) - started_at, 3),
        "probes": len(probes),
        "packets_lost": sum(answered is None for _, answered in probes),
        "parts_s": status["start_s"],
    }


def _acknowledged(nodes: Worker, since: float, found: list[float]) -> bool:
    """Whether a binding update was acknowledged that was sent after ``since``; when."""
    found += [at for *_, sent_at, at in nodes.ask("tell")["acknowledged"] if sent_at > since]
    return bool(found)


def _result(bindings: int, kills: list[dict[str, Any]]) -> dict[str, object]:
    def middle(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    names = ("status_s", "acknowledgement_s")
    medians: dict[str, float] = {name: middle([kill[name] for kill in kills]) for name in names}
    parts = {name: middle([kill["parts_s"][name] for kill in kills]) for name in kills[0]["parts_s"]}
    lost = sum(kill["packets_lost"] for kill in kills)
    return {
        "schema": SCHEMA,
        "bindings": bindings,
        "members": MEMBERS,
        "kills": kills,
        "units": dict.fromkeys([*medians, *parts], "s") | {"packets_lost": "packets"},
        "medians": medians | {"packets_lost": lost} | parts,
        "baselines": {},
        "ratios": {f"{name}_to_limit": round(medians[name] / GOAL_S, 2) for name in names},
        "goals": dict.fromkeys(names, GOAL_S) | {"packets_lost": 0},
    }
