"""What a mobile node needs of the kernel: its home addresses, and rules that say which packets take the tunnel.

Rules, by priority from ``daemon.rule_priority`` on, for IPv6 and for IPv4 alike:

====  ==============================  =============================================================================
+0    from HOME, from MOBILE PREFIX   away into the tunnel device, at home to the home link's own router
+10   from a care-of address          by the router that the care-of address belongs to, however many links are up
+15   from any other address we have  as before us, by the main table
+20   all, main without default       what is nearer than the default route stays as it is
+30   all, choice table               new connections choose the home address, where configuration says so
====  ==============================  =============================================================================
"""

from typing import Final

from unwired.core.door import (
    AddressAdded,
    AddressRemoved,
    DropHomeAddress,
    DropMobilePrefix,
    Event,
    ForgetCareOfAddress,
    GoAway,
    GoHome,
    HoldHomeAddress,
    HoldMobilePrefix,
    HostAction,
    JoinGroup,
    LeaveGroup,
    LinkDown,
    LinkUp,
    ProbeNat,
    UseCareOfAddress,
)
from unwired.core.settings import Prefix
from unwired.host import arp
from unwired.host.config import DaemonConfig, MobileNodeConfig
from unwired.host.kernel_objects import (
    MAIN_TABLE,
    AddressLabel,
    HostAddress,
    HostRoute,
    HostRule,
    KernelObject,
    Sysctl,
)
from unwired.host.kernel_state import KernelState
from unwired.host.links import Interface, Links
from unwired.host.nat_prober import NatProber
from unwired.host.optimistic import NewLink
from unwired.host.sockets import NeighborDiscovery
from unwired.wire.address import (
    UNSPECIFIED,
    UNSPECIFIED_IPV4,
    Address,
    all_of_family,
    is_ipv4,
    is_unicast_routable,
    network,
)

_FROM_HOME, _FROM_CARE_OF, _FROM_OTHERS, _NEARER, _CHOICE = 0, 10, 15, 20, 30
_GLOBAL_LABEL: Final = 1
_FOREIGN_LABEL: Final = 7700
"""RFC 6724 section 2.1: a source address with the destination's label is preferred. 1 is ::/0's."""


