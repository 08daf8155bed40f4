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
    """``mtu`` is the largest inner packet in bytes; 0 means what the outgoing link leaves (path MTU - 40)."""

    number: int
    local: Address
    peer: Address
    encapsulation: Encapsulation = Encapsulation.IPV6_IN_IPV6
    interface: int = 0
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class SetTunnel:
    tunnel: Tunnel


@dataclass(frozen=True, slots=True)
class RemoveTunnel:
    number: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Packets whose inner address (by ``direction``) is ``address`` go into tunnel ``tunnel``."""

    plane: int
    direction: Direction
    address: Address
    tunnel: int


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


ForwardingAction = SetTunnel | RemoveTunnel | Forward | Unforward | Accept | Unaccept | Listen | Unlisten
