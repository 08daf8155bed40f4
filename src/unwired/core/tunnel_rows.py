"""The mobile node's rows in the forwarding table: one tunnel to the home agent, and the addresses it ends at.

A handover rewrites the tunnel's row, and so does a change of home agent. A care-of address that is no longer used keeps
being listened to for a while, and a home agent that we have left is still believed, so that packets which were on their
way still arrive (RFC 6275 section 11.5.4).
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from unwired.core.door import Action, ForgetCareOfAddress, UseCareOfAddress
from unwired.core.flow_label import flow_label
from unwired.core.forwarding import (
    Accept,
    Direction,
    Encapsulation,
    Forward,
    Listen,
    RemoveMobilePrefix,
    RemoveTunnel,
    SetMobilePrefix,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
)
from unwired.core.settings import Prefix
from unwired.wire.address import Address, is_ipv4
from unwired.wire.datagram import PORT

PLANE = 0
TUNNEL = 1
"""A mobile node has one tunnel."""
GRACE_S = 5.0
"""How long packets may still arrive at an address or in a tunnel that is given up."""
PEERS_MAX = 8
"""Ends of tunnels that are opened at a time."""


Peer = tuple[Address, int]
"""A tunnel's other end and its UDP port, 0 without UDP."""


def _peers(address: Address) -> tuple[Peer, ...]:
    """How packets come from there: in IPv4 with and without UDP, whatever was agreed on last, because both are on their
    way when that changes."""
    return ((address, 0), (address, PORT)) if is_ipv4(address) else ((address, 0),)


