"""The daemon's directory below the runtime directory, and the lock that keeps a second daemon of the same name out."""

import contextlib
import fcntl
import os
from pathlib import Path


class DaemonError(Exception):
    """The daemon can't start or go on; the text is for a person and says what to do."""


class Runtime:
    """Holds the lock until ``close`` or the end of the process, however it ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DaemonError(f"{directory} can't be used: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._lock, 32).decode(errors="replace").strip()
            os.close(self._lock)
            raise DaemonError(
                f"a daemon named {directory.name} runs already (process {pid}): stop it, or give this one another "
                "daemon.name"
            ) from None
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    @property
    def control_socket(self) -> Path:
        return self.directory / "control.sock"

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger.jsonl"

    def close(self) -> None:
        """After a clean stop: nothing of ours stays in the directory."""
        for path in (self.control_socket, self.directory / "lock"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a ledger is left, or somebody else's file
            self.directory.rmdir()
        os.close(self._lock)
