"""The site of a home agent fails silently under load: what a correspondent node and the mobile nodes notice of it.

Three members of a set, real daemons with BGP sessions and BFD to a router between them, the mobile nodes and the
correspondent node (``set_network.py``). All mobile nodes are registered with the first member; then, several times, its
frames are dropped in the middle while nodes go on registering, and the binding of every mobile node that holds an
acknowledgement is looked up at the members that are left. Probes run every 10 ms to home addresses of mobile nodes that
send nothing but the answers, and come back. Outage: the longest time without an answer, less 10 ms.
"""

import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from unwired.bench.binding_updates import HOME_AGENT, Fleet, care_of_address, home_address
from unwired.bench.loaded_agent import load_program, send
from unwired.bench.set_network import NODES_DEVICE, SetNetwork
from unwired.bench.workers import Worker
from unwired.wire.address import Address, format_address

SCHEMA = "unwired.bench.failure/1"
MEMBERS = 3
DETECTION_S, DETECTIONS = 0.05, 3
"""HELLO and BFD: at what intervals, and of how many of them silence means that the other one is gone."""
GOAL_MS = round(DETECTIONS * DETECTION_S * 1e3 + 200, 1)
PROBE_INTERVAL_S = 0.01
RATE = 200
"""Registrations a second while a site fails."""
_QUIET = 0.2
"""The share of the mobile nodes that are probed and do not register again."""
_STEADY_S = 1.0
_OUTAGE_LIMIT_S = 20.0
_HEAL_LIMIT_S = 120.0
_ENCODING_S = 1e-4
_REGISTERING_LIMIT_S = 300.0
_MOMENT_S = 0.1
_SEQUENCE_NUMBERS = 1 << 16


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The latest registration that a mobile node holds an acknowledgement of."""

    care_of_address: Address
    sequence: int


def run(bindings: int = 10_000, kills: int = 5) -> dict[str, object]:
    """Raises RuntimeError when a part does not start or traffic does not come back at all."""
    quiet = max(1, round(bindings * _QUIET))
    if bindings <= quiet:
        raise RuntimeError("at least two bindings are needed: one to be probed, one to register")
    moving = bindings - quiet
    with (
        tempfile.TemporaryDirectory(prefix="unwired-bench-") as name,
        load_program(Path(name)) as program,
        SetNetwork(Path(name), MEMBERS, bindings) as network,
    ):
        held = register(network, program, Path(name), bindings)
        with (
            Worker(network.nodes, "unwired.bench.mobile_nodes", NODES_DEVICE, moving) as nodes,
            Worker(network.correspondent, "unwired.bench.probe", PROBE_INTERVAL_S, moving, quiet) as correspondent,
        ):
            found = [_kill(network, nodes, correspondent, held) for _ in range(kills)]
    return _result(bindings, found)


def register(network: SetNetwork, program: Path, directory: Path, bindings: int) -> dict[Address, Acknowledged]:
    """All mobile nodes with the first member, as fast as it acknowledges. Raises RuntimeError unless it accepts all."""
    fleet, step = Fleet(bindings), 10_000
    for start in range(0, bindings, step):
        count = min(step, bindings - start)
        packets = fleet.updates(count, moving=False, ahead_of=time.time() + count * _ENCODING_S)
        sample = send(
            network.nodes, program, directory, packets, len(packets) // count, _REGISTERING_LIMIT_S, HOME_AGENT
        )
        if sample["accepted"] != count:
            raise RuntimeError(f"{count} binding updates were sent; the answers: {sample}")
    return {home_address(number): Acknowledged(care_of_address(number, 0), 1) for number in range(bindings)}


# --- one failure ------------------------------------------------------------------------------------------------------


def _kill(
    network: SetNetwork, nodes: Worker, correspondent: Worker, held: dict[Address, Acknowledged]
) -> dict[str, float]:
    correspondent.ask("begin")
    nodes.ask("tell")
    nodes.ask(f"rate {RATE}")
    network.until(lambda: correspondent.ask("last") > 0, _OUTAGE_LIMIT_S, "probes are answered")
    time.sleep(_STEADY_S)
    cut_at = time.monotonic()
    network.cut(1)
    silent_at = time.monotonic()
    network.until(lambda: correspondent.ask("last") > silent_at, _OUTAGE_LIMIT_S, "probes are answered again")
    time.sleep(_STEADY_S)
    stopped_at = time.monotonic()
    nodes.ask("rate 0")
    time.sleep(_STEADY_S)
    answers = [answered for _, answered in correspondent.ask("tell") if answered is not None]
    acknowledged_at = _take(nodes, held)
    lost, held_by_one = missing(held, [network.bindings(number) for number in range(2, MEMBERS + 1)])
    network.heal()
    network.until(network.all_serve, _HEAL_LIMIT_S, "all members serve again")
    network.until(lambda: network.leads_to(1), _HEAL_LIMIT_S, "the home prefix is routed to the first member again")
    network.until(lambda: _agree(network), _HEAL_LIMIT_S, "all members have the same bindings again")
    return {
        "outage_ms": silence_ms(answers, cut_at, stopped_at, PROBE_INTERVAL_S),
        "registration_outage_ms": silence_ms(acknowledged_at, cut_at, stopped_at, 1 / RATE),
        "acknowledged_around_the_cut": sum(abs(at - cut_at) < _MOMENT_S for at in acknowledged_at),
        "acknowledged_bindings": len(held),
        "lost": lost,
        "held_by_one_survivor": held_by_one,
    }


def _take(nodes: Worker, held: dict[Address, Acknowledged]) -> list[float]:
    """Note the acknowledgements that mobile nodes have received since they were asked last; when each came."""
    acknowledged = nodes.ask("tell")["acknowledged"]
    for home, care_of, sequence, _, _ in acknowledged:
        held[bytes.fromhex(home)] = Acknowledged(bytes.fromhex(care_of), sequence)
    return [at for *_, at in acknowledged]


def silence_ms(times: list[float], since: float, until: float, interval_s: float) -> float:
    """The longest time without any, less the interval at which they come when all is well."""
    inside = [since, *sorted(at for at in times if since < at < until), until]
    longest_s = max(later - earlier for earlier, later in pairwise(inside))
    return round(max(0.0, longest_s - interval_s) * 1e3, 1)


def missing(held: dict[Address, Acknowledged], members: list[dict[str, dict[str, Any]]]) -> tuple[int, int]:
    """How many acknowledged bindings no member has, and how many only one."""
    copies = Counter(
        sum(_has(member.get(format_address(home)), acknowledged) for member in members)
        for home, acknowledged in held.items()
    )
    return copies[0], copies[1]


def _has(binding: dict[str, Any] | None, acknowledged: Acknowledged) -> bool:
    """Whether it is what was acknowledged, or of a later binding update, whose acknowledgement was under way."""
    if binding is None:
        return False
    later: int = (binding["sequence"] - acknowledged.sequence) % _SEQUENCE_NUMBERS
    if later:
        return later < _SEQUENCE_NUMBERS // 2
    return bool(binding["care_of_address"] == format_address(acknowledged.care_of_address))


def _agree(network: SetNetwork) -> bool:
    first, *others = (
        {home: (binding["version"], binding["care_of_address"]) for home, binding in network.bindings(number).items()}
        for number in range(1, MEMBERS + 1)
    )
    return all(other == first for other in others)


# --- figures ----------------------------------------------------------------------------------------------------------


def _result(bindings: int, kills: list[dict[str, float]]) -> dict[str, object]:
    def middle(name: str) -> float:
        return round(statistics.median(kill[name] for kill in kills), 1)

    medians = {name: middle(name) for name in ("outage_ms", "registration_outage_ms")}
    detection_ms = round(DETECTIONS * DETECTION_S * 1e3, 1)
    lost = sum(kill["lost"] for kill in kills)
    return {
        "schema": SCHEMA,
        "bindings": bindings,
        "members": MEMBERS,
        "kills": kills,
        "units": dict.fromkeys([*medians, "detection_ms"], "ms") | {"acknowledged_bindings_lost": "bindings"},
        "medians": medians | {"acknowledged_bindings_lost": lost},
        "baselines": {"detection_ms": detection_ms},
        "ratios": {
            "outage_to_limit": round(medians["outage_ms"] / GOAL_MS, 2),
            "outage_to_detection": round(medians["outage_ms"] / detection_ms, 2),
        },
        "goals": {"outage_ms": GOAL_MS, "acknowledged_bindings_lost": 0},
    }
