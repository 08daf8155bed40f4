"""Throughput through the home agent over plain forwarding in the same network, side by side.

Two networks of four namespaces are built: in one the mobile node is reached at its home address through the tunnel, in
the other at its care-of address by routing alone. The runs are interleaved, because timings on a shared machine drift:
only the ratios mean anything.
"""

import json
import statistics
import time
from collections.abc import Callable
from operator import truediv

from unwired.bench.datagrams import datagrams_per_second
from unwired.bench.namespaces import Namespace
from unwired.bench.topology import CORRESPONDENT, Topology

SCHEMA = "unwired.bench.forwarding/1"
UDP_PAYLOAD_BYTES = 64
GOALS = {"tcp": 0.95, "udp": 0.85}

_Ends = tuple[Namespace, str, Namespace, str]
"""Sender, its address, receiver, its address."""
_Measure = Callable[[Namespace, str, Namespace, str, float], float]
_UNITS = {"tcp": "Gbit/s", "udp": "kpps"}


def run(repeats: int = 5, seconds: float = 2.0) -> dict[str, object]:
    """Medians of ``repeats`` runs of ``seconds`` each: Gbit/s (TCP), thousand packets a second of processor time (UDP,
    64 bytes). Ratios are medians over the pairs of runs that followed each other."""
    tunnelled, plain = Topology(tunnelled=True), Topology(tunnelled=False)
    samples: dict[str, dict[str, list[float]]] = {"tunnelled": {}, "plain": {}}
    try:
        for topology in (tunnelled, plain):
            topology.settle()
        for _ in range(repeats):
            for name, (measure, ends) in _MEASURES.items():
                for kind, topology in (("tunnelled", tunnelled), ("plain", plain)):
                    samples[kind].setdefault(name, []).append(measure(*ends(topology), seconds))
    finally:
        for topology in (tunnelled, plain):
            topology.close()
    medians = {name: round(statistics.median(values), 3) for name, values in samples["tunnelled"].items()}
    baselines = {name: round(statistics.median(values), 3) for name, values in samples["plain"].items()}
    return {
        "schema": SCHEMA,
        "repeats": repeats,
        "seconds": seconds,
        "units": {name: _UNITS[name[:3]] for name in medians},
        "medians": medians,
        "baselines": baselines,
        "ratios": {
            name: round(statistics.median(map(truediv, samples["tunnelled"][name], samples["plain"][name])), 3)
            for name in medians
        },
        "goals": {name: GOALS[name[:3]] for name in medians},
    }


def _tcp(sender: Namespace, source: str, receiver: Namespace, destination: str, seconds: float) -> float:
    """Gbit/s of one TCP stream, for whole seconds: iperf3 takes no others."""
    server = receiver.start(f"iperf3 -s -1 -B {destination}")
    try:
        end = time.monotonic() + 5
        while True:
            text = sender.run(f"iperf3 -J -c {destination} -B {source} -t {max(1, round(seconds))}", check=False)
            result = json.loads(text or "{}")
            if "end" in result and "sum_received" in result["end"]:
                return float(result["end"]["sum_received"]["bits_per_second"]) / 1e9
            if time.monotonic() > end:
                raise RuntimeError(f"iperf3: {result.get('error', text)}")
    finally:
        server.terminate()
        server.communicate()


def _udp(sender: Namespace, source: str, receiver: Namespace, destination: str, seconds: float) -> float:
    return datagrams_per_second(sender, source, receiver, destination, UDP_PAYLOAD_BYTES, seconds) / 1e3


def _to_mobile_node(topology: Topology) -> _Ends:
    return topology.correspondent, CORRESPONDENT, topology.mobile_nodes[0], topology.destinations[0]


def _from_mobile_node(topology: Topology) -> _Ends:
    return topology.mobile_nodes[0], topology.destinations[0], topology.correspondent, CORRESPONDENT


_MEASURES: dict[str, tuple[_Measure, Callable[[Topology], _Ends]]] = {
    "tcp_to_mobile_node": (_tcp, _to_mobile_node),
    "tcp_from_mobile_node": (_tcp, _from_mobile_node),
    "udp_to_mobile_node": (_udp, _to_mobile_node),
    "udp_from_mobile_node": (_udp, _from_mobile_node),
}
