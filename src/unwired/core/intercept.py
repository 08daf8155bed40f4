"""What a binding means for packets: the rows of the forwarding table and the defence of the home address.

A handover adds the new care-of address to those accepted from, then turns the tunnel; the previous care-of address is
accepted for a while longer, because packets that left before the binding update are still on their way.

Every member of a set has all of this for every binding: the tunnel that starts at the primary's address, which leads to
the mobile node when the primary can't, and the row that sends packets to the primary as long as it can.
"""

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    RemoveTunnel,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
)
from unwired.core.home_link import MAX_NEIGHBOR_ADVERTISEMENT, HomeLink, link_local_of
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import PATH_MTU_LIFETIME_S
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings
from unwired.core.timers import Agenda
from unwired.wire.address import Address

PLANE = 0
PREVIOUS_MAX = 4
"""Care-of addresses accepted from besides the current one; the oldest gives way."""


class Interception:
    """Makes the rows for bindings; they are idempotent, so that everything may be said again at a restart."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        cache: BindingCache,
        home_link: HomeLink,
        outbox: Outbox,
        agenda: Agenda,
    ) -> None:
        self._settings = settings
        self._own = roster.own
        self._addresses = roster.addresses
        self._cache = cache
        self._home_link = home_link
        self._outbox = outbox
        self._agenda = agenda
        self._tunnel_mtu: dict[int, int] = {}

    def tunnel_local(self, binding: Binding) -> Address:
        """Where the tunnel to the mobile node starts: at its primary home agent, whoever sends."""
        return self._addresses[binding.primary]

    def tunnel_mtu(self, binding: Binding) -> int:
        """The largest inner packet in bytes that the path was found to carry; 0 when nothing is known."""
        return self._tunnel_mtu.get(binding.tunnel, 0)

    def begin(self, binding: Binding, now: Now, again: bool = False) -> None:
        """Forward, accept and defend; ``again`` after a restart, when the home link knows already."""
        actions = self._outbox.actions
        self._no_longer_previous(binding, binding.care_of_address)
        for care_of_address in (*(address for address, _ in binding.previous), binding.care_of_address):
            self._accept(binding, care_of_address)
        self._set_tunnel(binding)
        actions.append(self._forward(binding))
        times = 1 if again else MAX_NEIGHBOR_ADVERTISEMENT
        self._home_link.defend(binding.home_address, now, times)
        if binding.link_local:
            self._home_link.defend(link_local_of(binding.home_address), now, times)

    def turn(self, binding: Binding, care_of_address: Address, primary: int, now: Now) -> None:
        """The mobile node is at another care-of address, or has another primary home agent, or both."""
        previous, moved = binding.care_of_address, care_of_address != binding.care_of_address
        changed = primary != binding.primary
        binding.care_of_address = care_of_address
        self._cache.set_primary(binding, primary)
        if moved:
            self._no_longer_previous(binding, care_of_address)
            self._tunnel_mtu.pop(binding.tunnel, None)
            self._accept(binding, care_of_address)
        self._set_tunnel(binding)
        if changed:
            self._outbox.actions.append(self._forward(binding))
        if moved:
            self._keep_as_previous(binding, previous, now)

    def defend_link_local(self, binding: Binding, wanted: bool, now: Now) -> None:
        binding.link_local = wanted
        if wanted:
            self._home_link.defend(link_local_of(binding.home_address), now)
        else:
            self._home_link.release(link_local_of(binding.home_address))

    def end(self, binding: Binding, now: Now, at_once: bool) -> None:
        """Stop intercepting. What is in the tunnel already may still arrive, unless ``at_once``."""
        self._outbox.actions.append(Unforward(PLANE, Direction.TO_HOME_ADDRESS, binding.home_address))
        self._home_link.release(binding.home_address)
        if binding.link_local:
            self._home_link.release(link_local_of(binding.home_address))
        self._tunnel_mtu.pop(binding.tunnel, None)
        if at_once or self._settings.previous_care_of_address_grace_s <= 0:
            for address in (binding.care_of_address, *(address for address, _ in binding.previous)):
                self._unaccept(binding, address)
            binding.previous = ()
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))
        else:
            self._keep_as_previous(binding, binding.care_of_address, now)

    def lower_mtu(self, binding: Binding, mtu: int, now: Now) -> None:
        """The path carries inner packets of at most ``mtu`` bytes."""
        known = self.tunnel_mtu(binding)
        if known and known <= mtu:
            return
        self._tunnel_mtu[binding.tunnel] = mtu
        self._set_tunnel(binding)
        self._agenda.at(now.monotonic + PATH_MTU_LIFETIME_S, self._forget_mtu, binding, mtu)

    def _forget_mtu(self, binding: Binding, mtu: int, now: Now) -> None:
        if binding.state == State.BOUND and self._tunnel_mtu.get(binding.tunnel) == mtu:
            del self._tunnel_mtu[binding.tunnel]
            self._set_tunnel(binding)

    def remove_all(self) -> None:
        """Leave nothing of ours in the table."""
        for binding in self._cache:
            addresses = [address for address, _ in binding.previous]
            if binding.state == State.BOUND:
                self._outbox.actions.append(Unforward(PLANE, Direction.TO_HOME_ADDRESS, binding.home_address))
                addresses.append(binding.care_of_address)
            for address in addresses:
                self._unaccept(binding, address)
            if addresses:
                self._outbox.actions.append(RemoveTunnel(binding.tunnel))

    def _set_tunnel(self, binding: Binding) -> None:
        local = self._addresses[binding.primary]
        tunnel = Tunnel(binding.tunnel, local, binding.care_of_address, mtu=self.tunnel_mtu(binding))
        self._outbox.actions.append(SetTunnel(tunnel))

    def _forward(self, binding: Binding) -> Forward:
        member = 0 if binding.primary == self._own else binding.primary
        return Forward(PLANE, Direction.TO_HOME_ADDRESS, binding.home_address, binding.tunnel, member)

    def _accept(self, binding: Binding, care_of_address: Address) -> None:
        self._outbox.actions.append(
            Accept(PLANE, Direction.FROM_HOME_ADDRESS, binding.home_address, care_of_address, binding.tunnel)
        )

    def _unaccept(self, binding: Binding, care_of_address: Address) -> None:
        self._outbox.actions.append(Unaccept(PLANE, Direction.FROM_HOME_ADDRESS, binding.home_address, care_of_address))

    # --- previous care-of addresses ---

    def _no_longer_previous(self, binding: Binding, care_of_address: Address) -> None:
        if binding.previous:
            binding.previous = tuple(item for item in binding.previous if item[0] != care_of_address)

    def _keep_as_previous(self, binding: Binding, care_of_address: Address, now: Now) -> None:
        grace_s = self._settings.previous_care_of_address_grace_s
        if grace_s <= 0:
            self._unaccept(binding, care_of_address)
            return
        until = now.monotonic + grace_s
        if len(binding.previous) >= PREVIOUS_MAX:
            self._unaccept(binding, binding.previous[0][0])
            binding.previous = binding.previous[1:]
        binding.previous = (*binding.previous, (care_of_address, until))
        self._agenda.at(until, self._end_of_grace, binding)

    def _end_of_grace(self, binding: Binding, now: Now) -> None:
        if not binding.previous:
            return
        for address, until in binding.previous:
            if until <= now.monotonic:
                self._unaccept(binding, address)
        binding.previous = tuple(item for item in binding.previous if item[1] > now.monotonic)
        if not binding.previous and binding.state != State.BOUND:
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))

    def forget(self, binding: Binding) -> None:
        """The entry goes: so does what is still accepted."""
        for address, _ in binding.previous:
            self._unaccept(binding, address)
        if binding.previous:
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))
        binding.previous = ()
