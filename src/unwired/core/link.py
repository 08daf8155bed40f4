"""One interface of a mobile node: the routers heard on its link, the addresses the host has there, and the
solicitations that find out where it is (RFC 4861 section 6.3, RFC 6275 section 11.5.1). What is IPv4 there is in
``ipv4_configuration.py``.

Nothing heard before the link came up counts afterwards. A router is doubted when its advertisements stay away, when the
link came up again without having been seen to go down, or when a router with other prefixes turns up beside it; it is
then asked, and forgotten when it does not answer in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from unwired.core.ipv4_configuration import Ipv4Configuration
from unwired.core.notices import Drop
from unwired.wire.address import (
    ALL_ROUTERS,
    UNSPECIFIED,
    Address,
    in_prefix,
    is_link_local,
    is_unicast_routable,
    network,
)
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import (
    PREFIX_LENGTH_MAX,
    AdvertisementInterval,
    PrefixInformation,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
)

ND_HOP_LIMIT = 255
"""What cannot have been forwarded by a router (RFC 4861 section 6.1)."""
SOLICITATION_OFFSETS_S = (0.0, 0.1, 0.25, 0.5, 1.0)
"""When to solicit, from the hint of movement on. RFC 4861 section 6.3.7 lets a mobile node skip the random delay; the
repeats are quicker than its 4 s because a lost solicitation is a lost second of traffic."""
SOLICITATION_INTERVAL_S = 4.0
"""RTR_SOLICITATION_INTERVAL (RFC 4861 section 10); doubled each time (RFC 7559) up to the maximum below."""
SOLICITATION_INTERVAL_MAX_S = 60.0
SILENCE_SLACK_S = 0.05
"""How much later than its own maximum interval an advertisement may come."""
SUSPECT_TIMEOUT_S = 1.6
"""How long a silent router has to answer: past the fifth solicitation."""
CONFIGURATION_S = 0.5
"""From a new router's advertisement to an optimistic address in its prefix the host takes milliseconds; for so long
nothing is concluded from there being none."""
PROBE_TIMEOUT_S = 0.2
"""How long the old router has to answer when another one with other prefixes was heard."""
ROUTERS_MAX = 32
PREFIXES_MAX = 64
"""Routers of a link and prefixes of a router that are remembered: anybody on the link can make up more."""


class Doubt(Enum):
    """Whether a router is still there."""

    NONE = "heard"
    PROBED = "probed"
    """Another router with other prefixes was heard; this one is asked and stays in use meanwhile."""
    SUSPECT = "suspect"
    """It was silent too long, or the link came up again: gone as soon as another router is heard."""


@dataclass(frozen=True, slots=True)
class HostAddress:
    prefix_length: int
    optimistic: bool
    since_link_up: bool
    """Given to us after the link came up, so by this link and not by the one before."""


@dataclass(frozen=True, slots=True)
class OnLinkPrefix:
    prefix: Address
    length: int
    autonomous: bool
    valid_until: float
    preferred_until: float


@dataclass(slots=True)
class Router:
    """A router heard since the link came up. Times are monotonic seconds."""

    link_local_address: Address
    link_layer_address: bytes
    first_heard_at: float
    heard_at: float
    default_until: float = 0.0
    managed: bool = False
    interval_s: float | None = None
    prefixes: dict[tuple[Address, int], OnLinkPrefix] = field(default_factory=dict)
    doubt: Doubt = Doubt.NONE
    doubt_until: float = 0.0

    def learn(self, prefixes: dict[tuple[Address, int], OnLinkPrefix], now: float) -> None:
        """Take up advertised prefixes in place of those that are over."""
        self.prefixes = {key: known for key, known in self.prefixes.items() if known.valid_until > now}
        for key, prefix in prefixes.items():
            if key in self.prefixes or len(self.prefixes) < PREFIXES_MAX:
                self.prefixes[key] = prefix

    def advertises(self, address: Address, now: float) -> OnLinkPrefix | None:
        """The valid prefix of this router that ``address`` is in."""
        for prefix in self.prefixes.values():
            if prefix.valid_until > now and in_prefix(address, prefix.prefix, prefix.length):
                return prefix
        return None

    def expected_by(self) -> float | None:
        """When its next advertisement should have come (RFC 6275 section 7.3)."""
        if self.interval_s is None or self.doubt is not Doubt.NONE:
            return None
        return self.heard_at + self.interval_s + SILENCE_SLACK_S

    def expiries(self) -> Iterator[float]:
        yield self.default_until
        for prefix in self.prefixes.values():
            yield prefix.valid_until


class Link:
    """``index`` and ``name`` as the host calls the interface; ``rank`` 0 is the most preferred."""

    def __init__(self, index: int, name: str, rank: int) -> None:
        self.index = index
        self.name = name
        self.rank = rank
        self.up = False
        self.link_layer_address = b""
        self.mtu = 0
        self.ipv4 = Ipv4Configuration()
        self.addresses: dict[Address, HostAddress] = {}
        self.routers: dict[Address, Router] = {}
        self.packets: list[Packet] = []
        self._solicited_from = 0.0
        self._solicitations = 0
        self._solicit_at: float | None = None

    # --- what happened ---------------------------------------------------------------------------------------------

    def came_up(self, link_layer_address: bytes, now: float) -> None:
        """There is carrier. When it was never seen to go, what is known stays in use until a router is heard."""
        self.link_layer_address = link_layer_address
        for router in self.routers.values():
            router.doubt, router.doubt_until = Doubt.SUSPECT, now + SUSPECT_TIMEOUT_S
        if not self.up:
            self.addresses = {
                address: HostAddress(known.prefix_length, known.optimistic, False)
                for address, known in self.addresses.items()
            }
        self.up = True
        self.ipv4.came_up(now)
        self.solicit(now)

    def went_down(self) -> None:
        self.up = False
        self.ipv4.went_down()
        self.routers.clear()
        self._solicit_at = None

    def add_address(self, address: Address, prefix_length: int, optimistic: bool) -> None:
        known = self.addresses.get(address)
        since = self.up if known is None else known.since_link_up
        self.addresses[address] = HostAddress(prefix_length, optimistic, since)

    def remove_address(self, address: Address) -> None:
        self.addresses.pop(address, None)

    def advertised(self, packet: Packet, advertisement: RouterAdvertisement, now: float) -> Drop | None:
        """A router advertisement came in. Why it is dropped, if it is (RFC 4861 section 6.1.2)."""
        if packet.hop_limit != ND_HOP_LIMIT or not is_link_local(packet.source):
            return Drop.BEYOND_THE_LINK
        if not self.up:
            return None
        if packet.source not in self.routers and len(self.routers) >= ROUTERS_MAX:
            return Drop.TABLE_FULL
        prefixes = _prefixes(advertisement, now)
        router, is_new = self._router(packet.source, advertisement, prefixes, now)
        router.heard_at = now
        router.doubt = Doubt.NONE
        router.default_until = now + advertisement.router_lifetime_s
        router.managed = advertisement.managed
        router.learn(prefixes, now)
        router.interval_s = None
        for option in advertisement.options:
            if isinstance(option, AdvertisementInterval) and option.interval_ms:
                router.interval_s = option.interval_ms / 1000
        # RFC 4861 section 6.3.7: a valid advertisement ends the solicitations, unless another router is in doubt.
        if all(known.doubt is Doubt.NONE for known in self.routers.values()):
            self._solicit_at = None
        self._doubt_others(router, is_new, now)
        return None

    def neighbor_advertised(self, packet: Packet, advertisement: NeighborAdvertisement, now: float) -> None:
        """An answer of a router that was asked: it is there after all (RFC 6275 section 11.5.1)."""
        router = self.routers.get(advertisement.target)
        if router is None or packet.hop_limit != ND_HOP_LIMIT or not advertisement.solicited:
            return
        for option in advertisement.options:
            if (
                isinstance(option, TargetLinkLayerAddress)
                and router.link_layer_address
                and option.address != router.link_layer_address
            ):
                return  # another router of the same link-local address: RFC 6059 section 5.7.1
        router.doubt = Doubt.NONE
        router.heard_at = now
        if all(known.doubt is Doubt.NONE for known in self.routers.values()):
            self._solicit_at = None

    def solicit(self, now: float) -> None:
        """Ask who is there, now and again until a router answers."""
        self._solicit_at = None
        self.seek(now)

    def seek(self, now: float) -> None:
        """Like ``solicit``, unless solicitations are on their way already."""
        if self._solicit_at is None and self.up:
            self._solicited_from = now
            self._send_solicitations()
            self._solicitations = 1
            self._solicit_at = self._next_solicitation(now)

    # --- what is known ---------------------------------------------------------------------------------------------

    def home_router(
        self, home_address: Address, home_prefix_length: int, current: Address | None, now: float
    ) -> Router | None:
        """A router that advertises the home prefix: this is the home link (RFC 6275 section 11.5.2). One that is a
        default router, if there is one, and not in doubt; among equals ``current`` (a link-local address)."""
        found = [
            router
            for router in (self.routers.values() if self.up else ())
            if (prefix := router.advertises(home_address, now)) is not None and prefix.length == home_prefix_length
        ]
        return min(
            found,
            key=lambda router: (
                router.default_until <= now,
                router.doubt is not Doubt.NONE,
                router.link_local_address != current,
            ),
            default=None,
        )

    def care_of_addresses(self, home_address: Address, now: float) -> list[tuple[Address, Router]]:
        """Addresses of this host that a default router on this link has verified, the best first.

        The primary care-of address has a prefix that its default router advertises (RFC 6275 section 11.5.4), or was
        given by the managed configuration that the router points to.
        """
        found: list[tuple[tuple[bool, bool, bool, float], Address, Router]] = []
        for router in self.routers.values() if self.up else ():
            if router.default_until <= now:
                continue
            for address, known in self.addresses.items():
                if not is_unicast_routable(address) or address == home_address:
                    continue
                prefix = router.advertises(address, now)
                if prefix is None and not (router.managed and known.since_link_up):
                    continue
                deprecated = prefix is not None and prefix.preferred_until <= now
                order = (router.doubt is Doubt.SUSPECT, deprecated, known.optimistic, -router.heard_at)
                found.append((order, address, router))
        return [(address, router) for _, address, router in sorted(found, key=lambda item: item[0])]

    def awaits_address(self, now: float) -> bool:
        """A new router advertises a prefix, in which the host has no address yet but surely will in a moment."""
        return any(
            now < router.first_heard_at + CONFIGURATION_S
            and router.doubt is Doubt.NONE
            and router.default_until > now
            and any(
                prefix.autonomous
                and not any(in_prefix(address, prefix.prefix, prefix.length) for address in self.addresses)
                for prefix in router.prefixes.values()
            )
            for router in self.routers.values()
        )

    def link_local_address(self, settled: bool) -> Address | None:
        """Our link-local address; ``settled``: only one that is no longer optimistic."""
        for address, known in self.addresses.items():
            if is_link_local(address) and not (settled and known.optimistic):
                return address
        return None

    # --- time ------------------------------------------------------------------------------------------------------

    def deadline(self, now: float) -> float | None:
        if not self.up:
            return None
        times = [time for time in (self._solicit_at, self.ipv4.deadline(now)) if time is not None]
        for router in self.routers.values():
            if router.doubt is not Doubt.NONE:
                times.append(router.doubt_until)
            expected = router.expected_by()
            if expected is not None:
                times.append(expected)
            configured = router.first_heard_at + CONFIGURATION_S
            times.extend(time for time in (*router.expiries(), configured) if time > now)
        return min(times, default=None)

    def wake(self, now: float) -> None:
        if not self.up:
            return
        for router in list(self.routers.values()):
            expected = router.expected_by()
            if router.doubt is not Doubt.NONE and router.doubt_until <= now:
                self._forget(router, now)
            elif expected is not None and expected <= now:
                router.doubt, router.doubt_until = Doubt.SUSPECT, now + SUSPECT_TIMEOUT_S
                self.seek(now)
        if self._solicit_at is not None and self._solicit_at <= now:
            self._send_solicitations()
            self._solicitations += 1
            self._solicit_at = self._next_solicitation(now)

    def _next_solicitation(self, now: float) -> float:
        if self._solicitations < len(SOLICITATION_OFFSETS_S):
            return max(now, self._solicited_from + SOLICITATION_OFFSETS_S[self._solicitations])
        doublings = min(self._solicitations - len(SOLICITATION_OFFSETS_S), 10)
        return now + min(SOLICITATION_INTERVAL_S * float(2**doublings), SOLICITATION_INTERVAL_MAX_S)

    def _send_solicitations(self) -> None:
        """One router solicitation, and one neighbor solicitation to each router that is doubted."""
        settled = self.link_local_address(settled=True)
        source = settled or self.link_local_address(settled=False) or UNSPECIFIED
        # RFC 4429 section 3.2: no source link-layer address from an optimistic address; RFC 4861: nor from none.
        own = (SourceLinkLayerAddress(self.link_layer_address),) if settled and self.link_layer_address else ()
        self.packets.append(Packet(source, ALL_ROUTERS, RouterSolicitation(own), hop_limit=ND_HOP_LIMIT))
        if settled is None:
            return  # RFC 4429 section 3.2: no neighbor solicitation from an optimistic address
        for router in self.routers.values():
            if router.doubt is not Doubt.NONE:
                target = router.link_local_address
                solicitation = NeighborSolicitation(target, own)
                self.packets.append(Packet(settled, target, solicitation, hop_limit=ND_HOP_LIMIT))

    # --- routers ---------------------------------------------------------------------------------------------------

    def _router(
        self,
        source: Address,
        advertisement: RouterAdvertisement,
        prefixes: dict[tuple[Address, int], OnLinkPrefix],
        now: float,
    ) -> tuple[Router, bool]:
        """The router that sent this, and whether it is a new one.

        Link-local addresses repeat from link to link: with another link-layer address (RFC 6059 section 4), or failing
        that with none of the prefixes it had, it is another router."""
        link_layer_address = b""
        for option in advertisement.options:
            if isinstance(option, SourceLinkLayerAddress):
                link_layer_address = option.address
        router = self.routers.get(source)
        if router is not None:
            if link_layer_address and router.link_layer_address:
                same = link_layer_address == router.link_layer_address
            else:
                same = not prefixes or not router.prefixes or not prefixes.keys().isdisjoint(router.prefixes)
            if same:
                return router, False
        router = Router(source, link_layer_address, now, now)
        self.routers[source] = router
        return router, True

    def _doubt_others(self, heard: Router, is_new: bool, now: float) -> None:
        """Another router with other prefixes may be one more on this link, or all there is on the next: RFC 6275
        section 11.5.1 says to keep the old one while it can be reached, so ask it."""
        for router in list(self.routers.values()):
            if router is heard or not heard.prefixes or not heard.prefixes.keys().isdisjoint(router.prefixes):
                continue
            if router.doubt is Doubt.SUSPECT:
                del self.routers[router.link_local_address]
            elif router.doubt is Doubt.NONE and is_new:
                router.doubt, router.doubt_until = Doubt.PROBED, now + PROBE_TIMEOUT_S
                self.solicit(now)

    def _forget(self, router: Router, now: float) -> None:
        del self.routers[router.link_local_address]
        if not self.routers:
            self.seek(now)


def _prefixes(advertisement: RouterAdvertisement, now: float) -> dict[tuple[Address, int], OnLinkPrefix]:
    found = {}
    for option in advertisement.options:
        if (
            isinstance(option, PrefixInformation)
            and option.prefix_length <= PREFIX_LENGTH_MAX
            and not is_link_local(option.prefix)
        ):
            # With the R bit the field holds a whole address; the prefix is its leading bits (RFC 6275 section 7.2).
            prefix = network(option.prefix, option.prefix_length)
            found[prefix, option.prefix_length] = OnLinkPrefix(
                prefix,
                option.prefix_length,
                option.autonomous,
                now + option.valid_lifetime_s,
                now + option.preferred_lifetime_s,
            )
    return found
