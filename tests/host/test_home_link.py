"""A real home link: the mobile node starts at home, leaves, and returns; the agent defends its address meanwhile."""

import re
import subprocess
from pathlib import Path

import pytest
from host_network import Network, ask, eventually, home_agent_file, mobile_node_file, roaming, stop

pytestmark = pytest.mark.root

HOME = "2001:db8:100::1000"
PEER = "2001:db8:2::2"


def answered(network: Network, name: str, address: str) -> int:
    command = network.command(name, "ping", "-6", "-c", "5", "-i", "0.02", "-W", "1", address)
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(\d+) received", done.stdout)
    return int(found.group(1)) if found else 0


def test_leaves_home_and_returns(tmp_path: Path) -> None:
    with roaming(tmp_path) as network:
        network.link("agent", "home0", "node", "eth0")
        network.inside("node", "ip", "link", "set", "wlan0", "down")
        agent_file = home_agent_file(tmp_path, 'home_link = "home0"')
        node_file = mobile_node_file(tmp_path)
        node_file.write_text(node_file.read_text().replace('["wlan0"', '["eth0", "wlan0"'))
        agent = network.daemon("agent", agent_file)

        def log(name: str) -> str:
            return (tmp_path / f"{name}.log").read_text()

        # The home link is not ready: the daemon says what it waits for, and starts by itself when it is there.
        eventually(lambda: "has not got the home agent's address" in log("home-agent"), what="what it waits for")
        status = ask(agent_file, "status")
        assert status is not None
        assert "2001:db8:100::1" in status["waiting_for"]
        network.address("agent", "home0", "2001:db8:100::1/64")
        eventually(lambda: "daemon_ready" in log("home-agent"))

        node = network.daemon("node", node_file)
        eventually(lambda: "at_home" in log("mobile-node"), what="at home")
        eventually(lambda: answered(network, "peer", HOME) == 5)
        assert "mip0" not in network.inside("agent", "ip", "-6", "route", "get", HOME)
        # New connections choose the home address, not the one that the kernel made of the same prefix.
        assert f"src {HOME}" in network.inside("node", "ip", "-6", "route", "get", PEER)

        network.inside("node", "ip", "link", "set", "eth0", "down")
        network.inside("node", "ip", "link", "set", "wlan0", "up")
        eventually(lambda: " registered " in log("mobile-node"), what="registered away")
        assert answered(network, "peer", HOME) == 5
        assert answered(network, "node", PEER) == 5
        assert HOME in network.inside("agent", "ip", "-6", "neigh", "show", "proxy")
        assert f"src {HOME}" in network.inside("node", "ip", "-6", "route", "get", PEER)

        network.inside("node", "ip", "link", "set", "eth0", "up")
        eventually(lambda: "returned_home" in log("mobile-node"), what="returned home")
        assert answered(network, "peer", HOME) == 5
        assert HOME not in network.inside("agent", "ip", "-6", "neigh", "show", "proxy")
        found = re.search(r"returned_home .*signalling_ms=([\d.]+)", log("mobile-node"))
        assert found
        assert float(found.group(1)) < 900, "the home agent's link-layer address was not known at once"

        assert stop(node) == 0
        assert HOME not in network.inside("node", "ip", "-6", "address")
        assert stop(agent) == 0
        assert "mip0" not in network.inside("agent", "ip", "link")
