"""Binding updates that one home agent process acknowledges per second, on one core, beside bare UDP echoes.

The home agent is the daemon that a user runs, in a namespace of its own, with its journal on disk; the load comes over
a veth from another namespace: authenticated binding updates of distinct home addresses, encoded ahead of time, a
bounded number of them unanswered at any time, and every acknowledgement counted. The echoes, in Python and in C, answer
packets of the same size on the same path with the same load: what a process can reach there at most. Runs are
interleaved.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from unwired.bench import binding_updates
from unwired.bench.binding_updates import CARE_OF_PREFIX, HOME_AGENT, HOME_PREFIX, SECRET, SPI, Fleet, echo_requests
from unwired.bench.namespaces import Namespace, link
from unwired.wire.address import format_address

SCHEMA = "unwired.bench.signalling/1"
GOAL_PER_S = 20_000
_AGENT_ADDRESS, _LOAD_ADDRESS = "2001:db8:a::1", "2001:db8:a::2"
_ECHO_PORT = 7
_FASTEST_PER_S = 50_000
"""So many updates a second are made ready; an agent that is faster runs out of them and is measured all the same."""
_ENCODED_PER_S = 15_000
_WINDOW = 128
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0

Sample = dict[str, float]


def run(bindings: int = 10_000, seconds: float = 2.0, repeats: int = 3) -> dict[str, object]:
    """Medians over ``repeats``, in answers per second: ``first_registrations`` of all ``bindings`` with a new daemon,
    ``refreshes`` and ``handovers`` for ``seconds`` each. Raises RuntimeError when a part does not start."""
    samples: dict[str, list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="unwired-bench-") as name, _load_program(Path(name)) as program:
        directory = Path(name)
        agent, load = Namespace(), Namespace()
        try:
            _join(agent, load)
            for number in range(repeats):
                with _home_agent(agent, directory / str(number), bindings):
                    for kind, sample in _register(load, program, directory, bindings, seconds):
                        samples.setdefault(kind, []).append(sample)
                for kind, command in _echoes(program).items():
                    with _echo(agent, command):
                        samples.setdefault(kind, []).append(_ask_echo(load, program, directory, seconds))
        finally:
            agent.close()
            load.close()
    return _result(samples, bindings, seconds, repeats)


def _result(samples: dict[str, list[Sample]], bindings: int, seconds: float, repeats: int) -> dict[str, object]:
    rates = {
        kind: statistics.median(sample["accepted"] / sample["elapsed_s"] for sample in own)
        for kind, own in samples.items()
    }
    baselines = {kind: round(rate) for kind, rate in rates.items() if kind.startswith("udp_echo")}
    medians = {kind: round(rate) for kind, rate in rates.items() if kind not in baselines}
    return {
        "schema": SCHEMA,
        "bindings": bindings,
        "seconds": seconds,
        "repeats": repeats,
        "units": dict.fromkeys([*medians, *baselines], "answers/s"),
        "medians": medians,
        "baselines": baselines,
        "ratios": {
            f"{kind}_to_{baseline}": round(rates[kind] / rates[baseline], 3)
            for kind in medians
            for baseline in baselines
        },
        "lost": {kind: sum(int(sample["lost"]) for sample in own) for kind, own in samples.items()},
        "refused": {kind: sum(int(sample["refused"]) for sample in own) for kind, own in samples.items()},
        "goals": dict.fromkeys(medians, GOAL_PER_S),
    }


def _join(agent: Namespace, load: Namespace) -> None:
    """The load's namespace does not own the care-of addresses and does not forward: what is answered to them is counted
    on the link and goes no further."""
    link(agent, "up0", load, "up0")
    agent.ip(
        f"addr add {_AGENT_ADDRESS}/64 dev up0 nodad",
        f"route add {CARE_OF_PREFIX} via {_LOAD_ADDRESS}",
    )
    load.ip(
        f"addr add {_LOAD_ADDRESS}/64 dev up0 nodad",
        f"route add {HOME_PREFIX} via {_AGENT_ADDRESS}",
    )


def _processors() -> tuple[int, int]:
    """One for what is measured, another one for the load where there is one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


@contextmanager
def _load_program(directory: Path) -> Iterator[Path]:
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("there is no C compiler for the load: install gcc")
    program = directory / "load"
    with as_file(files("unwired.bench") / "load.c") as source:
        subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    yield program


# --- what is measured ------------------------------------------------------------------------------------------------


@contextmanager
def _home_agent(namespace: Namespace, directory: Path, bindings: int) -> Iterator[None]:
    """A new daemon with ``bindings`` subscribers, on one processor, until it has stopped."""
    directory.mkdir()
    configuration = directory / "home-agent.toml"
    configuration.write_text(_configuration(directory, bindings))
    command = f"taskset -c {_processors()[0]} {sys.executable} -m unwired run -c {configuration}"
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
        yield
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


def _register(
    load: Namespace, program: Path, directory: Path, bindings: int, seconds: float
) -> Iterator[tuple[str, Sample]]:
    fleet = Fleet(bindings)
    many = round(seconds * _FASTEST_PER_S / bindings + 0.5) * bindings
    for kind, total, moving in (
        ("first_registrations", bindings, False),
        ("refreshes", many, False),
        ("handovers", many, True),
    ):
        ready_at = time.time() + total / _ENCODED_PER_S
        packets = fleet.updates(total, moving, ready_at)
        limit_s = seconds if total == many else _START_TIMEOUT_S
        yield kind, _send(load, program, directory, packets, len(packets) // total, limit_s, HOME_AGENT)


def _echoes(program: Path) -> dict[str, list[str]]:
    where = [_AGENT_ADDRESS, str(_ECHO_PORT)]
    return {
        "udp_echo_python": [sys.executable, "-m", "unwired.bench.udp_echo", *where],
        "udp_echo_c": [str(program), "echo", *where],
    }


@contextmanager
def _echo(namespace: Namespace, command: list[str]) -> Iterator[None]:
    pinned = ["taskset", "-c", str(_processors()[0]), *command]
    echo = subprocess.Popen([*namespace.command(""), *pinned], stdout=subprocess.PIPE, text=True)
    try:
        if echo.stdout is None or echo.stdout.readline() != "ready\n":
            raise RuntimeError(f"{command[0]} does not start")
        yield
    finally:
        echo.kill()
        echo.communicate()


def _ask_echo(load: Namespace, program: Path, directory: Path, seconds: float) -> Sample:
    size = len(Fleet(1).updates(1, False, time.time()))
    packets = echo_requests(size, 1000, _AGENT_ADDRESS, _ECHO_PORT) * round(seconds * 250)
    return _send(load, program, directory, packets, size, seconds, _AGENT_ADDRESS)


def _send(
    load: Namespace, program: Path, directory: Path, packets: bytes, size: int, seconds: float, destination: str
) -> Sample:
    row = directory / "packets"
    row.write_bytes(packets)
    command = f"taskset -c {_processors()[1]} {program} send {row} {size} {_WINDOW} {seconds} {destination} up0"
    sample: Sample = json.loads(load.run(command))
    return sample