class MobileNodeHost:
    """Carries out a mobile node's actions. ``tunnel`` is the tunnel device's interface number."""

    def __init__(
        self,
        daemon: DaemonConfig,
        role: MobileNodeConfig,
        state: KernelState,
        discovery: NeighborDiscovery,
        new_link: NewLink,
        prober: NatProber,
        tunnel: int,
    ) -> None:
        self.heard = new_link.heard
        self._new_link = new_link
        self._role = role
        self._state = state
        self._discovery = discovery
        self._prober = prober
        self._tunnel = tunnel
        self._home_table = daemon.routing_table
        self._choice_table = daemon.routing_table + 1
        self._care_of_tables = daemon.routing_table + 10
        self._priority = daemon.rule_priority
        self._care_of: dict[Address, tuple[HostRoute, HostRule]] = {}
        self._home_addresses = {role.settings.home_address}
        self._at_home: dict[Address, tuple[KernelObject, ...]] = {}
        self._mobile_prefixes: dict[Prefix, HostRoute] = {}
        self._routers: dict[tuple[int, bool], Address] = {}
        """By interface, and whether it is one of IPv4."""
        self._down: set[int] = set()
        self._was_down: set[tuple[int, bool]] = set()
        """Of the same kind: the interface has been down since, so that the router is another link's."""

    def interface_appeared(self, interface: Interface) -> None:
        """Optimistic addresses (RFC 4429), where the kernel and the host manager let us."""
        for name in ("optimistic_dad", "use_optimistic"):
            setting = Sysctl(f"net/ipv6/conf/{interface.name}/{name}", "1")
            if setting.exists():
                self._state.make(setting)

    def prepare(self, links: Links) -> None:
        for interface in links.interfaces.values():
            self.interface_appeared(interface)

    def is_for_tunnels(self, interface: Interface) -> bool:
        """Whether the configuration says that tunnels come by this interface."""
        return interface.name in self._role.settings.interfaces

    def waits_for(self, links: Links) -> str | None:
        return None

    def carry_out(self, action: HostAction) -> None:
        """Raises OSError when the kernel refuses."""
        match action:
            case HoldHomeAddress(address):
                self._home_addresses.add(address)
                self._state.make(HostAddress(self._tunnel, address, 128))
            case DropHomeAddress(address):
                self._drop(address)
            case GoAway(address):
                self._go_away(address)
            case GoHome(address, prefix_length, interface, router):
                self._go_home(address, prefix_length, interface, router)
            case HoldMobilePrefix(prefix, length):
                self._hold_mobile_prefix(prefix, length)
            case DropMobilePrefix(prefix, length):
                self._drop_mobile_prefix(prefix, length)
            case ProbeNat():
                self._prober.probe(action)
            case UseCareOfAddress(address, interface, router):
                self._use_care_of_address(address, interface, router)
            case ForgetCareOfAddress(address):
                self._forget_care_of_address(address)
            case JoinGroup(interface, group):
                self._discovery.join(interface, group)
            case LeaveGroup(interface, group):
                self._discovery.leave(interface, group)
            case _:
                raise OSError(f"a mobile node has no {type(action).__name__}")

    def observe(self, event: Event) -> None:
        """Addresses that are not ours keep being routed as before us."""
        if isinstance(event, LinkUp):
            self._down.discard(event.interface)
            self._new_link.came_up(event.interface)
        elif isinstance(event, LinkDown):
            self._down.add(event.interface)
            self._was_down.update(place for place in self._routers if place[0] == event.interface)
        elif isinstance(event, AddressAdded | AddressRemoved) and is_unicast_routable(event.address):
            rule = HostRule(self._priority + _FROM_OTHERS, MAIN_TABLE, event.address, 128)
            if isinstance(event, AddressRemoved):
                self._state.unmake(rule)
            elif event.address not in self._home_addresses:
                self._state.make(rule)

    def _route_home_address(self, address: Address, ways: list[KernelObject]) -> None:
        """Make ``ways`` the routes for packets from the home address. Routes before the rules that lead to them."""
        rules = [HostRule(self._priority + _FROM_HOME, self._home_table, address, 128)]
        if any(is_ipv4(prefix) == is_ipv4(address) for prefix, _ in self._role.use_home_address_for):
            rules.append(self._nearer(address))
            rules.append(self._choice(address))
        for wanted in (*ways, *rules):
            self._state.make(wanted)
        kept = {*ways, *self._mobile_prefixes.values()}
        self._state.unmake_where(entry for entry in self._ways_made(address) if entry not in kept)

    def _choice(self, address: Address) -> HostRule:
        """IPv6 that is forwarded, a CLAT's for one, has addresses of its own, which the home agent would refuse; IPv4
        gets the address of where it leaves."""
        anything = all_of_family(address)
        return HostRule(self._priority + _CHOICE, self._choice_table, *anything, own_only=not is_ipv4(address))

    def _nearer(self, address: Address) -> HostRule:
        return HostRule(self._priority + _NEARER, MAIN_TABLE, *all_of_family(address), suppress_length=0)

    def _ways_made(self, address: Address) -> list[KernelObject]:
        """The routes, of this address's family, in the tables for home addresses."""
        tables = self._home_table, self._choice_table
        return [
            entry
            for entry in self._state.wanted()
            if isinstance(entry, HostRoute) and entry.table in tables and is_ipv4(entry.destination) == is_ipv4(address)
        ]

    def _ways(self, address: Address, interface: int, router: Address = UNSPECIFIED) -> list[KernelObject]:
        ways: list[KernelObject] = [HostRoute(self._home_table, *all_of_family(address), interface, gateway=router)]
        for prefix, length in self._role.use_care_of_address_for:
            if is_ipv4(prefix) == is_ipv4(address):
                ways.append(HostRoute(self._choice_table, prefix, length, 0))
        for prefix, length in self._role.use_home_address_for:
            if is_ipv4(prefix) == is_ipv4(address):
                ways.append(HostRoute(self._choice_table, prefix, length, interface, gateway=router, source=address))
        return ways

    def _send_by(self, router: Address, interface: int, of_ipv4: bool) -> None:
        """This router is the one from now on; those of links that we left are none any more."""
        self._was_down.discard((interface, of_ipv4))
        if router != UNSPECIFIED:
            self._routers.setdefault((interface, of_ipv4), router)
        for place, used in list(self._routers.items()):
            at = place[0]
            if place == (interface, of_ipv4) and used != router:
                self._new_link.left(used, at)
                self._routers[place] = router
            elif place in self._was_down if at == interface else at in self._down:
                self._new_link.left(used, at)
                del self._routers[place]
                self._was_down.discard(place)

    def _go_away(self, address: Address) -> None:
        self._leave_home(address)
        self._route_home_address(address, self._ways(address, self._tunnel))

    def _go_home(self, address: Address, prefix_length: int, interface: int, router: Address) -> None:
        if is_ipv4(address):
            # Alone: as another address of the prefix it would go with the first of them, a DHCP client's.
            at_home: tuple[KernelObject, ...] = (HostAddress(interface, address, 128),)
        else:
            # Among the addresses on the home link, new connections choose the home address: it moves with us.
            at_home = (
                HostAddress(interface, address, prefix_length),
                AddressLabel(address, prefix_length, _FOREIGN_LABEL),
                AddressLabel(address, 128, _GLOBAL_LABEL),
            )
        arrives = at_home != self._at_home.get(address)
        if arrives:
            self._leave_home(address)
        self._at_home[address] = at_home
        for wanted in at_home:
            self._state.make(wanted)
        if arrives and is_ipv4(address):
            arp.announce(interface, address)
        # By its own router: the kernel's list may still hold those of networks that we left, as good as the true one.
        on_link = HostRoute(self._home_table, network(address, prefix_length), prefix_length, interface)
        if router == UNSPECIFIED_IPV4:  # not known: as the host itself would
            self._route_home_address(address, [on_link])
            return
        self._route_home_address(address, [on_link, *self._ways(address, interface, router)])
        self._send_by(router, interface, is_ipv4(address))

    def _leave_home(self, address: Address) -> None:
        self._state.unmake_where(reversed(self._at_home.pop(address, ())))

    def _drop(self, address: Address) -> None:
        self._home_addresses.discard(address)
        self._leave_home(address)
        self._state.unmake_where(self._ways_made(address))
        self._state.unmake(self._choice(address))
        self._state.unmake(self._nearer(address))
        self._state.unmake(HostRule(self._priority + _FROM_HOME, self._home_table, address, 128))
        self._state.unmake(HostAddress(self._tunnel, address, 128))

    def _hold_mobile_prefix(self, prefix: Address, length: int) -> None:
        """What comes from the prefix goes as what comes from the home address does, but for what stays inside."""
        if not is_ipv4(prefix):
            raise OSError("mobile prefixes are IPv4 so far")
        inside = self._mobile_prefixes[prefix, length] = HostRoute(self._home_table, prefix, length, 0)
        self._state.make(inside)
        self._state.make(HostRule(self._priority + _FROM_HOME, self._home_table, prefix, length))
        self._state.make(Sysctl("net/ipv4/conf/all/forwarding", "1"))

    def _drop_mobile_prefix(self, prefix: Address, length: int) -> None:
        inside = self._mobile_prefixes.pop((prefix, length), None)
        if inside is None:
            return
        self._state.unmake(HostRule(self._priority + _FROM_HOME, self._home_table, prefix, length))
        self._state.unmake(inside)
        if not self._mobile_prefixes:
            self._state.unmake(Sysctl("net/ipv4/conf/all/forwarding", "1"))

    def _use_care_of_address(self, address: Address, interface: int, router: Address) -> None:
        router = UNSPECIFIED if router == UNSPECIFIED_IPV4 else router
        table = self._care_of_tables + interface
        route = HostRoute(table, *all_of_family(address), interface, gateway=router)
        rule = HostRule(self._priority + _FROM_CARE_OF, table, address, 128)
        before = self._care_of.get(address)
        self._care_of[address] = route, rule
        self._state.make(route)
        self._state.make(rule)
        # One default route to a table: a new router's has taken the place of the old one's (same metric).
        for other in [entry for entry in self._state.wanted() if isinstance(entry, HostRoute)]:
            if other.table == table and other != route and is_ipv4(other.destination) == is_ipv4(address):
                self._state.unmake(other)
        if before is not None and before[1] != rule:
            self._state.unmake(before[1])
        self._send_by(router, interface, is_ipv4(address))

    def _forget_care_of_address(self, address: Address) -> None:
        forgotten = self._care_of.pop(address, None)
        if forgotten is None:
            return
        route, rule = forgotten
        self._state.unmake(rule)
        if all(route != other for other, _ in self._care_of.values()):
            self._state.unmake(route)
