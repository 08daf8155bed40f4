"""What a mobile node remembers of the networks it has been in: what works there, and what their NATs are like.

RFC 5555 section 4.4.1 does not want the trial of families repeated upon every movement. Memories are hints: private
IPv4 networks look alike, so whatever is believed is checked where it is used.
"""

from collections import OrderedDict
from dataclasses import dataclass

from unwired.core.places import Away
from unwired.wire.address import Address

NETWORKS_MAX = 64
AVOID_S = 60.0
AVOID_MAX_S = 3600.0
"""How long a network from where no binding update was answered is tried last; doubled from the first to the second."""


@dataclass(slots=True)
class Network:
    """``works``: a binding update sent from there was acknowledged. ``udp_only``: only what is in UDP passes.
    ``keepalive_s``: for so long its NAT was found to keep a mapping. ``path_mtu``: the largest packet that came through
    to the home agent, outer headers included, where that was less than the link carries; 0: not known."""

    works: bool = False
    udp_only: bool = False
    keepalive_s: int | None = None
    path_mtu: int = 0
    avoid_until: float = 0.0
    avoid_s: float = AVOID_S


class Networks:
    """The last ``NETWORKS_MAX`` networks, by how ``Away.network`` tells one from another."""

    def __init__(self) -> None:
        self._networks: OrderedDict[tuple[int, Address], Network] = OrderedDict()

    def of(self, place: Away) -> Network:
        """What is known of the network of this place, to be read and written."""
        network = self._networks.get(place.network)
        if network is None:
            network = self._networks[place.network] = Network()
            if len(self._networks) > NETWORKS_MAX:
                self._networks.popitem(last=False)
        self._networks.move_to_end(place.network)
        return network

    def answered(self, place: Away) -> None:
        """A binding update from there was acknowledged."""
        network = self.of(place)
        network.works, network.avoid_until, network.avoid_s = True, 0.0, AVOID_S

    def silent(self, place: Away, now: float) -> None:
        """Binding updates from there were not answered."""
        network = self.of(place)
        network.works = False
        network.avoid_until = now + network.avoid_s
        network.avoid_s = min(network.avoid_s * 2, AVOID_MAX_S)

    def is_avoided(self, place: Away, now: float) -> bool:
        network = self._networks.get(place.network)
        return network is not None and network.avoid_until > now

    def works(self, place: Away) -> bool:
        network = self._networks.get(place.network)
        return network is not None and network.works

    def deadline(self, now: float) -> float | None:
        """When the next network is not avoided any more."""
        times = [network.avoid_until for network in self._networks.values() if network.avoid_until > now]
        return min(times, default=None)
