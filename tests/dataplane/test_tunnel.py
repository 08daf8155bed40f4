"""Packets through a home agent and its tunnels in namespaces: correspondent - home agent - router - mobile nodes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from traffic import DEADLINE_S, forget_path_mtu, ping, read, transfer, until

from unwired.bench.topology import CORRESPONDENT, HOME_AGENT, Topology, care_of_address, home_address
from unwired.core.forwarding import Direction, Forward, RemoveTunnel, SetTunnel, Tunnel, Unforward
from unwired.dataplane import devices
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def built() -> Iterator[Topology]:
    made = Topology(tunnelled=True, mobile_nodes=2)
    try:
        made.settle()
        yield made
    finally:
        made.close()


@pytest.fixture(params=["shortcut", "kernel's forwarding"])
def topology(built: Topology, request: pytest.FixtureRequest) -> Topology:
    """Both ways through the home agent; the mobile nodes have no shortcut to take."""
    table = built.home_agent_table
    table._settings["flags"] = table._settings["flags"] & ~1 | (request.param == "shortcut")
    table._write_settings()
    return built


def test_ping_both_ways(topology: Topology) -> None:
    ping(topology.correspondent, home_address(0))
    ping(topology.mobile_nodes[0], CORRESPONDENT, f"-I {home_address(0)}")
    counters = topology.home_agent_table.counters()
    assert counters["encapsulated"] and counters["decapsulated"]


def test_hop_limit_counts_the_home_agent_and_not_the_tunnel(topology: Topology) -> None:
    said = topology.correspondent.run(f"ping -6 -n -c 1 -W 2 -t 1 {home_address(0)}", check=False)
    assert "From 2001:db8:c::1 icmp_seq=1 Time exceeded" in said
    ping(topology.correspondent, home_address(0), "-t 2")


@pytest.mark.parametrize("upwards", [True, False], ids=["from the mobile node", "to the mobile node"])
def test_tcp_with_segmentation_offload(topology: Topology, upwards: bool) -> None:
    node, table = topology.mobile_nodes[0], topology.home_agent_table
    before, carried = table.counters(), table.tunnel_counters(1)
    if upwards:
        transfer(node, home_address(0), topology.correspondent, CORRESPONDENT)
    else:
        transfer(topology.correspondent, CORRESPONDENT, node, home_address(0))
    after, now_carried = table.counters(), table.tunnel_counters(1)
    name = "decapsulated" if upwards else "encapsulated"
    packets = (
        now_carried.packets_received - carried.packets_received
        if upwards
        else now_carried.packets_sent - carried.packets_sent
    )
    assert packets > 3 * (after[name] - before[name]), "segments were sent one by one"
    assert after["too_big"] == before["too_big"]


def test_mobile_node_to_mobile_node(topology: Topology) -> None:
    """Decapsulated and encapsulated again, segmentation offload and all."""
    sender, receiver = topology.mobile_nodes
    ping(sender, home_address(1), f"-I {home_address(0)}")
    before = topology.home_agent_table.counters()
    transfer(sender, home_address(0), receiver, home_address(1))
    after = topology.home_agent_table.counters()
    assert after["encapsulate_failed"] == before["encapsulate_failed"]
    assert after["decapsulate_failed"] == before["decapsulate_failed"]


def test_packet_too_big_for_the_tunnel_device(topology: Topology) -> None:
    said = topology.correspondent.run(f"ping -6 -n -c 1 -W 2 -M do -s 1413 {home_address(0)}", check=False)
    assert re.search(r"From 2001:db8:c::1 icmp_seq=1 Packet too big: mtu=1460", said) or "mtu: 1460" in said
    forget_path_mtu(topology.correspondent)
    ping(topology.correspondent, home_address(0), "-M do -s 1412")


def test_a_tunnel_with_a_smaller_mtu(topology: Topology) -> None:
    """Packet Too Big with that MTU, and TCP, whose offloaded segments are answered alike, goes on."""
    tunnel = Tunnel(1, parse_address(HOME_AGENT), parse_address(care_of_address(0)))
    table = topology.home_agent_table
    before = table.counters()
    table.apply(SetTunnel(replace(tunnel, mtu=1380)))
    table.set_clamp_mss(False)
    try:
        said = topology.correspondent.run(f"ping -6 -n -c 1 -W 2 -M do -s 1400 {home_address(0)}", check=False)
        assert "mtu=1380" in said or "mtu: 1380" in said
        forget_path_mtu(topology.correspondent)
        transfer(topology.correspondent, CORRESPONDENT, topology.mobile_nodes[0], home_address(0))
        assert "mtu 1380" in topology.correspondent.run(f"ip -6 route get {home_address(0)}")
        assert table.counters()["too_big"] == before["too_big"]
        assert "mtu lock 1380" in topology.home_agent.run(f"ip -6 route show {home_address(0)}")
    finally:
        table.set_clamp_mss(True)
        table.apply(SetTunnel(tunnel))
        forget_path_mtu(topology.correspondent)
    assert topology.home_agent.run(f"ip -6 route show {home_address(0)}") == ""


def test_a_mobile_node_whose_tunnel_has_a_smaller_mtu(built: Topology) -> None:
    node, table = built.mobile_nodes[0], built.mobile_node_tables[0]
    tunnel = Tunnel(1, parse_address(care_of_address(0)), parse_address(HOME_AGENT))
    table.apply(SetTunnel(replace(tunnel, mtu=1300)))
    try:
        assert "mtu 1300" in node.run("ip link show dev mip0")
        transfer(node, home_address(0), built.correspondent, CORRESPONDENT)
        assert table.counters()["too_big"] == 0
        forwards = table.rows().forwards
        assert len(forwards) == 2
        for forward in forwards:
            assert "mtu 1300" in node.run("ip link show dev mip0")
            table.apply(Unforward(forward.plane, forward.direction, forward.address))
        assert "mtu 1460" in node.run("ip link show dev mip0")
        for forward in forwards:
            table.apply(forward)
            assert "mtu 1300" in node.run("ip link show dev mip0")
    finally:
        table.apply(SetTunnel(tunnel))
    assert "mtu 1460" in node.run("ip link show dev mip0")


def test_larger_than_the_outgoing_link_is_told(built: Topology) -> None:
    """Nobody has lowered the tunnel's MTU: the daemon gets the packet, cut, with the MTU of the link as flow label."""
    built.home_agent.ip("link set up0 mtu 1400")
    with built.home_agent:
        descriptor = devices.open_punt_device("punt0")
    try:
        before = built.home_agent_table.counters()["too_big"]
        ping_large = f"ping -6 -n -c 1 -W 1 -M do -s 1400 {home_address(0)}"
        told = read(descriptor, lambda: built.correspondent.run(ping_large, check=False))
        assert built.home_agent_table.counters()["too_big"] > before
        assert int.from_bytes(told[:4]) == 6 << 28 | 1400
        assert told[7] == 0  # which tells it from a packet that came in a tunnel
        assert told[6] == 41 and told[8:40] == parse_address(HOME_AGENT) + parse_address(care_of_address(0))
        assert told[40 + 24 : 80] == parse_address(home_address(0)) and len(told) == 40 + 1200
    finally:
        os.close(descriptor)
        built.home_agent.ip("link set up0 mtu 1500")


