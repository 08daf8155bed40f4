"""The network between the nodes: links with routers, joined by a backbone, that delay, lose, repeat and reorder.

Packets travel as bytes, so that what one engine sends is what another one decodes. Routers filter by source as
providers do (BCP 38): what does not come from the link's own prefix goes no further. IPv4 passes the NATs of its link,
if it has some (``nat.py``).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from unwired.core.settings import Family, Prefix
from unwired.sim.nat import Nat
from unwired.sim.timeline import Timeline
from unwired.wire.address import Address, format_address, in_prefix, is_ipv4, is_link_local, is_multicast
from unwired.wire.datagram import decode_datagram, encode_datagram, route_of
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv4 import UdpDatagram
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.nd_options import (
    AdvertisementInterval,
    NdOption,
    PrefixInformation,
    SourceLinkLayerAddress,
)

ON_LINK_DELAY_S = 0.000_1
RESOLUTION_S = 3.0
"""How long a packet waits for its neighbour to be found (RFC 4861 section 7.2.2)."""
_ASKER = bytes.fromhex("fe80") + bytes(13) + b"\xaa"
"""Whoever on the link looks for a neighbour, as its kernel does."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to packets on a path. Probabilities are 0 to 1; ``jitter_s`` is added evenly distributed and so
    reorders; ``straggler`` is the chance to be ``straggler_s`` late."""

    delay_s: float = 0.01
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    straggler: float = 0.0
    straggler_s: float = 0.0

    def arrivals(self, chance: random.Random) -> list[float]:
        """The delays after which a packet's copies arrive; none when it is lost."""
        found = []
        for copy in range(2):
            if copy == 1 and chance.random() >= self.duplicate:
                break
            if chance.random() < self.loss:
                continue
            delay_s = self.delay_s + chance.random() * self.jitter_s
            if chance.random() < self.straggler:
                delay_s += self.straggler_s
            found.append(delay_s)
        return found


@dataclass(frozen=True, slots=True)
class Datagram:
    """A packet of an application, of either family, or such a packet in a tunnel: ``outer``."""

    number: int
    source: Address
    destination: Address
    sent_at: float
    outer: Outer | None = None


class Station(Protocol):
    """A node's interface on a link."""

    def hears(self, packet: Packet) -> None:
        """A packet that is on the link: multicast, or unicast to an address of ours."""

    def owns(self, address: Address) -> bool:
        """Whether the kernel answers for this address on this link."""

    def takes(self, datagram: Datagram) -> None:
        """An application's packet for an address of ours."""


