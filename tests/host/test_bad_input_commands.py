"""Bad input to the commands: configurations, captures, rights and hosts that cannot do. Each gives a sentence and an
exit code, no traceback, and leaves nothing behind."""

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import AS_NOBODY, PYTHON, Network, eventually, home_agent_file

pytestmark = pytest.mark.root

CAPTURES = Path(__file__).parents[1] / "wire" / "captures"
PACKAGE = Path(__file__).parents[2] / "src" / "unwired"
SIX_MISTAKES = """
[daemon]
tunel_device = "mip0"
log_level = "loud"
[home_agent]
address = "2001:db8:200::1"
home_prefixes = ["2001:db8:100::/64"]
lifetime_max_s = -4
[[home_agent.subscriber]]
identifier = ""
home_address = "2001:db8:100::1000"
[[home_agent.subscriber.key]]
spi = 1
secret = "hex:00112233445566778899aabbccddeeff"
"""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    try:
        network.namespace("agent")
        yield network
    finally:
        network.close()


def unwired(
    *words: str, network: Network | None = None, root: bool = True, **how: object
) -> subprocess.CompletedProcess[str]:
    command = [*(() if root else AS_NOBODY), str(PYTHON), "-m", "unwired", *words]
    if network is not None:
        command = network.command("agent", *command)
    done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
        command, capture_output=True, text=True, timeout=20, **how
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_six_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "six.toml"
    path.write_text(SIX_MISTAKES)
    keys = {
        "daemon.tunel_device",
        "daemon.log_level",
        "home_agent.address",
        "home_agent.lifetime_max_s",
        "home_agent.subscriber[0].identifier",
        "home_agent.subscriber[0].key[0].spi",
    }
    checked = unwired("config", "check", str(path))
    assert checked.returncode == 2
    for key in keys:
        assert f"{path}: {key}: " in checked.stdout
    assert checked.stdout.count("why: ") == checked.stdout.count("fix: ") == 6
    assert "6 problems" in checked.stderr
    found = json.loads(unwired("config", "check", "--json", str(path)).stdout)["problems"]
    assert {problem["key"] for problem in found} == keys
    started = unwired("run", "-c", str(path))
    assert started.returncode == 2
    assert all(key in started.stderr for key in keys)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"[home_agent\n", bytes(range(256))], ids=repr)
def test_configuration_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "none.toml"
    path.write_bytes(content[:4096])
    done = unwired("run", "-c", str(path))
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "fix: " in done.stderr