def test_errors_about_the_tunnel_are_punted(built: Topology) -> None:
    """The access link is narrower than the tunnel: the router's Packet Too Big, whole, is the daemon's."""
    built.router.ip("link set mn0 mtu 1400")
    with built.home_agent:
        descriptor = devices.open_punt_device("punt0")
    try:
        ping_large = f"ping -6 -n -c 1 -W 1 -s 1400 {home_address(0)}"
        packet = read(descriptor, lambda: built.correspondent.run(ping_large, check=False))
        assert packet[6] == 58 and packet[24:40] == parse_address(HOME_AGENT)
        assert packet[40] == 2 and int.from_bytes(packet[44:48]) == 1400
        assert packet[48 + 6] == 41 and packet[48 + 24 : 48 + 40] == parse_address(care_of_address(0))
    finally:
        os.close(descriptor)
        built.router.ip("link set mn0 mtu 1500")


def test_moving_is_one_row(built: Topology) -> None:
    """The second node answers for the first one's home address once the tunnel leads to it."""
    node, table = built.mobile_nodes[1], built.home_agent_table
    there = Tunnel(1, parse_address(HOME_AGENT), parse_address(care_of_address(1)))
    back = Tunnel(1, parse_address(HOME_AGENT), parse_address(care_of_address(0)))
    before = table.tunnel_counters(1).packets_sent
    node_before = built.mobile_node_tables[1].counters()["reverse_check"]
    table.apply(SetTunnel(there))
    try:
        built.correspondent.run(f"ping -6 -c 1 -W 1 {home_address(0)}", check=False)
        # It does not accept what is not for its own home address.
        until(lambda: built.mobile_node_tables[1].counters()["reverse_check"] == node_before + 1)
        assert table.tunnel_counters(1).packets_sent == before + 1
    finally:
        table.apply(SetTunnel(back))
    assert node is built.mobile_nodes[1]


