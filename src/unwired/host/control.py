"""The control socket: one JSON object a line in, one or more out. Format: docs/commands.md.

Every client has a task of its own, so that one that sends half a line or stops reading waits alone.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from unwired.host.notice_board import NoticeBoard

REQUEST_SCHEMA = "unwired.request/1"
ERROR_SCHEMA = "unwired.error/1"
LINE_MAX = 64 << 10
PIECE = 100
"""How many elements of a long list are written at once: some milliseconds' work."""
POLL_S = 0.05
"""How long a follower's next event may wait: many share one write."""

Verb = Callable[[dict[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]]]


class Refused(Exception):
    """A request that can't be answered; the text is for a person."""


class ControlServer:
    """``verbs`` answer a request with one object, in which a long list may be an iterator; ``events`` is built in."""

    def __init__(self, path: Path, verbs: dict[str, Verb], board: NoticeBoard) -> None:
        self._path = path
        self._verbs = verbs
        self._board = board
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)  # left behind by a daemon that was killed; we hold the lock
        before = os.umask(0o117)  # 0660 from its first moment
        try:
            self._server = await asyncio.start_unix_server(self._client, self._path, limit=LINE_MAX)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            while line := await reader.readline():
                await self._answer(line, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except ValueError:  # a line longer than LINE_MAX
            with contextlib.suppress(ConnectionError):
                await _say(writer, _error(f"a request has at most {LINE_MAX} bytes"))
        finally:
            writer.transport.abort()  # what a hung client did not read is not waited for

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            await _say(writer, _error(f"a request is one line of JSON: {error}"))
            return
        if not isinstance(request, dict) or request.get("schema") != REQUEST_SCHEMA:
            await _say(writer, _error(f'a request is an object with "schema": "{REQUEST_SCHEMA}"'))
            return
        verb = request.get("verb")
        if verb == "events":
            await self._events(bool(request.get("follow", True)), writer)
            return
        answer = self._verbs.get(verb) if isinstance(verb, str) else None
        if answer is None:
            known = ", ".join(sorted([*self._verbs, "events"]))
            await _say(writer, _error(f"{verb!r} is no verb; known are {known}"))
            return
        try:
            found = answer(request)
            if isinstance(found, Awaitable):
                found = await found
            await _say_in_pieces(writer, found)
        except Refused as refused:
            await _say(writer, _error(str(refused)))

    async def _events(self, follow: bool, writer: asyncio.StreamWriter) -> None:
        """The latest events, then each as it happens. Ends when the client goes."""
        follower = self._board.follow()
        try:
            await _say(writer, *self._board.kept())
            while follow and not writer.is_closing():
                events = follower.take()
                if events:
                    await _say(writer, *events)
                await asyncio.sleep(POLL_S)
        finally:
            self._board.unfollow(follower)


async def _say(writer: asyncio.StreamWriter, *objects: dict[str, Any]) -> None:
    writer.write("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in objects).encode())
    await writer.drain()


async def _say_in_pieces(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    """One object on one line. A value that is an iterator becomes a list, a piece at a time, and everybody else gets a
    turn in between: a hundred thousand bindings take seconds."""
    before = "{"
    for key, value in answer.items():
        writer.write(f"{before}{json.dumps(key)}:".encode())
        before = ","
        if not isinstance(value, Iterator):
            writer.write(json.dumps(value, separators=(",", ":")).encode())
            continue
        opening = "["
        while piece := list(islice(value, PIECE)):
            writer.write((opening + json.dumps(piece, separators=(",", ":"))[1:-1]).encode())
            opening = ","
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"]" if opening == "," else b"[]")
    writer.write(b"}\n" if answer else b"{}\n")
    await writer.drain()


def _error(text: str) -> dict[str, Any]:
    return {"schema": ERROR_SCHEMA, "error": text}
