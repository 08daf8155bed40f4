"""The kernel's own network emulator as the shape of a wire, where the kernel has it: by the tc command."""

import shutil
import subprocess

from unwired.lab.namespace import Namespace
from unwired.lab.processes import LabError
from unwired.lab.scenario import Shape

_PACKETS = 100_000
"""netem's queue holds what is delayed, too; its own default of 1000 drops at a few Mbit/s."""
_FULL_FRAME_BYTES = 1514


def has_netem(namespace: Namespace) -> bool:
    """Whether this kernel has the netem queueing discipline. Tried on a loopback interface."""
    if shutil.which("tc") is None:
        return False
    added = _tc(namespace, "add", "lo", "netem", "delay", "1ms").returncode == 0
    if added:
        _tc(namespace, "del", "lo")
    return added


def add_netem(namespace: Namespace, interface: str, shape: Shape) -> None:
    """Shape what ``interface`` sends. Raises LabError when the kernel refuses."""
    done = _tc(namespace, "add", interface, *options(shape))
    if done.returncode != 0:
        raise LabError(f"netem on {interface}: {done.stderr.decode(errors='replace').strip()}")


def options(shape: Shape) -> list[str]:
    """What tc is told."""
    limit = _PACKETS
    if shape.rate_mbit is not None:
        held_s = (shape.queue_ms + shape.delay_ms) / 1e3
        limit = max(2, round(shape.rate_mbit * 1e6 / 8 * held_s / _FULL_FRAME_BYTES))
    arguments = ["netem", "limit", str(limit), "delay", f"{round(shape.delay_ms * 1000)}us"]
    if shape.loss_percent:
        arguments += ["loss", f"{shape.loss_percent:g}%"]
    if shape.rate_mbit is not None:
        arguments += ["rate", f"{round(shape.rate_mbit * 1e6)}bit"]
    return arguments


def _tc(namespace: Namespace, verb: str, interface: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    with namespace.inside():
        return subprocess.run(["tc", "qdisc", verb, "dev", interface, "root", *arguments], capture_output=True)
