"""A small network for tests of the daemon, in namespaces named after this process:

agent (home agent) ---- router ---- node (mobile node, two visited links)
                           \\------ peer (correspondent)
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unwired.lab.namespace import Namespace

PYTHON = Path(__file__).parents[2] / ".venv" / "bin" / "python"
AS_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    # Not to act as root, but to read a checkout that is root's own.
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)
"""What runs the command behind it without root."""
_RADV = """
log stderr all;
router id 192.0.2.1;
protocol device { scan time 1; }
protocol radv {
  interface "visited*" { min ra interval 3; max ra interval 4; solicited ra unicast yes; };
}
"""


def eventually(condition: Callable[[], Any], timeout_s: float = 10.0, what: str = "") -> Any:
    """The first true answer of ``condition``."""
    end = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {timeout_s} s: {what or condition}"
        time.sleep(0.02)


class Network:
    """``links`` are made between namespaces by ``link``; everything is removed by ``close``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._mark = f"t{os.getpid()}"
        self._namespaces: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def namespace(self, name: str) -> str:
        full = f"{self._mark}{name}"
        run("ip", "netns", "add", full)
        self._namespaces.append(full)
        self.inside(name, "ip", "link", "set", "lo", "up")
        return full

    def command(self, name: str, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._mark}{name}", *command]

    def entered(self, name: str) -> Namespace:
        """For sockets of our own there: ``with network.entered(name).inside()``."""
        return Namespace(Path(f"/run/netns/{self._mark}{name}"))

    def inside(self, name: str, *command: str) -> str:
        return run(*self.command(name, *command))

    def link(self, left: str, left_device: str, right: str, right_device: str) -> None:
        run(
            "ip", "link", "add", left_device, "netns", self._mark + left, "type", "veth",
            "peer", "name", right_device, "netns", self._mark + right,
        )  # fmt: skip
        self.inside(left, "ip", "link", "set", left_device, "up")
        self.inside(right, "ip", "link", "set", right_device, "up")

    def address(self, name: str, device: str, address: str) -> None:
        self.inside(name, "ip", "-6", "address", "add", address, "dev", device, "nodad")

    def start(self, name: str, *command: str, log: str | None = None) -> subprocess.Popen[bytes]:
        out = (self.directory / log).open("ab") if log else subprocess.DEVNULL
        process = subprocess.Popen(self.command(name, *command), stdout=out, stderr=out)
        self._processes.append(process)
        return process

    def daemon(self, name: str, config: Path) -> subprocess.Popen[bytes]:
        return self.start(name, str(PYTHON), "-m", "unwired", "run", "-c", str(config), log=f"{config.stem}.log")

    def router(self, name: str) -> None:
        """Router advertisements on the interfaces called visited*."""
        config = self.directory / f"bird-{name}.conf"
        config.write_text(_RADV)
        self.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        self.start(
            name, "bird", "-f", "-c", str(config), "-s", str(self.directory / f"bird-{name}.ctl"), log="bird.log"
        )

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for namespace in self._namespaces:
            run("ip", "netns", "del", namespace)


def transfer(network: Network, sender: str, source: str, receiver: str, destination: str) -> bool:
    """A megabyte by TCP; whether it arrived within 8 s."""
    data, received = random.randbytes(1 << 20), bytearray()
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with network.entered(receiver).inside():
        listening = socket.create_server((destination, 0), family=family)
    with network.entered(sender).inside():
        outgoing = socket.socket(family)
    with listening, outgoing:
        for end in (listening, outgoing):
            end.settimeout(8.0)

        def receive() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(8.0)
                try:
                    while part := connection.recv(1 << 20):
                        received.extend(part)
                except TimeoutError:
                    pass

        reader = threading.Thread(target=receive)
        outgoing.bind((source, 0))
        reader.start()
        outgoing.connect((destination, listening.getsockname()[1]))
        with contextlib.suppress(TimeoutError):
            outgoing.sendall(data)
        outgoing.shutdown(socket.SHUT_WR)
        reader.join()
    return bytes(received) == data


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def ask(config: Path, verb: str, *arguments: str) -> dict[str, Any] | None:
    """The JSON answer of the command line, None when there is no daemon yet."""
    command = [str(PYTHON), "-m", "unwired", verb, *arguments, "--config", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


@contextmanager
def roaming(directory: Path) -> Iterator[Network]:
    """Home agent with a virtual home link 2001:db8:100::/64, a mobile node on two visited links, a correspondent."""
    network = Network(directory)
    try:
        for name in ("agent", "router", "node", "peer"):
            network.namespace(name)
        network.link("agent", "up0", "router", "agent0")
        network.link("peer", "up0", "router", "peer0")
        network.link("node", "wlan0", "router", "visited1")
        network.link("node", "wwan0", "router", "visited2")
        network.address("router", "agent0", "2001:db8:1::1/64")
        network.address("router", "peer0", "2001:db8:2::1/64")
        network.address("router", "visited1", "2001:db8:11::1/64")
        network.address("router", "visited2", "2001:db8:12::1/64")
        network.address("agent", "up0", "2001:db8:1::2/64")
        network.address("peer", "up0", "2001:db8:2::2/64")
        for name, router in (("agent", "2001:db8:1::1"), ("peer", "2001:db8:2::1")):
            network.inside(name, "ip", "-6", "route", "add", "default", "via", router)
        network.inside("router", "ip", "-6", "route", "add", "2001:db8:100::/64", "via", "2001:db8:1::2")
        network.inside("node", "ip", "link", "set", "wwan0", "down")
        network.router("router")
        yield network
    finally:
        network.close()


KEY = 'spi = 256\nsecret = "hex:00112233445566778899aabbccddeeff"\n'


def home_agent_file(directory: Path, extra: str = "") -> Path:
    path = directory / "home-agent.toml"
    path.write_text(
        f"""
[daemon]
name = "agent{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["2001:db8:100::/64"]
{extra}
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
[[home_agent.subscriber.key]]
{KEY}
"""
    )
    return path


def mobile_node_file(directory: Path, prefix_length: int = 64) -> Path:
    path = directory / "mobile-node.toml"
    path.write_text(
        f"""
[daemon]
name = "node{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[mobile_node]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000/{prefix_length}"
home_agent = "2001:db8:100::1"
interfaces = ["wlan0", "wwan0"]
[mobile_node.key]
{KEY}
"""
    )
    return path


def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(10)
