"""The Unwired daemons of a scenario: their configuration files, their start, what they tell.

A daemon here is what a user runs: ``unwired run -c FILE`` with a file in the user's format, inside the node.
"""

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unwired.host import config
from unwired.host.problems import ConfigError, Problem
from unwired.lab import toml
from unwired.lab.build import ROUTER_NICENESS, Lab
from unwired.lab.namespace import Namespace
from unwired.lab.processes import LabError, Process, module, wait_until
from unwired.lab.record import NoticeRecord
from unwired.lab.scenario import Node, Role, Scenario
from unwired.lab.scenario_file import ScenarioError
from unwired.plane import certificates
from unwired.wire.address import Address, parse_address

PINS = Path("/sys/fs/bpf/unwired")
"""Where a daemon pins its maps and links, in a directory of its name. Shared by all namespaces."""
_START_TIMEOUT_S = 20.0
_NICENESS = {Role.HOME_AGENT: ROUTER_NICENESS}
_ANSWER_TIMEOUT_S = 5.0


def daemons(scenario: Scenario) -> list[Node]:
    """The nodes that run a daemon, home agents first."""
    nodes = [node for node in scenario.node if node.config]
    return sorted(nodes, key=lambda node: node.role is not Role.HOME_AGENT)


def configuration_path(directory: Path, node: str) -> Path:
    """Where a run keeps the configuration of the daemon in the node of this name."""
    return directory / "config" / f"{node}.toml"


def credentials(directory: Path, node: str) -> dict[str, Path]:
    """The files by which a member of a home agent set proves who it is, by their configuration key."""
    where = directory / "certificates"
    return {
        "certificate": where / f"{node}.crt",
        "private_key": where / f"{node}.key",
        "authority": where / "authority.crt",
    }


def configuration(scenario: Scenario, node: Node, name: str, directory: Path) -> str:
    """A daemon's file: what the scenario says, with the name and the directories that keep runs apart."""
    said = scenario.daemon_configuration(node)
    if "home_agent_set" in said:
        files = {key: str(path) for key, path in credentials(directory, node.name).items()}
        said = {**said, "home_agent_set": {**said["home_agent_set"], **files}}
    daemon = {
        **said.get("daemon", {}),
        "name": name,
        "runtime_dir": str(directory / "run"),
        "state_dir": str(directory / "state"),
    }
    return toml.dumps({"daemon": daemon, **{key: value for key, value in said.items() if key != "daemon"}})


def check(scenario: Scenario, path: Path) -> None:
    """Read every daemon's configuration as the daemon will. Raises ScenarioError with all problems."""
    problems: list[Problem] = []
    directory = Path(tempfile.mkdtemp(prefix="unwired-lab-check-"))
    try:
        make_credentials(scenario, directory)
        for index, node in enumerate(scenario.node):
            if not node.config:
                continue
            file = directory / "configuration.toml"
            file.write_text(configuration(scenario, node, "check", directory))
            try:
                config.load(file)
            except ConfigError as error:
                for problem in error.problems:
                    key = f"node[{index}].config" + (f".{problem.key}" if problem.key else "")
                    problems.append(Problem(str(path), key, problem.what, problem.why, problem.fix))
    finally:
        shutil.rmtree(directory)
    if problems:
        raise ScenarioError(problems)


def make_credentials(scenario: Scenario, directory: Path) -> None:
    """An authority for this run, and a certificate for every member of a home agent set whose configuration says who
    it is. Raises LabError."""
    members = {node.name: locator for node in daemons(scenario) if (locator := _locator(scenario, node)) is not None}
    if not members:
        return
    try:
        where = directory / "certificates"
        authority, authority_key = certificates.create_authority(where, "authority")
        for node, locator in members.items():
            certificates.create_member(where, authority, authority_key, node, locator)
    except certificates.CertificateError as error:
        raise LabError(f"no certificates could be made: {error}") from None


def _locator(scenario: Scenario, node: Node) -> Address | None:
    """None: in no set, or the configuration has a mistake, which its check tells."""
    said = scenario.daemon_configuration(node)
    try:
        own = said["home_agent_set"]["member"]
        return next(parse_address(one["locator"]) for one in said["member"] if one["name"] == own)
    except (KeyError, TypeError, ValueError, StopIteration):
        return None


