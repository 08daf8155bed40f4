"""The binding journal: what was said to be durable is there after a kill -9, and a damaged file is said to be one."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from unwired.core.door import Persist
from unwired.store.journal import Journal, JournalError

WRITER = """
import sys, threading
from pathlib import Path
from unwired.core.door import Persist
from unwired.store.journal import Journal

turned = threading.Event()
journal = Journal(Path(sys.argv[1]))
journal.start(turned.set)
token = 0
while True:
    batch = []
    for _ in range(7):
        token += 1
        # A key comes back every 50 records; each fifth record forgets its key.
        batch.append(Persist(token, (token % 50).to_bytes(2), None if token % 5 == 0 else token.to_bytes(8)))
    journal.write(batch)
    while (durable := journal.turn()) is None:
        turned.wait()
        turned.clear()
    print(durable, flush=True)
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from unwired.core.door import Persist
from unwired.store.journal import Journal

journal = Journal(Path(sys.argv[1]))
journal.start(lambda: None)
journal.write([Persist(token, bytes((token,)), bytes(200)) for token in range(1, 10)])
journal.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def expected(token: int) -> dict[bytes, bytes]:
    kept: dict[bytes, bytes] = {}
    for number in range(1, token + 1):
        key = (number % 50).to_bytes(2)
        kept.pop(key, None)
        if number % 5:
            kept[key] = number.to_bytes(8)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_kill_in_the_middle_of_writing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "journal.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(random.Random(seed).randrange(1, 40)):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split("\n")[:-1]
    writer.wait()
    last = int(rest[-1]) if rest else last
    journal = Journal(path)
    # The commit after the last one that was told may have made it too; half a batch never.
    assert dict(journal.records()) in (expected(last), expected(last + 7))
    journal.close()


def test_many_writes_share_a_commit(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    turned = threading.Event()
    journal.start(turned.set)
    for token in range(1, 1001):
        journal.write([Persist(token, token.to_bytes(2), b"x")])
    durable = 0
    while durable < 1000:
        assert turned.wait(10)
        turned.clear()
        durable = journal.turn() or durable
    assert journal.commits < 1000
    assert len(journal.records()) == 1000
    journal.close()


def test_close_makes_what_is_pending_durable(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.start(lambda: None)
    for token in range(1, 10):
        journal.write([Persist(token, bytes([token]), b"record")])
    journal.close()
    again = Journal(path)
    assert len(again.records()) == 9
    again.close()


@pytest.mark.parametrize("damage", ["text", "a few bytes", "truncated", "middle"])
def test_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "journal.sqlite"
    if damage == "text":
        path.write_text("not a database at all\n" * 100)
    elif damage == "a few bytes":
        path.write_text("nothing\n")
    else:
        journal = Journal(path)
        journal.start(lambda: None)
        journal.write([Persist(token, token.to_bytes(4), bytes(200)) for token in range(1, 2000)])
        journal.close()
        data = path.read_bytes()
        path.write_bytes(
            data[: len(data) // 2] if damage == "truncated" else data[:4096] + b"\xff" * 4096 + data[8192:]
        )
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        Journal(path)


def test_foreign_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE addresses (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another program's"):
        Journal(path)
    assert path.read_bytes() == before


def test_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="newer"):
        Journal(path)


@pytest.mark.root
def test_a_full_disk_is_said_at_the_start_and_harms_nothing(tmp_path: Path) -> None:
    """One that was killed left its files; they are read again as soon as there is room."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path], check=True)
    try:
        path = tmp_path / "journal.sqlite"
        killed = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", 0) as file:
            while True:
                file.write(bytes(256))
        with pytest.raises(JournalError, match=r"can't be written"):
            for _ in range(100):  # what is left of files that were longer before
                Journal(path)._database.close()
        filler.unlink()
        journal = Journal(path)
        assert len(journal.records()) == 9
        journal.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
