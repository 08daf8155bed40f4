"""What the daemon made on this host, written down before it is made.

A line of JSON each, in the runtime directory, which like the kernel's configuration is gone after a reboot. A daemon
that was killed leaves it behind, and the next one adopts or removes exactly what it says and nothing else.
"""

import json
import os
import socket
import struct
from dataclasses import fields
from pathlib import Path
from typing import Any

from unwired.host.kernel_objects import CLASSES, KernelObject

COMPACT_AFTER = 1000
"""Lines about what is gone again that may gather."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SO_NETNS_COOKIE = 71


def _here() -> str:
    """The kernel configuration that a ledger is about: this boot, this network namespace. A namespace's inode number
    passes to another when it is gone; its cookie never does."""
    with socket.socket(socket.AF_UNIX) as any_socket:
        (cookie,) = struct.unpack("=Q", any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
    return f"{_BOOT_ID.read_text().strip()} {cookie}"


class Ledger:
    """``entries``: object -> the value it replaced (settings only). The order is that of making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[KernelObject, str | None] = {}
        self._read()
        self._rewrite()

    def add(self, entry: KernelObject, before: str | None = None) -> None:
        if entry not in self.entries:
            self.entries[entry] = before
            self._append({"made": _to_json(entry), "before": before})

    def remove(self, entry: KernelObject) -> None:
        if entry in self.entries:
            del self.entries[entry]
            self._append({"removed": _to_json(entry)})

    def close(self) -> None:
        """Forget the file when nothing is left in it."""
        self._file.close()
        if not self.entries:
            self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for number, line in enumerate(lines):
            try:
                record = json.loads(line)
                if number == 0 and record["here"] != _here():
                    return
                if "made" in record:
                    self.entries[_from_json(record["made"])] = record["before"]
                elif "removed" in record:
                    self.entries.pop(_from_json(record["removed"]), None)
            except (ValueError, KeyError, TypeError):
                if number == 0:
                    return  # whose it is cannot be told
                # The last line of a daemon that was killed while writing it: the object was not made yet. Or one of
                # another version: what it made is left rather than guessed at.

    def _rewrite(self) -> None:
        fresh = self.path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(json.dumps({"here": _here()}) + "\n")
            for entry, before in self.entries.items():
                file.write(json.dumps({"made": _to_json(entry), "before": before}) + "\n")
        fresh.replace(self.path)
        self._appended = 0
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "w")

    def _append(self, record: dict[str, Any]) -> None:
        if self._appended > COMPACT_AFTER + 4 * len(self.entries):
            self._file.close()
            self._rewrite()  # with what was just changed
            return
        self._appended += 1
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()


def _to_json(entry: KernelObject) -> dict[str, Any]:
    values = ((field.name, getattr(entry, field.name)) for field in fields(entry))
    return {"kind": entry.TAG} | {name: value.hex() if isinstance(value, bytes) else value for name, value in values}


def _from_json(record: dict[str, Any]) -> KernelObject:
    kind = CLASSES[record["kind"]]
    values: dict[str, Any] = {
        field.name: bytes.fromhex(record[field.name]) if field.type is bytes else record[field.name]
        for field in fields(kind)
    }
    return kind(**values)
