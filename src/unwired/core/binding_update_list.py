"""The binding update list's entries for home agents (RFC 6275 section 11.1), and what of them survives a restart.

A mobile node is with one home agent and, while it changes to another, asks a second one; correspondent nodes will have
their entries beside these.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from unwired.core.door import Now
from unwired.wire.address import Address

INITIAL_BINDACK_TIMEOUT_S = 1.0
MAX_BINDACK_TIMEOUT_S = 32.0
REFRESH_AT = 0.75
"""Part of the lifetime after which the binding is renewed: "well before the expiration" (section 11.7.3)."""
OUTSTANDING_MAX = 32
"""Transmissions whose answer is still waited for; a home agent may be silent for days."""
SEQUENCES_MAX = 16
"""Home agents whose sequence numbers are remembered while we are with another."""
_RECORD_VERSION = 2


@dataclass(frozen=True, slots=True)
class Transmission:
    """A binding update on its way; its answer repeats ``sequence`` and ``timestamp`` (None without authentication)."""

    sequence: int
    timestamp: int | None
    care_of_address: Address
    lifetime_s: int
    sent: Now


@dataclass(frozen=True, slots=True)
class Bound:
    """What the home agent acknowledged. Times are monotonic seconds."""

    care_of_address: Address
    interface: int
    lifetime_s: int
    expires_at: float
    refresh_at: float


@dataclass(slots=True)
class BindingUpdateListEntry:
    """``sequence`` is the last one sent. ``outstanding`` holds the last transmissions of the present attempt, all of
    which ask for the same; ``expires_at`` is when the home agent will have dropped whatever it last took from us."""

    home_agent: Address | None
    sequence: int
    care_of_address: Address | None = None
    interface: int = 0
    router: Address = bytes(16)
    outstanding: list[Transmission] = field(default_factory=list)
    bound: Bound | None = None
    expires_at: float | None = None
    timeout_s: float = INITIAL_BINDACK_TIMEOUT_S
    retransmit_at: float | None = None
    confirmed: bool = False
    """The home agent has acknowledged the last thing that we asked of it."""

    def next_sequence(self) -> int:
        self.sequence = (self.sequence + 1) & 0xFFFF
        return self.sequence

    def find(self, sequence: int) -> Transmission | None:
        """The outstanding transmission with this sequence number."""
        for transmission in self.outstanding:
            if transmission.sequence == sequence:
                return transmission
        return None

    def add(self, transmission: Transmission) -> None:
        """Note what was sent; from now on the home agent may have it for its whole lifetime."""
        self.outstanding.append(transmission)
        del self.outstanding[:-OUTSTANDING_MAX]
        self.confirmed = False
        until = transmission.sent.monotonic + transmission.lifetime_s
        if transmission.lifetime_s:
            self.expires_at = until if self.expires_at is None else max(self.expires_at, until)

    def settle(self) -> None:
        """Nothing is outstanding any more."""
        self.outstanding.clear()
        self.retransmit_at = None

    def clear(self) -> None:
        """No home agent has anything of ours; the sequence number lives on."""
        self.settle()
        self.bound = None
        self.expires_at = None
        self.care_of_address = None
        self.confirmed = False

    def remaining_s(self, now: float) -> float:
        """Lifetime left of what is acknowledged, in seconds."""
        return 0.0 if self.bound is None else max(0.0, self.bound.expires_at - now)


class SequenceNumbers:
    """The last sequence numbers sent to home agents that have no entry at present: each destination has its own
    (RFC 6275 section 11.1), which the next entry for it goes on with. ``entropy`` makes the first one."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._last: dict[Address, int] = {}

    def take(self, home_agent: Address | None) -> int:
        """For a new entry."""
        known = None if home_agent is None else self._last.pop(home_agent, None)
        return int.from_bytes(self._entropy(2)) if known is None else known

    def keep(self, entry: BindingUpdateListEntry) -> None:
        """Of an entry that is given up."""
        if entry.home_agent is not None:
            self._last[entry.home_agent] = entry.sequence
            while len(self._last) > SEQUENCES_MAX:
                del self._last[next(iter(self._last))]


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """The journal's record. ``configured_home_agent`` is the settings' at that time: with the same settings we stay
    with ``home_agent``, which may be another. ``switch_timestamp`` is that of the last Home Agent Switch message.
    ``expires_wall`` is None when no home agent has a binding of ours; ``home_interface`` is where the home link was, 0
    when away; a number may be another interface's after a reboot, hence the name."""

    home_agent: Address | None
    configured_home_agent: Address | None
    switch_timestamp: int | None
    sequence: int
    care_of_address: Address | None = None
    interface: int = 0
    router: Address = bytes(16)
    expires_wall: float | None = None
    home_interface: int = 0
    home_interface_name: str = ""
    home_router: Address = bytes(16)

    @classmethod
    def of(
        cls,
        entry: BindingUpdateListEntry,
        configured_home_agent: Address | None,
        switch_timestamp: int | None,
        home_interface: int,
        home_interface_name: str,
        home_router: Address,
        now: Now,
    ) -> "SavedEntry":
        return cls(
            entry.home_agent,
            configured_home_agent,
            switch_timestamp,
            entry.sequence,
            entry.care_of_address,
            entry.interface,
            entry.router,
            None if entry.expires_at is None else now.wall + entry.expires_at - now.monotonic,
            home_interface,
            home_interface_name,
            home_router,
        )

    def encode(self) -> bytes:
        record = {
            "version": _RECORD_VERSION,
            "home_agent": self.home_agent.hex() if self.home_agent else None,
            "configured_home_agent": self.configured_home_agent.hex() if self.configured_home_agent else None,
            "switch_timestamp": self.switch_timestamp,
            "sequence": self.sequence,
            "care_of_address": self.care_of_address.hex() if self.care_of_address else None,
            "interface": self.interface,
            "router": self.router.hex(),
            "expires_wall": self.expires_wall,
            "home_interface": self.home_interface,
            "home_interface_name": self.home_interface_name,
            "home_router": self.home_router.hex(),
        }
        return json.dumps(record, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> "SavedEntry":
        """Raises ValueError for what is no record of ours."""
        record = json.loads(data)
        if not isinstance(record, dict) or record.get("version") != _RECORD_VERSION:
            raise ValueError("not a binding update list record of this version")
        try:
            home_agent, care_of_address = record["home_agent"], record["care_of_address"]
            configured, switched = record["configured_home_agent"], record["switch_timestamp"]
            expires = record["expires_wall"]
            return cls(
                bytes.fromhex(home_agent) if home_agent else None,
                bytes.fromhex(configured) if configured else None,
                None if switched is None else int(switched),
                int(record["sequence"]) & 0xFFFF,
                bytes.fromhex(care_of_address) if care_of_address else None,
                int(record["interface"]),
                bytes.fromhex(record["router"]),
                None if expires is None else float(expires),
                int(record["home_interface"]),
                str(record["home_interface_name"]),
                bytes.fromhex(record["home_router"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"incomplete binding update list record: {error}") from None
