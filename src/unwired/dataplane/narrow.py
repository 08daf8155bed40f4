"""Which tunnels are narrower than the tunnel device, and what the kernel has been told about them."""

from collections.abc import Callable, Iterable

from unwired.core.forwarding import Direction, Forward
from unwired.dataplane.path_mtu import PathMtu
from unwired.wire.address import Address


class NarrowTunnels:
    """Keeps routes and the device's MTU in step with the rows. ``find_forwards`` gives the forwards there are,
    ``forwards_into`` those of one tunnel: they are looked at only when a tunnel's MTU changes, so that the many tunnels
    without one cost nothing."""

    def __init__(
        self,
        find_forwards: Callable[[], Iterable[Forward]],
        forwards_into: Callable[[int], Iterable[Forward]],
    ) -> None:
        self._find_forwards = find_forwards
        self._forwards_into = forwards_into
        self._path_mtu = PathMtu()
        self._device = 0
        self._device_mtu = 0
        self._narrow: dict[int, int] = {}
        """The MTU of each tunnel that has one, by number."""
        self._routed: set[Address] = set()
        self._own: dict[Address, int] = {}
        """Home addresses of this host in narrow tunnels: the tunnel's number."""

    def use_device(self, ifindex: int, mtu: int, narrow: dict[int, int]) -> None:
        """The tunnel device and its MTU, by which all tunnels are measured; ``narrow`` has the MTU of those already
        there that have one, by number."""
        self._device, self._device_mtu = ifindex, mtu
        self._narrow = narrow
        if self._narrow:
            for forward in self._find_forwards():
                self.forward(forward)

    def tunnel(self, number: int, mtu: int) -> None:
        """A tunnel has been set, or removed (``mtu`` 0). Raises DataplaneError."""
        if self._narrow.get(number, 0) == mtu:
            return
        if mtu:
            self._narrow[number] = mtu
        else:
            del self._narrow[number]
        for forward in self._forwards_into(number):
            self.forward(forward)

    def forward(self, forward: Forward) -> None:
        """A forward has been set. Raises DataplaneError."""
        if not self._narrow and not self._routed and not self._own:
            return
        mtu = self._narrow.get(forward.tunnel)
        if mtu is None:
            self.unforward(forward.direction, forward.address)
        elif forward.direction == Direction.FROM_HOME_ADDRESS:
            self._own[forward.address] = forward.tunnel
            self._set_device()
        elif self._device:
            self._path_mtu.set_route(forward.address, self._device, min(mtu, self._device_mtu))
            self._routed.add(forward.address)

    def unforward(self, direction: Direction, address: Address) -> None:
        """A forward has been removed. Raises DataplaneError."""
        if direction == Direction.FROM_HOME_ADDRESS:
            if self._own.pop(address, None) is not None:
                self._set_device()
        elif address in self._routed:
            self._routed.discard(address)
            self._path_mtu.clear_route(address, self._device)

    def close(self) -> None:
        self._path_mtu.close()

    def _set_device(self) -> None:
        if self._device:
            narrowest = min((self._narrow.get(number, self._device_mtu) for number in self._own.values()), default=0)
            self._path_mtu.set_device(self._device, min(narrowest or self._device_mtu, self._device_mtu))
