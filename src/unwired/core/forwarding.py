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
    IPV6_IN_IPV6 = 1


@dataclass(frozen=True, slots=True)
class Tunnel:
    """``mtu`` is the largest inner packet in bytes; 0 means what the outgoing link leaves (path MTU - 40).
    ``flow_label`` is that of every outer packet; 0 gives each inner flow its own."""

    number: int
    local: Address
    peer: Address
    encapsulation: Encapsulation = Encapsulation.IPV6_IN_IPV6
    interface: int = 0
    mtu: int = 0
    flow_label: int = 0


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
    ``FROM_HOME_ADDRESS`` (at the home agent), as inner destination for ``TO_HOME_ADDRESS`` (at the mobile node)."""

    plane: int
    direction: Direction
    address: Address
    outer_source: Address
    tunnel: int


@dataclass(frozen=True, slots=True)
class Unaccept:
    plane: int
    direction: Direction
    address: Address
    outer_source: Address


@dataclass(frozen=True, slots=True)
class Listen:
    """An address of ours: its control packets are punted to the daemon, tunnels that end at it are opened and a packet
    in a tunnel to it that no ``Accept`` allows is dropped."""

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
    SetTunnel
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
