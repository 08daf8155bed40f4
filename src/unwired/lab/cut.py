"""Cutting wires without anybody seeing a carrier go: the relay swallows their frames until they are healed.

The relay listens on a datagram socket in the run's directory. A request is a JSON object with ``wires``, numbers in the
order of its specification, and ``cut``, a truth value; it is answered with the same datagram once it is done.
"""

import json
import socket
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from unwired.lab.processes import LabError

SPECIFICATION = "relay.json"
CONTROL = "relay.sock"
_LARGEST = 65_536
_ANSWER_TIMEOUT_S = 5.0


class Cuttable(Protocol):
    def cut(self, cut: bool) -> None: ...


# --- in the relay ---


def open_control(path: Path) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(str(path))
    control.setblocking(False)
    return control


def obey(control: socket.socket, directions: Sequence[Cuttable]) -> None:
    """Do what one datagram says. Each wire is two directions in a row. What is no request is left unanswered."""
    try:
        data, sender = control.recvfrom(_LARGEST)
        request = json.loads(data)
        wanted = [direction for wire in request["wires"] for direction in directions[2 * wire : 2 * wire + 2]]
        for direction in wanted:
            direction.cut(bool(request["cut"]))
        control.sendto(data, sender)
    except (OSError, ValueError, KeyError, TypeError):
        return


# --- outside ---


def wires_of(directory: Path, names: Iterable[str]) -> list[int]:
    """The wires of a run that the names mean: those of an interface (NODE.INTERFACE) or all of a node's. Raises
    LabError when a name means none, or one that is an unshaped cable, which nothing can cut."""
    specification = directory / SPECIFICATION
    wires = json.loads(specification.read_text())["wires"] if specification.exists() else []
    found: list[int] = []
    for name in names:
        own = [
            number
            for number, wire in enumerate(wires)
            if any(name in (end, end.partition(".")[0]) for end in wire["ends"])
        ]
        if not own:
            known = sorted({end for wire in wires for end in wire["ends"]})
            raise LabError(f"nothing of {name!r} can be cut; what can: {', '.join(known) or 'nothing'}")
        found += own
    return sorted(set(found))


def set_cut(directory: Path, wires: list[int], cut: bool) -> None:
    """Cut or heal wires of a run, and return when it is done. Raises LabError when the relay does not answer."""
    request = json.dumps({"wires": wires, "cut": cut}).encode()
    with tempfile.TemporaryDirectory(dir=directory) as own, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(_ANSWER_TIMEOUT_S)
        client.bind(f"{own}/client.sock")
        try:
            client.sendto(request, str(directory / CONTROL))
            client.recv(_LARGEST)
        except OSError as error:
            raise LabError(f"the relay of {directory.name} does not answer: {error}") from None
