"""A home agent set in namespaces: real daemons with mesh, certificates and a managed BIRD each, around one router.

agent1 --\\
agent2 ---- core ---- nodes (the mobile nodes' care-of addresses)
agent3 --/    \\------ correspondent

The core speaks BGP with every agent, prefers the first one's announcement of the home prefix, and watches the sessions
with BFD, 3 times 50 ms.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from unwired.bench.binding_updates import CARE_OF_PREFIX, HOME_PREFIX, SECRET, SPI, home_address, identifier
from unwired.bench.namespaces import Namespace, link
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import format_address, parse_address

NODES_DEVICE = "up0"
_SET_AS, _CORE_AS = 64500, 64496
_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 60.0
_POLL_S = 0.01


class SetNetwork:
    """Members have the numbers 1 to ``members``. ``with`` makes and removes everything; what does not work is a
    RuntimeError."""

    def __init__(self, directory: Path, members: int, bindings: int) -> None:
        self._directory = directory
        self._numbers = range(1, members + 1)
        self._daemons: dict[int, subprocess.Popen[bytes]] = {}
        self._bird: subprocess.Popen[bytes] | None = None
        self.core, self.nodes, self.correspondent = Namespace(), Namespace(), Namespace()
        self.agents = {number: Namespace() for number in self._numbers}
        self._join()
        authority = create_authority(directory, "authority")
        (directory / "subscribers.toml").write_text("".join(_subscribers(bindings)))
        for number in self._numbers:
            create_member(directory, *authority, f"agent{number}", parse_address(_locator(number)))
            self._file(number).write_text(self._configuration(number, bindings))

    def __enter__(self) -> "SetNetwork":
        try:
            self._start_bird()
            for number in self._numbers:
                self.start(number)
            self.until(lambda: self.all_serve(), _START_TIMEOUT_S, "all members serve")
            self.until(lambda: self.leads_to(1), _START_TIMEOUT_S, "the home prefix is routed to the first member")
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    # --- daemons ---

    def start(self, number: int) -> None:
        command = f"{sys.executable} -m unwired run -c {self._file(number)}"
        with self._log(number).open("a") as log:
            self._daemons[number] = subprocess.Popen(self.agents[number].command(command), stdout=log, stderr=log)

    def kill(self, number: int) -> None:
        self._daemons[number].send_signal(signal.SIGKILL)
        self._daemons[number].wait()

    def ask(self, number: int, verb: str, **request: object) -> dict[str, Any] | None:
        """What a member's daemon answers; None when it doesn't."""
        line = json.dumps({"schema": "unwired.request/1", "verb": verb, **request}) + "\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(_ANSWER_TIMEOUT_S)
                client.connect(str(self._control(number)))
                client.sendall(line.encode())
                with client.makefile("r", encoding="utf-8") as lines:
                    answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError):
            return None
        return None if answer["schema"] == "unwired.error/1" else answer

    def all_serve(self) -> bool:
        """Whether every member takes every member for serving."""
        for number in self._numbers:
            answer = self.ask(number, "members")
            if answer is None or any(member["state"] != "serving" for member in answer["members"]):
                return False
        return True

    def bindings(self, number: int) -> dict[str, dict[str, Any]]:
        """What a member's daemon tells of every binding, by home address. Raises RuntimeError when it doesn't."""
        answer = self.ask(number, "bindings")
        if answer is None:
            raise RuntimeError(f"member {number} does not tell its bindings: {self._complaint(number)}")
        return {binding["home_address"]: binding for binding in answer["bindings"]}

    def until(self, condition: Callable[[], bool], limit_s: float, what: str) -> None:
        """Raises RuntimeError when it does not come true, or a daemon died."""
        deadline = time.monotonic() + limit_s
        while not condition():
            for number, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    raise RuntimeError(f"member {number} died: {self._complaint(number)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {limit_s:.0f} s: {what}; {self._complaint(1)}")
            time.sleep(_POLL_S)

    # --- the network ---

    def cut(self, number: int) -> None:
        """Silently: frames between the core and this member are dropped, and carriers stay."""
        file = self._directory / "cut.nft"
        file.write_text(
            "table netdev cut {\n"
            + "".join(
                f"  chain {way} {{ type filter hook {way} device agent{number} priority 0; policy drop; }}\n"
                for way in ("ingress", "egress")
            )
            + "}\n"
        )
        self.core.run(f"nft -f {file}")

    def heal(self) -> None:
        self.core.run("nft delete table netdev cut")

    def leads_to(self, number: int) -> bool:
        """Whether the core's route of the home prefix does."""
        return f" dev agent{number} " in self.core.run(f"ip -6 route show {HOME_PREFIX}")

    def _join(self) -> None:
        for number, agent in self.agents.items():
            link(agent, "up0", self.core, f"agent{number}")
            agent.ip(f"addr add {_locator(number)}/64 dev up0 nodad", f"route add default via {_router(number)}")
            self.core.ip(f"addr add {_router(number)}/64 dev agent{number} nodad")
        for namespace, device, letter in ((self.nodes, "nodes", "d"), (self.correspondent, "correspondent", "c")):
            link(namespace, "up0", self.core, device)
            namespace.ip(f"addr add 2001:db8:{letter}::2/64 dev up0 nodad")
            namespace.ip(f"route add default via 2001:db8:{letter}::1")
            self.core.ip(f"addr add 2001:db8:{letter}::1/64 dev {device} nodad")
        # The nodes' namespace does not own the care-of addresses and does not forward: what comes for them is read from
        # the link and goes no further.
        self.core.ip(f"route add {CARE_OF_PREFIX} via 2001:db8:d::2")
        self.core.sysctl(all__forwarding=1)

    def _start_bird(self) -> None:
        file = self._directory / "core.conf"
        file.write_text(_bird(self._numbers))
        command = f"bird -f -c {file} -s {self._directory / 'core.ctl'}"
        with (self._directory / "core.log").open("w") as log:
            self._bird = subprocess.Popen(self.core.command(command), stdout=log, stderr=log)

    def _close(self) -> None:
        for daemon in self._daemons.values():
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if self._bird is not None:
            self._bird.terminate()
            self._bird.wait()
        for namespace in (self.core, self.nodes, self.correspondent, *self.agents.values()):
            namespace.close()

    # --- files ---

    def _file(self, number: int) -> Path:
        return self._directory / f"agent{number}.toml"

    def _log(self, number: int) -> Path:
        return self._directory / f"agent{number}.log"

    def _control(self, number: int) -> Path:
        return self._directory / "run" / _name(number) / "control.sock"

    def _complaint(self, number: int) -> str:
        return self._log(number).read_text()[-2000:].strip() or "its log is empty"

    def _configuration(self, number: int, bindings: int) -> str:
        everybody = "".join(
            f'[[member]]\nname = "agent{other}"\naddress = "{_address(other)}"\nlocator = "{_locator(other)}"\n'
            for other in self._numbers
        )
        return (
            f'[daemon]\nname = "{_name(number)}"\nruntime_dir = "{self._directory / "run"}"\n'
            f'state_dir = "{self._directory / "state"}"\nuplinks = ["up0"]\nlog_level = "warning"\n'
            f'[home_agent]\naddress = "{_address(number)}"\nhome_prefixes = ["{HOME_PREFIX}"]\n'
            f'bindings_max = {max(bindings, 100_000)}\nsubscribers = "subscribers.toml"\n'
            f'[home_agent_set]\nmember = "agent{number}"\ngroup_id = 1\ndurability = "one-peer"\n'
            f'certificate = "agent{number}.crt"\nprivate_key = "agent{number}.key"\nauthority = "authority.crt"\n'
            f"{everybody}"
            f'[bgp]\nas = {_SET_AS}\n[[bgp.neighbor]]\naddress = "{_router(number)}"\nas = {_CORE_AS}\n'
        )


