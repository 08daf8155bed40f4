"""The forwarding table as engines' rows see it, and its implementation in memory for the simulator and for tests."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    ForwardingAction,
    Listen,
    ListenToMembers,
    RemoveMember,
    RemoveMobilePrefix,
    RemoveTunnel,
    SetMember,
    SetMobilePrefix,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
    UnlistenToMembers,
)
from unwired.wire.address import Address, in_prefix


class DataplaneError(Exception):
    """The kernel refused a row, a program or a device; ``reason`` is a sentence for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a table at one moment, in no particular order."""

    tunnels: tuple[Tunnel, ...] = ()
    forwards: tuple[Forward, ...] = ()
    accepts: tuple[Accept, ...] = ()
    listens: tuple[Listen | ListenToMembers, ...] = ()
    members: tuple[SetMember, ...] = ()
    mobile_prefixes: tuple[SetMobilePrefix, ...] = ()


@dataclass(frozen=True, slots=True)
class TunnelCounters:
    """What one tunnel has carried since its row was first set; bytes are those of the inner packets."""

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0


class ForwardingTable(Protocol):
    """Where forwarding actions become true."""

    def apply(self, action: ForwardingAction) -> None:
        """Install, replace or remove one row. Removing what is not there is no error. Raises DataplaneError."""

    def rows(self) -> Rows:
        """What is there now, whoever installed it."""

    def tunnel_of(self, plane: int, direction: Direction, address: Address) -> Tunnel | None:
        """The tunnel that a forward leads into, to the mobile node; None when there is no such forward or tunnel."""

    def begin_adoption(self) -> None:
        """From now on until ``sweep`` rows that are there have to be applied anew to stay; that is cheap for a row that
        is there as it should be."""

    def sweep(self) -> int:
        """Remove every row that was there at ``begin_adoption`` and has not been applied since; the number of rows
        removed."""

    def counters(self) -> dict[str, int]:
        """Packets by what became of them, named as in docs/data-plane.md."""

    def tunnel_counters(self, number: int) -> TunnelCounters:
        """What the tunnel has carried; zeros when there is no such tunnel."""


_KEYS: dict[type, tuple[type, Callable[[Any], Hashable]]] = {
    SetTunnel: (SetTunnel, lambda a: a.tunnel.number),
    Forward: (Forward, lambda a: (a.plane, a.direction, a.address)),
    Accept: (Accept, lambda a: (a.plane, a.direction, a.address, a.outer_source, a.outer_port)),
    Listen: (Listen, lambda a: (a.plane, a.address)),
    ListenToMembers: (Listen, lambda a: (a.plane, a.locator)),
    SetMember: (SetMember, lambda a: (a.plane, a.number)),
    SetMobilePrefix: (SetMobilePrefix, lambda a: (a.plane, a.prefix, a.length)),
    RemoveTunnel: (SetTunnel, lambda a: a.number),
    Unforward: (Forward, lambda a: (a.plane, a.direction, a.address)),
    Unaccept: (Accept, lambda a: (a.plane, a.direction, a.address, a.outer_source, a.outer_port)),
    Unlisten: (Listen, lambda a: (a.plane, a.address)),
    UnlistenToMembers: (Listen, lambda a: (a.plane, a.locator)),
    RemoveMember: (SetMember, lambda a: (a.plane, a.number)),
    RemoveMobilePrefix: (SetMobilePrefix, lambda a: (a.plane, a.prefix, a.length)),
}
"""By kind of action: the kind of row it is about, and that row's key. An address is listened to in one way."""
Row = TypeVar("Row")
_REMOVALS = (RemoveTunnel, Unforward, Unaccept, Unlisten, UnlistenToMembers, RemoveMember, RemoveMobilePrefix)


