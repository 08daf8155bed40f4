"""A real daemon, alone in its set, announces its home prefix by a real BIRD to the site's router, and is killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import KEY, Network, ask, eventually

from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

HOME = "2001:db8:100::/48"
LOCATOR = "2001:db8:1::2"
ROUTER = """
router id 192.0.2.1;
protocol device {}
protocol bfd { accept direct; }
protocol bgp agent {
  local as 2497; neighbor 2001:db8:1::2 as 4690; direct; passive; local role provider; bfd;
  ipv6 { import all; export none; };
}
"""


def daemon_file(directory: Path) -> Path:
    authority, key = create_authority(directory, "authority")
    _, own_key = create_member(directory, authority, key, "tokyo", parse_address(LOCATOR))
    own_key.chmod(0o640)
    path = directory / "tokyo.toml"
    path.write_text(
        f"""
[daemon]
name = "tokyo-{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["{HOME}"]
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
[[home_agent.subscriber.key]]
{KEY}
[home_agent_set]
member = "tokyo"
group_id = 7
durability = "local"
join_timeout_s = 0.2
certificate = "tokyo.crt"
private_key = "tokyo.key"
authority = "authority.crt"
[[member]]
name = "tokyo"
address = "2001:db8:100::1"
locator = "{LOCATOR}"
[bgp]
as = 4690
communities = ["4690:100"]
drain_time_s = 0.5
[[bgp.neighbor]]
address = "2001:db8:1::1"
as = 2497
"""
    )
    return path


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    try:
        for name in ("agent", "router"):
            network.namespace(name)
        network.link("agent", "up0", "router", "agent0")
        network.address("agent", "up0", f"{LOCATOR}/64")
        network.address("router", "agent0", "2001:db8:1::1/64")
        (tmp_path / "router.conf").write_text(ROUTER)
        network.start(
            "router", "bird", "-f", "-c", str(tmp_path / "router.conf"), "-s", str(tmp_path / "router.ctl"), log="r.log"
        )
        yield network
    finally:
        network.close()


def known(directory: Path) -> bool:
    command = ["birdc", "-s", str(directory / "router.ctl"), "show", "route", HOME, "all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "BGP.as_path: 4690\n" in done.stdout and "(4690,100)" in done.stdout


def test_announced_while_it_serves(network: Network, tmp_path: Path) -> None:
    file = daemon_file(tmp_path)
    network.inside("agent", "ip", "address", "del", f"{LOCATOR}/64", "dev", "up0")
    daemon = network.daemon("agent", file)
    eventually(lambda: ask(file, "members"), 60, "it runs, and waits for its locator")
    eventually(lambda: "configuration_warning" in (tmp_path / "tokyo.log").read_text(), 20, "who may read the key")
    network.address("agent", "up0", f"{LOCATOR}/64")
    eventually(lambda: known(tmp_path), 60, "announced")
    before = network.inside("agent", "ip", "-6", "route")
    assert f"unreachable {HOME} dev lo proto 79 metric 1000000" in before
    assert "2001:db8:100::/49 dev mip0" in before and "2001:db8:100:8000::/49 dev mip0" in before

    daemon.kill()
    daemon.wait()
    assert known(tmp_path)
    successor = network.daemon("agent", file)
    eventually(lambda: ask(file, "status"), 60, "the successor answers")
    assert known(tmp_path) and network.inside("agent", "ip", "-6", "route") == before
    assert network.inside("agent", "sysctl", "-n", "net.ipv6.conf.up0.accept_ra") == "2\n"

    # The data plane is taken from under the daemon: it can't serve, and says so to the world.
    network.inside("agent", "ip", "link", "set", "mip0", "down")
    eventually(lambda: not known(tmp_path), 60, "withdrawn")
    network.inside("agent", "ip", "link", "set", "mip0", "up")
    eventually(lambda: known(tmp_path), 60, "announced again")

    successor.terminate()
    assert successor.wait(30) == 0
    assert not known(tmp_path)
    assert "2001:db8:100" not in network.inside("agent", "ip", "-6", "route")
    assert not (tmp_path / "run" / f"tokyo-{os.getpid()}").exists()


def test_without_bird(network: Network, tmp_path: Path) -> None:
    """Managed, and no BIRD to be found: the daemon says why and does not start."""
    file = daemon_file(tmp_path)
    (tmp_path / "sitecustomize.py").write_text("import shutil\nshutil.which = lambda *_, **__: None\n")
    daemon = (f"PYTHONPATH={tmp_path}", sys.executable, "-m", "unwired", "run", "-c", str(file))
    command = network.command("agent", "env", *daemon)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode and "BIRD is not installed" in done.stderr and "apt install bird2" in done.stderr
    assert "mip0" not in network.inside("agent", "ip", "link")
