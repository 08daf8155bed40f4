"""What an examination finds: health items with a code that stays the same, and how to put right what is wrong."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, or most of it does: somebody should look."""
    FAIL = "fail"
    """Something of Unwired does not work until it is put right."""
    UNKNOWN = "unknown"
    """It could not be found out; ``found`` says why, ``fix`` what would help to know it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check says. ``about`` is what it is about, where there are several: an interface, a direction. ``fix`` is
    the command where one command does it, else what to do."""

    level: Level
    found: str
    fix: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A result with the ``code`` of the check that gave it, and ``why`` the check matters. ``role`` is that which it
    matters for; None: both."""

    code: str
    role: str | None
    level: Level
    about: str
    found: str
    why: str
    fix: str

    def as_json(self) -> dict[str, str | None]:
        return asdict(self)


def ok(found: str, about: str = "") -> Result:
    return Result(Level.OK, found, about=about)


def warn(found: str, fix: str, about: str = "") -> Result:
    return Result(Level.WARN, found, fix, about)


def fail(found: str, fix: str, about: str = "") -> Result:
    return Result(Level.FAIL, found, fix, about)


def unknown(found: str, fix: str, about: str = "") -> Result:
    return Result(Level.UNKNOWN, found, fix, about)
