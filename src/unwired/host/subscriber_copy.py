"""A copy of the subscribers file that is read quickly.

TOML takes Python 50 microseconds for each subscriber: with 100,000 most of the time that a daemon which was killed is
away. So the daemon keeps what it has read and found right beside its journal, with the digest of the text, and a later
start takes it from there as long as the text is the same. It holds the keys, and is for root's eyes as the file is.
"""

import contextlib
import hashlib
import marshal
import os
from pathlib import Path
from typing import Final

from unwired.core.settings import Algorithm, SecurityAssociation, Subscriber

NAME: Final = "subscribers.copy"
_FORMAT: Final = 2
_SHARE_MAX: Final = 10
"""A copy takes at most one part in so many of the room that is left: the journal needs it."""


def digest(text: bytes) -> bytes:
    """What names the text of a subscribers file."""
    return hashlib.sha256(text).digest()


def read(path: Path, of: bytes) -> tuple[Subscriber, ...] | None:
    """The subscribers of the text with this digest; None when there is no sound copy of it."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if data[:32] != hashlib.sha256(data[32:]).digest():
        return None
    try:
        kept_format, kept_digest, rows = marshal.loads(data[32:])
    except (ValueError, EOFError, TypeError):  # another Python's
        return None
    if (kept_format, kept_digest) != (_FORMAT, of):
        return None
    algorithms = {algorithm.value: algorithm for algorithm in Algorithm}
    return tuple(
        Subscriber(
            identifier,
            home_address,
            tuple(SecurityAssociation(spi, key, algorithms[algorithm]) for spi, key, algorithm in associations),
            home_address_ipv4,
            mobile_prefixes_ipv4,
        )
        for identifier, home_address, associations, home_address_ipv4, mobile_prefixes_ipv4 in rows
    )


def write(path: Path, of: bytes, subscribers: tuple[Subscriber, ...]) -> None:
    """Replace the copy. Where that fails the next start takes longer."""
    rows = [
        (
            subscriber.identifier,
            subscriber.home_address,
            tuple((one.spi, one.key, one.algorithm.value) for one in subscriber.associations),
            subscriber.home_address_ipv4,
            subscriber.mobile_prefixes_ipv4,
        )
        for subscriber in subscribers
    ]
    data = marshal.dumps((_FORMAT, of, rows))
    new = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        room = os.statvfs(path.parent)
        if len(data) * _SHARE_MAX > room.f_bavail * room.f_frsize:
            return
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
