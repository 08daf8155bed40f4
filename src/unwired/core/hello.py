"""Keys, sequence numbers and replay windows of the HELLO datagrams between members of a home agent set.

Each member makes its own key, known by an epoch, and gives it to the others by a way that proves who it is
(``ShareKey``, ``KeyShared``); the datagrams themselves need no more than this. A member makes a new key at each start
and regularly after; towards another member the new one is used once that member says that it has it, so that no
datagram is lost by the change. The sequence number counts all datagrams of a member since its start, whatever the key
and the receiver: no (epoch, sequence) is ever used twice.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from unwired.core.notices import Drop
from unwired.wire.address import Address
from unwired.wire.errors import DecodeError
from unwired.wire.home_agent_hello import (
    AUTHENTICATOR_SIZE,
    VERSION,
    HomeAgentHello,
    body,
    covered,
    datagram_size,
    decode_envelope,
    decode_hello,
    encode_text,
    group_id,
)

KEY_SIZE = 32
_EPOCHS = 1 << 32
WINDOW = 64
"""How many sequence numbers before the greatest one are still told apart."""
FORMER_KEY_GRACE_S = 1.0
"""How long a member's former key is good for after the first datagram under its new one: what the network overtook."""


def authenticator(key: bytes, source: Address, destination: Address, text: bytes) -> bytes:
    """HMAC-SHA-256, its first 128 bits, over both locators and the datagram up to the authenticator."""
    return hmac.digest(key, covered(source, destination, text), "sha256")[:AUTHENTICATOR_SIZE]


class ReplayWindow:
    """Accepts each sequence number at most once, and none that is ``WINDOW`` or more behind the greatest one
    (RFC 4303 section 3.4.3). What was not accepted yet before the first one is unknown to it."""

    __slots__ = ("_seen", "greatest")

    def __init__(self) -> None:
        self.greatest = -1
        self._seen = 0
        """Bit n: ``greatest - n`` was accepted."""

    def is_new(self, sequence: int) -> bool:
        """Whether this number may be accepted; nothing is remembered."""
        behind = self.greatest - sequence
        return behind < 0 or (behind < WINDOW and not self._seen >> behind & 1)

    def accept(self, sequence: int) -> None:
        """Remember a number that ``is_new``."""
        ahead = sequence - self.greatest
        if ahead > 0:
            self._seen = 1 if ahead >= WINDOW else (self._seen << ahead | 1) & ((1 << WINDOW) - 1)
            self.greatest = sequence
        else:
            self._seen |= 1 << -ahead


@dataclass(slots=True)
class _Key:
    epoch: int
    key: bytes
    window: ReplayWindow
    ends_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class Opened:
    """An authentic datagram. ``is_latest``: nothing that was sent after it has come before it."""

    hello: HomeAgentHello
    is_latest: bool


class MemberKeys:
    """The keys of one other member: the newest and, while datagrams under it may come, the one before."""

    __slots__ = ("_former", "_newest")

    def __init__(self) -> None:
        self._newest: _Key | None = None
        self._former: _Key | None = None

    @property
    def epoch(self) -> int | None:
        """That of the newest key; None without any."""
        return None if self._newest is None else self._newest.epoch

    def learn(self, epoch: int, key: bytes) -> Drop | None:
        """The member has a new key; the reason when that is none. The same again, as after a new connection, changes
        nothing: its window stays."""
        if len(key) != KEY_SIZE or not 0 <= epoch < _EPOCHS:
            return Drop.MALFORMED
        for known in (self._newest, self._former):
            if known is not None and known.epoch == epoch and hmac.compare_digest(known.key, key):
                return None
        self._former, self._newest = self._newest, _Key(epoch, key, ReplayWindow())
        return None

    def open(self, data: bytes, source: Address, destination: Address, group: int, now: float) -> Opened | Drop:
        """A datagram from the member's locator to ours, or why it is dropped; what costs least is looked at first."""
        size = datagram_size(data)
        if len(data) != size:
            return Drop.HELLO_TRUNCATED if len(data) < size else Drop.HELLO_TRAILING_BYTES
        envelope = decode_envelope(data)
        its_group = group_id(data)
        if envelope.version != VERSION or its_group is None:
            return Drop.HELLO_MALFORMED
        if its_group != group:
            return Drop.HELLO_OTHER_GROUP
        if self._newest is None:
            return Drop.HELLO_NO_KEY
        key = self._key(envelope.epoch, now)
        if key is None:
            return Drop.HELLO_OTHER_EPOCH
        if not key.window.is_new(envelope.sequence):
            return Drop.HELLO_REPLAYED
        expected = authenticator(key.key, source, destination, data[:-AUTHENTICATOR_SIZE])
        if not hmac.compare_digest(expected, data[-AUTHENTICATOR_SIZE:]):
            return Drop.HELLO_BAD_AUTHENTICATOR
        try:
            hello = decode_hello(body(data))
        except DecodeError:
            return Drop.HELLO_MALFORMED
        is_latest = envelope.sequence > key.window.greatest and (
            key is self._newest or self._newest.window.greatest < 0
        )
        key.window.accept(envelope.sequence)
        if key is self._newest and self._former is not None:
            self._former.ends_at = min(self._former.ends_at, now + FORMER_KEY_GRACE_S)
        return Opened(hello, is_latest)

    def _key(self, epoch: int, now: float) -> _Key | None:
        if self._former is not None and self._former.ends_at <= now:
            self._former = None
        for key in (self._newest, self._former):
            if key is not None and key.epoch == epoch:
                return key
        return None


class OwnKeys:
    """Our own keys and the sequence number. ``entropy`` gives secret random bytes."""

    __slots__ = ("_entropy", "_former", "_newest", "_sequence")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._sequence = 0
        self._former: tuple[int, bytes] | None = None
        self._newest = int.from_bytes(entropy(4)), entropy(KEY_SIZE)

    @property
    def newest(self) -> tuple[int, bytes]:
        """Epoch and key that every member is to be given."""
        return self._newest

    @property
    def former_epoch(self) -> int | None:
        """That of the key before; None when there was none since the start."""
        return None if self._former is None else self._former[0]

    def renew(self) -> None:
        """Make a new key; the one before serves members that have not got it yet."""
        self._former = self._newest
        self._newest = (self._former[0] + 1) % _EPOCHS, self._entropy(KEY_SIZE)

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def seal(self, sequence: int, hello: bytes, held: int | None, source: Address, destination: Address) -> bytes:
        """The datagram of an encoded body; ``held`` is the epoch that the receiver said it has."""
        former = self._former
        epoch, key = former if former is not None and held == former[0] else self._newest
        text = encode_text(epoch, sequence, hello)
        return text + authenticator(key, source, destination, text)