class Link:
    """A link with at most one router. ``advertises`` False: the router is a node (a home agent) and speaks itself.

    ``ipv4`` are the IPv4 prefixes there; the first is what hosts are configured from, with its first address as router.
    ``nats``, from the inside out, are between it and the backbone.
    """

    def __init__(
        self,
        network: "Network",
        name: str,
        prefix: Address,
        path: Impairment,
        number: int,
        advertises: bool = True,
        interval_s: float = 3.0,
        tell_interval: bool = True,
        ipv4: tuple[Prefix, ...] = (),
        nats: tuple[Nat, ...] = (),
    ) -> None:
        self.network = network
        self.ipv4 = ipv4
        self.nats = nats
        self.dead: set[Family] = set()
        """Families that do not get beyond the router, which goes on as if nothing was."""
        self.only_udp = False
        """Of IPv4 only UDP passes, as some firewalls have it."""
        self.carries = 0
        """Bytes of the largest packet that is not lost beyond the router, without a word; 0: any."""
        self.name = name
        self.prefix = prefix
        self.path = path
        self.router = bytes.fromhex("fe80") + bytes(13) + b"\x01"
        self.router_link_layer_address = bytes((2, 0, 0, 0, 1, number))
        self.silent = False
        """The router has failed or is out of reach."""
        self.stations: list[Station] = []
        self._advertises = advertises
        self._interval_s = interval_s
        self._tell_interval = tell_interval
        self._waiting: dict[Address, list[bytes]] = {}
        if advertises:
            network.timeline.after(network.chance.random() * interval_s, self._advertise_periodically)

    def covers(self, address: Address) -> bool:
        if is_ipv4(address):
            return any(in_prefix(address, *prefix) for prefix in self.ipv4)
        return bool(any(self.prefix)) and in_prefix(address, self.prefix, 64)

    @property
    def router_ipv4(self) -> Address:
        """Hosts' default router, where there is IPv4."""
        return self.ipv4[0][0][:-1] + b"\x01"

    def send(self, packet: Packet, sender: Station) -> None:
        """A packet onto this link, from one of its stations."""
        data = encode_datagram(packet)
        source, destination = route_of(packet)
        if destination == _ASKER and isinstance(packet.payload, NeighborAdvertisement):
            for waiting in self._waiting.pop(packet.payload.target, []):
                self._hand(waiting, sender)
        elif is_multicast(destination):
            for station in list(self.stations):
                if station is not sender:
                    self._hand(data, station)
            if self._advertises and isinstance(packet.payload, RouterSolicitation):
                self._after(self.network.router_delay_s, self._advertise)
        elif destination == self.router and self._advertises:
            self._ask_router(packet, sender)
        elif is_link_local(destination) or self.covers(destination):
            self._deliver(data, destination, sender)
        elif not self.covers(source):
            self.network.count("filtered")
        elif self.carries and len(data) > self.carries:
            self.network.count("too_big")
        elif not self.silent:
            # As it is on the wire: a tunnel's outer header is what routers see.
            self.network.carry(decode_datagram(data), self)

    def arrive(self, data: bytes, destination: Address) -> None:
        """A packet from the backbone for a station here."""
        if not self.silent:
            self._deliver(data, destination, None)

    def arrive_datagram(self, datagram: Datagram, destination: Address) -> None:
        for station in list(self.stations):
            if not self.silent and station.owns(destination):
                station.takes(datagram)
                return
        self.network.count("unreachable")

    def _deliver(self, data: bytes, destination: Address, sender: Station | None) -> None:
        """To the station that answers for the address; solicited first when no kernel is known to have it."""
        for station in self.stations:
            if station is not sender and station.owns(destination):
                self._hand(data, station)
                return

        self._waiting.setdefault(destination, []).append(data)
        self._after(RESOLUTION_S, lambda: self._give_up(destination))
        if is_ipv4(destination):
            return  # ARP: nobody answers
        question = encode_datagram(Packet(_ASKER, destination, NeighborSolicitation(destination), hop_limit=255))
        for station in self.stations:
            if station is not sender:
                self._hand(question, station)

    def _give_up(self, destination: Address) -> None:
        if self._waiting.pop(destination, None):
            self.network.count("unreachable")

    def _hand(self, data: bytes, station: Station) -> None:
        def hear() -> None:
            if station in self.stations:
                station.hears(decode_datagram(data))

        self._after(ON_LINK_DELAY_S, hear)

    def _ask_router(self, packet: Packet, sender: Station) -> None:
        if isinstance(packet.payload, NeighborSolicitation) and not self.silent:
            answer = NeighborAdvertisement(self.router, router=True, solicited=True, override=True)
            self._hand(encode_datagram(Packet(self.router, packet.source, answer, hop_limit=255)), sender)

    def _advertise_periodically(self) -> None:
        self._advertise()
        self._after(self._interval_s * (0.75 + 0.25 * self.network.chance.random()), self._advertise_periodically)

    def _advertise(self) -> None:
        if self.silent or not any(self.prefix):
            return
        options: tuple[NdOption, ...] = (
            SourceLinkLayerAddress(self.router_link_layer_address),
            PrefixInformation(self.prefix, 64, True, True, False, 86_400, 14_400),
        )
        if self._tell_interval:
            options += (AdvertisementInterval(round(self._interval_s * 1000)),)
        advertisement = RouterAdvertisement(router_lifetime_s=1800, options=options)
        destination = bytes.fromhex("ff02") + bytes(13) + b"\x01"
        data = encode_datagram(Packet(self.router, destination, advertisement, hop_limit=255))
        for station in list(self.stations):
            self._hand(data, station)

    def _after(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.network.timeline.after(delay_s, callback)


class Network:
    """Links, the backbone between them, and the trace of what went by. The same seed gives the same run."""

    def __init__(self, seed: int, router_delay_s: float = 0.000_2) -> None:
        self.timeline = Timeline()
        self.chance = random.Random(seed)
        self.router_delay_s = router_delay_s
        self.links: list[Link] = []
        self.counts: dict[str, int] = {}
        self.trace: list[tuple[float, str, Packet]] = []
        """(time sent, name of the link it was sent from, packet) of all that crossed the backbone."""
        self.correspondents: dict[Address, Callable[[Datagram], None]] = {}
        """Addresses beyond the backbone that only applications use."""

    def link(
        self,
        name: str,
        prefix: Address,
        path: Impairment | None = None,
        advertises: bool = True,
        interval_s: float = 3.0,
        ipv4: tuple[Prefix, ...] = (),
        nats: tuple[Nat, ...] = (),
    ) -> Link:
        """A new link; ``path`` is what lies between it and the backbone, each way. ``prefix`` all zero: no IPv6."""
        number = len(self.links)
        link = Link(self, name, prefix, path or Impairment(), number, advertises, interval_s, True, ipv4, nats)
        self.links.append(link)
        return link

    def carry(self, packet: Packet, origin: Link) -> None:
        """A packet from a link over the backbone to wherever its destination is."""
        self.trace.append((self.timeline.time, origin.name, packet))
        ends = self._leaving(origin, _ends(packet))
        if ends is None:
            return
        target = self._target(ends.destination)
        if target is None:
            self.count("no_route")
            return
        packet = _with_ends(packet, ends)

        def arrive() -> None:
            inside = self._entering(target, _ends(packet))
            if inside is not None:
                data = encode_datagram(_with_ends(packet, inside))
                if target.carries and len(data) > target.carries:
                    self.count("too_big")
                else:
                    target.arrive(data, inside.destination)

        self._cross(origin, target, arrive)

    def carry_datagram(self, datagram: Datagram, origin: Link | None) -> None:
        """An application's packet, in a tunnel or not; ``origin`` None: from a correspondent."""
        ends: Outer | None = datagram.outer or Outer(datagram.source, datagram.destination)
        if ends is not None and origin is not None:
            if not origin.covers(ends.source):
                self.count("filtered")
                return
            ends = self._leaving(origin, ends)
        if ends is None:
            return
        if ends.destination in self.correspondents:
            self._cross(origin, None, lambda: self.correspondents[datagram.destination](datagram))
            return
        target, outside = self._target(ends.destination), ends
        if target is None:
            self.count("no_route")
            return

        def arrive() -> None:
            inside = self._entering(target, outside)
            if inside is not None:
                arrived = replace(datagram, outer=inside) if datagram.outer is not None else datagram
                target.arrive_datagram(arrived, inside.destination)

        self._cross(origin, target, arrive)

    def _target(self, destination: Address) -> Link | None:
        """The link that an address is on, or behind whose NATs it is."""
        for link in self.links:
            if link.nats and is_ipv4(destination):
                if link.nats[-1].address == destination:
                    return link
            elif link.covers(destination):
                return link
        return None

    def _leaving(self, link: Link, ends: Outer) -> Outer | None:
        """The ends of a packet from this link as the backbone sees them; None: it does not get there."""
        if not self._passes(link, ends):
            return None
        found: Outer | None = ends
        for nat in link.nats if is_ipv4(ends.source) else ():
            found = None if found is None else nat.outward(found)
        if found is None:
            self.count("nat_refused")
        return found

    def _entering(self, link: Link, ends: Outer) -> Outer | None:
        """The reverse, when the packet arrives."""
        if not self._passes(link, ends):
            return None
        found: Outer | None = ends
        for nat in reversed(link.nats) if is_ipv4(ends.source) else ():
            found = None if found is None else nat.inward(found)
        if found is None:
            self.count("nat_refused")
        return found

    def _passes(self, link: Link, ends: Outer) -> bool:
        family = Family.IPV4 if is_ipv4(ends.source) else Family.IPV6
        if family in link.dead or (link.only_udp and family is Family.IPV4 and not ends.source_port):
            self.count("blocked")
            return False
        return True

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _cross(self, origin: Link | None, target: Link | None, arrive: Callable[[], None]) -> None:
        outward = origin.path.arrivals(self.chance) if origin is not None else [0.0]
        for first in outward:
            inward = target.path.arrivals(self.chance) if target is not None else [0.0]
            for second in inward:
                self.timeline.after(first + second, arrive)
            if not inward:
                self.count("lost")
        if not outward:
            self.count("lost")

    def describe(self) -> str:
        """The trace as text, one packet a line: for a failing test."""
        return "\n".join(
            f"{time:10.4f} {name:8} {format_address(packet.source)} > {format_address(packet.destination)} "
            f"{type(packet.payload).__name__}"
            for time, name, packet in self.trace
        )


def _ends(packet: Packet) -> Outer:
    """Addresses and UDP ports of the outermost headers; a tunnel without UDP has no ports."""
    if packet.outer is not None:
        return packet.outer
    if isinstance(packet.payload, UdpDatagram):
        ports = packet.payload.source_port, packet.payload.destination_port
        return Outer(packet.source, packet.destination, *ports)
    return Outer(packet.source, packet.destination)


def _with_ends(packet: Packet, ends: Outer) -> Packet:
    if packet.outer is not None:
        return replace(packet, outer=ends)
    packet = replace(packet, source=ends.source, destination=ends.destination)
    if isinstance(packet.payload, UdpDatagram):
        return replace(packet, payload=UdpDatagram(ends.source_port, ends.destination_port, packet.payload.data))
    return packet
