"""The daemon as a user runs it, in namespaces: it registers, is killed and succeeded without a loss, stops cleanly."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import PYTHON, Network, ask, eventually, home_agent_file, mobile_node_file, roaming, stop

pytestmark = pytest.mark.root

HOME = "2001:db8:100::1000"
PEER = "2001:db8:2::2"


class World:
    """A home agent and a mobile node that run and are registered."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.agent_file = home_agent_file(directory)
        self.node_file = mobile_node_file(directory)
        self.before = {name: self.host(name) for name in ("agent", "node")}
        self.agent = network.daemon("agent", self.agent_file)
        self.node = network.daemon("node", self.node_file)

    def registered(self) -> bool:
        answer = ask(self.node_file, "status")
        return bool(answer and answer["engine"] and answer["engine"]["registered"])

    def log(self, name: str) -> str:
        return (self.network.directory / f"{name}.log").read_text()

    def host(self, name: str) -> str:
        """What a daemon could have changed, without what changes by itself."""
        inside = self.network.inside
        text = inside(name, "ip", "-6", "route", "show", "table", "all") + inside(name, "ip", "-6", "rule")
        text += inside(name, "ip", "-o", "link") + inside(name, "ip", "addrlabel")
        text += inside(name, "sysctl", "-a", "-r", r"net\.ipv6\.conf\..*(forward|accept_ra$|optimistic|proxy)")
        lines = (re.sub(r" (expires|hoplimit) \S+", "", line) for line in text.splitlines())
        # Multicast and anycast routes come and go with addresses and forwarding.
        return "\n".join(sorted(line for line in lines if not line.startswith(("multicast", "anycast"))))

    def ping(self, name: str, address: str, count: int = 5) -> int:
        command = self.network.command(name, "ping", "-6", "-c", str(count), "-i", "0.02", "-W", "1", address)
        done = subprocess.run(command, capture_output=True, text=True)
        answered = re.search(r"(\d+) received", done.stdout)
        return int(answered.group(1)) if answered else 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with roaming(tmp_path) as network:
        # Addresses and routes are settled before the daemons come, so that what they change can be told.
        node_address = ("node", "ip", "-6", "address", "show", "dev", "wlan0", "scope", "global", "-tentative")
        eventually(lambda: "2001:db8:11:" in network.inside(*node_address), what="address by router advertisement")
        world = World(network, tmp_path)
        eventually(world.registered, what="registered")
        yield world


def test_registers_forwards_explains_and_stops_cleanly(world: World) -> None:
    assert world.ping("peer", HOME) == 5
    assert world.ping("node", PEER) == 5

    bindings = ask(world.agent_file, "bindings")
    assert bindings is not None
    (binding,) = bindings["bindings"]
    assert binding["home_address"] == HOME
    assert binding["care_of_address"].startswith("2001:db8:11:")

    explained = ask(world.agent_file, "explain", HOME)
    assert explained is not None
    assert explained["route"]["interface"] == "mip0"
    assert explained["tunnel"]["peer"] == binding["care_of_address"]
    assert explained["outer_route"]["interface"] == "up0"

    # New connections of the node choose the home address: no -I above, and the agent saw them in the tunnel.
    explained = ask(world.node_file, "explain", PEER)
    assert explained is not None
    assert explained["tunnel"]["packets_sent"] >= 5
    assert "no IPv4 home address" in ask(world.node_file, "explain", "192.0.2.1")["engine"][0]

    assert stop(world.node) == 0
    eventually(lambda: ask(world.agent_file, "bindings") == {"schema": "unwired.bindings/1", "bindings": []})
    assert stop(world.agent) == 0
    for name in ("agent", "node"):
        assert world.host(name) == world.before[name]
    assert not list(world.network.directory.glob("run/*"))


def test_killed_agent_is_succeeded(world: World) -> None:
    assert world.ping("peer", HOME) == 5
    world.agent.kill()
    world.agent.wait()
    assert world.ping("peer", HOME) == 5, "traffic stopped with the daemon"
    command = world.network.command("peer", "ping", "-6", "-c", "150", "-i", "0.01", "-W", "1", HOME)
    pinging = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    world.agent = world.network.daemon("agent", world.agent_file)
    eventually(lambda: ask(world.agent_file, "bindings"))
    assert " 150 received" in pinging.communicate()[0], "packets were lost while the successor started"
    bindings = ask(world.agent_file, "bindings")
    assert bindings is not None
    assert [binding["home_address"] for binding in bindings["bindings"]] == [HOME]
    assert "records_restored=1" in world.log("home-agent")
    assert stop(world.agent) == 0
    assert world.host("agent") == world.before["agent"]


