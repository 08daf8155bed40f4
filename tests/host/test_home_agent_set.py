"""Two home agents with one prefix, as real daemons: the nearest serves, the other one's site may die."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_network import KEY, PYTHON, Network, ask, eventually, stop
from set_network import ADDRESSES, HOME, announce, certificates, member_file, node_file, ping, two_sites

from unwired.core.member_states import STUTTER_S

pytestmark = pytest.mark.root


class World:
    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        certificates(directory)
        self.files = {site: member_file(directory, site) for site in (1, 2)}
        self.node_file = node_file(directory)
        self.agents = {site: network.daemon(f"agent{site}", self.files[site]) for site in (1, 2)}
        eventually(lambda: all(self.state(at, of) == "serving" for at in (1, 2) for of in (1, 2)), 20, "both serve")
        self.node = network.daemon("node", self.node_file)
        eventually(lambda: self.primary(1) == "agent1" and self.primary(2) == "agent1", 20, "registered at both")

    def members(self, at: int) -> dict[str, dict[str, Any]]:
        answer = ask(self.files[at], "members")
        return {} if answer is None else {member["name"]: member for member in answer["members"]}

    def events(self, at: int) -> set[str]:
        """The names of the latest events of a daemon."""
        command = [str(PYTHON), "-m", "unwired", "events", "--config", str(self.files[at]), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {json.loads(line)["name"] for line in done.stdout.splitlines()}

    def state(self, at: int, of: int) -> str | None:
        found: str | None = self.members(at).get(f"agent{of}", {}).get("state")
        return found

    def binding(self, at: int) -> dict[str, Any]:
        answer = ask(self.files[at], "bindings")
        found: dict[str, Any] = answer["bindings"][0] if answer and answer["bindings"] else {}
        return found

    def primary(self, at: int) -> str | None:
        found: str | None = self.binding(at).get("primary")
        return found

    def move_to_site_2(self) -> None:
        self.network.inside("node", "ip", "link", "set", "wlan0", "down")
        self.network.inside("node", "ip", "link", "set", "wwan0", "up")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with two_sites(tmp_path) as network:
        yield World(network, tmp_path)


def test_packets_enter_anywhere(world: World) -> None:
    assert ping(world.network, "peer1", HOME) == 10
    assert ping(world.network, "peer2", HOME) == 10
    assert ping(world.network, "peer2", ADDRESSES[1]) == 10  # at agent 2, by its tunnel
    assert world.binding(1)["version"] == world.binding(2)["version"]


def test_a_node_that_moves_is_handed_to_the_nearest(world: World) -> None:
    world.move_to_site_2()
    eventually(lambda: world.primary(1) == world.primary(2) == "agent2", 20, "agent 2 is primary everywhere")
    assert ping(world.network, "peer1", HOME) == 10
    assert ping(world.network, "peer2", HOME) == 10
    status = ask(world.node_file, "status")
    assert status is not None
    assert status["engine"]["home_agent"] == ADDRESSES[2]


def test_the_death_of_a_site_is_served_by_the_other(world: World) -> None:
    # The site is cut off silently; the daemon there lives on.
    nft = "add table inet cut; add chain inet cut there { type filter hook forward priority -300 ; };"
    nft += 'add rule inet cut there iifname "agent0" drop; add rule inet cut there oifname "agent0" drop'
    world.network.inside("router1", "nft", nft)
    announce(world.network, 1, by=2)
    eventually(lambda: world.state(2, 1) == "dead", 10, "agent 2 has noticed")
    assert ping(world.network, "peer1", HOME) == 10
    assert ping(world.network, "peer2", HOME) == 10
    assert world.primary(2) == "agent1", "the mobile node has not had to do anything"
    dead_since = time.monotonic()
    eventually(lambda: time.monotonic() - dead_since > STUTTER_S, 10, "longer than a stutter")
    world.network.inside("router1", "nft", "delete table inet cut")
    eventually(lambda: world.state(2, 1) == "serving", 10, "agent 1 is back")
    announce(world.network, 1, by=1)
    assert ping(world.network, "peer1", HOME) == 10
    assert world.members(2)["agent1"]["false_detections"] == 0, "it was really gone"
    assert "member_back" in world.events(2)


def test_a_killed_daemon_is_succeeded_and_catches_up(world: World) -> None:
    world.agents[1].send_signal(signal.SIGKILL)
    world.agents[1].wait(10)
    assert ping(world.network, "peer1", HOME) == 10
    eventually(lambda: world.state(2, 1) == "dead", 10, "agent 2 has noticed")
    assert ping(world.network, "peer2", HOME) == 10
    world.agents[1] = world.network.daemon("agent1", world.files[1])
    eventually(lambda: world.state(1, 1) == "serving" and world.state(2, 1) == "serving", 20, "back")
    assert world.primary(1) == "agent1"
    assert ping(world.network, "peer2", HOME) == 10


def test_subscribers_are_taken_up_in_place_and_members_are_not(world: World) -> None:
    file = world.files[1]
    text = file.read_text()
    more = text + '[[home_agent.subscriber]]\nidentifier = "more"\nhome_address = "2001:db8:100::2000"\n'
    file.write_text(more + "[[home_agent.subscriber.key]]\n" + KEY)
    answer = ask(file, "reload")
    assert answer is not None
    assert answer["applied"], answer["reasons"]
    assert world.members(1)["agent1"]["state"] == "serving"
    assert world.binding(1)["home_address"] == HOME
    file.write_text(text.replace("group_id = 7", "group_id = 8"))
    refused = subprocess.run(
        [str(PYTHON), "-m", "unwired", "reload", "--config", str(file), "--json"], capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "nothing else of its role" in json.loads(refused.stdout)["reasons"][0]
    file.write_text(text)


def test_draining_hands_over_and_ends(world: World) -> None:
    assert ask(world.files[1], "members", "drain") is not None
    eventually(lambda: world.primary(2) == "agent2", 20, "agent 2 is primary")
    assert world.agents[1].wait(30) == 0
    announce(world.network, 1, by=2)
    assert ping(world.network, "peer1", HOME) == 10
    eventually(lambda: world.state(2, 1) == "left", 10, "it has said good-bye")


def test_a_clean_stop_leaves_nothing(world: World) -> None:
    assert stop(world.agents[1]) == 0
    inside = world.network.inside
    assert "proto 77" not in inside("agent1", "ip", "-6", "route", "show", "table", "all")
    assert "lookup" not in inside("agent1", "ip", "-6", "rule").replace("lookup local", "").replace("lookup main", "")
