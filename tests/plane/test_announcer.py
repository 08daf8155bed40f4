"""The daemon's end of the announcement beside a supervisor that is not what it should be."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unwired.plane import announcement
from unwired.plane.announcement import DIRECTORY, AnnouncementError, Announcer
from unwired.plane.bgp import Announcement, BgpConfig, to_json
from unwired.wire.address import parse_address

ANNOUNCEMENT = Announcement(((parse_address("2001:db8:100::"), 48),), BgpConfig(router_id=1))
STATUS = {"state": "announced", "sessions": [], "problems": []}


class Supervisor:
    """Answers as ``answer`` says; keeps the requests."""

    def __init__(self, runtime: Path, answer: Callable[[dict[str, Any]], bytes]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._path = runtime / DIRECTORY / "control"
        self._answer = answer

    async def __aenter__(self) -> "Supervisor":
        self._path.parent.mkdir()
        self._server = await asyncio.start_unix_server(self._client, self._path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.requests.append(json.loads(line))
            writer.write(self._answer(self.requests[-1]))
        writer.close()

    def count(self, command: str) -> int:
        return sum(request["command"] == command for request in self.requests)


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def plain(request: dict[str, Any]) -> bytes:
    return json.dumps(STATUS if request["command"] == "status" else {}).encode() + b"\n"


def test_a_defect_is_told_and_the_sign_of_life_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with Supervisor(tmp_path, lambda request: b"{}\n") as supervisor:  # a status without sessions
            announcer = Announcer(tmp_path, ANNOUNCEMENT, lambda problem: None)
            await announcer.start()
            await until(lambda: supervisor.count("status") >= 2)
            assert isinstance(told[0]["exception"], KeyError)
            await announcer.stop()

    run(test())


@pytest.mark.parametrize("answer", [b"garbage\n", b"\xff\n", b"[" * 2_000_000 + b"\n"])
def test_an_answer_that_is_none_is_a_problem_in_words(tmp_path: Path, answer: bytes) -> None:
    async def test() -> None:
        problems: list[str] = []
        bad = False

        def reply(request: dict[str, Any]) -> bytes:
            return answer if bad and request["command"] == "stop" else plain(request)

        async with Supervisor(tmp_path, reply):
            announcer = Announcer(tmp_path, ANNOUNCEMENT, problems.append)
            await announcer.start()
            bad = True
            async with asyncio.timeout(20):
                await announcer.stop()
            assert "does not stop" in problems[-1]

    run(test())


def test_a_session_that_does_not_come_up_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcement, "_POLL_S", 0.01)
    monkeypatch.setattr(announcement, "SESSION_S", 0.0)
    session = {"neighbor": "2001:db8::1", "state": "Active", "detail": "Socket: Connection refused"}

    def reply(request: dict[str, Any]) -> bytes:
        return json.dumps(STATUS | {"sessions": [session]}).encode() + b"\n"

    async def test() -> None:
        problems: list[str] = []
        async with Supervisor(tmp_path, reply) as supervisor:
            announcer = Announcer(tmp_path, ANNOUNCEMENT, problems.append)
            await announcer.start()
            await until(lambda: supervisor.count("status") > 5)
            assert len(problems) == 1 and "2001:db8::1 has not been established" in problems[0]
            session["state"] = "Established"
            await until(lambda: announcer.status()["sessions"][0]["state"] == "Established")
            session["state"] = "Active"
            await until(lambda: len(problems) == 3)
            assert "is lost" in problems[1] and "has not been established" in problems[2]
            await announcer.stop()

    run(test())


def test_one_change_after_the_other(tmp_path: Path) -> None:
    """The first of two is refused: what holds is the second, and not what was before the first."""
    refused = replace(ANNOUNCEMENT, bgp=BgpConfig(router_id=2))
    taken = replace(ANNOUNCEMENT, bgp=BgpConfig(router_id=3))

    def reply(request: dict[str, Any]) -> bytes:
        is_bad = request["command"] == "configure" and request["announcement"] == to_json(refused)
        return b'{"error": "no"}\n' if is_bad else plain(request)

    async def test() -> None:
        async with Supervisor(tmp_path, reply) as supervisor:
            announcer = Announcer(tmp_path, ANNOUNCEMENT, lambda problem: None)
            await announcer.start()
            found = await asyncio.gather(
                announcer.reconfigure(refused), announcer.reconfigure(taken), return_exceptions=True
            )
            assert isinstance(found[0], AnnouncementError) and found[1] is None
            announcer._hang_up()  # the next connection says what holds
            await until(lambda: supervisor.count("configure") == 4)
            last = [request for request in supervisor.requests if request["command"] == "configure"][-1]
            assert last["announcement"] == to_json(taken)
            await announcer.stop()

    run(test())
