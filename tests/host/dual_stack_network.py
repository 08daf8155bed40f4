"""The small network of ``host_network`` with IPv4 in it: the mobile node's links are IPv6 or IPv4, public or behind a
NAT, as each test configures them.

agent (198.51.100.2) ---- router ---- peer (192.0.2.2)
                            |  \\----- nat (192.0.2.34) ---- node: wwan0 (10.0.0.7)
                            \\-------------------------------- node: wlan0 (2001:db8:11::/64, 192.0.2.18)
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_network import KEY, Network, eventually

HOME, HOME_IPV4 = "2001:db8:100::1000", "203.0.113.7"
AGENT, AGENT_IPV4 = "2001:db8:100::1", "198.51.100.2"
PEER, PEER_IPV4 = "2001:db8:2::2", "192.0.2.2"


@contextmanager
def dual_stack(directory: Path, nat: bool = True) -> Iterator[Network]:
    """``wlan0`` has nothing at first; ``use_ipv4`` and ``use_nat`` bring the node there."""
    network = Network(directory)
    try:
        for name in ("agent", "router", "node", "peer", "nat"):
            network.namespace(name)
        network.link("agent", "up0", "router", "agent0")
        network.link("peer", "up0", "router", "peer0")
        network.link("node", "wlan0", "router", "visited1")
        network.link("nat", "up0", "router", "nat0")
        network.link("node", "wwan0", "nat", "inside")
        for name, device, addresses in (
            ("router", "agent0", ("2001:db8:1::1/64", "198.51.100.1/24")),
            ("agent", "up0", ("2001:db8:1::2/64", "198.51.100.2/24")),
            ("router", "peer0", ("2001:db8:2::1/64", "192.0.2.1/28")),
            ("peer", "up0", ("2001:db8:2::2/64", "192.0.2.2/28")),
            ("router", "visited1", ("192.0.2.17/28",)),
            ("router", "nat0", ("192.0.2.33/28",)),
            ("nat", "up0", ("192.0.2.34/28",)),
            ("nat", "inside", ("10.0.0.1/24",)),
        ):
            for address in addresses:
                nodad = ("nodad",) if ":" in address else ()
                network.inside(name, "ip", "address", "add", address, "dev", device, *nodad)
        for name, ipv6, ipv4 in (
            ("agent", "2001:db8:1::1", "198.51.100.1"),
            ("peer", "2001:db8:2::1", "192.0.2.1"),
            ("nat", None, "192.0.2.33"),
        ):
            network.inside(name, "ip", "route", "add", "default", "via", ipv4)
            if ipv6:
                network.inside(name, "ip", "-6", "route", "add", "default", "via", ipv6)
        network.inside("router", "ip", "-6", "route", "add", "2001:db8:100::/64", "via", "2001:db8:1::2")
        for prefix in ("203.0.113.0/24", "10.64.0.0/16"):
            network.inside("router", "ip", "route", "add", prefix, "via", "198.51.100.2")
        network.inside("router", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        for name in ("router", "nat"):
            network.inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        if nat:
            rules = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }"
            network.inside("nat", "nft", f"{rules}; add rule ip nat out oifname up0 masquerade fully-random")
        yield network
    finally:
        network.close()


def use_ipv6(network: Network) -> None:
    network.address("router", "visited1", "2001:db8:11::1/64")
    network.router("router")


def use_ipv4(network: Network) -> None:
    network.inside("node", "ip", "address", "add", "192.0.2.18/28", "dev", "wlan0")
    network.inside("node", "ip", "route", "add", "default", "via", "192.0.2.17", "metric", "100")


def use_nat(network: Network) -> None:
    network.inside("node", "ip", "address", "add", "10.0.0.7/24", "dev", "wwan0")
    network.inside("node", "ip", "route", "add", "default", "via", "10.0.0.1", "metric", "200")


def home_agent_file(directory: Path, agent: str = "", subscriber: str = "") -> Path:
    path = directory / "home-agent.toml"
    path.write_text(
        f"""
[daemon]
name = "agent{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[home_agent]
address = "{AGENT}"
home_prefixes = ["2001:db8:100::/64"]
address_ipv4 = "{AGENT_IPV4}"
home_prefixes_ipv4 = ["203.0.113.0/24"]
pool_ipv4 = ["203.0.113.128/25"]
{agent}
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "{HOME}"
{subscriber}
[[home_agent.subscriber.key]]
{KEY}
"""
    )
    return path


def mobile_node_file(directory: Path, node: str, interfaces: str) -> Path:
    path = directory / "mobile-node.toml"
    path.write_text(
        f"""
[daemon]
name = "node{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[mobile_node]
identifier = "mn@example.org"
home_address = "{HOME}"
home_agent = "{AGENT}"
home_agent_ipv4 = "{AGENT_IPV4}"
interfaces = {interfaces}
{node}
[mobile_node.key]
{KEY}
"""
    )
    return path


def ping(network: Network, name: str, destination: str, *more: str) -> bool:
    command = network.command(name, "ping", "-n", "-c1", "-W2", *more, destination)
    return subprocess.run(command, capture_output=True).returncode == 0


def reaches(network: Network, name: str, destination: str, *more: str) -> None:
    eventually(lambda: ping(network, name, destination, *more), 15, f"{name} reaches {destination} {more}")
