"""The announcement's supervisor: ``python -m unwired.plane.supervisor DIRECTORY``.

A daemon that dies does not take its site off the air: packets are still forwarded, and a successor comes soon. So the
marked routes, and the BIRD that tells of them, belong to this small process. It does what the daemon says over a unix
socket, one JSON object a line, and withdraws the site when nothing was heard of a daemon for ``hold_time_s``.

====================================  ================================================================================
configure announcement                what to announce and how; again with something else: changed in place
announce                              make it so
withdraw graceful, reason             no longer; graceful: first as the least preferred way (RFC 8326)
status                                how it stands; also the daemon's sign of life
stop                                  withdraw at once, end BIRD, answer, end
====================================  ================================================================================

Everything is in DIRECTORY: ``control`` (the socket), ``lock`` (one supervisor), ``state.json`` (what a successor takes
up when this one is killed), and BIRD's own files.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
import time
from collections import deque
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from unwired.plane import bird
from unwired.plane.bgp import Announcement, BgpMode, Prefix, from_json, prefix_text, to_json
from unwired.plane.bird_process import BirdProcess, write_private
from unwired.plane.marked_route import ANNOUNCE_METRIC, DRAIN_METRIC, MarkedRoutes

LINE_MAX: Final = 1 << 20
PROBLEMS_KEPT: Final = 20
LOCK_WAIT_S: Final = 8.0
"""How long the supervisor before this one may take to end."""
UNCONFIGURED_S: Final = 30.0
"""How long one without a configuration waits for a daemon."""
_LOOK_S = 0.5
_SO_NETNS_COOKIE = 71
_CLIENTS_MAX = 16


class State(StrEnum):
    WITHDRAWN = "withdrawn"
    ANNOUNCED = "announced"
    DRAINING = "draining"
    """Announced as the least preferred way, for ``drain_time_s``."""


_METRIC: Final = {State.WITHDRAWN: None, State.ANNOUNCED: ANNOUNCE_METRIC, State.DRAINING: DRAIN_METRIC}


class Refused(Exception):
    """A request that can't be carried out; the text is for a person."""