class TunnelRows:
    """Remembers what was asked of the table and the host; ``emit`` takes the actions."""

    def __init__(self, home_address: Address, emit: Callable[[Action], None]) -> None:
        self._home_address = home_address
        self._emit = emit
        self.tunnel: Tunnel | None = None
        self.used: dict[Address, UseCareOfAddress] = {}
        self._home_addresses = [home_address]
        self._prefix: Prefix | None = None
        self._given_up: dict[Address, float] = {}
        self._peers: dict[Peer, float | None] = {}
        """Ends of tunnels that are opened, and until when where that is known."""
        self._forwarding = False
        self._close_at: float | None = None

    def open(self) -> None:
        self._emit(Listen(PLANE, self._home_address))

    def add(self, home_address: Address) -> None:
        """One more home address goes through the tunnel."""
        if home_address not in self._home_addresses:
            self._home_addresses.append(home_address)
            self._say(home_address)

    def remove(self, home_address: Address) -> None:
        if home_address not in self._home_addresses:
            return
        self._home_addresses.remove(home_address)
        if self._forwarding:
            self._emit(Unforward(PLANE, Direction.FROM_HOME_ADDRESS, home_address))
        for peer, port in self._peers:
            self._emit(Unaccept(PLANE, Direction.TO_HOME_ADDRESS, home_address, peer, port))

    def set_prefix(self, prefix: Prefix | None) -> None:
        """A prefix that goes through the tunnel as the home address does; None: none."""
        if prefix == self._prefix:
            return
        if self._prefix is not None:
            self._emit(RemoveMobilePrefix(PLANE, *self._prefix))
        self._prefix = prefix
        self._say_prefix()

    def _say_prefix(self) -> None:
        if self._prefix is not None:
            self._emit(SetMobilePrefix(PLANE, *self._prefix, self._home_address))

    def _say(self, home_address: Address) -> None:
        for peer, port in self._peers:
            self._emit(Accept(PLANE, Direction.TO_HOME_ADDRESS, home_address, peer, TUNNEL, port))
        if self._forwarding:
            self._emit(Forward(PLANE, Direction.FROM_HOME_ADDRESS, home_address, TUNNEL))

    def use(self, care_of_address: Address, interface: int, router: Address, again: bool = False) -> None:
        """Packets from this care-of address leave here, and what comes to it is ours. ``again``: say so even when it
        was said before."""
        self._given_up.pop(care_of_address, None)
        wanted = UseCareOfAddress(care_of_address, interface, router)
        is_new = care_of_address not in self.used
        # An interface has one router, the latest: what was said of an address before another came to its interface
        # (from this network to another and soon back) holds no more.
        latest = next((used for used in reversed(self.used.values()) if used.interface == interface), None)
        if again or latest != wanted:
            self.used.pop(care_of_address, None)
            self.used[care_of_address] = wanted
            self._emit(wanted)
        if is_new:
            self._emit(Listen(PLANE, care_of_address))

    def say_again(self) -> None:
        """Ask once more for all rows and routes that should be there."""
        self.open()
        for address, wanted in self.used.items():
            self._emit(wanted)
            self._emit(Listen(PLANE, address))
        if self.tunnel is not None:
            self._emit(SetTunnel(self.tunnel))
        for home_address in self._home_addresses:
            self._say(home_address)
        self._say_prefix()

    def give_up_others(self, than: Collection[Address], now: float) -> None:
        """Only these care-of addresses are in use any more; the others are kept for a while."""
        for address in self.used:
            if address not in than:
                self._given_up.setdefault(address, now + GRACE_S)

    def accept(self, address: Address) -> None:
        """What comes from this home agent is taken out of its tunnel, whatever else is."""
        for peer in _peers(address):
            is_new = peer not in self._peers
            self._peers.pop(peer, None)
            self._peers[peer] = None
            if is_new:
                for home_address in self._home_addresses:
                    self._emit(Accept(PLANE, Direction.TO_HOME_ADDRESS, home_address, peer[0], TUNNEL, peer[1]))
        if len(self._peers) > PEERS_MAX:
            present = None if self.tunnel is None else self.tunnel.peer
            self._refuse(next(other for other in self._peers if other[0] != present))

    def give_up_other_peers(self, now: float) -> None:
        """Only the home agent at the tunnel's end serves us any more; the others are believed for a while."""
        for peer, until in self._peers.items():
            if until is None and (self.tunnel is None or peer[0] != self.tunnel.peer):
                self._peers[peer] = now + GRACE_S

    def point(self, local: Address, peer: Address, interface: int, encapsulation: Encapsulation) -> None:
        """The tunnel goes from ``local`` to ``peer`` from now on, by ``interface``."""
        port = PORT if encapsulation is Encapsulation.UDP else 0
        label = flow_label(local, self._home_address) if encapsulation is Encapsulation.IPV6 else 0
        wanted = Tunnel(TUNNEL, local, peer, encapsulation, interface, 0, label, port, port)
        self._close_at = None
        before = self.tunnel
        if before is None or replace(before, mtu=0) != wanted:
            self.tunnel = wanted
            self._emit(SetTunnel(wanted))
        self.accept(peer)
        if not self._forwarding:
            self._forwarding = True
            for home_address in self._home_addresses:
                self._emit(Forward(PLANE, Direction.FROM_HOME_ADDRESS, home_address, TUNNEL))

    def limit(self, mtu: int) -> None:
        """The largest inner packet in bytes; 0: whatever the link takes."""
        if self.tunnel is not None and self.tunnel.mtu != mtu:
            self.tunnel = replace(self.tunnel, mtu=mtu)
            self._emit(SetTunnel(self.tunnel))

    def stop_forwarding(self, now: float) -> None:
        """Nothing more goes into the tunnel; what is in it still comes out for a while."""
        self._unforward()
        if self.tunnel is not None:
            self._close_at = now + GRACE_S
        self.give_up_others((), now)

    def close(self) -> None:
        """Take everything down at once."""
        self._unforward()
        self._close_tunnel()
        self.set_prefix(None)
        for address in list(self.used):
            self._forget(address)
        self._emit(Unlisten(PLANE, self._home_address))

    def deadline(self) -> float | None:
        times = list(self._given_up.values())
        times.extend(time for time in (self._close_at, *self._peers.values()) if time is not None)
        return min(times, default=None)

    def wake(self, now: float) -> None:
        if self._close_at is not None and self._close_at <= now:
            self._close_tunnel()
        for peer, believed_until in list(self._peers.items()):
            if believed_until is not None and believed_until <= now:
                self._refuse(peer)
        for address, until in list(self._given_up.items()):
            if until <= now:
                self._forget(address)

    def _close_tunnel(self) -> None:
        self._close_at = None
        for peer in list(self._peers):
            self._refuse(peer)
        if self.tunnel is not None:
            self.tunnel = None
            self._emit(RemoveTunnel(TUNNEL))

    def _unforward(self) -> None:
        if self._forwarding:
            self._forwarding = False
            for home_address in self._home_addresses:
                self._emit(Unforward(PLANE, Direction.FROM_HOME_ADDRESS, home_address))

    def _refuse(self, peer: Peer) -> None:
        del self._peers[peer]
        for home_address in self._home_addresses:
            self._emit(Unaccept(PLANE, Direction.TO_HOME_ADDRESS, home_address, *peer))

    def _forget(self, address: Address) -> None:
        self._given_up.pop(address, None)
        self.used.pop(address, None)
        self._emit(Unlisten(PLANE, address))
        self._emit(ForgetCareOfAddress(address))
