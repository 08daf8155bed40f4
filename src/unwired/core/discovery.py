"""Dynamic home agent address discovery and mobile prefix discovery at the home agent (RFC 6275 sections 10.5, 10.6)."""

from collections.abc import Callable
from dataclasses import dataclass

from unwired.core.binding_cache import BindingCache
from unwired.core.door import Now
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.home_link import prefix_options
from unwired.core.notices import Drop
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import HomeAgentSettings
from unwired.wire.address import Address, is_link_local, is_multicast, is_unicast_routable
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    RouterAdvertisement,
)
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import HomeAgentInformation, PrefixInformation

HOME_AGENTS_MAX = 256
"""Home agents of one link that are remembered."""
ADDRESSES_MAX = (1280 - 40 - 8) // 16
"""Addresses that fit into a reply of the minimum MTU (section 10.5.1)."""
_INFINITY_S = 0xFFFF_FFFF


@dataclass(slots=True)
class HomeAgentEntry:
    """Another home agent on the home link (section 10.1); times are monotonic seconds."""

    link_local_address: Address
    preference: int
    ends_at: float
    addresses: dict[Address, float]
    """Global address -> when its prefix ceases to be valid."""


def shuffled(items: list[Address], entropy: Callable[[int], bytes]) -> list[Address]:
    """The items in random order."""
    return [item for _, item in sorted((entropy(8), item) for item in items)]


class HomeAgentsList:
    """Who else is a home agent on the home link, from their router advertisements."""

    def __init__(self) -> None:
        self._entries: dict[Address, HomeAgentEntry] = {}

    def current(self, now: float) -> list[HomeAgentEntry]:
        """The entries whose lifetime is not over, with only valid addresses."""
        for link_local_address, entry in list(self._entries.items()):
            if entry.ends_at <= now:
                del self._entries[link_local_address]
            else:
                entry.addresses = {address: until for address, until in entry.addresses.items() if until > now}
        return list(self._entries.values())

    def advertised(self, source: Address, message: RouterAdvertisement, now: float) -> bool:
        """A valid router advertisement from another router; False when there is no room for it (section 10.5.1)."""
        if not message.home_agent:
            self._entries.pop(source, None)
            return True
        preference, lifetime_s = 0, message.router_lifetime_s
        for option in message.options:
            if type(option) is HomeAgentInformation:
                preference, lifetime_s = option.preference, option.lifetime_s
        if lifetime_s == 0:
            self._entries.pop(source, None)
            return True
        entry = self._entries.get(source)
        if entry is None:
            if len(self._entries) >= HOME_AGENTS_MAX and len(self.current(now)) >= HOME_AGENTS_MAX:
                return False
            entry = self._entries[source] = HomeAgentEntry(source, preference, 0.0, {})
        entry.preference = preference
        entry.ends_at = now + lifetime_s
        for option in message.options:
            if type(option) is PrefixInformation and option.router_address and is_unicast_routable(option.prefix):
                if option.valid_lifetime_s == 0:
                    entry.addresses.pop(option.prefix, None)
                elif option.prefix in entry.addresses or len(entry.addresses) < ADDRESSES_MAX:
                    forever = option.valid_lifetime_s == _INFINITY_S
                    entry.addresses[option.prefix] = float("inf") if forever else now + option.valid_lifetime_s
        return True


class Discovery:
    """Answers the discovery of home agents, and of prefixes where that is on."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        cache: BindingCache,
        members: HomeAgentSet | None,
        outbox: Outbox,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._members = members
        self._cache = cache
        self._outbox = outbox
        self._entropy = entropy
        self._answers = TokenBucket(rate=100.0, burst=100)
        self._advertised_at: dict[Address, float] = {}
        self.home_agents = HomeAgentsList()

    def router_advertisement(self, packet: Packet, message: RouterAdvertisement, own: Address, now: Now) -> None:
        """Another router on the home link; ``own`` is our link-local address there."""
        if not is_link_local(packet.source):
            self._outbox.drop(Drop.FORGED_SOURCE)
        elif packet.source != own and not self.home_agents.advertised(packet.source, message, now.monotonic):
            self._outbox.drop(Drop.TABLE_FULL)

    def addresses(self, now: float) -> list[Address]:
        """The home agents' addresses by decreasing preference, equal ones in random order, ourselves among them. Those
        of a set in the order of their distance: the question came to the nearest, which are we."""
        if self._members is not None:
            return self._members.addresses_nearest_first()[:ADDRESSES_MAX]
        by_preference: dict[int, list[list[Address]]] = {self._settings.preference: [[self._settings.address]]}
        for entry in self.home_agents.current(now):
            addresses = shuffled([a for a in entry.addresses if a != self._settings.address], self._entropy)
            by_preference.setdefault(entry.preference, []).append(addresses)
        ordered: list[Address] = []
        for preference in sorted(by_preference, reverse=True):
            agents = sorted((self._entropy(8), addresses) for addresses in by_preference[preference])
            ordered += (address for _, addresses in agents for address in addresses)
        return ordered[:ADDRESSES_MAX]

    def address_request(self, packet: Packet, message: HomeAgentAddressDiscoveryRequest, now: Now) -> None:
        """A mobile node looks for a home agent. Limited, because the answer is larger than the question."""
        if is_multicast(packet.source) or not is_unicast_routable(packet.source):
            self._outbox.drop(Drop.FORGED_SOURCE)
            return
        if not self._answers.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
            return
        reply = HomeAgentAddressDiscoveryReply(message.identifier, tuple(self.addresses(now.monotonic)))
        self._outbox.send(Packet(self._settings.address, packet.source, reply))
        self._outbox.counters["home_agent_address_discoveries_answered"] += 1

    def prefix_solicitation(self, packet: Packet, message: MobilePrefixSolicitation, now: Now) -> None:
        """A mobile node that is away asks for the home link's prefixes. Its binding was checked by the caller.

        Nothing here authenticates ICMPv6, so that it is off unless the operator asked for insecure operation
        (RFC 4285 section 2).
        """
        home_address = packet.home_address
        if not self._settings.insecure:
            self._outbox.drop(Drop.PREFIX_DISCOVERY_OFF)
            return
        if home_address is None or self._cache.at_care_of_address(home_address, packet.source) is None:
            self._outbox.drop(Drop.FORGED_SOURCE)
            return
        # "MUST NOT send more than one Mobile Prefix Advertisement message per second to any mobile node" (6.8).
        if now.monotonic - self._advertised_at.get(home_address, float("-inf")) < 1.0:
            self._outbox.drop(Drop.RATE_LIMITED)
            return
        if len(self._advertised_at) >= self._settings.bindings_max:
            self._advertised_at = {
                address: at for address, at in self._advertised_at.items() if now.monotonic - at < 1.0
            }
        self._advertised_at[home_address] = now.monotonic
        advertisement = MobilePrefixAdvertisement(message.identifier, options=tuple(prefix_options(self._settings)))
        self._outbox.send(
            Packet(self._settings.address, packet.source, advertisement, routing_home_address=home_address)
        )
        self._outbox.counters["mobile_prefix_advertisements_sent"] += 1
