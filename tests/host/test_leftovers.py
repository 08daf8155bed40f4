"""What a killed daemon leaves, met by the next one of its name: after another configuration, in another network
namespace, half made."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import Network, ask, eventually, home_agent_file, stop

pytestmark = pytest.mark.root

PINS = Path(f"/sys/fs/bpf/unwired/agent{os.getpid()}")
PUNT_DEVICE = 1
"""One more ingress is watched: what the daemon writes into its own device."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    try:
        network.namespace("other")
        _agent(network, "agent")
        yield network
    finally:
        network.close()


def _agent(network: Network, name: str) -> None:
    network.namespace(name)
    for device in ("up0", "up1"):
        network.link(name, device, "other", f"{name}{device}")


def _ready(file: Path) -> bool:
    return ask(file, "bindings") is not None


def _host(network: Network) -> str:
    inside = network.inside
    text = inside("agent", "ip", "-6", "-o", "address").replace(" tentative", "") + inside("agent", "ip", "-6", "rule")
    text += inside("agent", "ip", "-o", "link") + inside("agent", "ip", "-6", "route")
    return text + inside("agent", "sysctl", "-a", "-r", r"net\.ipv6\.conf\..*(\.forwarding|accept_ra$)")


def test_uplinks_of_another_configuration(network: Network) -> None:
    file = home_agent_file(network.directory)
    daemon = network.daemon("agent", file)
    eventually(lambda: _ready(file))
    assert len(list(PINS.glob("ingress-*"))) == 2 + PUNT_DEVICE
    daemon.kill()
    daemon.wait()
    file.write_text(file.read_text().replace("[daemon]", '[daemon]\nuplinks = ["up1"]'))
    daemon = network.daemon("agent", file)
    eventually(lambda: _ready(file))
    assert len(list(PINS.glob("ingress-*"))) == 1 + PUNT_DEVICE
    network.inside("agent", "ip", "link", "del", "up1")
    eventually(lambda: len(list(PINS.glob("ingress-*"))) == PUNT_DEVICE)
    assert stop(daemon) == 0
    assert not PINS.exists()


def test_of_a_namespace_that_is_gone(network: Network) -> None:
    file = home_agent_file(network.directory)
    daemon = network.daemon("agent", file)
    eventually(lambda: _ready(file))
    daemon.kill()
    daemon.wait()
    assert PINS.exists() and (network.directory / "run" / PINS.name / "ledger.jsonl").exists()
    _agent(network, "newer")
    # Somebody's own, and like what the killed daemon made in its namespace.
    network.inside("newer", "ip", "-6", "address", "add", "2001:db8:100::1/128", "dev", "up0")
    network.inside("newer", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    daemon = network.daemon("newer", file)
    eventually(lambda: _ready(file))
    assert (ask(file, "status") or {})["data_plane"]["uplinks"] == ["up0", "up1"]
    assert stop(daemon) == 0
    assert not PINS.exists()
    assert "2001:db8:100::1" in network.inside("newer", "ip", "-6", "address", "show", "dev", "up0")
    assert network.inside("newer", "sysctl", "-n", "net.ipv6.conf.all.forwarding").strip() == "1"


def test_killed_at_any_moment_of_starting_and_stopping(network: Network) -> None:
    file = home_agent_file(network.directory)
    before = _host(network)
    moments = random.Random(7)
    for attempt in range(8):
        daemon = network.daemon("agent", file)
        if attempt % 2:
            eventually(lambda: _ready(file))
            daemon.terminate()
            time.sleep(moments.uniform(0.0, 0.1))
        else:
            time.sleep(moments.uniform(0.3, 1.0))
        daemon.kill()
        daemon.wait()
    daemon = network.daemon("agent", file)
    eventually(lambda: _ready(file))
    assert stop(daemon) == 0
    assert _host(network) == before
    assert not PINS.exists() and not list(network.directory.glob("run/*"))
