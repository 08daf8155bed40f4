"""What a mobile node makes of a Home Agent Switch message (RFC 5142 section 6, by the profile of docs/ha-ha.md).

The message is authenticated as binding acknowledgements are, over the care-of address that it comes to. It answers
nothing, so that its own timestamp guards against replay: near the home agents' clock and later than any before it.
"""

from dataclasses import dataclass

from unwired.core.authentication import is_authentic, is_fresh
from unwired.core.binding_update_list import BindingUpdateListEntry
from unwired.core.mobile_node_authentication import required_options
from unwired.core.notices import Drop
from unwired.core.rate_limit import TokenBucket
from unwired.core.settings import MobileNodeSettings, SecurityAssociation
from unwired.wire.address import Address, is_unicast_routable
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc5142 import HomeAgentSwitch

SWITCHES_PER_SECOND = 1.0
"""More than that is not done, however authentic it is."""
SWITCH_WINDOW_S = 10.0
"""How far from the home agents' clock a timestamp may be: their window for ours is 7 s, and packets take time both
ways."""
AGENTS_MAX = 4
"""How many of the named home agents are tried."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A valid Home Agent Switch message. ``agents`` are to be tried in this order; none: look for one."""

    agents: tuple[Address, ...]


class HomeAgentSwitches:
    """``last`` is the timestamp of the last valid message, of whichever home agent; None before the first."""

    def __init__(self, settings: MobileNodeSettings) -> None:
        self._settings = settings
        self._rate = TokenBucket(SWITCHES_PER_SECOND, 1)
        self.last: int | None = None

    def judge(
        self, packet: Packet, message: HomeAgentSwitch, entry: BindingUpdateListEntry, agents_wall: float
    ) -> Wish | Drop:
        """``agents_wall`` is the time by the home agents' clock as far as we know it."""
        care_of_address = _care_of_address(packet, self._settings)
        if care_of_address is None:
            return Drop.FORGED_SOURCE
        association = self._settings.association
        if association is None:
            if packet.source != entry.home_agent or care_of_address != entry.care_of_address:
                return Drop.FORGED_SOURCE
        else:
            reason = self._authenticated(packet, message, care_of_address, association, agents_wall)
            if reason is not None:
                return reason
            if care_of_address != entry.care_of_address:
                return Drop.UNWANTED_SWITCH  # it is about a place that we have left
        return Wish(tuple(agent for agent in message.addresses if is_unicast_routable(agent)))

    def allowed(self, now: float) -> bool:
        """Whether one more may be done at this monotonic time."""
        return self._rate.take(now)

    def _authenticated(
        self,
        packet: Packet,
        message: HomeAgentSwitch,
        care_of_address: Address,
        association: SecurityAssociation,
        agents_wall: float,
    ) -> Drop | None:
        options = required_options(message, association)
        if isinstance(options, Drop):
            return options
        message_id, option = options
        if not is_authentic(option, packet.data, association, care_of_address, self._settings.home_address):
            return Drop.BAD_AUTHENTICATOR
        if not is_fresh(message_id.timestamp, self.last, agents_wall, SWITCH_WINDOW_S):
            return Drop.REPLAYED
        self.last = message_id.timestamp
        return None


def _care_of_address(packet: Packet, settings: MobileNodeSettings) -> Address | None:
    """The care-of address of ours that a message for the home address came to: by a type 2 routing header, or in an
    IPv4 network in a tunnel from the home agent (RFC 5555 section 4.5). None: it is not for us."""
    outer = packet.outer
    if outer is None:
        return packet.destination if packet.routing_home_address == settings.home_address else None
    ours = packet.destination == settings.home_address and outer.source == settings.home_agent_ipv4
    return outer.destination if ours else None


def agents_to_try(
    wish: Wish, source: Address, present: Address | None, candidate: Address | None
) -> tuple[Address, ...] | None:
    """The home agents to try in order; None when nothing is to be done because we are with one of them or on the way
    to it. ``present`` serves us, ``candidate`` is being asked to.

    Who is our present home agent wants to be left, whether it names itself or not; anybody else who names it only does
    not know yet that we are there.
    """
    if candidate is not None and candidate in wish.agents:
        return None
    if present in wish.agents and source != present:
        return None
    others = tuple(agent for agent in dict.fromkeys(wish.agents) if agent != present)
    return None if wish.agents and not others else others[:AGENTS_MAX]
