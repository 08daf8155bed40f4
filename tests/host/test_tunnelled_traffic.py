"""What travels in the tunnels of two daemons: nothing that belongs to a link, nothing too big without a word."""

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import Network, ask, eventually, home_agent_file, mobile_node_file, roaming, transfer

from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, UnknownPayload, encode_packet

pytestmark = pytest.mark.root

HOME_AGENT = "2001:db8:100::1"
HOME = "2001:db8:100::1000"
PEER = "2001:db8:2::2"
IPV6 = 41


class World:
    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.agent_file = home_agent_file(directory)
        self.node_file = mobile_node_file(directory)
        network.daemon("agent", self.agent_file)
        network.daemon("node", self.node_file)
        eventually(self.registered, what="registered")
        (binding,) = (ask(self.agent_file, "bindings") or {})["bindings"]
        self.care_of_address: str = binding["care_of_address"]

    def registered(self) -> bool:
        answer = ask(self.node_file, "status")
        return bool(answer and answer["engine"] and answer["engine"]["registered"])

    def counted(self, file: Path, name: str) -> int:
        return int((ask(file, "status") or {})["data_plane"]["counters"][name])

    def send(self, source: str, destination: str, inner: Packet) -> None:
        """From the router, as somebody who lies about its address."""
        payload = UnknownPayload(IPV6, encode_packet(inner))
        packet = Packet(parse_address(source), parse_address(destination), payload)
        with self.network.entered("router").inside():
            raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        with raw:
            raw.sendto(encode_packet(packet), (destination, 0, 0, 0))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with roaming(tmp_path) as network:
        yield World(network, tmp_path)


def _ping(world: World, name: str, *arguments: str) -> str:
    command = world.network.command(name, "ping", "-6", "-n", *arguments)
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_what_is_of_one_link_does_not_come_out_of_a_tunnel(world: World) -> None:
    """Neither a link-local source nor a link-local group: it would pass for a neighbour's (RFC 4291 section 2.5.6)."""
    echo = UnknownPayload(17, bytes.fromhex("14e914e900080000"))
    for file, outer, inner in (
        (world.node_file, (HOME_AGENT, world.care_of_address), ("fe80::bad", HOME)),
        (world.agent_file, (world.care_of_address, HOME_AGENT), (HOME, "ff02::fb")),
        (world.agent_file, (world.care_of_address, HOME_AGENT), (HOME, "fe80::1")),
    ):
        before = world.counted(file, "link_scope")
        world.send(*outer, Packet(parse_address(inner[0]), parse_address(inner[1]), echo))
        eventually(lambda file=file, before=before: world.counted(file, "link_scope") == before + 1)


@pytest.mark.parametrize("narrow", ["node", "agent"])
def test_a_narrow_link_under_the_tunnel(world: World, narrow: str) -> None:
    """The link by which tunnel packets leave carries less than the tunnel device's MTU takes for granted."""
    device, other = {"node": ("wlan0", "visited1"), "agent": ("up0", "agent0")}[narrow]
    world.network.inside(narrow, "ip", "link", "set", device, "mtu", "1400")
    world.network.inside("router", "ip", "link", "set", other, "mtu", "1400")
    assert transfer(world.network, "node", HOME, "peer", PEER)
    assert transfer(world.network, "peer", PEER, "node", HOME)
    if narrow == "agent":
        world.network.inside("peer", "ip", "-6", "route", "flush", "cache")
        said = _ping(world, "peer", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1330", HOME)
        assert re.search(r"From 2001:db8:\S+ icmp_seq=\d Packet too big: mtu=1360", said) or "mtu: 1360" in said, said


def test_a_firewall_sees_what_takes_no_shortcut(world: World) -> None:
    """With ``shortcut = false``, applied in place, netfilter's forward hook filters what mobile nodes send and get."""
    network = world.network
    network.inside("agent", "nft", "add table inet filter")
    network.inside("agent", "nft", "add chain inet filter forward { type filter hook forward priority 0; }")
    network.inside("agent", "nft", "add rule inet filter forward icmpv6 type echo-request counter drop")
    assert " 0% packet loss" in _ping(world, "peer", "-c", "2", "-i", "0.1", "-W", "1", HOME)
    text = world.agent_file.read_text()
    world.agent_file.write_text(text.replace("[daemon]", "[daemon]\nshortcut = false"))
    assert (ask(world.agent_file, "reload") or {})["applied"]
    assert " 100% packet loss" in _ping(world, "peer", "-c", "2", "-i", "0.1", "-W", "1", HOME)
    network.inside("agent", "nft", "flush ruleset")
    assert " 0% packet loss" in _ping(world, "peer", "-c", "2", "-i", "0.1", "-W", "1", HOME)
