"""Sending binding updates: when the rate limit lets them go, for how long they ask, and from which places at once.

Families race where nothing is known of the network, or where the first try was not answered: a binding update leaves by
each, the preferred one last and with the highest sequence number and timestamp, so that it wins at the home agent if it
arrives there at all.
"""

from collections.abc import Callable
from dataclasses import replace

from unwired.core.binding_update_list import BindingUpdateListEntry
from unwired.core.door import Now
from unwired.core.flow_label import flow_label
from unwired.core.ipv4_home_address import Ipv4HomeAddresses
from unwired.core.mobile_node_registration import HomeRegistration
from unwired.core.mobile_prefix_discovery import MobilePrefixDiscovery
from unwired.core.movement import Movement
from unwired.core.outbox import Outbox
from unwired.core.places import Away
from unwired.core.settings import MobileNodeSettings
from unwired.core.tunnel_rows import TunnelRows
from unwired.wire.address import format_address
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc6275 import LIFETIME_UNIT_S


class BindingUpdates:
    """``sent`` is called after each one, when its sequence number is to be kept.

    ``deferred``: the rate limit has put the last one off, so that its timer is no retransmission.
    """

    def __init__(
        self,
        settings: MobileNodeSettings,
        movement: Movement,
        registration: HomeRegistration,
        rows: TunnelRows,
        ipv4: Ipv4HomeAddresses,
        prefixes: MobilePrefixDiscovery,
        outbox: Outbox,
        sent: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._movement = movement
        self._registration = registration
        self._rows = rows
        self._ipv4 = ipv4
        self._prefixes = prefixes
        self._outbox = outbox
        self._sent = sent
        self.deferred = False

    def ask(self, entry: BindingUpdateListEntry, place: Away, alone: bool, now: Now) -> None:
        """Ask for the care-of address of ``place``; unless ``alone``, for those of its rivals too."""
        rivals = []
        if not alone:
            rivals = self._rivals(entry, place, now.monotonic) if entry.tries else self.newcomers(entry, place, now)
        if rivals and self._registration.allowed_at(now.monotonic, len(rivals) + 1) > now.monotonic:
            rivals = []
        if self._defer(entry, now):
            return
        self._race(entry, rivals, place, now)
        self._wait(entry, now)

    def join(self, entry: BindingUpdateListEntry, place: Away, now: Now) -> None:
        """Ask for what has become usable since ``place`` was asked for, and for ``place`` after it once more."""
        rivals = self.newcomers(entry, place, now)
        if rivals and self._registration.allowed_at(now.monotonic, len(rivals) + 1) <= now.monotonic:
            self._race(entry, rivals, place, now)

    def newcomers(self, entry: BindingUpdateListEntry, place: Away, now: Now) -> list[Away]:
        """The rivals of ``place`` that were not asked for in this attempt."""
        asked = {transmission.care_of_address for transmission in entry.outstanding}
        rivals = self._rivals(entry, place, now.monotonic)
        return [rival for rival in rivals if rival.care_of_address not in asked]

    def ask_to_remove(self, entry: BindingUpdateListEntry, interface: int, now: Now) -> None:
        """De-register, from the home link at ``interface``."""
        if not self._defer(entry, now):
            self.send_one(entry, None, 0, now, interface)
            self._wait(entry, now)

    def send_one(
        self, entry: BindingUpdateListEntry, place: Away | None, lifetime_units: int, now: Now, interface: int = 0
    ) -> None:
        """One binding update; ``place`` None: from the home address, on the home link at ``interface``."""
        options = self._ipv4.options() if lifetime_units else ()
        force_udp = self._settings.force_udp or (place is not None and self._movement.networks.of(place).udp_only)
        packet = self._registration.update(entry, place, lifetime_units, now, options, force_udp)
        self.send(packet, interface)
        self._outbox.counters["binding_updates_sent"] += 1
        self._sent()
        self._outbox.notify(
            "binding_update_sent",
            home_address=self._settings.home_address,
            home_agent=None if entry.home_agent is None else format_address(entry.home_agent),
            sequence=entry.sequence,
            care_of_address=format_address(self._settings.home_address if place is None else place.care_of_address),
            interface=self._movement.name(interface if place is None else place.interface),
            lifetime_s=lifetime_units * LIFETIME_UNIT_S,
            attempt=entry.tries + 1,
        )

    def send(self, packet: Packet, interface: int = 0) -> None:
        """Everything goes out with the flow label of its source address, as tunnelled packets do."""
        if packet.outer is None:
            packet = replace(packet, flow_label=flow_label(packet.source, self._settings.home_address))
        self._outbox.send(packet, interface)

    def _rivals(self, entry: BindingUpdateListEntry, place: Away, now: float) -> list[Away]:
        """The places of other families that are to be tried beside this one, but for the one that the home agent has
        acknowledged."""
        if self._movement.networks.works(place) and not entry.tries:
            return []
        has = None if entry.bound is None else entry.bound.care_of_address
        return [rival for rival in self._movement.rivals(place, now) if rival.care_of_address != has]

    def _race(self, entry: BindingUpdateListEntry, rivals: list[Away], place: Away, now: Now) -> None:
        for rival in rivals:
            self._rows.use(rival.care_of_address, rival.interface, rival.router)
            self.send_one(entry, rival, self._lifetime_units(rival, now.monotonic), now)
        self.send_one(entry, place, self._lifetime_units(place, now.monotonic), now)

    def _defer(self, entry: BindingUpdateListEntry, now: Now) -> bool:
        allowed_at = self._registration.allowed_at(now.monotonic)
        self.deferred = allowed_at > now.monotonic
        if self.deferred:
            entry.retransmit_at = allowed_at
        return self.deferred

    def _wait(self, entry: BindingUpdateListEntry, now: Now) -> None:
        entry.tries += 1
        entry.retransmit_at = now.monotonic + entry.timeout_s

    def _lifetime_units(self, place: Away, now: float) -> int:
        """No longer than home address and care-of address are valid (RFC 6275 section 11.7.1)."""
        valid_until = self._movement.valid_until(place.care_of_address, now)
        if self._prefixes.valid_until is not None:
            valid_until = min(valid_until, self._prefixes.valid_until)
        return self._registration.lifetime_units(max(0.0, valid_until - now))
