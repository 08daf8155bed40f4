"""The control socket: answers, errors, followers, and clients that hang."""

import asyncio
import io
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from unwired.core.notices import Level, Notice
from unwired.host.control import LINE_MAX, REQUEST_SCHEMA, ControlServer, Refused, Verb
from unwired.host.notice_board import LOG_INTERVAL_S, QUEUE, NoticeBoard, event_line
from unwired.wire.address import parse_address


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        self.lines.append(text)

    def flush(self) -> None:
        pass


def refuse(request: dict[str, Any]) -> dict[str, Any]:
    raise Refused("not today")


async def later(request: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    if request["word"] == "no":
        raise Refused("not today")
    return {"schema": "test/1", "said": request["word"]}


def with_server(tmp_path: Path, body: Callable[[Path, NoticeBoard], Awaitable[None]]) -> None:
    async def whole() -> None:
        board = NoticeBoard(Level.WARNING, Log())  # type: ignore[arg-type]
        verbs: dict[str, Verb] = {"refuse": refuse, "later": later}
        verbs["echo"] = lambda request: {"schema": "test/1", "said": request["word"]}
        verbs["count"] = lambda request: {"schema": "test/1", "empty": iter(()), "list": iter(range(request["to"]))}
        server = ControlServer(tmp_path / "control.sock", verbs, board)
        await server.start()
        try:
            await asyncio.wait_for(body(tmp_path / "control.sock", board), 20)
        finally:
            await server.stop()
        assert not (tmp_path / "control.sock").exists()

    asyncio.run(whole())


def line(verb: str, **more: Any) -> bytes:
    return json.dumps({"schema": REQUEST_SCHEMA, "verb": verb, **more}).encode() + b"\n"


async def say(path: Path, data: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


def test_answers(tmp_path: Path) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await say(path, line("echo", word="hello")) == {"schema": "test/1", "said": "hello"}
        assert (await say(path, line("refuse")))["error"] == "not today"
        assert (await say(path, line("later", word="hello")))["said"] == "hello"
        assert (await say(path, line("later", word="no")))["error"] == "not today"

    with_server(tmp_path, body)


@pytest.mark.parametrize(
    "data",
    [
        b"{\n", b"[]\n", b"7\n", b"\xff\xfe\n", b'{"verb": "echo"}\n', line("nothing"),
        line("echo")[:-2] + b', "verb": []}\n', b"x" * (LINE_MAX + 10) + b"\n",
        b"[" * 60_000 + b"\n",
    ],
)  # fmt: skip
def test_bad_requests_are_answered(tmp_path: Path, data: bytes) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        assert (await say(path, data))["schema"] == "unwired.error/1"
        assert (await say(path, line("echo", word="still here")))["said"] == "still here"

    with_server(tmp_path, body)


def test_a_long_answer_lets_others_have_their_turn(tmp_path: Path) -> None:
    """The iterator of one client's answer is not run through before another client is answered."""

    async def body(path: Path, board: NoticeBoard) -> None:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 30)
        writer.write(line("count", to=2_000_000))
        await reader.readuntil(b"[")
        assert (await say(path, line("echo", word="now")))["said"] == "now"
        assert len(reader._buffer) < 100_000  # type: ignore[attr-defined]
        writer.close()
        assert await say(path, line("count", to=0)) == {"schema": "test/1", "empty": [], "list": []}
        assert (await say(path, line("count", to=250)))["list"] == list(range(250))

    with_server(tmp_path, body)


def test_events_first_the_kept_then_the_new(tmp_path: Path) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        board.say("before", count=1)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line("events"))
        assert json.loads(await reader.readline())["name"] == "before"
        board.publish(Notice("after", home_address=parse_address("2001:db8::1")), 1.0)
        event = json.loads(await reader.readline())
        assert (event["name"], event["home_address"], event["schema"]) == ("after", "2001:db8::1", "unwired.event/1")
        writer.close()

    with_server(tmp_path, body)


def test_events_without_follow_end(tmp_path: Path) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        board.say("one")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line("events", follow=False))
        writer.write_eof()
        assert len((await reader.read()).splitlines()) == 1

    with_server(tmp_path, body)


def test_a_hung_follower_delays_nobody_and_is_told_what_it_lost(tmp_path: Path) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(line("events"))
        await asyncio.sleep(0)
        for _ in range(40):
            for number in range(QUEUE):
                board.say("flood", number=number, text="x" * 200)
            answer = await say(path, line("echo", word="alive"))
            assert answer["said"] == "alive"
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while (event := json.loads(await reader.readline()))["name"] != "events_lost":
            pass
        assert event["fields"]["count"] > 0
        writer.close()

    with_server(tmp_path, body)


def test_half_a_line_delays_nobody(tmp_path: Path) -> None:
    async def body(path: Path, board: NoticeBoard) -> None:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"schema"')
        assert (await say(path, line("echo", word="alive")))["said"] == "alive"
        writer.close()

    with_server(tmp_path, body)


def test_log_level_and_line() -> None:
    log = Log()
    board = NoticeBoard(Level.WARNING, log)  # type: ignore[arg-type]
    board.say("quiet")
    board.say("loud", Level.WARNING, reason="two words", count=3)
    (logged,) = log.lines
    assert logged.endswith('warning loud reason="two words" count=3\n')
    assert [event["name"] for event in board.kept()] == ["quiet", "loud"]
    assert event_line(board.kept()[1]) + "\n" == logged


def test_a_log_of_thousands_is_a_few_lines_and_a_count() -> None:
    delays: list[float] = []
    log = io.StringIO()
    board = NoticeBoard(Level.INFO, log, later=lambda delay, write: delays.append(delay))
    for number in range(1000):
        board.publish(Notice("binding_updated", Level.WARNING if number == 500 else Level.INFO), 0.0)
    assert delays == [0.0]  # one writing for all of them
    board.write_log()
    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert "warning binding_updated" in lines[0]
    assert "events_not_logged count=999" in lines[1]
    board.say("next")
    assert 0 < delays[1] <= LOG_INTERVAL_S