def test_damaged_captures(tmp_path: Path) -> None:
    """Whole lines for what is whole, a line with an error for a damaged message, exit code 2 for a damaged file."""
    draw = random.Random(4)
    source = max(CAPTURES.glob("*.pcap*"), key=lambda path: path.stat().st_size if path.stat().st_size < 200_000 else 0)
    whole = source.read_bytes()
    damaged = {
        "truncated": whole[: len(whole) // 2 + 1],
        "garbage": draw.randbytes(5000),
        "empty": b"",
        "only a header": whole[:24],
        "flipped": bytes(byte ^ (draw.random() < 0.02) * draw.randrange(256) for byte in whole),
    }
    for name, content in damaged.items():
        path = tmp_path / "damaged.pcap"
        path.write_bytes(content)
        done = unwired("decode", "--json", str(path))
        assert done.returncode in (0, 2), name
        assert (done.returncode == 2) == bool(done.stderr), name
        for line in done.stdout.splitlines():
            assert set(json.loads(line)) >= {"frame", "src", "dst", "type", "error"}, name
    assert unwired("decode", str(tmp_path)).returncode == 2
    assert unwired("decode", str(tmp_path / "missing")).returncode == 2


def interfaces(network: Network) -> set[str]:
    return {link["ifname"] for link in json.loads(network.inside("agent", "ip", "-j", "link"))}


def test_missing_bpf_object(tmp_path: Path, network: Network) -> None:
    shutil.copytree(PACKAGE, tmp_path / "elsewhere" / "unwired", ignore=shutil.ignore_patterns("__pycache__", "*.o"))
    path = home_agent_file(tmp_path)
    done = unwired(
        "run", "-c", str(path), network=network, env=os.environ | {"PYTHONPATH": str(tmp_path / "elsewhere")}
    )
    assert done.returncode == 1
    assert "has not been built: run `make setup`" in done.stderr
    assert interfaces(network) == {"lo"}
    assert not list(tmp_path.glob("run/*"))


def test_tunnel_device_that_is_none(tmp_path: Path, network: Network) -> None:
    network.inside("agent", "ip", "link", "add", "mip0", "type", "veth", "peer", "name", "other0")
    done = unwired("run", "-c", str(home_agent_file(tmp_path)), network=network)
    assert done.returncode == 1
    assert "mip0 exists and is no TUN device: choose another name" in done.stderr
    assert interfaces(network) == {"lo", "mip0", "other0"}
    assert not list(tmp_path.glob("run/*"))


def test_home_link_that_is_not_there_yet(tmp_path: Path, network: Network) -> None:
    """The daemon says what it waits for, and makes the interface ready when it comes."""
    path = home_agent_file(tmp_path, 'home_link = "home0"')
    daemon = network.daemon("agent", path)

    def log() -> str:
        return (tmp_path / "home-agent.log").read_text()

    eventually(lambda: "there is no interface home0" in log())
    network.inside("agent", "ip", "link", "add", "home0", "type", "veth", "peer", "name", "host0")
    network.inside("agent", "ip", "link", "set", "home0", "up")
    network.inside("agent", "ip", "link", "set", "host0", "up")
    network.address("agent", "home0", "2001:db8:100::1/64")
    eventually(lambda: "daemon_ready" in log())
    assert network.inside("agent", "sysctl", "-n", "net.ipv6.conf.home0.proxy_ndp").strip() == "1"
    assert daemon.poll() is None


def test_two_daemons(tmp_path: Path, network: Network) -> None:
    """Of one name, and of two names with one tunnel device: the second is refused and harms nothing; and who has no
    rights is told so."""
    first = home_agent_file(tmp_path)
    daemon = network.daemon("agent", first)
    eventually(lambda: unwired("status", "-c", str(first)).returncode == 0)
    same = unwired("run", "-c", str(first), network=network)
    assert same.returncode == 1
    assert f"runs already (process {daemon.pid})" in same.stderr
    second = tmp_path / "second.toml"
    second.write_text(first.read_text().replace('name = "agent', 'name = "second'))
    other = unwired("run", "-c", str(second), network=network)
    assert other.returncode == 1
    assert "mip0-ctl cannot be opened: another process has it open" in other.stderr
    assert not list(tmp_path.glob("run/second*"))

    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    for verb in ("status", "bindings", "reload"):
        nobody = unwired(verb, "-c", str(first), root=False, cwd="/")
        assert (nobody.returncode, nobody.stdout) == (1, "")
        assert "only be used by root" in nobody.stderr
    nobody = unwired("run", "-c", str(first), root=False, cwd="/")
    assert nobody.returncode == 4
    assert "needs root" in nobody.stderr
    assert interfaces(network) == {"lo", "mip0", "mip0-ctl", "mip0-cut", "mip0-back"}
    assert unwired("status", "-c", str(first)).returncode == 0

    daemon.kill()
    daemon.wait()
    gone = unwired("status", "-c", str(first))
    assert (gone.returncode, gone.stdout) == (3, "")
    assert "no daemon is running at" in gone.stderr
    network.daemon("agent", first)  # its successor cleans up
    eventually(lambda: unwired("status", "-c", str(first)).returncode == 0)


def test_damaged_journal(tmp_path: Path, network: Network) -> None:
    path = home_agent_file(tmp_path)
    journal = tmp_path / "state" / f"agent{os.getpid()}" / "journal.sqlite"
    journal.parent.mkdir(parents=True)
    journal.write_bytes(random.Random(1).randbytes(3000))
    start = time.monotonic()
    done = unwired("run", "-c", str(path), network=network)
    assert done.returncode == 1
    assert "is damaged or no journal" in done.stderr
    assert time.monotonic() - start < 10
    assert interfaces(network) == {"lo"}
