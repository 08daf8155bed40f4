"""The binding update list's entries for home agents (RFC 6275 section 11.1), and what of them survives a restart.

A mobile node is with one home agent and, while it changes to another, asks a second one; correspondent nodes will have
their entries beside these.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from unwired.core.door import Now
from unwired.core.forwarding import Encapsulation
from unwired.core.places import Away
from unwired.core.settings import Prefix
from unwired.wire.address import Address

INITIAL_BINDACK_TIMEOUT_S = 1.0
MAX_BINDACK_TIMEOUT_S = 32.0
REFRESH_AT = 0.75
"""Part of the lifetime after which the binding is renewed: "well before the expiration" (section 11.7.3)."""
OUTSTANDING_MAX = 32
"""Transmissions whose answer is still waited for; a home agent may be silent for days."""
SEQUENCES_MAX = 16
"""Home agents whose sequence numbers are remembered while we are with another."""
_RECORD_VERSION = 3
_READABLE = (2, 3)
"""Version 2 knows of no IPv4."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """A binding update on its way; its answer repeats ``sequence`` and ``timestamp`` (None without authentication).
    ``place`` is where it was sent from, None at home."""

    sequence: int
    timestamp: int | None
    care_of_address: Address
    lifetime_s: int
    sent: Now
    place: Away | None = None
    force_udp: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """What the home agent acknowledged. Times are monotonic seconds. ``nat_keepalive_s`` is how long it advises to
    leave a NAT on the way without a packet; None: there is no NAT (RFC 5555 section 3.2.2)."""

    care_of_address: Address
    interface: int
    lifetime_s: int
    expires_at: float
    refresh_at: float
    encapsulation: Encapsulation = Encapsulation.IPV6
    nat_keepalive_s: int | None = None


@dataclass(slots=True)
class BindingUpdateListEntry:
    """``sequence`` is the last one sent. ``outstanding`` holds the last transmissions of the present attempt, which ask
    for the same or, in a race of families, for one of several care-of addresses; ``tries`` counts how often the one
    that is wanted was asked for. ``expires_at`` is when the home agent will have dropped whatever it last took from us.
    """

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
    tries: int = 0
    confirmed: bool = False
    """The home agent has acknowledged the last thing that we asked of it."""

    @property
    def place(self) -> Away | None:
        """From where the home agent is asked; None: from nowhere so far."""
        return None if self.care_of_address is None else Away(self.care_of_address, self.interface, self.router)

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

    def settle(self, keep: Collection[Address] = ()) -> None:
        """Nothing is outstanding any more, but for what was sent from these care-of addresses."""
        self.outstanding = [one for one in self.outstanding if one.care_of_address in keep]
        self.tries = 0
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
    encapsulation: Encapsulation = Encapsulation.IPV6
    home_address_ipv4: Address | None = None
    mobile_prefix_ipv4: Prefix | None = None

    @classmethod
    def of(
        cls,
        entry: BindingUpdateListEntry,
        configured_home_agent: Address | None,
        switch_timestamp: int | None,
        home_interface: int,
        home_interface_name: str,
        home_router: Address,
        encapsulation: Encapsulation,
        home_address_ipv4: Address | None,
        mobile_prefix_ipv4: Prefix | None,
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
            encapsulation,
            home_address_ipv4,
            mobile_prefix_ipv4,
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
            "encapsulation": self.encapsulation.value,
            "home_address_ipv4": self.home_address_ipv4.hex() if self.home_address_ipv4 else None,
            "mobile_prefix_ipv4": None
            if self.mobile_prefix_ipv4 is None
            else [self.mobile_prefix_ipv4[0].hex(), self.mobile_prefix_ipv4[1]],
        }
        return json.dumps(record, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> "SavedEntry":
        """Raises ValueError for what is no record of ours."""
        record = json.loads(data)
        if not isinstance(record, dict) or record.get("version") not in _READABLE:
            raise ValueError("not a binding update list record of this version")
        try:
            home_agent, care_of_address = record["home_agent"], record["care_of_address"]
            configured, switched = record["configured_home_agent"], record["switch_timestamp"]
            expires = record["expires_wall"]
            home_ipv4, prefix = record.get("home_address_ipv4"), record.get("mobile_prefix_ipv4")
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
                Encapsulation(record.get("encapsulation", Encapsulation.IPV6.value)),
                bytes.fromhex(home_ipv4) if home_ipv4 else None,
                None if prefix is None else (bytes.fromhex(prefix[0]), int(prefix[1])),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"incomplete binding update list record: {error}") from None