class MemoryTable:
    """The table without a kernel. The methods from ``forward_for`` on answer what the programs would."""

    def __init__(self) -> None:
        self._tunnels: dict[Hashable, SetTunnel] = {}
        self._forwards: dict[Hashable, Forward] = {}
        self._accepts: dict[Hashable, Accept] = {}
        self._listens: dict[Hashable, Listen | ListenToMembers] = {}
        self._members: dict[Hashable, SetMember] = {}
        self._mobile_prefixes: dict[Hashable, SetMobilePrefix] = {}
        self._rows: dict[type, dict[Hashable, Any]] = {
            Forward: self._forwards,
            Accept: self._accepts,
            Listen: self._listens,
            SetMember: self._members,
            SetMobilePrefix: self._mobile_prefixes,
            SetTunnel: self._tunnels,
        }
        self._unclaimed: dict[type, set[Hashable]] = {kind: set() for kind in self._rows}
        self._counters: dict[str, int] = {}
        self._carried: dict[int, TunnelCounters] = {}

    def apply(self, action: ForwardingAction) -> None:
        kind, key_of = _KEYS[type(action)]
        key = key_of(action)
        self._unclaimed[kind].discard(key)
        if isinstance(action, _REMOVALS):
            self._rows[kind].pop(key, None)
        else:
            self._rows[kind][key] = action

    def rows(self) -> Rows:
        return Rows(
            tuple(row.tunnel for row in self._tunnels.values()),
            tuple(self._forwards.values()),
            tuple(self._accepts.values()),
            tuple(self._listens.values()),
            tuple(self._members.values()),
            tuple(self._mobile_prefixes.values()),
        )

    def tunnel_of(self, plane: int, direction: Direction, address: Address) -> Tunnel | None:
        row = self._forwards.get((plane, direction, address))
        return self._tunnel(row.tunnel) if row else None

    def begin_adoption(self) -> None:
        self._unclaimed = {kind: set(rows) for kind, rows in self._rows.items()}

    def sweep(self) -> int:
        swept = 0
        for kind, unclaimed in self._unclaimed.items():
            for key in unclaimed:
                del self._rows[kind][key]
            swept += len(unclaimed)
            unclaimed.clear()
        return swept

    def counters(self) -> dict[str, int]:
        return dict(self._counters)

    def tunnel_counters(self, number: int) -> TunnelCounters:
        return self._carried.get(number, TunnelCounters())

    def forward_for(
        self, plane: int, source: Address, destination: Address, length: int = 0, from_member: bool = False
    ) -> Tunnel | None:
        """The tunnel that a packet takes, counted as one packet of ``length`` bytes. ``from_member``: it came in a
        member's tunnel, so it goes to a mobile node or nowhere."""
        row = self._row(self._forwards, plane, Direction.TO_HOME_ADDRESS, destination)
        if row is None and not from_member:
            row = self._row(self._forwards, plane, Direction.FROM_HOME_ADDRESS, source)
        number = row.tunnel if row else 0
        if not from_member:
            member = self._members.get((plane, row.member)) if row else self.live_member(plane, destination)
            if member is not None and member.up:
                number = member.tunnel
        tunnel = self._tunnel(number)
        unknown = "member_no_forward" if from_member else "no_forward"
        self._count("encapsulated" if tunnel else "no_tunnel" if number else unknown)
        if tunnel:
            carried = self.tunnel_counters(tunnel.number)
            packets, size = carried.packets_sent + 1, carried.bytes_sent + length
            self._carried[tunnel.number] = replace(carried, packets_sent=packets, bytes_sent=size)
        return tunnel

    def accepts(
        self, plane: int, source: Address, destination: Address, outer_source: Address, outer_port: int = 0
    ) -> bool:
        """Whether a packet from ``source`` to ``destination`` may leave a tunnel that comes from ``outer_source``, and
        from this UDP port where it is not 0."""
        ends = (outer_source, outer_port)
        row = self._row(self._accepts, plane, Direction.FROM_HOME_ADDRESS, source, *ends) or self._row(
            self._accepts, plane, Direction.TO_HOME_ADDRESS, destination, *ends
        )
        self._count("decapsulated" if row else "reverse_check")
        if row:
            carried = self.tunnel_counters(row.tunnel)
            self._carried[row.tunnel] = replace(carried, packets_received=carried.packets_received + 1)
        return row is not None

    def accepts_from_member(self, plane: int, outer_source: Address) -> bool:
        """Whether a tunnel from ``outer_source`` to a locator that members are listened to at is opened: it is a
        member's."""
        accepted = any(row.plane == plane and row.locator == outer_source for row in self._members.values())
        self._count("decapsulated" if accepted else "not_a_member")
        return accepted

    def listens(self, plane: int, address: Address) -> bool:
        """Whether control packets to ``address`` are the daemon's: it is ours, or a member's that is not up."""
        return (plane, address) in self._listens or any(
            row.plane == plane and row.address == address and not row.up for row in self._members.values()
        )

    def listens_to_members(self, plane: int, address: Address) -> bool:
        """Whether tunnels from members end there."""
        return isinstance(self._listens.get((plane, address)), ListenToMembers)

    def live_member(self, plane: int, address: Address) -> SetMember | None:
        """The member that is up and has this home agent address: what comes for it goes on to it, but for tunnelled
        packets that ``accepts`` allows."""
        for row in self._members.values():
            if row.plane == plane and row.address == address and row.up:
                return row
        return None

    def _row(
        self, rows: dict[Hashable, Row], plane: int, direction: Direction, address: Address, *more: Hashable
    ) -> Row | None:
        """The row of an address, else that of the home address whose mobile prefix it is in: the longest one."""
        row = rows.get((plane, direction, address, *more))
        if row is not None:
            return row
        around = [
            one
            for one in self._mobile_prefixes.values()
            if one.plane == plane and in_prefix(address, one.prefix, one.length)
        ]
        longest = max(around, key=lambda one: one.length, default=None)
        return None if longest is None else rows.get((plane, direction, longest.home_address, *more))

    def _tunnel(self, number: int) -> Tunnel | None:
        row = self._tunnels.get(number)
        return row.tunnel if row else None

    def _count(self, name: str) -> None:
        self._counters[name] = self._counters.get(name, 0) + 1