def test_killed_node_is_succeeded(world: World) -> None:
    world.node.kill()
    world.node.wait()
    assert world.ping("peer", HOME) == 5, "traffic stopped with the daemon"
    world.node = world.network.daemon("node", world.node_file)
    eventually(world.registered)
    assert world.ping("peer", HOME) == 5
    assert world.ping("node", PEER) == 5
    assert stop(world.node) == 0
    assert world.host("node") == world.before["node"]


def test_moves_to_another_link(world: World) -> None:
    world.network.inside("node", "ip", "link", "set", "wlan0", "down")
    world.network.inside("node", "ip", "link", "set", "wwan0", "up")

    def moved() -> bool:
        answer = ask(world.agent_file, "bindings")
        return bool(answer and answer["bindings"][0]["care_of_address"].startswith("2001:db8:12:"))

    eventually(moved, what="binding of the new care-of address")
    eventually(world.registered)
    assert world.ping("peer", HOME) == 5
    assert world.ping("node", PEER) == 5


def test_a_second_daemon_of_the_name_is_refused(world: World) -> None:
    second = world.network.daemon("agent", world.agent_file)
    assert second.wait(10) == 1
    assert "runs already" in world.log("home-agent")
    assert world.ping("peer", HOME) == 5


def test_reload(world: World) -> None:
    text = world.agent_file.read_text()
    world.agent_file.write_text(text.replace("[home_agent]", "[home_agent]\nlifetime_max_s = 60", 1))
    world.agent.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration_applied" in world.log("home-agent"))
    bindings = ask(world.agent_file, "bindings")
    assert bindings is not None
    assert len(bindings["bindings"]) == 1
    assert world.ping("peer", HOME) == 5
    answer = ask(world.agent_file, "reload")
    assert answer is not None
    assert answer["applied"] is True

    world.agent_file.write_text(text.replace('name = "agent', 'name = "other'))
    world.agent.send_signal(signal.SIGHUP)
    eventually(lambda: "daemon.name can't change" in world.log("home-agent"))
    world.agent_file.write_text("nonsense")
    world.agent.send_signal(signal.SIGHUP)
    eventually(lambda: "is no valid TOML" in world.log("home-agent"))
    assert world.ping("peer", HOME) == 5


def test_what_others_remove_is_put_back(world: World) -> None:
    world.network.inside("node", "ip", "-6", "rule", "del", "priority", "5200")
    eventually(lambda: "5200:" in world.network.inside("node", "ip", "-6", "rule"))
    world.network.inside("agent", "ip", "-6", "route", "del", "2001:db8:100::/64", "dev", "mip0")
    eventually(lambda: "2001:db8:100::/64" in world.network.inside("agent", "ip", "-6", "route"))
    assert world.ping("peer", HOME) == 5
    eventually(lambda: "put_back" in world.log("mobile-node"))


def test_events_follow(world: World) -> None:
    command = [str(PYTHON), "-m", "unwired", "events", "--follow", "--json", "--config", str(world.agent_file)]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    names = [json.loads(follower.stdout.readline())["name"]]
    while "binding_created" not in names:
        names.append(json.loads(follower.stdout.readline())["name"])
    assert stop(world.node) == 0
    while "binding_removed" not in names:
        names.append(json.loads(follower.stdout.readline())["name"])
    follower.send_signal(signal.SIGINT)
    assert follower.wait(5) == 0


def test_reload_of_a_mobile_node(world: World) -> None:
    text = world.node_file.read_text()
    world.node_file.write_text(text.replace("[mobile_node]", "[mobile_node]\nlifetime_s = 100", 1))
    answer = ask(world.node_file, "reload")
    assert answer is not None
    assert answer["applied"] is True

    def granted() -> bool:
        bindings = ask(world.agent_file, "bindings")
        return bool(bindings and bindings["bindings"] and bindings["bindings"][0]["lifetime_s"] == 100)

    eventually(granted, what="registered with the new lifetime")
    eventually(world.registered)
    assert world.ping("peer", HOME) == 5
    assert world.ping("node", PEER) == 5
    assert stop(world.node) == 0
    assert world.host("node") == world.before["node"]


def test_a_subscriber_who_is_removed_is_served_no_more(world: World) -> None:
    text = world.agent_file.read_text()
    world.agent_file.write_text(text.replace("2001:db8:100::1000", "2001:db8:100::2000").replace("mn@", "other@"))
    world.agent.send_signal(signal.SIGHUP)
    eventually(lambda: "configuration_applied" in world.log("home-agent"))
    assert ask(world.agent_file, "bindings") == {"schema": "unwired.bindings/1", "bindings": []}
    assert world.ping("peer", HOME, 2) == 0
