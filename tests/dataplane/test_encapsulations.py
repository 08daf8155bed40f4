"""Every kind of packet in every kind of tunnel, in namespaces: correspondent - home agent - router - mobile nodes."""

import os
from collections.abc import Iterator

import pytest
from traffic import ping, transfer

from unwired.bench.namespaces import Namespace
from unwired.bench.topology import (
    CORRESPONDENT,
    CORRESPONDENT_IPV4,
    Topology,
    home_address,
    home_address_ipv4,
)
from unwired.core.forwarding import Encapsulation

pytestmark = pytest.mark.root

KINDS = list(Encapsulation)
OLDER_KERNEL = tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3)
"""Has no flag for the family of what is inside (bpf/room.h)."""


@pytest.fixture(scope="module")
def built() -> Iterator[Topology]:
    """Two mobile nodes for each encapsulation."""
    made = Topology(tunnelled=True, encapsulations=[kind for kind in KINDS for _ in range(2)])
    try:
        made.settle()
        yield made
    finally:
        made.close()


@pytest.fixture(params=["shortcut", "kernel's forwarding"])
def topology(built: Topology, request: pytest.FixtureRequest) -> Topology:
    """Both ways through the home agent; the mobile nodes have no shortcut to take."""
    built.home_agent_table.set_shortcut(request.param == "shortcut")
    return built


def number_of(kind: Encapsulation, which: int = 0) -> int:
    return 2 * KINDS.index(kind) + which


def home(number: int, inner: int) -> str:
    return home_address(number) if inner == 6 else home_address_ipv4(number)


def correspondent(inner: int) -> str:
    return CORRESPONDENT if inner == 6 else CORRESPONDENT_IPV4


def failed(topology: Topology) -> int:
    names = ("encapsulate_failed", "decapsulate_failed", "malformed", "too_big", "to_fragment")
    return sum(table.counters()[name] for table in topology.tables for name in names)


@pytest.mark.parametrize("inner", [6, 4])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_ping_both_ways(kind: Encapsulation, inner: int, topology: Topology) -> None:
    number = number_of(kind)
    ping(topology.correspondent, home(number, inner))
    ping(topology.mobile_nodes[number], correspondent(inner), f"-I {home(number, inner)}")


@pytest.mark.parametrize("inner", [6, 4])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_time_to_live_counts_the_home_agent_and_not_the_tunnel(
    kind: Encapsulation, inner: int, topology: Topology
) -> None:
    address = home(number_of(kind), inner)
    said = topology.correspondent.run(f"ping -n -c 1 -W 2 -t 1 {address}", check=False)
    assert "Time" in said and "xceeded" in said
    ping(topology.correspondent, address, "-t 2")


@pytest.mark.parametrize("upwards", [True, False], ids=["from the mobile node", "to the mobile node"])
@pytest.mark.parametrize("inner", [6, 4])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_tcp_with_segmentation_offload(kind: Encapsulation, inner: int, upwards: bool, topology: Topology) -> None:
    number = number_of(kind)
    table = topology.home_agent_table
    before, carried, failures = table.counters(), table.tunnel_counters(number + 1), failed(topology)
    ends = [
        (topology.mobile_nodes[number], home(number, inner)),
        (topology.correspondent, correspondent(inner)),
    ]
    _send(*(ends if upwards else reversed(ends)))
    after, now_carried = table.counters(), table.tunnel_counters(number + 1)
    name = "decapsulated" if upwards else "encapsulated"
    packets = (
        now_carried.packets_received - carried.packets_received
        if upwards
        else now_carried.packets_sent - carried.packets_sent
    )
    assert packets > 3 * (after[name] - before[name]), "segments were sent one by one"
    assert after["cut"] == before["cut"]
    assert failed(topology) == failures


@pytest.mark.parametrize("inner", [6, 4])
@pytest.mark.parametrize("second", KINDS, ids=lambda kind: f"into {kind.name}")
@pytest.mark.parametrize("first", KINDS, ids=lambda kind: f"out of {kind.name}")
def test_mobile_node_to_mobile_node(
    first: Encapsulation, second: Encapsulation, inner: int, topology: Topology
) -> None:
    """Decapsulated and encapsulated again, segmentation offload and all; what comes out of another kind of tunnel than
    it goes into is cut before, and by older kernels also what would change its family."""
    sender, receiver = number_of(first), number_of(second, 1)
    ping(topology.mobile_nodes[sender], home(receiver, inner), f"-I {home(sender, inner)}")
    before, failures = topology.home_agent_table.counters(), failed(topology)
    _send(
        (topology.mobile_nodes[sender], home(sender, inner)),
        (topology.mobile_nodes[receiver], home(receiver, inner)),
    )
    assert failed(topology) == failures
    changes_family = inner != (6 if second == Encapsulation.IPV6 else 4)
    cut = first != second or (OLDER_KERNEL and changes_family)
    assert (topology.home_agent_table.counters()["cut"] > before["cut"]) == cut


def _send(sender: tuple[Namespace, str], receiver: tuple[Namespace, str]) -> None:
    transfer(*sender, *receiver)
