"""A site in two namespaces: the home agent's host (AS 4690) and the site's router (AS 2497), a BIRD that shows what it
was told.

    agent a0 2001:db8:1::2, 192.0.2.2 ---- 2001:db8:1::1, 192.0.2.1 r0 router
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from unwired.bench.namespaces import Namespace, link
from unwired.plane.bgp import Announcement, BgpConfig, BgpMode, BgpNeighbor, to_json
from unwired.wire.address import parse_address

HOME = "2001:db8:100::/40"
PREFIX = (parse_address("2001:db8:100::"), 40)
NEIGHBOR = BgpNeighbor(parse_address("2001:db8:1::1"), 2497)
ROUTER = """
log "{directory}/router.log" all;
router id 192.0.2.1;
protocol device {{ scan time 1; }}
protocol bfd {{ accept direct; }}
protocol bgp agent {{
  local as 2497; neighbor 2001:db8:1::2 as 4690; direct; passive;
  local role provider;
  bfd {{ interval 50 ms; multiplier 3; }};
  graceful restart aware; error wait time 1, 5;
  ipv6 {{ import all; export none; }};
}}
protocol bgp agent_ipv4 {{
  local as 2497; neighbor 192.0.2.2 as 4690; direct; passive;
  local role provider;
  bfd {{ interval 50 ms; multiplier 3; }};
  graceful restart aware; error wait time 1, 5;
  ipv4 {{ import all; export none; }};
}}
"""


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """The first true answer of ``condition``."""
    end = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def managed(**changes: Any) -> Announcement:
    values: dict[str, Any] = {
        "mode": BgpMode.MANAGED,
        "as_number": 4690,
        "neighbors": (NEIGHBOR,),
        "communities": ((4690, 100), (4690, 1, 2)),
        "router_id": 0xC0000202,
        "drain_time_s": 1.0,
        "hold_time_s": 30.0,
    }
    return Announcement((PREFIX,), BgpConfig(**(values | changes)))


class Daemon:
    """``announcing_daemon.py`` in the agent's namespace."""

    def __init__(self, site: "Site", announcement: Announcement) -> None:
        self.file = site.directory / "announcement.json"
        self.write(announcement)
        program = Path(__file__).with_name("announcing_daemon.py")
        self.process = subprocess.Popen(
            site.agent.command(f"{sys.executable} {program} {site.runtime} {self.file}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=site.log,
            text=True,
        )
        self.started: dict[str, Any] = self._answer()

    def write(self, announcement: Announcement) -> None:
        self.file.write_text(json.dumps(to_json(announcement)))

    def say(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def status_when(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        def fitting() -> dict[str, Any] | None:
            status = self.say("status")
            return status if status.get("pid") and condition(status) else None

        answer: dict[str, Any] = eventually(fitting, what)
        return answer

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runtime = directory / "run"
        self.runtime.mkdir()
        self.log = (directory / "errors.log").open("a")
        self.agent, self.router = Namespace(), Namespace()
        link(self.agent, "a0", self.router, "r0")
        self.agent.ip("address add 2001:db8:1::2/64 dev a0 nodad")
        self.router.ip("address add 2001:db8:1::1/64 dev r0 nodad")
        self.agent.run("ip address add 192.0.2.2/24 dev a0")
        self.router.run("ip address add 192.0.2.1/24 dev r0")
        self.processes: list[subprocess.Popen[Any]] = []
        self.daemons: list[Daemon] = []
        self._public: list[Path] = []

    def start(self, namespace: Namespace, *command: str) -> "subprocess.Popen[Any]":
        process: subprocess.Popen[Any] = subprocess.Popen(
            [*namespace.command(""), *command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        self.processes.append(process)
        return process

    def start_router(self, configuration: str = ROUTER) -> None:
        file = self.directory / "router.conf"
        file.write_text(configuration.format(directory=self.directory))
        self.start(self.router, "bird", "-f", "-c", str(file), "-s", str(self.directory / "router.ctl"))

    def daemon(self, announcement: Announcement) -> Daemon:
        daemon = Daemon(self, announcement)
        self.daemons.append(daemon)
        return daemon

    def route(self, prefix: str = HOME) -> str:
        """What the router knows of the prefix, with all its attributes; empty: nothing."""
        said = self.ask("show", "route", prefix, "all")
        return said if "BGP.as_path" in said else ""

    def ask(self, *command: str) -> str:
        """What the router's BIRD answers."""
        done = subprocess.run(
            ["birdc", "-s", str(self.directory / "router.ctl"), *command], capture_output=True, text=True, check=False
        )
        return done.stdout

    def sees(self, *words: str, prefix: str = HOME) -> str:
        """Wait until the router knows the prefix with these words among its attributes."""
        answer: str = eventually(
            lambda: (route := self.route(prefix)) and all(word in route for word in words) and route,
            f"the router sees {prefix} {words}",
        )
        return answer

    def misses(self, prefix: str = HOME) -> None:
        """Wait until the router does not know the prefix."""
        eventually(lambda: not self.route(prefix), f"the router does not see {prefix}")

    def marked(self, prefix: str = HOME) -> str:
        return self.agent.run(f"ip {'-6' if ':' in prefix else '-4'} route show {prefix} proto 79").strip()

    def cut(self) -> None:
        """Frames vanish in both directions, and no carrier drops."""
        for namespace, device in ((self.agent, "a0"), (self.router, "r0")):
            namespace.run("nft add table netdev cut")
            hook = f"type filter hook ingress device {device} priority 0 ; policy drop ;"
            namespace.run(f"nft add chain netdev cut silence {{ {hook} }}")

    def public_directory(self) -> Path:
        """One that other users can reach, too."""
        made = Path(tempfile.mkdtemp(prefix="unwired-"))
        self._public.append(made)
        return made

    @property
    def supervisor(self) -> dict[str, Any] | None:
        """What is saved of the supervisor, None when it is gone."""
        path = self.runtime / "bgp" / "state.json"
        return json.loads(path.read_text()) if path.exists() else None

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.die()
        self._end_supervisor()
        for process in self.processes:
            process.terminate()
            process.wait()
        for namespace in (self.agent, self.router):
            namespace.close()
        for directory in self._public:
            shutil.rmtree(directory)
        self.log.close()

    def _end_supervisor(self) -> None:
        """The one of this site, if it still runs: by its command line, which names our directory."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"unwired.plane.supervisor" in command and str(self.runtime).encode() in command:
                    os.kill(int(entry.name), signal.SIGTERM)
                    eventually(partial(_is_dead, entry), "the supervisor ends")


def _is_dead(entry: Path) -> bool:
    try:
        return "\nState:\tZ" in (entry / "status").read_text()
    except OSError:
        return True


@contextmanager
def site(directory: Path) -> Iterator[Site]:
    made = Site(directory)
    try:
        yield made
    finally:
        made.close()
