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


class Family(StrEnum):
    """An address family of access networks."""

    IPV6 = "ipv6"
    IPV4 = "ipv4"


Prefix = tuple[Address, int]
"""Prefix and length; of an IPv4 prefix in v4-mapped form, so the length is 96 and more."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A mobile node that a home agent serves. ``identifier`` is its NAI (RFC 4283), in UTF-8 bytes.

    ``home_address`` is its IPv6 home address, which every binding is known by, also that of a node whose traffic is all
    IPv4 (RFC 5555 section 4.4.2.1). ``home_address_ipv4`` is its own for good; None: one of the pool, if it asks.
    ``mobile_prefixes_ipv4`` are those it may ask for by name or, without naming one, be granted."""

    identifier: bytes
    home_address: Address
    associations: tuple[SecurityAssociation, ...] = ()
    home_address_ipv4: Address | None = None
    mobile_prefixes_ipv4: tuple[Prefix, ...] = ()


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
    advertisements. ``insecure`` accepts binding updates without authentication, as a classic peer's with IPsec off.

    ``address_ipv4`` is where mobile nodes in IPv4 networks find us, in a home agent set the same for all members; None:
    they don't. IPv4 home addresses are of ``home_prefixes_ipv4``; those given to whom asks for any come from
    ``pool_ipv4``, prefixes for mobile routers from ``mobile_prefix_pool_ipv4``. ``nat_keepalive_s`` is the longest time
    that a NAT on the way may be left without a packet (NATKATIMEOUT, RFC 5555 section 6). ``force_udp``: even where
    there is no NAT (section 3.2.2); ``allow_forced_udp``: where the mobile node asks for it (section 3.1.3)."""

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
    address_ipv4: Address | None = None
    home_prefixes_ipv4: tuple[Prefix, ...] = ()
    pool_ipv4: tuple[Prefix, ...] = ()
    mobile_prefix_pool_ipv4: tuple[Prefix, ...] = ()
    nat_keepalive_s: int = 110
    force_udp: bool = False
    allow_forced_udp: bool = True


@dataclass(frozen=True, slots=True)
class MobileNodeSettings:
    """``home_agent`` None: found by dynamic home agent address discovery, which needs ``insecure`` (RFC 4285 section 2
    leaves prefix discovery off). ``interfaces`` empty: every interface; else names, most preferred first.
    ``first_registration_timeout_s`` is InitialBindackTimeoutFirstReg (RFC 6275 section 13), which leaves the home agent
    its duplicate address detection.

    ``home_agent_ipv4`` is its IPv4 address; None: IPv4 networks are of no use to us. ``home_address_ipv4`` None: none;
    UNSPECIFIED_IPV4: the home agent gives one. ``mobile_prefix_length_ipv4``: ask for a prefix of this length too
    (v4-mapped, 96 and more); 0: none. ``families`` are the kinds of access networks, most preferred first; one that is
    left out is not used. ``force_udp``: in IPv4 networks always UDP, for those that let nothing else through (RFC 5555
    section 4.4.1)."""

    identifier: bytes
    home_address: Address
    home_prefix_length: int = 64
    home_agent: Address | None = None
    association: SecurityAssociation | None = None
    lifetime_s: int = 420
    interfaces: tuple[str, ...] = ()
    insecure: bool = False
    first_registration_timeout_s: float = 1.5
    home_agent_ipv4: Address | None = None
    home_address_ipv4: Address | None = None
    mobile_prefix_length_ipv4: int = 0
    families: tuple[Family, ...] = (Family.IPV6, Family.IPV4)
    force_udp: bool = False
