"""Where the home addresses answer: on the home link while we are at home, else in the tunnel device.

At home the IPv4 home address is on the home link too, where that has the network it belongs to; else nobody reaches it
there: without a binding no home agent has it, and RFC 5555 section 4.4.4 leaves returning home to IPv6.
"""

from collections.abc import Callable

from unwired.core.door import Action, GoAway, GoHome
from unwired.core.link import Link
from unwired.core.places import AtHome
from unwired.wire.address import UNSPECIFIED, UNSPECIFIED_IPV4, Address


class HomePlacement:
    """``interface`` is where the IPv6 home address answers: None before it was placed, 0 in the tunnel device."""

    def __init__(self, home_address: Address, home_prefix_length: int, emit: Callable[[Action], None]) -> None:
        self._home_address = home_address
        self._home_prefix_length = home_prefix_length
        self._emit = emit
        self.interface: int | None = None
        self.router: Address = UNSPECIFIED
        self._ipv4: GoHome | GoAway | None = None

    def go_away(self) -> None:
        if self.interface != 0:
            self.interface = 0
            self._emit(GoAway(self._home_address))

    def go_home(self, place: AtHome) -> None:
        if (self.interface, self.router) != (place.interface, place.router):
            self.interface, self.router = place.interface, place.router
            self._emit(self._home())

    def place_ipv4(self, address: Address | None, link: Link | None) -> None:
        """Follow with the IPv4 home address; ``link`` is the home link when we are there."""
        wanted: GoHome | GoAway | None = None
        if address is not None:
            length = None if link is None else link.ipv4.prefix_length_around(address)
            if link is None or length is None:
                wanted = GoAway(address)
            else:
                wanted = GoHome(address, length, link.index, link.ipv4.router or UNSPECIFIED_IPV4)
        if wanted != self._ipv4:
            self._ipv4 = wanted
            if wanted is not None:
                self._emit(wanted)

    def forget(self) -> None:
        """The home addresses were dropped: they are nowhere."""
        self.interface, self._ipv4 = None, None

    def say_again(self) -> None:
        if self.interface == 0:
            self._emit(GoAway(self._home_address))
        elif self.interface is not None:
            self._emit(self._home())
        if self._ipv4 is not None:
            self._emit(self._ipv4)

    def _home(self) -> GoHome:
        return GoHome(self._home_address, self._home_prefix_length, self.interface or 0, self.router)
