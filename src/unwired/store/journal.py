"""The binding journal: what must survive the daemon, in one SQLite file.

``write`` takes records and returns at once; a thread waits for the disk, and while it waits the next records gather,
so that any number of them costs one commit. Rows are filled in by the caller's thread and only COMMIT runs in the
other: SQLite's module lets go of the interpreter lock at every row, and a busy loop would give it back 5 ms later each
time. ``turn``, called by the loop when told to, says what is durable.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from unwired.core.door import Persist

APPLICATION_ID = 0x554E5752  # "UNWR", in the file's header
VERSION = 1
_SQLITE = b"SQLite format 3\0"


class JournalError(Exception):
    """The journal can't be used; the text is for a person and names the file."""


class Journal:
    """Keys and records are bytes that only engines understand. One process at a time (the daemon's lock sees to it)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self._pending: dict[bytes, bytes | None] = {}
        self._token = 0
        self._closing = False
        self._failure: str | None = None
        self._committing = False
        self._committed = 0
        self._wanted = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Records hold no keys, but they tell who is where: for root's eyes.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with self.path.open("rb") as file:
                start = file.read(len(_SQLITE))
            database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the journal {self.path} can't be opened: {error}") from None
        try:
            if start and start != _SQLITE:  # SQLite takes a few bytes of anything for an empty file
                raise sqlite3.DatabaseError("no SQLite file")
            self._prepare(database)
        except (sqlite3.Error, JournalError) as error:
            database.close()
            if isinstance(error, JournalError):
                raise
            if isinstance(error, sqlite3.OperationalError):  # not of what the file holds
                raise JournalError(f"the journal {self.path} can't be written: {error}") from None
            raise JournalError(
                f"the journal {self.path} is damaged or no journal ({error}): move it away, and mobile nodes will "
                "register again"
            ) from None
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        application = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (application or tables):
            raise JournalError(f"{self.path} is another program's database: choose another state_dir or daemon name")
        if version > VERSION:
            raise JournalError(
                f"the journal {self.path} was written by a newer Unwired (format {version}, this one knows {VERSION})"
            )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if not tables:
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE record (key BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
        result = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise sqlite3.DatabaseError(result)
        # On a full disk no start is better than one that ends with the first binding, again and again.
        database.execute(f"PRAGMA user_version = {VERSION}")

    def records(self) -> list[tuple[bytes, bytes]]:
        """Everything that is kept durably: ``flush`` before."""
        return self._database.execute("SELECT key, record FROM record").fetchall()

    def start(self, on_turn: Callable[[], None]) -> None:
        """``on_turn`` is called in the journal's thread whenever ``turn`` has something to say."""
        self._thread = threading.Thread(target=self._commit_each, args=(on_turn,), name="journal", daemon=True)
        self._thread.start()

    def write(self, records: Iterable[Persist]) -> None:
        for record in records:
            self._pending[record.key] = record.record
            self._token = record.token
        if not self._committing:
            self._begin()

    def turn(self) -> int | None:
        """The token up to which everything is durable now, after a commit; begins the next. None: nothing new.
        Raises JournalError when the disk refused."""
        if not self._committing or not self._done.acquire(blocking=False):
            return None
        self._committing = False
        if self._failure is not None:
            raise JournalError(f"the journal {self.path} can't be written: {self._failure}")
        token = self._committed
        self.commits += 1
        if self._pending:
            self._begin()
        return token

    def flush(self) -> None:
        """Wait until everything written is durable. Raises JournalError."""
        if self._committing:
            self._done.acquire()
            self._committing = False
        if self._failure is not None:
            raise JournalError(f"the journal {self.path} can't be written: {self._failure}")
        if self._pending:
            try:
                self._fill()
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise JournalError(f"the journal {self.path} can't be written: {error}") from None

    def close(self) -> None:
        """Make what is pending durable and close. Raises JournalError."""
        if self._thread is not None:
            self.flush()
            self._closing = True
            self._wanted.release()
            self._thread.join()
            self._thread = None
        self._database.close()

    def _begin(self) -> None:
        try:
            self._fill()
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self.path} can't be written: {error}") from None
        self._committing = True
        self._wanted.release()

    def _fill(self) -> None:
        batch, self._pending, self._committed = self._pending, {}, self._token
        kept = [(key, record) for key, record in batch.items() if record is not None]
        forgotten = [(key,) for key, record in batch.items() if record is None]
        self._database.execute("BEGIN IMMEDIATE")
        if kept:
            self._database.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", kept)
        if forgotten:
            self._database.executemany("DELETE FROM record WHERE key = ?", forgotten)

    def _commit_each(self, on_turn: Callable[[], None]) -> None:
        while True:
            self._wanted.acquire()
            if self._closing:
                return
            try:
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                self._failure = str(error)
            self._done.release()
            on_turn()
