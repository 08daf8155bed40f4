"""Binding updates that one home agent process acknowledges per second, on one core, beside bare UDP echoes.

The home agent is the daemon that a user runs, in a namespace of its own, with its journal on disk; the load comes over
a veth from another namespace: authenticated binding updates of distinct home addresses, encoded ahead of time, a
bounded number of them unanswered at any time, and every acknowledgement counted. The echoes, in Python and in C, answer
packets of the same size on the same path with the same load: what a process can reach there at most. Runs are
interleaved.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unwired.bench.binding_updates import HOME_AGENT, Fleet, echo_requests
from unwired.bench.loaded_agent import AGENT_ADDRESS, Sample, home_agent, join, load_program, processors, send
from unwired.bench.namespaces import Namespace

SCHEMA = "unwired.bench.signalling/1"
GOAL_PER_S = 20_000
_ECHO_PORT = 7
_FASTEST_PER_S = 40_000
"""So many updates a second are made ready; an agent that is faster runs out of them and is measured all the same."""
_ENCODING_S = 1e-4
"""How long one update takes to be made, before it is known: its timestamp must be right when it is sent."""
_FIRST_LIMIT_S = 60.0


def run(bindings: int = 10_000, seconds: float = 2.0, repeats: int = 3) -> dict[str, object]:
    """Medians over ``repeats``, in answers per second: ``first_registrations`` of all ``bindings`` with a new daemon,
    ``refreshes`` and ``handovers`` for ``seconds`` each. Raises RuntimeError when a part does not start."""
    samples: dict[str, list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="unwired-bench-") as name, load_program(Path(name)) as program:
        directory = Path(name)
        agent, load = Namespace(), Namespace()
        try:
            join(agent, load)
            for number in range(repeats):
                with home_agent(agent, directory / str(number), bindings):
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


# --- what is measured ------------------------------------------------------------------------------------------------


def _register(
    load: Namespace, program: Path, directory: Path, bindings: int, seconds: float
) -> Iterator[tuple[str, Sample]]:
    fleet = Fleet(bindings)
    many = round(seconds * _FASTEST_PER_S / bindings + 0.5) * bindings
    encoding_s = _ENCODING_S
    for kind, total, moving in (
        ("first_registrations", bindings, False),
        ("refreshes", many, False),
        ("handovers", many, True),
    ):
        started_at = time.time()
        packets = fleet.updates(total, moving, started_at + total * encoding_s)
        encoding_s = (time.time() - started_at) / total
        limit_s = seconds if total == many else _FIRST_LIMIT_S
        yield kind, send(load, program, directory, packets, len(packets) // total, limit_s, HOME_AGENT)


def _echoes(program: Path) -> dict[str, list[str]]:
    where = [AGENT_ADDRESS, str(_ECHO_PORT)]
    return {
        "udp_echo_python": [sys.executable, "-m", "unwired.bench.udp_echo", *where],
        "udp_echo_c": [str(program), "echo", *where],
    }


@contextmanager
def _echo(namespace: Namespace, command: list[str]) -> Iterator[None]:
    pinned = ["taskset", "-c", str(processors()[0]), *command]
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
    packets = echo_requests(size, 1000, AGENT_ADDRESS, _ECHO_PORT) * round(seconds * 250)
    return send(load, program, directory, packets, size, seconds, AGENT_ADDRESS)