class Agent:
    """One node's daemon. ``notices`` grow as ``pull`` reads what it tells."""

    def __init__(self, lab: Lab, node: Node, number: int) -> None:
        self._lab = lab
        self.node = node
        run = lab.directory.name.removeprefix(f"{lab.scenario.name}-")
        self.name = f"{node.name[:12]}{number}-{run}"  # at most 32 characters, and no other daemon of this host has it
        self.path = configuration_path(lab.directory, node.name)
        self.control_socket = lab.directory / "run" / self.name / "control.sock"
        self.process: Process | None = None
        self.notices: list[NoticeRecord] = []
        self._listeners: list[_Listener] = []

    @property
    def _namespace(self) -> Namespace:
        return self._lab.namespaces[self.node.name]

    @property
    def member(self) -> str | None:
        """Its name in the home agent set, if it is in one."""
        section = self._lab.scenario.daemon_configuration(self.node).get("home_agent_set")
        return str(section.get("member")) if isinstance(section, dict) else None

    def start(self) -> None:
        """Write the file, start the daemon, wait until it answers. Raises LabError."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(configuration(self._lab.scenario, self.node, self.name, self._lab.directory))
        self._lab.ledger.add("pins", path=str(PINS / self.name))
        command = module("unwired", "run", "-c", self.path)
        # Each start has logs of its own: what was read of the last one's stays valid.
        suffix = f"{self.node.name}-{len(self._listeners) + 1}" if self._listeners else self.node.name
        self.process = process = self._lab.processes.start(
            f"daemon-{suffix}", command, self._namespace, niceness=_NICENESS.get(self.node.role, 0)
        )
        if not wait_until(lambda: self._answers() or not process.is_running, _START_TIMEOUT_S, 0.02):
            raise LabError(f"the daemon of {self.node.name} does not answer: {process.log_tail()}")
        if not process.is_running:
            raise LabError(f"the daemon of {self.node.name} ended: {process.log_tail(8) or 'it printed nothing'}")
        events = module("unwired", "events", "--follow", "--json", "-c", self.path)
        listener = self._lab.processes.start(f"events-{suffix}", events, self._namespace, foreground=False)
        self._listeners.append(_Listener(listener.log))

    def kill(self) -> None:
        """End the daemon as a crash would."""
        if self.process is not None:
            self.process.expected_to_run = False
            self.process.popen.kill()
            self.process.popen.wait()

    def ask(self, verb: str, **values: Any) -> dict[str, Any]:
        """One request over the control socket. Raises OSError and ValueError when there is no proper answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_ANSWER_TIMEOUT_S)
            client.connect(str(self.control_socket))
            client.sendall(json.dumps({"schema": "unwired.request/1", "verb": verb, **values}).encode() + b"\n")
            with client.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        if not isinstance(answer, dict):
            raise ValueError("the answer is no JSON object")
        return answer

    def _answers(self) -> bool:
        try:
            self.ask("status")
        except (OSError, ValueError):
            return False
        return True

    def pull(self) -> list[NoticeRecord]:
        """What the daemon has told since the last call."""
        new = [notice for listener in self._listeners for notice in listener.pull(self.node.name)]
        self.notices += new
        return new


class _Listener:
    """The log of one `unwired events --follow`, and how far it was read."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0

    def pull(self, node: str) -> Iterator[NoticeRecord]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._read += len(complete)
        yield from _notices(node, complete)


def _notices(node: str, lines: bytes) -> Iterator[NoticeRecord]:
    wall_minus_monotonic_s = time.time() - time.monotonic()
    for line in lines.splitlines():
        try:
            event = json.loads(line)
            at = float(event["at"]) - wall_minus_monotonic_s
            name, level = str(event["name"]), str(event.get("level", "info"))
        except (ValueError, KeyError, TypeError):
            continue
        yield NoticeRecord(node, at, name, level, dict(event.get("fields") or {}), event.get("home_address"))
