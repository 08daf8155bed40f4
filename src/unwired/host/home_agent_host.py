"""What a home agent needs of the kernel: forwarding, the routes into the tunnel device, and proxy neighbours; for IPv6,
and for IPv4 as far as it has IPv4 home addresses.

Where the home prefixes are announced by BGP, the main table has no route of ours for exactly a home prefix: routing
daemons would take it for what is to be announced, or be shown it instead of the marked route
(``plane/marked_route.py``). Its two halves lead into the tunnel device instead. (Not a table behind a rule: routes of
single home addresses, with their path MTU, have to go before the prefix, and a rule that looks into the main table
without the prefix itself finds the marked route all the same, because that is unreachable.)
"""

from unwired.core.door import DefendAddress, Event, HostAction, JoinGroup, LeaveGroup, ReleaseAddress
from unwired.core.settings import Prefix
from unwired.host import arp
from unwired.host.config import HomeAgentConfig
from unwired.host.kernel_objects import MAIN_TABLE, HostAddress, HostRoute, ProxyNeighbour, Sysctl
from unwired.host.kernel_state import KernelState
from unwired.host.links import Interface, Links
from unwired.host.sockets import NeighborDiscovery
from unwired.wire.address import Address, format_address, in_prefix, is_ipv4, is_link_local
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
        if accept.exists() and accept.read() in ("1", "2"):
            self._state.make(accept)
        if interface.name == self._role.home_link:
            self._state.make(Sysctl(f"net/ipv6/conf/{interface.name}/proxy_ndp", "1"))
            for family in ("ipv4", "ipv6"):
                self._state.make(Sysctl(f"net/{family}/neigh/{interface.name}/proxy_delay", "0"))

    def prepare(self, links: Links) -> None:
        settings = self._role.settings
        for interface in links.interfaces.values():
            self.interface_appeared(interface)
        self._state.make(Sysctl("net/ipv6/conf/all/forwarding", "1"))
        if self._role.has_ipv4_home_addresses:
            self._state.make(Sysctl("net/ipv4/conf/all/forwarding", "1"))
        own = [settings.address] if self._role.home_link is None else []
        own += [] if settings.address_ipv4 is None else [settings.address_ipv4]
        for address in own:
            if not any(address in interface.addresses for interface in links.interfaces.values()):
                self._state.make(HostAddress(self._tunnel, address, 128))
        for prefix, length in self._routed():
            self._state.make(HostRoute(MAIN_TABLE, prefix, length, self._tunnel))

    def renew(self, role: HomeAgentConfig) -> None:
        """Other subscribers, with other mobile prefixes."""
        before, self._role = self._routed(), role
        for prefix, length in self._routed() - before:
            self._state.make(HostRoute(MAIN_TABLE, prefix, length, self._tunnel))
        for prefix, length in before - self._routed():
            self._state.unmake(HostRoute(MAIN_TABLE, prefix, length, self._tunnel))

    def _routed(self) -> set[Prefix]:
        """What leads into the tunnel device: the prefixes of a virtual home link, and those of mobile routers."""
        settings = self._role.settings
        routed: set[Prefix] = set()
        if self._role.home_link is None:
            homes = [(home.prefix, home.length) for home in settings.home_prefixes]
            for home in (*homes, *settings.home_prefixes_ipv4):
                routed.update(self._around_the_announced(home))
        routed.update(settings.mobile_prefix_pool_ipv4)
        around = tuple(routed)
        for subscriber in self._role.subscribers:
            for prefix, length in subscriber.mobile_prefixes_ipv4:
                if not any(known[1] <= length and in_prefix(prefix, *known) for known in around):
                    routed.add((prefix, length))
        return routed

    def _around_the_announced(self, home: Prefix) -> tuple[Prefix, ...]:
        """The prefix, or its halves where it is announced."""
        prefix, length = home
        if (self._role.settings.home_agent_set is None and self._role.bgp is None) or length == 128:
            return (home,)
        upper = int.from_bytes(prefix) | 1 << 127 - length
        return (prefix, length + 1), (upper.to_bytes(16), length + 1)

    def is_for_tunnels(self, interface: Interface) -> bool:
        """Whether the configuration says that tunnels come by this interface."""
        return self._role.settings.address_ipv4 in interface.addresses

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
                    if is_ipv4(address):
                        arp.announce(interface, address)
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
