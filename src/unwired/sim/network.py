"""The network between the nodes: links with routers, joined by a backbone, that delay, lose, repeat and reorder.

Packets travel as bytes, so that what one engine sends is what another one decodes. Routers filter by source as
providers do (BCP 38): what does not come from the link's own prefix goes no further.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from unwired.sim.timeline import Timeline
from unwired.wire.address import Address, format_address, in_prefix, is_link_local, is_multicast
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
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
    """A packet of an application, or such a packet in a tunnel: ``outer`` is the tunnel's (source, destination)."""

    number: int
    source: Address
    destination: Address
    sent_at: float
    outer: tuple[Address, Address] | None = None


class Station(Protocol):
    """A node's interface on a link."""

    def hears(self, packet: Packet) -> None:
        """A packet that is on the link: multicast, or unicast to an address of ours."""

    def owns(self, address: Address) -> bool:
        """Whether the kernel answers for this address on this link."""

    def takes(self, datagram: Datagram) -> None:
        """An application's packet for an address of ours."""


class Link:
    """A link with at most one router. ``advertises`` False: the router is a node (a home agent) and speaks itself."""

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
    ) -> None:
        self.network = network
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
        return in_prefix(address, self.prefix, 64)

    def send(self, packet: Packet, sender: Station) -> None:
        """A packet onto this link, from one of its stations."""
        data = encode_packet(packet)
        destination = packet.destination
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
        elif not self.covers(packet.source):
            self.network.count("filtered")
        elif not self.silent:
            self.network.carry(packet, self)

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
        question = encode_packet(Packet(_ASKER, destination, NeighborSolicitation(destination), hop_limit=255))
        for station in self.stations:
            if station is not sender:
                self._hand(question, station)

    def _give_up(self, destination: Address) -> None:
        if self._waiting.pop(destination, None):
            self.network.count("unreachable")

    def _hand(self, data: bytes, station: Station) -> None:
        def hear() -> None:
            if station in self.stations:
                station.hears(decode_packet(data))

        self._after(ON_LINK_DELAY_S, hear)

    def _ask_router(self, packet: Packet, sender: Station) -> None:
        if isinstance(packet.payload, NeighborSolicitation) and not self.silent:
            answer = NeighborAdvertisement(self.router, router=True, solicited=True, override=True)
            self._hand(encode_packet(Packet(self.router, packet.source, answer, hop_limit=255)), sender)

    def _advertise_periodically(self) -> None:
        self._advertise()
        self._after(self._interval_s * (0.75 + 0.25 * self.network.chance.random()), self._advertise_periodically)

    def _advertise(self) -> None:
        if self.silent:
            return
        options: tuple[NdOption, ...] = (
            SourceLinkLayerAddress(self.router_link_layer_address),
            PrefixInformation(self.prefix, 64, True, True, False, 86_400, 14_400),
        )
        if self._tell_interval:
            options += (AdvertisementInterval(round(self._interval_s * 1000)),)
        advertisement = RouterAdvertisement(router_lifetime_s=1800, options=options)
        destination = bytes.fromhex("ff02") + bytes(13) + b"\x01"
        data = encode_packet(Packet(self.router, destination, advertisement, hop_limit=255))
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
    ) -> Link:
        """A new link; ``path`` is what lies between it and the backbone, each way."""
        link = Link(self, name, prefix, path or Impairment(), len(self.links), advertises, interval_s)
        self.links.append(link)
        return link

    def carry(self, packet: Packet, origin: Link) -> None:
        """A packet from a link over the backbone to wherever its destination is."""
        self.trace.append((self.timeline.time, origin.name, packet))
        data = encode_packet(packet)
        for link in self.links:
            if link.covers(packet.destination):
                self._cross(origin, link, lambda link=link: link.arrive(data, packet.destination))  # type: ignore[misc]
                return
        self.count("no_route")

    def carry_datagram(self, datagram: Datagram, origin: Link | None) -> None:
        """An application's packet, in a tunnel or not; ``origin`` None: from a correspondent."""
        source, destination = datagram.outer or (datagram.source, datagram.destination)
        if origin is not None and not origin.covers(source):
            self.count("filtered")
            return
        if destination in self.correspondents:
            self._cross(origin, None, lambda: self.correspondents[destination](datagram))
            return
        for link in self.links:
            if link.covers(destination):
                self._cross(
                    origin,
                    link,
                    lambda link=link: link.arrive_datagram(datagram, destination),  # type: ignore[misc]
                )
                return
        self.count("no_route")

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
