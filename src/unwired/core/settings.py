"""What a role is told at its start. Frozen; the configuration file's models turn into these."""

from dataclasses import dataclass
from enum import StrEnum

from unwired.wire.address import Address


class Algorithm(StrEnum):
    """How the MN-HA authentication option is computed; both ends of an SPI agree on one."""

    HMAC_SHA1 = "hmac-sha1"
    """First 96 bits of HMAC-SHA1: RFC 4285 section 5.1."""
    HMAC_SHA256 = "hmac-sha256"
    """First 128 bits of HMAC-SHA-256 (RFC 4868's truncation); needs agreement outside the RFC."""


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """A key shared by one mobile node and its home agents (RFC 4285 section 5.1). ``spi`` is at least 256."""

    spi: int
    key: bytes
    algorithm: Algorithm = Algorithm.HMAC_SHA1


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A mobile node that a home agent serves. ``identifier`` is its NAI (RFC 4283), in UTF-8 bytes."""

    identifier: bytes
    home_address: Address
    associations: tuple[SecurityAssociation, ...] = ()


@dataclass(frozen=True, slots=True)
class HomePrefix:
    prefix: Address
    length: int
    valid_lifetime_s: int = 86_400
    preferred_lifetime_s: int = 14_400


class Durability(StrEnum):
    """Where a binding must be kept before it is acknowledged; docs/ha-ha.md says what each survives."""

    LOCAL = "local"
    """In this member's own journal."""
    ONE_PEER = "one-peer"
    """In this member's journal and in that of at least one other member."""
    QUORUM = "quorum"
    """In the journals of more than half of all members, this one among them."""


@dataclass(frozen=True, slots=True)
class Member:
    """A home agent of a set. ``address`` is its home agent address, from the home prefix that all announce; ``locator``
    comes from its site's provider and never moves (draft-wakikawa-mext-global-haha-spec section 2)."""

    name: str
    address: Address
    locator: Address


@dataclass(frozen=True, slots=True)
class HomeAgentSetSettings:
    """``members`` are all of them, ourselves included; everywhere inside, a member is known by its number, its place in
    ``members`` counted from 1, which means nothing to other hosts. 0 stands for no member."""

    own: int
    members: tuple[Member, ...]
    group_id: int
    durability: Durability = Durability.ONE_PEER
    hello_interval_s: float = 0.05
    hello_misses: int = 3
    """A member is taken for dead when nothing was heard of it for this many of its intervals."""
    join_timeout_s: float = 5.0
    """How long a member that starts waits to hear of any other one, before it serves with what its journal has."""

    @property
    def self(self) -> Member:
        return self.members[self.own - 1]


@dataclass(frozen=True, slots=True)
class HomeAgentSettings:
    """``home_interface`` 0 is a virtual home link: no duplicate address detection, no proxy neighbour discovery, no
    advertisements. ``insecure`` accepts binding updates without authentication, as a classic peer's with IPsec off."""

    address: Address
    home_prefixes: tuple[HomePrefix, ...]
    home_interface: int = 0
    home_interface_link_layer_address: bytes = b""
    home_interface_link_local_address: Address = bytes(16)
    lifetime_max_s: int = 420
    refresh_advice_s: int = 0
    preference: int = 0
    bindings_max: int = 100_000
    timestamp_window_s: float = 7.0
    previous_care_of_address_grace_s: float = 3.0
    advertisement_interval_min_s: float = 1.0
    advertisement_interval_max_s: float = 3.0
    insecure: bool = False
    home_agent_set: HomeAgentSetSettings | None = None


@dataclass(frozen=True, slots=True)
class MobileNodeSettings:
    """``home_agent`` None: found by dynamic home agent address discovery, which needs ``insecure`` (RFC 4285 section 2
    leaves prefix discovery off). ``interfaces`` empty: every interface; else names, most preferred first.
    ``first_registration_timeout_s`` is InitialBindackTimeoutFirstReg (RFC 6275 section 13), which leaves the home agent
    its duplicate address detection."""

    identifier: bytes
    home_address: Address
    home_prefix_length: int = 64
    home_agent: Address | None = None
    association: SecurityAssociation | None = None
    lifetime_s: int = 420
    interfaces: tuple[str, ...] = ()
    insecure: bool = False
    first_registration_timeout_s: float = 1.5
