"""A home agent under load: the daemon that a user runs, in a namespace of its own, and a program that sends it binding
updates over a veth from another namespace and counts the acknowledgements.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from unwired.bench import binding_updates
from unwired.bench.binding_updates import CARE_OF_PREFIX, HOME_AGENT, HOME_PREFIX, SECRET, SPI
from unwired.bench.namespaces import Namespace, link
from unwired.wire.address import format_address

AGENT_ADDRESS, LOAD_ADDRESS = "2001:db8:a::1", "2001:db8:a::2"
_WINDOW = 128
_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0

Sample = dict[str, float]
"""What the load counted: ``sent``, ``accepted``, ``refused``, ``lost`` and ``elapsed_s``, to the last answer."""


def join(agent: Namespace, load: Namespace) -> None:
    """The load's namespace does not own the care-of addresses and does not forward: what is answered to them is counted
    on the link and goes no further."""
    link(agent, "up0", load, "up0")
    agent.ip(
        f"addr add {AGENT_ADDRESS}/64 dev up0 nodad",
        f"route add {CARE_OF_PREFIX} via {LOAD_ADDRESS}",
    )
    load.ip(
        f"addr add {LOAD_ADDRESS}/64 dev up0 nodad",
        f"route add {HOME_PREFIX} via {AGENT_ADDRESS}",
    )


def processors() -> tuple[int, int]:
    """One for what is measured, another one for the load where there is one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


@contextmanager
def load_program(directory: Path) -> Iterator[Path]:
    """Compiled from ``load.c``. Raises RuntimeError without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("there is no C compiler for the load: install gcc")
    program = directory / "load"
    with as_file(files("unwired.bench") / "load.c") as source:
        subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    yield program


@contextmanager
def home_agent(namespace: Namespace, directory: Path, bindings: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A new daemon with ``bindings`` subscribers, on one processor, until it has stopped. Raises RuntimeError when it
    does not start, or died."""
    directory.mkdir()
    configuration = directory / "home-agent.toml"
    configuration.write_text(_configuration(directory, bindings))
    command = f"taskset -c {processors()[0]} {sys.executable} -m unwired run -c {configuration}"
    log = directory / "log"
    with log.open("w") as output:
        daemon = subprocess.Popen(namespace.command(command), stdout=output, stderr=output)
    try:
        control = directory / "run" / _name(directory) / "control.sock"
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(control):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the home agent does not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield daemon
        if daemon.poll() is not None:
            raise RuntimeError(f"the home agent died: {log.read_text()[-2000:]}")
    finally:
        daemon.terminate()
        try:
            daemon.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _name(directory: Path) -> str:
    return f"bench-{os.getpid()}-{directory.name}"


def _configuration(directory: Path, bindings: int) -> str:
    key = f'spi = {SPI}\nsecret = "hex:{SECRET.hex()}"\n'
    subscribers = (
        f'[[home_agent.subscriber]]\nidentifier = "{binding_updates.identifier(number)}"\n'
        f'home_address = "{format_address(binding_updates.home_address(number))}"\n[[home_agent.subscriber.key]]\n{key}'
        for number in range(bindings)
    )
    return (
        f'[daemon]\nname = "{_name(directory)}"\nruntime_dir = "{directory / "run"}"\n'
        f'state_dir = "{directory / "state"}"\nuplinks = ["up0"]\nlog_level = "warning"\n'
        f'[home_agent]\naddress = "{HOME_AGENT}"\nhome_prefixes = ["{HOME_PREFIX}"]\n' + "".join(subscribers)
    )


def _answers(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(str(control))
            client.sendall(b'{"schema": "unwired.request/1", "verb": "status"}\n')
            return b"schema" in client.recv(4096)
        except OSError:
            return False


def send(
    load: Namespace, program: Path, directory: Path, packets: bytes, size: int, seconds: float, destination: str
) -> Sample:
    """Send a row of packets of ``size`` bytes, for so many seconds at most. Raises RuntimeError when it cannot."""
    row = directory / "packets"
    row.write_bytes(packets)
    command = f"taskset -c {processors()[1]} {program} send {row} {size} {_WINDOW} {seconds} {destination} up0"
    sample: Sample = json.loads(load.run(command))
    return sample
