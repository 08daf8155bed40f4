"""The forwarding table as engines' rows see it, and its implementation in memory for the simulator and for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    ForwardingAction,
    Listen,
    RemoveTunnel,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
)
from unwired.wire.address import Address


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
    listens: tuple[Listen, ...] = ()


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
        """The tunnel that a forward leads into; None when there is no such forward or tunnel."""

    def sweep(self, keep: Rows) -> int:
        """Remove every row that is not in ``keep`` (compared by key); the number of rows removed."""

    def counters(self) -> dict[str, int]:
        """Packets by what became of them, named as in docs/data-plane.md."""

    def tunnel_counters(self, number: int) -> TunnelCounters:
        """What the tunnel has carried; zeros when there is no such tunnel."""


ForwardKey = tuple[int, Direction, Address]
AcceptKey = tuple[int, Direction, Address, Address]
ListenKey = tuple[int, Address]


class MemoryTable:
    """The table without a kernel. ``forward_for`` and ``accepts`` answer what the programs would."""

    def __init__(self) -> None:
        self._tunnels: dict[int, Tunnel] = {}
        self._forwards: dict[ForwardKey, Forward] = {}
        self._accepts: dict[AcceptKey, Accept] = {}
        self._listens: dict[ListenKey, Listen] = {}
        self._counters: dict[str, int] = {}
        self._carried: dict[int, TunnelCounters] = {}
        self._apply: dict[type, Callable[..., object]] = {
            SetTunnel: self._set_tunnel,
            RemoveTunnel: lambda a: self._tunnels.pop(a.number, None),
            Forward: lambda a: self._forwards.__setitem__((a.plane, a.direction, a.address), a),
            Unforward: lambda a: self._forwards.pop((a.plane, a.direction, a.address), None),
            Accept: lambda a: self._accepts.__setitem__((a.plane, a.direction, a.address, a.outer_source), a),
            Unaccept: lambda a: self._accepts.pop((a.plane, a.direction, a.address, a.outer_source), None),
            Listen: lambda a: self._listens.__setitem__((a.plane, a.address), a),
            Unlisten: lambda a: self._listens.pop((a.plane, a.address), None),
        }

    def apply(self, action: ForwardingAction) -> None:
        self._apply[type(action)](action)

    def rows(self) -> Rows:
        return Rows(
            tuple(self._tunnels.values()),
            tuple(self._forwards.values()),
            tuple(self._accepts.values()),
            tuple(self._listens.values()),
        )

    def tunnel_of(self, plane: int, direction: Direction, address: Address) -> Tunnel | None:
        row = self._forwards.get((plane, direction, address))
        return self._tunnels.get(row.tunnel) if row else None

    def sweep(self, keep: Rows) -> int:
        stale = stale_rows(self.rows(), keep)
        for action in stale:
            self.apply(action)
        return len(stale)

    def counters(self) -> dict[str, int]:
        return dict(self._counters)

    def tunnel_counters(self, number: int) -> TunnelCounters:
        return self._carried.get(number, TunnelCounters())

    def forward_for(self, plane: int, source: Address, destination: Address, length: int = 0) -> Tunnel | None:
        """The tunnel that a packet entering the tunnel device takes, counted as one packet of ``length`` bytes."""
        row = self._forwards.get((plane, Direction.TO_HOME_ADDRESS, destination)) or self._forwards.get(
            (plane, Direction.FROM_HOME_ADDRESS, source)
        )
        tunnel = self._tunnels.get(row.tunnel) if row else None
        self._count("encapsulated" if tunnel else "no_tunnel" if row else "no_forward")
        if tunnel:
            carried = self._carried.get(tunnel.number, TunnelCounters())
            self._carried[tunnel.number] = TunnelCounters(
                carried.packets_sent + 1, carried.bytes_sent + length, carried.packets_received, carried.bytes_received
            )
        return tunnel

    def accepts(self, plane: int, source: Address, destination: Address, outer_source: Address) -> bool:
        """Whether a packet from ``source`` to ``destination`` may leave a tunnel that comes from ``outer_source``."""
        accepted = (plane, Direction.FROM_HOME_ADDRESS, source, outer_source) in self._accepts or (
            plane,
            Direction.TO_HOME_ADDRESS,
            destination,
            outer_source,
        ) in self._accepts
        self._count("decapsulated" if accepted else "reverse_check")
        return accepted

    def listens(self, plane: int, address: Address) -> bool:
        """Whether control packets to ``address`` are the daemon's."""
        return (plane, address) in self._listens

    def _set_tunnel(self, action: SetTunnel) -> None:
        self._tunnels[action.tunnel.number] = action.tunnel

    def _count(self, name: str) -> None:
        self._counters[name] = self._counters.get(name, 0) + 1


def stale_rows(there: Rows, keep: Rows) -> list[ForwardingAction]:
    """The removals that leave of ``there`` only rows whose key is in ``keep``, users of a tunnel before the tunnel."""
    forwards = {(row.plane, row.direction, row.address) for row in keep.forwards}
    accepts = {(row.plane, row.direction, row.address, row.outer_source) for row in keep.accepts}
    listens = {(row.plane, row.address) for row in keep.listens}
    tunnels = {tunnel.number for tunnel in keep.tunnels}
    stale: list[ForwardingAction] = []
    for forward in there.forwards:
        if (forward.plane, forward.direction, forward.address) not in forwards:
            stale.append(Unforward(forward.plane, forward.direction, forward.address))
    for accept in there.accepts:
        if (accept.plane, accept.direction, accept.address, accept.outer_source) not in accepts:
            stale.append(Unaccept(accept.plane, accept.direction, accept.address, accept.outer_source))
    for listen in there.listens:
        if (listen.plane, listen.address) not in listens:
            stale.append(Unlisten(listen.plane, listen.address))
    stale.extend(RemoveTunnel(tunnel.number) for tunnel in there.tunnels if tunnel.number not in tunnels)
    return stale