class Supervisor:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._routes = MarkedRoutes()
        self._bird = BirdProcess(directory, self._problem)
        self._announcement: Announcement | None = None
        self._state = State.WITHDRAWN
        self._since = time.time()
        self._reason = "not announced yet"
        self._drain: asyncio.TimerHandle | None = None
        self._heard_at = time.monotonic()
        self._problems: deque[str] = deque(maxlen=PROBLEMS_KEPT)
        self._busy = asyncio.Lock()
        self._ended = asyncio.Event()
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        await self._take_up()
        path = self._directory / "control"
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._client, path, limit=LINE_MAX)
        finally:
            os.umask(before)
        watch = asyncio.create_task(self._watch())
        watch.add_done_callback(lambda _: self._ended.set())  # what nobody watches over must not go on being announced
        try:
            await self._ended.wait()
        finally:
            watch.cancel()
            server.close()
            path.unlink(missing_ok=True)
            await self._end()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _end(self) -> None:
        """Withdraw and stop BIRD. Again is no error."""
        async with self._busy:
            if self._announcement is not None:
                self._become(State.WITHDRAWN, "the supervisor ends")
            await self._bird.stop()
            self._announcement = None
            self._routes.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    # --- what is announced ---------------------------------------------------------------------------------------

    def _become(self, state: State, reason: str) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        if state is not self._state:
            self._state, self._since = state, time.time()
        self._reason = reason
        self._save()
        self._keep_routes()

    def _keep_routes(self) -> int:
        """Have exactly the routes that the state asks for; how many had to be added."""
        prefixes = self._announcement.prefixes if self._announcement is not None else ()
        return sum(self._set_route(prefix, _METRIC[self._state]) for prefix in prefixes)

    def _set_route(self, prefix: Prefix, metric: int | None) -> bool:
        try:
            return self._routes.set(prefix, metric)
        except OSError as error:
            self._problem(f"the kernel refuses {error.strerror}")
            return False

    async def _configure(self, fresh: Announcement, recover: bool = False) -> None:
        """Raises Refused, and everything is as before then."""
        managed = fresh.bgp.mode is BgpMode.MANAGED
        if fresh == self._announcement and managed == self._bird.kept:
            return
        if managed:
            try:
                await self._bird.use(fresh, recover)
            except bird.BirdError as error:
                raise Refused(str(error)) from None
            except OSError as error:
                raise Refused(f"BIRD can't be run: {error}") from None
        else:
            await self._bird.stop()
        before, self._announcement = self._announcement, fresh
        self._save()
        for prefix in before.prefixes if before is not None else ():
            if prefix not in fresh.prefixes:
                self._set_route(prefix, None)
        self._keep_routes()

    def _withdraw(self, graceful: bool, reason: str) -> None:
        drain_time_s = self._announcement.bgp.drain_time_s if self._announcement is not None else 0.0
        if graceful and drain_time_s and self._state is not State.WITHDRAWN:
            if self._state is State.ANNOUNCED:
                self._become(State.DRAINING, reason)
                self._drain = asyncio.get_running_loop().call_later(drain_time_s, self._become, State.WITHDRAWN, reason)
        else:
            self._become(State.WITHDRAWN, reason)

    # --- without a daemon ----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._state is not State.WITHDRAWN and self._keep_routes():
                self._problem("somebody removed the route that announces the home prefix; it was put back")
            silent_s = time.monotonic() - self._heard_at
            announcement = self._announcement
            if announcement is None:
                if silent_s > UNCONFIGURED_S:
                    self._ended.set()
            elif silent_s > announcement.bgp.hold_time_s:
                self._withdraw(True, f"nothing was heard of the daemon for {announcement.bgp.hold_time_s:g} s")
                if self._state is State.WITHDRAWN:
                    self._ended.set()

    def _save(self) -> None:
        if self._announcement is None:
            return
        fresh = self._directory / "state.json.new"
        try:
            record = {"here": here(), "state": self._state.value, "announcement": to_json(self._announcement)}
            write_private(fresh, json.dumps(record))
            fresh.replace(self._directory / "state.json")
        except OSError as error:
            self._problem(f"{fresh} can't be written: {error.strerror or error}")

    async def _take_up(self) -> None:
        """What a killed supervisor left: its routes are still there, and its daemon, if any, will come."""
        try:
            record = json.loads((self._directory / "state.json").read_bytes())
            if record["here"] != here():
                return
            announcement, state = from_json(record["announcement"]), State(record["state"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self._problem(f"what the supervisor before this one left can't be read: {error!r}")
            return
        self._announcement = announcement  # whatever becomes of BIRD: what was announced has to be withdrawn one day
        self._become(
            State.ANNOUNCED if state is State.ANNOUNCED else State.WITHDRAWN,
            "taken up from the supervisor before this one",
        )
        try:
            await self._configure(announcement, recover=True)
        except Refused as refused:
            self._problem(str(refused))

    def _problem(self, text: str) -> None:
        self._problems.append(text)
        with contextlib.suppress(OSError):  # who read our errors may be gone with the daemon
            print(f"unwired: announcement: {text}", file=sys.stderr, flush=True)

    # --- the socket ----------------------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= _CLIENTS_MAX:
            writer.transport.abort()
            return
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # gone, or a line longer than LINE_MAX
        finally:
            with contextlib.suppress(RuntimeError):
                writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "a request is one line of JSON"}
        if not isinstance(request, dict):
            return {"error": "a request is a JSON object"}
        async with self._busy:
            try:
                answer = await self._do(request)
            except Refused as refused:
                if self._announcement is None and request.get("command") == "configure":
                    self._ended.set()  # the daemon can't go on with this
                return {"error": str(refused)}
            self._heard_at = time.monotonic()
        if request["command"] == "stop":
            await self._end()
            self._ended.set()
        return answer

    async def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        command = request.get("command")
        if command == "configure":
            try:
                announcement = from_json(request.get("announcement"))
            except ValueError as error:
                raise Refused(str(error)) from None
            await self._configure(announcement)
        elif command == "status":
            return await self._status()
        elif command == "stop":
            pass
        elif command not in ("announce", "withdraw"):
            raise Refused(f"{command!r} is no command; known are announce, configure, status, stop, withdraw")
        elif self._announcement is None:
            raise Refused("nothing is configured yet")
        elif command == "announce":
            self._become(State.ANNOUNCED, "")
        else:
            self._withdraw(request.get("graceful") is True, str(request.get("reason", "")))
        return {}

    async def _status(self) -> dict[str, Any]:
        announcement = self._announcement
        found: list[bird.Session] = []
        if announcement is not None and self._bird.running:
            with contextlib.suppress(OSError):  # just starting
                found = await bird.sessions(self._bird.control, announcement.bgp)
        problems = list(self._problems)
        self._problems.clear()
        return {
            "pid": os.getpid(),
            "bird_pid": self._bird.pid,
            "mode": announcement.bgp.mode.value if announcement is not None else None,
            "prefixes": [prefix_text(prefix) for prefix in announcement.prefixes] if announcement is not None else [],
            "state": self._state.value,
            "since": round(self._since, 3),
            "reason": self._reason,
            "sessions": [
                {
                    "neighbor": each.neighbor,
                    "as": each.as_number,
                    "state": each.state,
                    "since": each.since,
                    "detail": each.detail,
                }
                for each in found
            ],
            "problems": problems,
        }


# --- one supervisor ----------------------------------------------------------------------------------------------


def here() -> str:
    """This boot and this network namespace: what was announced elsewhere is not ours to go on with."""
    with socket.socket(socket.AF_UNIX) as any_socket:
        (cookie,) = struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {cookie}"


def lock(directory: Path) -> int | None:
    """The lock's descriptor; None when another supervisor keeps it. One that ends removes the directory, the file we
    may be waiting for included: then it is made anew."""
    end = time.monotonic() + LOCK_WAIT_S
    while True:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_ino == (directory / "lock").stat().st_ino:
                    return descriptor
            except (BlockingIOError, FileNotFoundError):
                pass
            os.close(descriptor)
        if time.monotonic() > end:
            return None
        time.sleep(0.05)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m unwired.plane.supervisor DIRECTORY (the daemon starts it)", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    if lock(directory) is None:
        print(f"unwired: announcement: another supervisor keeps {directory}", file=sys.stderr)
        return 1
    asyncio.run(Supervisor(directory).run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
