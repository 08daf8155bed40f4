"""The daemon's end of the announcement: has a supervisor (``plane/supervisor.py``), tells it what is wanted, and hears
from it every second how it stands.

What is wanted is kept here and said again to every new supervisor, so that nothing the engine asked for is lost when
one is killed. Nothing here waits in the event loop.
"""

import asyncio
import contextlib
import json
import math
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from unwired.plane.bgp import Announcement, to_json

DIRECTORY: Final = "bgp"
"""Below the daemon's runtime directory."""
_POLL_S = 1.0
_START_S = 15.0
"""How long a supervisor may take to answer for the first time; one before it may have to end first."""
_ANSWER_S = 10.0
SESSION_S = 30.0
"""How long a BGP session may take to be established before that is a problem."""
_RETRY_S = 0.05
_LINE_MAX = 1 << 20
_CREDENTIALS = struct.Struct("=iII")
"""struct ucred: process, user, group."""


class AnnouncementError(Exception):
    """Announcing can't work as it is configured; the text is for a person: what, why, and what to do."""


class Announcer:
    """``runtime`` is the daemon's runtime directory; ``on_problem`` takes sentences for a person."""

    def __init__(self, runtime: Path, announcement: Announcement, on_problem: Callable[[str], None]) -> None:
        self.on_problem = on_problem
        self._directory = runtime / DIRECTORY
        self._announcement = announcement
        self._wanted: dict[str, Any] | None = None
        self._told: dict[str, Any] | None = None
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._stopping = False
        self._said = ""
        self._status: dict[str, Any] = {}
        self._established: set[str] = set()
        self._down_since: dict[str, float] = {}
        """Of neighbours whose session is not established; for ever, once that was told."""
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Adopt the supervisor that runs or start one; what an earlier daemon announced stays until the engine says
        otherwise. Raises AnnouncementError."""
        try:
            await self._connect()
        except OSError as error:
            raise AnnouncementError(f"the announcement's supervisor does not start: {error}") from None
        self._task = asyncio.create_task(self._serve())

    def announce(self) -> None:
        self._want({"command": "announce"})

    def withdraw(self, graceful: bool, reason: str) -> None:
        self._want({"command": "withdraw", "graceful": graceful, "reason": reason})

    async def reconfigure(self, announcement: Announcement) -> None:
        """Raises AnnouncementError, and nothing has changed then."""
        async with self._changing:
            before, self._announcement = self._announcement, announcement
            try:
                await self._ask({"command": "configure", "announcement": to_json(announcement)})
            except AnnouncementError:
                self._announcement = before
                raise
            except OSError:
                self._wake.set()  # the next supervisor is told

    def status(self) -> dict[str, Any]:
        """As of a second ago: ``announced`` (draining included), ``state``, ``since`` (in seconds since 1970),
        ``reason``, ``mode``, ``prefixes``, ``pid`` and ``bird_pid``, and ``sessions``, each with ``neighbor``, ``as``,
        ``state``, ``since``, ``detail``. While no supervisor answers, ``announced`` and ``sessions`` alone."""
        return {"announced": False, "sessions": []} | self._status

    async def stop(self) -> None:
        """Withdraw at once and end the supervisor and its BIRD. Never fails: one that does not answer is told."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for is_last in (False, True):  # what a killed supervisor left has to go, too: by another one
            try:
                if self._writer is None:
                    await self._connect()
                await self._ask({"command": "stop"})
                break
            except (OSError, AnnouncementError) as error:
                if is_last:
                    self.on_problem(f"the announcement's supervisor does not stop: {error}")
        self._hang_up()
        if self._supervisor is not None:
            await asyncio.to_thread(self._reap, self._supervisor)
            self._supervisor = None
        self._status = {}

    @staticmethod
    def _reap(supervisor: "subprocess.Popen[bytes]") -> None:
        try:
            supervisor.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()

    # --- staying in touch ----------------------------------------------------------------------------------------

    def _want(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self._wake.set()

    async def _serve(self) -> None:
        while not self._stopping:
            try:
                if self._writer is None:
                    await self._connect()
                wanted = self._wanted
                if wanted is not None and wanted is not self._told:
                    await self._ask(wanted)
                    self._told = wanted
                self._learn(await self._ask({"command": "status"}))
                self._said = ""
            except AnnouncementError as error:
                self._say_once(str(error))
            except OSError as error:
                reason = error.strerror or error
                self._say_once(f"the announcement's supervisor has gone, another one is started: {reason}")
                self._hang_up()
                self._status = {}
                await asyncio.sleep(_RETRY_S)
                continue
            except Exception as error:  # a defect, and nobody else gives the sign of life that keeps the site announced
                asyncio.get_running_loop().call_exception_handler({"message": "the announcer", "exception": error})
            try:
                async with asyncio.timeout(_POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    def _say_once(self, problem: str) -> None:
        if problem != self._said:
            self._said = problem
            self.on_problem(problem)

    def _learn(self, status: dict[str, Any]) -> None:
        for problem in status.pop("problems", ()):
            self.on_problem(problem)
        now = time.monotonic()
        established, down_since = set(), {}
        for session in status["sessions"]:
            neighbor, detail = session["neighbor"], f" ({session['detail']})" if session["detail"] else ""
            if session["state"] == "Established":
                established.add(neighbor)
                continue
            down_since[neighbor] = self._down_since.get(neighbor, now)
            if neighbor in self._established:
                self.on_problem(f"the BGP session with {neighbor} is lost{detail}")
            if now - down_since[neighbor] > SESSION_S:
                down_since[neighbor] = math.inf
                self.on_problem(
                    f"the BGP session with {neighbor} has not been established for {SESSION_S:g} s{detail}: compare "
                    "addresses, AS numbers, password and ttl_security with the router's"
                )
        self._established, self._down_since = established, down_since
        self._status = {"announced": status["state"] != "withdrawn"} | status

    async def _connect(self) -> None:
        """To the supervisor that is there, or to one that we start. Raises OSError, AnnouncementError."""
        end = asyncio.get_running_loop().time() + _START_S
        while True:
            try:
                self._reader, self._writer = await asyncio.open_unix_connection(
                    self._directory / "control", limit=_LINE_MAX
                )
                break
            except (FileNotFoundError, ConnectionError):
                if asyncio.get_running_loop().time() > end:
                    raise
                if self._supervisor is None or self._supervisor.poll() is not None:
                    self._supervisor = self._start_supervisor()
                await asyncio.sleep(_RETRY_S)
        self._told = None
        try:
            await self._ask({"command": "configure", "announcement": to_json(self._announcement)})
        except (OSError, AnnouncementError):
            self._hang_up()
            raise

    def _start_supervisor(self) -> "subprocess.Popen[bytes]":
        """In a session of its own, so that nothing which ends us reaches it. asyncio would kill a child of its own with
        the loop."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "unwired.plane.supervisor", str(self._directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request and its answer. Raises AnnouncementError when it is refused, OSError when nobody answers."""
        async with self._busy:
            if self._reader is None or self._writer is None:
                raise ConnectionError("it is not there")
            try:
                self._writer.write(json.dumps(request).encode() + b"\n")
                async with asyncio.timeout(_ANSWER_S):
                    line = await self._reader.readline()
                if not line.endswith(b"\n"):
                    raise ConnectionError("it has closed the connection")
                answer: dict[str, Any] = json.loads(line)
            except TimeoutError:
                await self._kill(self._writer)
                self._hang_up()
                raise ConnectionError(f"it did not answer for {_ANSWER_S:g} s and was killed") from None
            except ValueError:
                self._hang_up()
                raise ConnectionError("its answer is not one line of JSON") from None
            except BaseException:
                self._hang_up()  # an answer that comes later must not be taken for that to another request
                raise
        if "error" in answer:
            raise AnnouncementError(answer["error"])
        return answer

    @staticmethod
    async def _kill(writer: asyncio.StreamWriter) -> None:
        """End who is at the other end: one that hangs can't withdraw, and keeps its successor out."""
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, _, _ = _CREDENTIALS.unpack(peer)
        with contextlib.suppress(ProcessLookupError), os.fdopen(os.pidfd_open(process), "rb") as handle:
            signal.pidfd_send_signal(handle.fileno(), signal.SIGKILL)
            await asyncio.to_thread(select.select, [handle], [], [], _ANSWER_S)  # until it has ended

    def _hang_up(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