def test_forged_reverse_tunnel(built: Topology) -> None:
    """A mobile node that sends from another's home address."""
    node, table = built.mobile_nodes[1], built.mobile_node_tables[1]
    before = built.home_agent_table.counters()["reverse_check"]
    node.ip(
        f"addr add {home_address(0)}/128 dev mip0 nodad",
        f"rule add from {home_address(0)} lookup 77",
    )
    forward = Forward(0, Direction.FROM_HOME_ADDRESS, parse_address(home_address(0)), 1)
    table.apply(forward)
    try:
        node.run(f"ping -6 -c 1 -W 1 -I {home_address(0)} {CORRESPONDENT}", check=False)
        until(lambda: built.home_agent_table.counters()["reverse_check"] == before + 1)
    finally:
        table.apply(Unforward(forward.plane, forward.direction, forward.address))
        node.ip(f"addr del {home_address(0)}/128 dev mip0", f"rule del from {home_address(0)} lookup 77")


def test_outer_packets_follow_rules_by_source_address(built: Topology) -> None:
    node = built.mobile_nodes[0]
    router = "2001:db8:200::1"
    node.ip(
        "route del default",
        f"rule add from {care_of_address(0)} lookup 88",
        f"route add default via {router} dev up0 table 88",
    )
    try:
        ping(built.correspondent, home_address(0))
    finally:
        node.ip(
            f"rule del from {care_of_address(0)} lookup 88", "route flush table 88", f"route add default via {router}"
        )


def test_a_tunnel_bound_to_an_interface(built: Topology) -> None:
    """Its packets leave by that interface or not at all."""
    node, table = built.mobile_nodes[0], built.mobile_node_tables[0]
    local, peer = parse_address(care_of_address(0)), parse_address(HOME_AGENT)
    before = table.counters()["no_route"]
    node.ip("link add idle type veth peer name idle-peer", "link set idle up", "link set idle-peer up")
    node.ip("addr add 2001:db8:99::1/64 dev idle nodad", "route add default via 2001:db8:99::2 dev idle metric 1")
    table.apply(SetTunnel(Tunnel(1, local, peer, interface=node.ifindex("up0"))))
    try:
        assert "0 received" in built.correspondent.run(f"ping -6 -c 1 -W 1 {home_address(0)}", check=False)
        assert table.counters()["no_route"] == before + 1
        node.ip(
            f"rule add from {care_of_address(0)} lookup 88",
            "route add default via 2001:db8:200::1 dev up0 table 88",
        )
        ping(built.correspondent, home_address(0))
        node.ip(f"rule del from {care_of_address(0)} lookup 88", "route flush table 88")
    finally:
        table.apply(SetTunnel(Tunnel(1, local, peer)))
        node.ip("link del idle")


def test_a_peer_behind_the_tunnel_device_is_a_loop(built: Topology) -> None:
    table = built.home_agent_table
    address = "2001:db8:100::2000"
    table.apply(SetTunnel(Tunnel(9, parse_address(HOME_AGENT), parse_address("2001:db8:100::3000"))))
    table.apply(Forward(0, Direction.TO_HOME_ADDRESS, parse_address(address), 9))
    before = table.counters()["tunnel_loop"]
    built.correspondent.run(f"ping -6 -c 1 -W 1 {address}", check=False)
    assert table.counters()["tunnel_loop"] == before + 1
    table.apply(Unforward(0, Direction.TO_HOME_ADDRESS, parse_address(address)))
    table.apply(RemoveTunnel(9))


def test_a_home_address_without_binding_reaches_a_reader(built: Topology) -> None:
    before = built.home_agent_table.counters()["no_forward"]
    built.correspondent.run("ping -6 -c 1 -W 1 2001:db8:100::4000", check=False)
    assert built.home_agent_table.counters()["no_forward"] == before + 1


OWNER = """
import sys, signal
from unwired.dataplane import object_path
from unwired.dataplane.bpf_table import BpfTable
table = BpfTable(sys.argv[1], object_path())
for ifindex in table.uplinks():
    table.attach_uplink(ifindex)
table.attach_tunnel_device(int(sys.argv[2]))
print("adopted" if table.adopted else "empty", len(table.rows().forwards), flush=True)
signal.pause()
"""


def test_killing_the_owner_loses_no_packet(built: Topology) -> None:
    """kill -9, nobody there, a new owner that replaces the attached programs: a probe every 2 ms notices nothing."""
    name = built.home_agent_table.directory.name
    ifindex = str(built.home_agent.ifindex("mip0"))
    command = [*built.home_agent.command(sys.executable), "-c", OWNER, name, ifindex]
    probe = built.correspondent.start(f"ping -6 -q -i 0.002 -c 1500 -W 2 {home_address(0)}")
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "adopted 4\n"
            owner.send_signal(signal.SIGKILL)
    said, _ = probe.communicate(timeout=DEADLINE_S)
    assert "1500 packets transmitted, 1500 received, 0% packet loss" in said
