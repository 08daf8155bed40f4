"""What a mobile node writes to the journal, and what it finds there when it starts."""

from unwired.core.binding_update_list import BindingUpdateListEntry, SavedEntry
from unwired.core.door import Now, Persist
from unwired.core.forwarding import Encapsulation
from unwired.core.home_placement import HomePlacement
from unwired.core.ipv4_home_address import Ipv4HomeAddresses
from unwired.core.movement import Movement
from unwired.core.outbox import Outbox
from unwired.core.settings import MobileNodeSettings
from unwired.core.tunnel_rows import TunnelRows

RECORD_KEY = b"mobile-node/"
"""The journal's key is this and the home address."""


class MobileNodeJournal:
    """``saved`` is what an earlier run left, if it did."""

    def __init__(
        self,
        settings: MobileNodeSettings,
        movement: Movement,
        rows: TunnelRows,
        placement: HomePlacement,
        ipv4: Ipv4HomeAddresses,
        outbox: Outbox,
    ) -> None:
        self._settings = settings
        self._movement = movement
        self._rows = rows
        self._placement = placement
        self._ipv4 = ipv4
        self._outbox = outbox
        self._token = 0
        self.saved: SavedEntry | None = None

    def has_binding(self, now: Now) -> bool:
        """Whether a home agent may still have what an earlier run registered."""
        saved = self.saved
        return saved is not None and saved.expires_wall is not None and saved.expires_wall > now.wall

    def write(self, entry: BindingUpdateListEntry, switch_timestamp: int | None, now: Now) -> None:
        self._token += 1
        interface, tunnel = self._placement.interface or 0, self._rows.tunnel
        record = SavedEntry.of(
            entry,
            self._settings.home_agent,
            switch_timestamp,
            interface,
            self._movement.name(interface),
            self._placement.router,
            Encapsulation.IPV6 if tunnel is None else tunnel.encapsulation,
            self._ipv4.address if self._ipv4.dynamic else None,
            self._ipv4.prefix,
            now,
        )
        self._outbox.emit(Persist(self._token, RECORD_KEY + self._settings.home_address, record.encode()))
