"""Neighbour discovery for the home address on the home link, around the de-registration (RFC 6275 section 11.5.5).

Between sending the de-registration and its acknowledgement the mobile node answers solicitations for its home address
itself: the home agent may have to find it to send the acknowledgement, and the kernel must not have the address on the
home link before the home agent stopped defending it. Afterwards every neighbour is told where the address is now.
"""

from unwired.core.door import Action, JoinGroup, LeaveGroup, Send
from unwired.core.link import ND_HOP_LIMIT
from unwired.wire.address import ALL_NODES, UNSPECIFIED, Address, solicited_node
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import NdOption, TargetLinkLayerAddress

MAX_NEIGHBOR_ADVERTISEMENT = 3
RETRANSMIT_TIMER_S = 1.0


class HomeNeighbors:
    """``announce_at``: when the next unsolicited neighbor advertisement is due, None: never."""

    def __init__(self, home_address: Address) -> None:
        self._home_address = home_address
        self._interface = 0
        self._link_layer_address = b""
        self._answering = False
        self._announcements_left = 0
        self.announce_at: float | None = None

    def join(self, interface: int, link_layer_address: bytes) -> list[Action]:
        """Answer for the home address on this interface from now on."""
        actions = self.leave()
        self._interface, self._link_layer_address = interface, link_layer_address
        self._answering = True
        return [*actions, JoinGroup(interface, solicited_node(self._home_address))]

    def leave(self) -> list[Action]:
        """Neither answer nor announce any more."""
        self.announce_at = None
        if not self._answering:
            return []
        self._answering = False
        return [LeaveGroup(self._interface, solicited_node(self._home_address))]

    def solicited(self, packet: Packet, message: NeighborSolicitation, interface: int) -> list[Action]:
        """The answer to a solicitation, unicast to whoever asks. Probes of duplicate address detection (from the
        unspecified address) are the home agent's to answer as long as it defends the address."""
        if (
            not self._answering
            or interface != self._interface
            or message.target != self._home_address
            or packet.hop_limit != ND_HOP_LIMIT
            or packet.source == UNSPECIFIED
        ):
            return []
        return [self._advertisement(packet.source, solicited=True)]

    def announce(self, interface: int, link_layer_address: bytes, now: float) -> list[Action]:
        """Tell the whole link, several times because multicast is not reliable."""
        self._interface, self._link_layer_address = interface, link_layer_address
        self._announcements_left = MAX_NEIGHBOR_ADVERTISEMENT
        self.announce_at = now
        return self.wake(now)

    def wake(self, now: float) -> list[Action]:
        if self.announce_at is None or self.announce_at > now:
            return []
        self._announcements_left -= 1
        self.announce_at = now + RETRANSMIT_TIMER_S if self._announcements_left else None
        return [self._advertisement(ALL_NODES, solicited=False)]

    def _advertisement(self, destination: Address, solicited: bool) -> Send:
        options: tuple[NdOption, ...] = ()
        if self._link_layer_address:
            options = (TargetLinkLayerAddress(self._link_layer_address),)
        message = NeighborAdvertisement(self._home_address, False, solicited, True, options)
        return Send(Packet(self._home_address, destination, message, hop_limit=ND_HOP_LIMIT), self._interface)
