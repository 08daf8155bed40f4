"""The supervisor's socket: who may speak to it, and what it makes of what is no request. Its work for a daemon is in
test_announcement.py."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_network import Site, eventually, managed, site

from unwired.plane.bgp import Announcement, BgpConfig, BgpMode, to_json

pytestmark = pytest.mark.root

EXTERNAL = Announcement(managed().prefixes, BgpConfig(BgpMode.EXTERNAL, drain_time_s=1.0, hold_time_s=3.0))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def start(here: Site) -> "subprocess.Popen[Any]":
    directory = here.runtime / "bgp"
    process = here.start(here.agent, sys.executable, "-m", "unwired.plane.supervisor", str(directory))
    eventually(lambda: listens(directory / "control"), "the socket")
    return process


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Client:
    def __init__(self, here: Site) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(here.runtime / "bgp" / "control"))
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> dict[str, Any]:
        self.socket.sendall(data)
        answer: dict[str, Any] = json.loads(self.file.readline())
        return answer

    def ask(self, command: str, **more: Any) -> dict[str, Any]:
        return self.send(json.dumps({"command": command} | more).encode() + b"\n")

    def configure(self, announcement: Announcement = EXTERNAL) -> dict[str, Any]:
        return self.ask("configure", announcement=to_json(announcement))

    def is_closed(self) -> bool:
        try:
            return not self.file.readline()
        except OSError:
            return True


def test_only_root_may_speak_to_it(here: Site) -> None:
    start(here)
    directory = here.runtime / "bgp"
    assert stat.S_IMODE((directory / "control").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    Client(here).configure()
    assert stat.S_IMODE((directory / "state.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n", b"{\n", b"[]\n", b"null\n", b'"announce"\n', b"{}\n", b'{"command": 5}\n', b'{"command": ["stop"]}\n',
        b'{"command": "configure"}\n', b'{"command": "configure", "announcement": 7}\n', b"\xff\x00\n",
        b'{"command": "configure", "announcement": {"prefixes": [["x", 1]]}}\n', b"[" * 100_000 + b"\n",
    ],
    ids=lambda garbage: repr(garbage[:60]),
)  # fmt: skip
def test_garbage_is_answered_and_changes_nothing(here: Site, garbage: bytes) -> None:
    start(here)
    client = Client(here)
    assert client.configure() == {} and client.ask("announce") == {}
    eventually(here.marked, "announced")
    assert "error" in client.send(garbage)
    assert client.ask("status")["state"] == "announced" and here.marked()


def test_a_line_without_end_costs_the_connection_alone(here: Site) -> None:
    start(here)
    client, other = Client(here), Client(here)
    with contextlib.suppress(OSError):
        for _ in range(64):
            other.socket.sendall(b"x" * 65536)
    assert other.is_closed()
    assert client.configure() == {}


def test_too_many_clients(here: Site) -> None:
    start(here)
    client = Client(here)
    assert client.configure() == {}
    others = [Client(here) for _ in range(40)]
    assert others[-1].is_closed()
    assert client.ask("status")["state"] == "withdrawn"


def test_garbage_is_no_sign_of_life(here: Site) -> None:
    process = start(here)
    client = Client(here)
    client.configure()
    client.ask("announce")
    eventually(here.marked, "announced")
    other = Client(here)

    def is_over() -> bool:
        with contextlib.suppress(OSError, ValueError):
            other.send(b"garbage\n")
        return process.poll() is not None

    eventually(is_over, "the hold time is over")
    assert not here.marked() and not (here.runtime / "bgp").exists()


def test_not_before_it_is_configured(here: Site) -> None:
    start(here)
    client = Client(here)
    for command in ("announce", "withdraw"):
        assert client.ask(command) == {"error": "nothing is configured yet"}
    assert client.ask("status")["mode"] is None


def test_a_first_configuration_that_is_refused_ends_it(here: Site) -> None:
    process = start(here)
    refused = managed(neighbors=(), communities=((4690, 2**40),))
    assert "BIRD refuses" in Client(here).configure(refused)["error"]
    eventually(lambda: process.poll() is not None, "it ends")
    assert not (here.runtime / "bgp").exists()


def test_a_full_disk_is_a_refusal_and_no_reason_to_die(here: Site) -> None:
    process = start(here)
    client = Client(here)
    assert client.configure() == {} and client.ask("announce") == {}
    (here.runtime / "bgp" / "bird.conf.new").mkdir()  # as for writing there: OSError
    assert "BIRD can't be run: " in client.configure(managed())["error"]
    assert client.ask("status")["mode"] == "external" and here.marked()
    assert process.poll() is None


def test_terminated_it_withdraws(here: Site) -> None:
    process = start(here)
    client = Client(here)
    client.configure()
    client.ask("announce")
    eventually(here.marked, "announced")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not here.marked() and not (here.runtime / "bgp").exists()


@pytest.mark.parametrize(
    "left", [b"", b"{", b"[]", b'{"here": 5}', b"\xff", b'{"here": "another boot", "state": "announced"}', None]
)
def test_what_a_killed_one_left_can_be_anything(here: Site, left: bytes | None) -> None:
    directory = here.runtime / "bgp"
    directory.mkdir(mode=0o700)
    if left is not None:
        (directory / "state.json").write_bytes(left)
    else:  # of another network namespace
        record = {"here": "elsewhere", "state": "announced", "announcement": to_json(EXTERNAL)}
        (directory / "state.json").write_text(json.dumps(record))
    start(here)
    client = Client(here)
    assert client.ask("status")["state"] == "withdrawn" and not here.marked()
    assert client.configure() == {} and client.ask("announce") == {}
    eventually(here.marked, "announced")


def test_a_killed_one_is_taken_up_in_every_state(here: Site) -> None:
    for command, after in (("announce", "announced"), ("withdraw", "withdrawn")):
        process = start(here)
        client = Client(here)
        client.configure()
        assert client.ask(command) == {}
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        successor = start(here)
        assert Client(here).ask("status")["state"] == after
        assert bool(here.marked()) == (after == "announced")
        successor.terminate()
        successor.wait()


def test_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unwired.plane.supervisor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "usage" in done.stderr