def _name(number: int) -> str:
    return f"bench-{os.getpid()}-agent{number}"


def _address(number: int) -> str:
    """The first is ``binding_updates.HOME_AGENT``."""
    return f"{HOME_PREFIX.removesuffix('/64')}{number}"


def _locator(number: int) -> str:
    return f"2001:db8:e:{number}::2"


def _router(number: int) -> str:
    return f"2001:db8:e:{number}::1"


def _subscribers(count: int) -> Iterator[str]:
    key = f'spi = {SPI}\nsecret = "hex:{SECRET.hex()}"\n'
    for number in range(count):
        address = format_address(home_address(number))
        yield f'[[subscriber]]\nidentifier = "{identifier(number)}"\nhome_address = "{address}"\n'
        yield f"[[subscriber.key]]\n{key}"


def _bird(numbers: range) -> str:
    sessions = "".join(
        f"protocol bgp agent{number} {{\n"
        f"  local {_router(number)} as {_CORE_AS};\n  neighbor {_locator(number)} as {_SET_AS};\n"
        "  direct; bfd; local role provider; connect delay time 1; connect retry time 1; error wait time 1, 2;\n"
        f"  ipv6 {{ import filter {{ if net != {HOME_PREFIX} then reject; bgp_local_pref = {1000 - number}; accept; }};"
        " export none; };\n}\n"
        for number in numbers
    )
    return (
        "router id 192.0.2.1;\nlog stderr all;\nprotocol device {}\n"
        'protocol bfd { interface "*" { interval 50 ms; multiplier 3; }; }\n'
        "protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }\n" + sessions
    )
