"""Notices on their way to people: the log, the last ones for who asks later, and whoever follows them now.

A follower has a queue of its own; one that does not empty it loses notices, is told how many, and delays nobody.
"""

import json
import sys
import time
from collections import deque
from typing import Any, TextIO

from unwired.core.notices import Level, Notice
from unwired.wire.address import format_address

KEPT = 512
QUEUE = 1024
_ORDER = {level: rank for rank, level in enumerate(Level)}
EVENT_SCHEMA = "unwired.event/1"


def notice_json(notice: Notice, at: float) -> dict[str, Any]:
    """The JSON form; packed addresses become text. ``at`` is in seconds since 1970."""
    fields = {name: _plain(value) for name, value in notice.fields.items()}
    return {
        "schema": EVENT_SCHEMA,
        "at": round(at, 6),
        "name": notice.name,
        "level": notice.level.value,
        "home_address": None if notice.home_address is None else format_address(notice.home_address),
        "fields": fields,
    }


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return format_address(value) if len(value) == 16 else value.hex()
    return value


def event_line(event: dict[str, Any]) -> str:
    """A notice's JSON form as one line for people."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"])) + f".{int(event['at'] % 1 * 1000):03}"
    pairs = dict(event["fields"])
    if event["home_address"] is not None:
        pairs = {"home_address": event["home_address"], **pairs}
    shown = " ".join(f"{name}={_shown(value)}" for name, value in pairs.items() if value is not None)
    return f"{stamp} {event['level']:<7} {event['name']} {shown}".rstrip()


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return json.dumps(text) if isinstance(value, str) and (" " in text or not text) else text


class Follower:
    """One who follows events; `lost` counts those that did not fit since it was told."""

    def __init__(self) -> None:
        self.queue: deque[dict[str, Any]] = deque()
        self.lost = 0


class NoticeBoard:
    """``level`` is the least that is logged; kept and followed is everything."""

    def __init__(self, level: Level, log: TextIO | None = None) -> None:
        self.level = level
        self._log = log or sys.stderr
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._followers: set[Follower] = set()

    def publish(self, notice: Notice, at: float) -> None:
        logged = _ORDER[notice.level] >= _ORDER[self.level]
        if not logged and not self._followers and notice.level is Level.DEBUG:
            return
        event = notice_json(notice, at)
        self._kept.append(event)
        if logged:
            self._write(event_line(event))
        for follower in self._followers:
            if len(follower.queue) < QUEUE:
                follower.queue.append(event)
            else:
                follower.lost += 1

    def say(self, name: str, level: Level = Level.INFO, **fields: str | int | float | bool | None) -> None:
        """A notice of the daemon's own."""
        self.publish(Notice(name, level, fields), time.time())

    def kept(self) -> list[dict[str, Any]]:
        return list(self._kept)

    def follow(self) -> Follower:
        follower = Follower()
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        self._followers.discard(follower)

    def _write(self, line: str) -> None:
        try:
            self._log.write(line + "\n")
            self._log.flush()
        except (OSError, ValueError):
            pass  # a log that nobody takes any more must not stop mobility
