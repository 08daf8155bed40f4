"""Mobile prefix discovery, the mobile node's side (RFC 6275 sections 11.4.2 and 11.4.3).

Only used without RFC 4285 authentication, which does not protect it (its section 2).
"""

from collections.abc import Callable

from unwired.wire.address import Address, in_prefix
from unwired.wire.icmpv6 import MobilePrefixAdvertisement, MobilePrefixSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import PREFIX_LENGTH_MAX, PrefixInformation

INITIAL_SOLICIT_TIMER_S = 3.0
SOLICIT_TIMER_MAX_S = 32.0


class MobilePrefixDiscovery:
    """``valid_until``: monotonic end of the home prefix as last advertised, None while nothing was."""

    def __init__(self, home_address: Address, entropy: Callable[[int], bytes]) -> None:
        self._home_address = home_address
        self._entropy = entropy
        self._identifier: int | None = None
        self._timeout_s = INITIAL_SOLICIT_TIMER_S
        self.next_at: float | None = None
        self.valid_until: float | None = None

    def solicit(self, care_of_address: Address, home_agent: Address, now: float) -> Packet:
        """Ask for the home link's prefixes."""
        self._timeout_s = INITIAL_SOLICIT_TIMER_S
        return self._solicitation(care_of_address, home_agent, now)

    def solicit_again(self, care_of_address: Address, home_agent: Address, now: float) -> Packet:
        """Ask again, backing off as section 11.8 says."""
        self._timeout_s = min(self._timeout_s * 2, SOLICIT_TIMER_MAX_S)
        return self._solicitation(care_of_address, home_agent, now)

    def advertised(self, packet: Packet, message: MobilePrefixAdvertisement, home_agent: Address, now: float) -> bool:
        """Take up an advertisement that was asked for; False for any other, which must be discarded (11.4.3)."""
        if packet.source != home_agent or packet.routing_home_address != self._home_address:
            return False
        if self._identifier is None or message.identifier != self._identifier:
            return False
        self.stop()
        for option in message.options:
            if (
                isinstance(option, PrefixInformation)
                and option.prefix_length <= PREFIX_LENGTH_MAX
                and in_prefix(self._home_address, option.prefix, option.prefix_length)
            ):
                self.valid_until = now + option.valid_lifetime_s
        return True

    def stop(self) -> None:
        self._identifier = None
        self.next_at = None

    def _solicitation(self, care_of_address: Address, home_agent: Address, now: float) -> Packet:
        self._identifier = int.from_bytes(self._entropy(2))
        self.next_at = now + self._timeout_s
        return Packet(
            care_of_address,
            home_agent,
            MobilePrefixSolicitation(self._identifier),
            home_address=self._home_address,
        )
