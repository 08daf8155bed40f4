"""The rows of the forwarding table that engines ask for and the data plane makes true.

Two levels: a home address names a tunnel, a tunnel says how and where to. A handover rewrites one tunnel row. The
acceptance rows are the reverse check: which inner address may arrive in a tunnel from which outer source
(RFC 6275 sections 10.4.5 and 11.3.1). All rows are idempotent: installing one that is there replaces it.
"""

from dataclasses import dataclass
from enum import IntEnum

from unwired.wire.address import Address


class Direction(IntEnum):
    """Which inner address a row is keyed by."""

    TO_HOME_ADDRESS = 0
    """The home agent's: the inner destination is the home address."""
    FROM_HOME_ADDRESS = 1
    """The mobile node's: the inner source is the home address."""


class Encapsulation(IntEnum):
    """What is put around an inner packet, be that IPv6 or IPv4 (RFC 5555 section 4.1)."""

    IPV6 = 1
    """An IPv6 header (RFC 2473)."""
    IPV4 = 2
    """An IPv4 header (RFC 4213 section 3, RFC 2003)."""
    UDP = 3
    """An IPv4 and a UDP header, so that a NAT can be passed (RFC 5555 section 4.2)."""

    @property
    def overhead(self) -> int:
        """Bytes of outer headers."""
        return _OVERHEAD[self]


_OVERHEAD = {Encapsulation.IPV6: 40, Encapsulation.IPV4: 20, Encapsulation.UDP: 28}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Both kinds of inner packets go into it. ``local_port`` and ``peer_port`` are those of UDP, else 0.

    ``mtu`` is the largest inner packet in bytes; 0 means what the outgoing link leaves (path MTU less the outer
    headers). ``flow_label`` is that of every outer IPv6 header; 0 gives each inner flow its own."""

    number: int
    local: Address
    peer: Address
    encapsulation: Encapsulation = Encapsulation.IPV6
    interface: int = 0
    mtu: int = 0
    flow_label: int = 0
    local_port: int = 0
    peer_port: int = 0


@dataclass(frozen=True, slots=True)
class SetTunnel:
    tunnel: Tunnel


@dataclass(frozen=True, slots=True)
class RemoveTunnel:
    number: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Packets whose inner address (by ``direction``) is ``address`` go into tunnel ``tunnel``; but while the home agent
    ``member`` is up, into the tunnel to that member, unless they came from a member. 0: no member."""

    plane: int
    direction: Direction
    address: Address
    tunnel: int
    member: int = 0


@dataclass(frozen=True, slots=True)
class Unforward:
    plane: int
    direction: Direction
    address: Address


@dataclass(frozen=True, slots=True)
class Accept:
    """Take out of the tunnel what comes from ``outer_source`` with ``address`` inside: as inner source for
    ``FROM_HOME_ADDRESS`` (at the home agent), as inner destination for ``TO_HOME_ADDRESS`` (at the mobile node).
    ``outer_port`` is the UDP source port; 0: not in UDP. The same source may be accepted from in both ways."""

    plane: int
    direction: Direction
    address: Address
    outer_source: Address
    tunnel: int
    outer_port: int = 0


@dataclass(frozen=True, slots=True)
class Unaccept:
    plane: int
    direction: Direction
    address: Address
    outer_source: Address
    outer_port: int = 0


@dataclass(frozen=True, slots=True)
class SetMobilePrefix:
    """What goes to or comes from an address in this prefix is as if it went to or came from ``home_address``: a prefix
    that moves with a mobile router (RFC 3963, RFC 5555 section 3.1.1). ``Forward`` and ``Accept`` rows of the address
    itself win. ``length`` is that of the v4-mapped form, 96 and more, where the prefix is IPv4."""

    plane: int
    prefix: Address
    length: int
    home_address: Address


@dataclass(frozen=True, slots=True)
class RemoveMobilePrefix:
    plane: int
    prefix: Address
    length: int


@dataclass(frozen=True, slots=True)
class Listen:
    """An address of ours: its control packets are punted to the daemon, tunnels that end at it are opened and a packet
    in a tunnel to it that no ``Accept`` allows is dropped.

    At an IPv4 address control packets are IPv6 packets of the mobility protocol in a tunnel to it, with or without UDP
    on port 4191, ICMPv4 errors about our tunnels, and what comes in UDP on that port and is neither IPv6 nor IPv4. A
    packet in UDP that no ``Accept`` allows although its inner source has a ``Forward`` is punted too, a few a second:
    it may come from behind a NAT that has changed its mapping, and the engine asks."""

    plane: int
    address: Address


@dataclass(frozen=True, slots=True)
class Unlisten:
    plane: int
    address: Address


@dataclass(frozen=True, slots=True)
class SetMember:
    """Another home agent of the set, known by its ``number`` (1 or more).

    What comes in a tunnel from ``locator`` to a locator that we ``ListenToMembers`` at is from this member. What comes
    for its home agent address ``address`` goes into ``tunnel``, which leads to its locator, while it is ``up`` (but for
    tunnelled packets that an ``Accept`` of ours allows, which are opened here); else it is as if ``address`` were a
    ``Listen`` of ours. So a member's death is one row."""

    plane: int
    number: int
    address: Address
    locator: Address
    tunnel: int
    up: bool


@dataclass(frozen=True, slots=True)
class RemoveMember:
    plane: int
    number: int


@dataclass(frozen=True, slots=True)
class ListenToMembers:
    """Our own locator address: tunnels from members end here, and from nobody else. Control packets to it are punted as
    to any address of ours; an address is listened to in one of the two ways."""

    plane: int
    locator: Address


@dataclass(frozen=True, slots=True)
class UnlistenToMembers:
    plane: int
    locator: Address


ForwardingAction = (
    SetMobilePrefix
    | RemoveMobilePrefix
    | SetTunnel
    | RemoveTunnel
    | Forward
    | Unforward
    | Accept
    | Unaccept
    | Listen
    | Unlisten
    | SetMember
    | RemoveMember
    | ListenToMembers
    | UnlistenToMembers
)
