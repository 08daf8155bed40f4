"""The kernel's reverse path filter (RFC 3704) let packets out of tunnels pass.

What comes out of a tunnel comes, for the kernel, by the interface that the tunnel came by, and the way back leads into
the tunnel device. The strict filter drops that; the loose one drops it on an interface without an IPv4 address, which
is what an IPv6-only network gives. In tunnels the data plane checks sources itself, against the binding (RFC 6275
section 10.4.5). So the filter is off where tunnels end, and everywhere else as strict as before.
"""

from contextlib import suppress
from pathlib import Path

from unwired.host.kernel_objects import Sysctl
from unwired.host.kernel_state import KernelState

_DIRECTORY = Path("/proc/sys/net/ipv4/conf")


class ReversePath:
    """What is off is switched back on when ``KernelState`` gives everything back."""

    def __init__(self, state: KernelState) -> None:
        self._state = state
        self._relaxed: set[str] = set()

    def relax(self, interfaces: set[str]) -> None:
        """Switch the filter off on these interfaces, and back on where it need not be off any more; to be called again
        when another interface appears. Raises OSError.

        The kernel takes the greater number of two, of the interface and of all: where that is set, each other interface
        gets it instead. (Not the default: the kernel hands that down to interfaces nobody has set.)"""
        for interface in self._relaxed - interfaces:
            self._state.unmake(_setting(interface, "0"))
        for interface in interfaces:
            with suppress(FileNotFoundError):  # it is just gone
                self._state.make(_setting(interface, "0"))
        self._relaxed = set(interfaces)
        of_all = _setting("all", "0")
        number = self._state.before(of_all)
        if number == "0" or not interfaces:
            return
        for directory in _DIRECTORY.iterdir():
            if directory.name not in ("all", "default", *interfaces):
                with suppress(FileNotFoundError):
                    own = self._state.before(_setting(directory.name, number))
                    self._state.make(_setting(directory.name, max(own, number)))
        self._state.make(of_all)


def _setting(interface: str, value: str) -> Sysctl:
    return Sysctl(f"net/ipv4/conf/{interface}/rp_filter", value)
