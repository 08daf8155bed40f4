"""Keeps the managed BIRD running: starts it, starts it again when it ends, and ends it so that its neighbours know."""

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from unwired.plane import bird
from unwired.plane.bgp import Announcement

_BACKOFF_MIN_S, _BACKOFF_MAX_S = 0.1, 10.0
_STABLE_S = 30.0
"""A BIRD that ran this long is started again without delay."""
_STOP_S: Final = 3.0
"""How long BIRD may take to tell its neighbours that it goes."""
_CONTROL_S = 3.0
"""How soon after its start BIRD has its control socket."""
_PR_SET_PDEATHSIG = 1
_NICENESS = -10
"""Ahead of the daemon and its peers' handovers: BFD that is late by 150 ms takes the site off the air."""


class BirdProcess:
    """One BIRD with its files in ``directory``. ``on_problem`` takes sentences for a person."""

    def __init__(self, directory: Path, on_problem: Callable[[str], None]) -> None:
        self.control = directory / "bird.ctl"
        self._directory = directory
        self._configuration = directory / "bird.conf"
        self._on_problem = on_problem
        self._program = ""
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def kept(self) -> bool:
        """Whether a BIRD is wanted; it may just be between two runs."""
        return self._keeper is not None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None and self.running else 0

    async def use(self, announcement: Announcement, recover: bool) -> None:
        """Run with this configuration from now on. ``recover``: an earlier BIRD may have been killed, so neighbours
        keep what it told them until this one says it again. Raises BirdError, and nothing has changed then."""
        program = bird.find()
        fresh = self._directory / "bird.conf.new"
        write_private(fresh, bird.configuration(announcement, self._directory))
        try:
            await bird.check(program, fresh)
        except bird.BirdError:
            fresh.unlink()
            raise
        fresh.replace(self._configuration)
        self._program = program
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(recover))
        elif self.running:
            await self._reconfigure()

    async def stop(self) -> None:
        """BIRD closes its sessions, which withdraws everything at once, and ends."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._keeper = None
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _reconfigure(self) -> None:
        end = time.monotonic() + _CONTROL_S
        while True:
            try:
                answer = await bird.ask(self.control, "configure")
                break
            except OSError as error:  # perhaps it has just been started
                if time.monotonic() > end:
                    self._on_problem(f"BIRD does not take its new configuration: {error!r}")
                    return
            await asyncio.sleep(_BACKOFF_MIN_S)
        for code, line in answer:
            if code >= 8000:
                self._on_problem(f"BIRD does not take its new configuration: {line}")

    async def _keep(self, recover: bool) -> None:
        backoff = _BACKOFF_MIN_S
        while True:
            started = time.monotonic()
            try:
                self._process = await self._start(recover)
                status = await self._process.wait()
                reason = f"signal {-status}" if status < 0 else f"status {status}"
            except OSError as error:
                reason = str(error)
            if time.monotonic() - started > _STABLE_S:
                backoff = _BACKOFF_MIN_S
            self._on_problem(
                f"BIRD has ended ({reason}) and is started again in {backoff:g} s; "
                f"its log: {self._directory / 'bird.log'}"
            )
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _BACKOFF_MAX_S)
            recover = True

    async def _start(self, recover: bool) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._program,
            *("-f", "-c", str(self._configuration), "-s", str(self.control)),
            *(("-R",) if recover else ()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=_as_child_of(os.getpid()),
        )


def _as_child_of(parent: int) -> Callable[[], None]:
    """Killed when its supervisor is: what nobody watches over must not go on announcing. Without a word: its
    connections are then reset, and neighbours without BFD keep its routes until the next BIRD is there (graceful
    restart), whereas one that ends in order withdraws everything."""
    libc = ctypes.CDLL(None)

    def become() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        with contextlib.suppress(OSError):  # without the right to
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # now: the thread of its own that does BFD takes it over

    return become


def write_private(path: Path, text: str) -> None:
    """Readable by us alone from its first moment: it may hold passwords."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
