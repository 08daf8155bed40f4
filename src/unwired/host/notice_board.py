"""Notices on their way to people: the log, the last ones for who asks later, and whoever follows them now.

A follower has a queue of its own; one that does not empty it loses notices, is told how many, and delays nobody.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TextIO

from unwired.core.notices import Level, Notice
from unwired.wire.address import format_address

KEPT = 512
QUEUE = 1024
LOG_INTERVAL_S = 0.25
LOGGED_AT_ONCE = 100
"""Lines of one writing of the log, every interval at most; of more, only the urgent ones and a count: nobody reads the
moves of a city, and writing them would slow them down."""
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
    at, home_address = event["at"], event["home_address"]
    parts = [f"{_second(int(at))}.{int(at % 1 * 1000):03} {event['level']:<7} {event['name']}"]
    if home_address is not None:
        parts.append(f"home_address={home_address}")
    parts += [f"{name}={_shown(value)}" for name, value in event["fields"].items() if value is not None]
    return " ".join(parts)


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value) if not value or " " in value or '"' in value or not value.isprintable() else value
    return json.dumps(value, default=str)


Entry = tuple[Notice, float]
"""A notice and when it was, in seconds since 1970; made into text only for who reads it: they come by the thousand."""


class Follower:
    """One who follows events; ``lost`` counts those that did not fit since the last ``take``."""

    def __init__(self) -> None:
        self._queue: deque[Entry] = deque()
        self.lost = 0

    def put(self, entry: Entry) -> None:
        if len(self._queue) < QUEUE:
            self._queue.append(entry)
        else:
            self.lost += 1

    def take(self) -> list[dict[str, Any]]:
        """The events since the last call, and one that says how many more there were."""
        events = [notice_json(*entry) for entry in self._queue]
        if self.lost:
            missing = Notice("events_lost", Level.WARNING, {"count": self.lost})
            events.append(notice_json(missing, self._queue[-1][1]))
        self._queue.clear()
        self.lost = 0
        return events


class NoticeBoard:
    """``level`` is the least that is logged; kept and followed is everything but unlogged debugging nobody follows.
    ``later`` (delay in seconds, what to do) puts off writing the log, so that many lines are one write."""

    def __init__(
        self,
        level: Level,
        log: TextIO | None = None,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self.level = level
        self._log = log or sys.stderr
        self._later = later
        self._unwritten: list[Entry] = []
        self._written_at = 0.0
        self._kept: deque[Entry] = deque(maxlen=KEPT)
        self._followers: set[Follower] = set()

    def publish(self, notice: Notice, at: float) -> None:
        logged = _ORDER[notice.level] >= _ORDER[self.level]
        if not logged and not self._followers and notice.level is Level.DEBUG:
            return
        entry = (notice, at)
        self._kept.append(entry)
        for follower in self._followers:
            follower.put(entry)
        if logged:
            self._unwritten.append(entry)
            if self._later is None:
                self.write_log()
            elif len(self._unwritten) == 1:
                self._later(max(0.0, self._written_at + LOG_INTERVAL_S - time.monotonic()), self.write_log)

    def say(self, name: str, level: Level = Level.INFO, **fields: str | int | float | bool | None) -> None:
        """A notice of the daemon's own."""
        self.publish(Notice(name, level, fields), time.time())

    def kept(self) -> list[dict[str, Any]]:
        return [notice_json(*entry) for entry in self._kept]

    def follow(self) -> Follower:
        follower = Follower()
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        self._followers.discard(follower)

    def write_log(self) -> None:
        written, self._unwritten = self._unwritten, []
        self._written_at = time.monotonic()
        if len(written) > LOGGED_AT_ONCE:
            urgent = [entry for entry in written if _ORDER[entry[0].level] >= _ORDER[Level.WARNING]]
            urgent = urgent[:LOGGED_AT_ONCE]
            missing = Notice("events_not_logged", Level.INFO, {"count": len(written) - len(urgent)})
            written = [*urgent, (missing, written[-1][1])]
        lines = [event_line(notice_json(*entry)) for entry in written]
        if not lines:
            return
        try:
            self._log.write("\n".join(lines) + "\n")
            self._log.flush()
        except (OSError, ValueError):
            pass  # a log that nobody takes any more must not stop mobility
