"""Dynamic home agent address discovery, the mobile node's side (RFC 6275 section 11.4.1)."""

from collections.abc import Callable

from unwired.wire.address import Address, home_agents_anycast, is_unicast_routable
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, HomeAgentAddressDiscoveryRequest
from unwired.wire.ipv6 import Packet

INITIAL_DHAAD_TIMEOUT_S = 3.0
DHAAD_RETRIES = 4
PAUSE_S = 60.0
"""Between a discovery that nobody answered and the next."""


class HomeAgentSearch:
    """``agents`` are the addresses of the last reply that have not been tried, in its order."""

    def __init__(self, home_address: Address, home_prefix_length: int, entropy: Callable[[int], bytes]) -> None:
        self.anycast = home_agents_anycast(home_address, home_prefix_length)
        self._entropy = entropy
        self._identifier: int | None = None
        self._timeout_s = INITIAL_DHAAD_TIMEOUT_S
        self._requests = 0
        self.agents: list[Address] = []
        self.next_at: float | None = None

    def ask(self, care_of_address: Address, now: float) -> Packet:
        """A new discovery."""
        self._identifier = int.from_bytes(self._entropy(2))
        self._timeout_s = INITIAL_DHAAD_TIMEOUT_S
        self._requests = 0
        return self._request(care_of_address, now)

    def ask_again(self, care_of_address: Address, now: float) -> Packet | None:
        """The same request again with twice the time to answer. None when it has been asked often enough: the next
        call, at ``next_at``, starts over."""
        if self._identifier is None:
            return self.ask(care_of_address, now)
        if self._requests > DHAAD_RETRIES:
            self._identifier = None
            self.next_at = now + PAUSE_S
            return None
        self._timeout_s *= 2
        return self._request(care_of_address, now)

    def answered(self, reply: HomeAgentAddressDiscoveryReply) -> bool:
        """Take up a reply. False when it was not asked for or names nobody."""
        if self._identifier is None or reply.identifier != self._identifier:
            return False
        agents = [address for address in reply.addresses if is_unicast_routable(address)]
        if not agents:
            return False
        self.agents = agents
        self.stop()
        return True

    def next_agent(self) -> Address | None:
        """The next home agent to try."""
        return self.agents.pop(0) if self.agents else None

    def stop(self) -> None:
        self._identifier = None
        self.next_at = None

    def _request(self, care_of_address: Address, now: float) -> Packet:
        self._requests += 1
        self.next_at = now + self._timeout_s
        request = HomeAgentAddressDiscoveryRequest(0 if self._identifier is None else self._identifier)
        return Packet(care_of_address, self.anycast, request)
