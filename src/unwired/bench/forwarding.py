"""Throughput through the home agent over plain forwarding in the same network, side by side, for every kind of packet
in every kind of tunnel.

Two networks of namespaces are built: in one the mobile nodes are reached at their home addresses through tunnels, one
in IPv6, one in IPv4 and one in UDP; in the other at the care-of address by routing alone. The runs are interleaved,
because timings on a shared machine drift: only the ratios mean anything.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from operator import truediv

from unwired.bench.datagrams import datagrams_per_second
from unwired.bench.namespaces import Namespace
from unwired.bench.topology import CORRESPONDENT, CORRESPONDENT_IPV4, Topology
from unwired.core.forwarding import Encapsulation

SCHEMA = "unwired.bench.forwarding/2"
UDP_PAYLOAD_BYTES = 64

_Ends = tuple[Namespace, str, Namespace, str]
"""Sender, its address, receiver, its address."""
_Measure = Callable[[Namespace, str, Namespace, str, float], float]
_UNITS = {"tcp": "Gbit/s", "udp": "kpps"}
_OUTER = {Encapsulation.IPV6: "6", Encapsulation.IPV4: "4", Encapsulation.UDP: "udp"}
_DIRECTIONS = ("to_mobile_node", "from_mobile_node")


def run(repeats: int = 5, seconds: float = 2.0) -> dict[str, object]:
    """Medians of ``repeats`` runs of ``seconds`` each: Gbit/s (TCP), thousand packets a second of processor time (UDP,
    64 bytes). Ratios are medians over the runs of one round, each with the plain one of its family."""
    tunnelled, plain = Topology(tunnelled=True, encapsulations=list(Encapsulation)), Topology(tunnelled=False)
    samples: dict[str, list[float]] = {}
    baselines: dict[str, list[float]] = {}
    try:
        for topology in (tunnelled, plain):
            topology.settle()
        for _ in range(repeats):
            for protocol, inner, direction in product(_MEASURES, (6, 4), _DIRECTIONS):
                measure = _MEASURES[protocol]
                beside = measure(*_ends(plain, 0, inner, direction), seconds)
                for number, encapsulation in enumerate(Encapsulation):
                    name = f"{protocol}_{inner}in{_OUTER[encapsulation]}_{direction}"
                    ends = _ends(tunnelled, number, inner, direction)
                    samples.setdefault(name, []).append(measure(*ends, seconds))
                    baselines.setdefault(name, []).append(beside)
    finally:
        for topology in (tunnelled, plain):
            topology.close()
    return {
        "schema": SCHEMA,
        "repeats": repeats,
        "seconds": seconds,
        "units": {name: _UNITS[name[:3]] for name in samples},
        "medians": {name: round(statistics.median(values), 3) for name, values in samples.items()},
        "baselines": {name: round(statistics.median(values), 3) for name, values in baselines.items()},
        "ratios": {
            name: round(statistics.median(map(truediv, values, baselines[name])), 3) for name, values in samples.items()
        },
        "goals": dict(_goals(samples)),
    }


def _goals(names: dict[str, list[float]]) -> Iterator[tuple[str, float]]:
    for name in names:
        protocol, kind, *_ = name.split("_")
        if protocol == "udp" or kind.endswith("udp"):
            yield name, 0.85
        else:
            yield name, 0.95 if kind == "6in6" else 0.9


def _ends(topology: Topology, number: int, inner: int, direction: str) -> _Ends:
    destinations = topology.destinations if inner == 6 else topology.destinations_ipv4
    node = topology.mobile_nodes[number], destinations[number]
    correspondent = topology.correspondent, CORRESPONDENT if inner == 6 else CORRESPONDENT_IPV4
    return (*correspondent, *node) if direction == "to_mobile_node" else (*node, *correspondent)


def tcp_gigabits(sender: Namespace, source: str, receiver: Namespace, destination: str, seconds: float) -> float:
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


_MEASURES: dict[str, _Measure] = {"tcp": tcp_gigabits, "udp": _udp}
