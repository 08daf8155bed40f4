"""What a home agent needs of the kernel: forwarding, the routes into the tunnel device, and proxy neighbours.

Where the home prefixes are announced by BGP, the main table has no route of ours for exactly a home prefix: routing
daemons would take it for what is to be announced, or be shown it instead of the marked route
(``plane/marked_route.py``). Its two halves lead into the tunnel device instead. (Not a table behind a rule: routes of
single home addresses, with their path MTU, have to go before the prefix, and a rule that looks into the main table
without the prefix itself finds the marked route all the same, because that is unreachable.)
"""

from unwired.core.door import DefendAddress, Event, HostAction, JoinGroup, LeaveGroup, ReleaseAddress
from unwired.core.settings import HomePrefix
from unwired.host.config import HomeAgentConfig
from unwired.host.kernel_objects import MAIN_TABLE, HostAddress, HostRoute, ProxyNeighbour, Sysctl
from unwired.host.kernel_state import KernelState
from unwired.host.links import Interface, Links
from unwired.host.sockets import NeighborDiscovery
from unwired.wire.address import Address, format_address, is_link_local
from unwired.wire.ipv6 import Packet


class HomeAgentHost:
    """Carries out a home agent's actions. ``tunnel`` is the tunnel device's interface number."""

    def __init__(self, role: HomeAgentConfig, state: KernelState, discovery: NeighborDiscovery, tunnel: int) -> None:
        self._role = role
        self._state = state
        self._discovery = discovery
        self._tunnel = tunnel

    def interface_appeared(self, interface: Interface) -> None:
        """Before forwarding is on: a router ignores router advertisements, and the default routes that came from them
        go, unless accept_ra is 2. Asked for where it is 2 already: perhaps a daemon that was killed has set it."""
        accept = Sysctl(f"net/ipv6/conf/{interface.name}/accept_ra", "2")
        if accept.read() in ("1", "2"):
            self._state.make(accept)
        if interface.name == self._role.home_link:
            self._state.make(Sysctl(f"net/ipv6/conf/{interface.name}/proxy_ndp", "1"))
            self._state.make(Sysctl(f"net/ipv6/neigh/{interface.name}/proxy_delay", "0"))

    def prepare(self, links: Links) -> None:
        settings = self._role.settings
        for interface in links.interfaces.values():
            self.interface_appeared(interface)
        self._state.make(Sysctl("net/ipv6/conf/all/forwarding", "1"))
        if self._role.home_link is not None:
            return
        if not any(settings.address in interface.addresses for interface in links.interfaces.values()):
            self._state.make(HostAddress(self._tunnel, settings.address, 128))
        for home in settings.home_prefixes:
            for prefix, length in self._routed(home):
                self._state.make(HostRoute(MAIN_TABLE, prefix, length, self._tunnel))

    def _routed(self, home: HomePrefix) -> tuple[tuple[Address, int], ...]:
        """What leads into the tunnel device: the prefix, or its halves where it is announced."""
        if self._role.settings.home_agent_set is None and self._role.bgp is None:
            return ((home.prefix, home.length),)
        length = home.length + 1
        upper = int.from_bytes(home.prefix) | 1 << 128 - length
        return (home.prefix, length), (upper.to_bytes(16), length)

    def waits_for(self, links: Links) -> str | None:
        """What is missing on a real home link before the role can start; None when nothing is."""
        name = self._role.home_link
        if name is None:
            return None
        interface = links.named(name)
        if interface is None:
            return f"there is no interface {name} (home_agent.home_link)"
        if not interface.up:
            return f"the home link {name} is down"
        if link_local_address(interface) is None:
            return f"the home link {name} has no link-local address that is ready"
        if self._role.settings.address not in interface.addresses:
            address = format_address(self._role.settings.address)
            return (
                f"the home link {name} has not got the home agent's address: ip -6 address add {address}/64 dev {name}"
            )
        return None

    def carry_out(self, action: HostAction) -> None:
        """Raises OSError when the kernel refuses."""
        match action:
            case DefendAddress(address, interface):
                if interface:
                    self._state.make(ProxyNeighbour(interface, address))
                # A link-local address is only answered for: its packets never leave the link (RFC 6275 section 10.4.2).
                if not is_link_local(address):
                    self._state.make(HostRoute(MAIN_TABLE, address, 128, self._tunnel))
            case ReleaseAddress(address, interface):
                self._state.unmake(HostRoute(MAIN_TABLE, address, 128, self._tunnel))
                if interface:
                    self._state.unmake(ProxyNeighbour(interface, address))
            case JoinGroup(interface, group):
                self._discovery.join(interface, group)
            case LeaveGroup(interface, group):
                self._discovery.leave(interface, group)
            case _:
                raise OSError(f"a home agent has no {type(action).__name__}")

    def observe(self, event: Event) -> None:
        """Nothing on a home agent's host follows from an event."""

    def heard(self, packet: Packet, interface: int) -> None:
        """Nor from neighbour discovery."""


def link_local_address(interface: Interface) -> Address | None:
    return next((address for address in interface.addresses if is_link_local(address)), None)
