"""Two sites of a home agent set in namespaces, each announcing the home prefix 2001:db8:100::/48 to its own side:

peer1 ---- router1 -------------- router2 ---- peer2
agent1 ---/   \\-- visited1  visited2 --/  \\--- agent2
                       \\     /
                        node
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_network import KEY, Network, mobile_node_file

from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import parse_address

HOME = "2001:db8:100::1000"
PREFIX = "2001:db8:100::/48"
ADDRESSES = {1: "2001:db8:100::1", 2: "2001:db8:100::2"}
LOCATORS = {1: "2001:db8:1:a::2", 2: "2001:db8:2:a::2"}


@contextmanager
def two_sites(directory: Path) -> Iterator[Network]:
    network = Network(directory)
    try:
        for name in ("agent1", "agent2", "router1", "router2", "node", "peer1", "peer2"):
            network.namespace(name)
        network.link("router1", "across0", "router2", "across0")
        for site in (1, 2):
            router = f"router{site}"
            network.link(f"agent{site}", "up0", router, "agent0")
            network.link(f"peer{site}", "up0", router, "peer0")
            network.link("node", "wlan0" if site == 1 else "wwan0", router, f"visited{site}")
            network.address(router, "across0", f"2001:db8:f::{site}/64")
            network.address(router, "agent0", f"2001:db8:{site}:a::1/64")
            network.address(router, "peer0", f"2001:db8:{site}:b::1/64")
            network.address(router, f"visited{site}", f"2001:db8:{site}:c::1/64")
            network.address(f"agent{site}", "up0", f"{LOCATORS[site]}/64")
            network.address(f"peer{site}", "up0", f"2001:db8:{site}:b::2/64")
            for name, letter in (("agent", "a"), ("peer", "b")):
                network.inside(
                    f"{name}{site}", "ip", "-6", "route", "add", "default", "via", f"2001:db8:{site}:{letter}::1"
                )
            other = 3 - site
            network.inside(router, "ip", "-6", "route", "add", f"2001:db8:{other}::/48", "via", f"2001:db8:f::{other}")
            announce(network, site, by=site)
        network.inside("node", "ip", "link", "set", "wwan0", "down")
        for site in (1, 2):
            network.router(f"router{site}")
        yield network
    finally:
        network.close()


def announce(network: Network, site: int, by: int) -> None:
    """A site's router sends the home prefix to the agent of site ``by``, as routing would after an announcement."""
    via = f"2001:db8:{site}:a::2" if by == site else f"2001:db8:f::{by}"
    network.inside(f"router{site}", "ip", "-6", "route", "replace", PREFIX, "via", via)


def certificates(directory: Path) -> None:
    authority, key = create_authority(directory, "authority")
    for site in (1, 2):
        create_member(directory, authority, key, f"agent{site}", parse_address(LOCATORS[site]))


def member_file(directory: Path, site: int, extra: str = "") -> Path:
    """``extra`` goes into [home_agent_set]."""
    path = directory / f"agent{site}.toml"
    members = "".join(
        f'[[member]]\nname = "agent{one}"\naddress = "{ADDRESSES[one]}"\nlocator = "{LOCATORS[one]}"\n'
        for one in (1, 2)
    )
    path.write_text(
        f"""
[daemon]
name = "agent{site}-{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[home_agent]
address = "{ADDRESSES[site]}"
home_prefixes = ["{PREFIX}"]
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "{HOME}"
[[home_agent.subscriber.key]]
{KEY}
[home_agent_set]
member = "agent{site}"
group_id = 7
certificate = "agent{site}.crt"
private_key = "agent{site}.key"
authority = "authority.crt"
{extra}
{members}
"""
    )
    return path


def node_file(directory: Path) -> Path:
    return mobile_node_file(directory, prefix_length=48)


def ping(network: Network, name: str, address: str, count: int = 10) -> int:
    """How many of so many are answered."""
    command = network.command(name, "ping", "-6", "-q", "-c", str(count), "-i", "0.02", "-W", "1", address)
    done = subprocess.run(command, capture_output=True, text=True)
    return next((int(words.split()[0]) for words in done.stdout.split(", ") if words.endswith("received")), 0)
