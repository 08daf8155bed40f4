"""Packets that a tunnel does not carry, of each kind in each kind: what the daemon gets of them, in namespaces."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from traffic import forget_path_mtu, read, transfer, until

from unwired.bench.topology import (
    CORRESPONDENT,
    CORRESPONDENT_IPV4,
    Topology,
    home_address,
    home_address_ipv4,
)
from unwired.core.forwarding import Encapsulation, SetTunnel
from unwired.dataplane import devices
from unwired.dataplane.punted import TooBig, decode_punted
from unwired.wire.address import parse_address
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message

pytestmark = pytest.mark.root

KINDS = list(Encapsulation)
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
HEADERS = {6: 48, 4: 28}
"""Of an echo request: what a packet is longer than its data."""


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    made = Topology(tunnelled=True, encapsulations=KINDS)
    try:
        made.settle()
        yield made
    finally:
        made.close()


@pytest.fixture
def punted(topology: Topology) -> Iterator[int]:
    with topology.home_agent:
        descriptor = devices.open_punt_device("punt0")
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def narrow(topology: Topology, request: pytest.FixtureRequest) -> Iterator[int]:
    """The MTU of the link between home agent and router, of which nobody has told the kernel's routes."""
    topology.home_agent.ip(f"link set up0 mtu {request.param}")
    yield request.param
    topology.home_agent.ip("link set up0 mtu 1500")


def told(topology: Topology, punted: int, destination: str, size: int, options: str) -> TooBig:
    """What the daemon hears when the correspondent node pings with packets of ``size`` bytes."""
    data = size - HEADERS[6 if ":" in destination else 4]
    command = f"ping -n -c 1 -W 0.1 {options} -s {data} {destination}"
    forget_path_mtu(topology.correspondent)
    answer = decode_punted(read(punted, lambda: topology.correspondent.run(command, check=False)))
    assert isinstance(answer, TooBig)
    return answer


def home(kind: Encapsulation, inner: int) -> str:
    return (home_address if inner == 6 else home_address_ipv4)(KINDS.index(kind))


@pytest.mark.parametrize("narrow", [1400], indirect=True)
@pytest.mark.parametrize("inner", [6, 4])
@EACH_KIND
def test_larger_than_the_outgoing_link(
    kind: Encapsulation, inner: int, narrow: int, topology: Topology, punted: int
) -> None:
    """As encapsulated, cut, with the MTU of the path: an engine reads it as that router's error."""
    tunnel = topology.tunnel(KINDS.index(kind), True)
    before = topology.home_agent_table.counters()["too_big"]
    answer = told(topology, punted, home(kind, inner), 1460, "-M do")
    assert topology.home_agent_table.counters()["too_big"] > before
    assert (answer.path_mtu, answer.goes_in_fragments) == (narrow, False)
    assert len(answer.data) == kind.overhead + 1200
    error = answer.error()
    assert (error.source, error.destination) == (tunnel.local, tunnel.local)
    if kind == Encapsulation.IPV6:
        assert error.payload == PacketTooBig(narrow, answer.data)
        assert answer.data[24:40] == tunnel.peer
    else:
        assert error.payload == Icmpv4Message(3, 4, narrow, answer.data)
        assert answer.data[16:20] == tunnel.peer[12:]
        assert answer.data[9] == (17 if kind == Encapsulation.UDP else 41 if inner == 6 else 4)
    quoted = answer.data[kind.overhead :]
    addresses = parse_address(home(kind, inner))
    assert (quoted[24:40] == addresses) if inner == 6 else (quoted[16:20] == addresses[12:])


@pytest.mark.parametrize("narrow", [1280], indirect=True)
@pytest.mark.parametrize("inner", [6, 4])
@EACH_KIND
def test_what_has_to_pass_comes_whole(
    kind: Encapsulation, inner: int, narrow: int, topology: Topology, punted: int
) -> None:
    """IPv6 of 1280 bytes, and IPv4 that may be fragmented, for the daemon to send in fragments."""
    before = topology.home_agent_table.counters()
    size = 1280 if inner == 6 else 1400
    answer = told(topology, punted, home(kind, inner), size, "" if inner == 6 else "-M dont")
    after = topology.home_agent_table.counters()
    assert after["to_fragment"] > before["to_fragment"]
    assert after["too_big"] == before["too_big"]
    assert (answer.path_mtu, answer.goes_in_fragments) == (narrow, True)
    inner_packet = answer.encapsulated()[kind.overhead :]
    assert len(inner_packet) == size
    assert inner_packet[0] >> 4 == inner


@pytest.mark.parametrize("narrow", [1280], indirect=True)
def test_what_has_to_pass_is_limited(narrow: int, topology: Topology) -> None:
    before = topology.home_agent_table.counters()

    with topology.correspondent:
        flood = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

    def came() -> bool:
        for _ in range(1000):
            flood.sendto(bytes(1232), (home_address(0), 9))
        return topology.home_agent_table.counters()["fragments_limited"] > before["fragments_limited"]

    with flood:
        until(came)
    after = topology.home_agent_table.counters()
    assert after["to_fragment"] >= before["to_fragment"] + 500


@pytest.mark.parametrize("inner", [6, 4])
@EACH_KIND
def test_a_path_that_loses_errors_does_not_stall_tcp(kind: Encapsulation, inner: int, topology: Topology) -> None:
    """The access link is narrow and nobody says so: what the two ends of the connection tell each other has been
    lowered at the home agent, whose tunnel row knows the path."""
    number = KINDS.index(kind)
    table, tunnel = topology.home_agent_table, topology.tunnel(number, True)
    topology.router.ip(f"link set mn{number} mtu 1300")
    topology.router.run("nft add table inet quiet")
    topology.router.run("nft add chain inet quiet out { type filter hook output priority 0 ; }")
    topology.router.run("nft add rule inet quiet out icmpv6 type packet-too-big drop")
    topology.router.run("nft add rule inet quiet out icmp type destination-unreachable drop")
    table.apply(SetTunnel(replace(tunnel, mtu=1300 - kind.overhead)))
    try:
        correspondent = CORRESPONDENT if inner == 6 else CORRESPONDENT_IPV4
        ends = topology.mobile_nodes[number], home(kind, inner), topology.correspondent, correspondent
        before = table.counters()
        transfer(*ends)
        transfer(*ends[2:], *ends[:2])
        assert table.counters()["too_big"] == before["too_big"]
    finally:
        topology.router.run("nft delete table inet quiet")
        table.apply(SetTunnel(tunnel))
        topology.router.ip(f"link set mn{number} mtu 1500")
