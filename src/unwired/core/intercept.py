"""What a binding means for packets: the rows of the forwarding table and the defence of the home address.

A handover adds the new care-of address to those accepted from, then turns the tunnel; the previous care-of address is
accepted for a while longer, because packets that left before the binding update are still on their way.

The IPv4 home address of a binding has rows of its own; a mobile prefix has one that points at the IPv6 home address.

Every member of a set has all of this for every binding: the tunnel that starts at the primary's address, which leads to
the mobile node when the primary can't, and the row that sends packets to the primary as long as it can.
"""

from collections.abc import Callable, Iterable

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    RemoveMobilePrefix,
    RemoveTunnel,
    SetMobilePrefix,
    SetTunnel,
    Tunnel,
    Unaccept,
    Unforward,
)
from unwired.core.home_link import MAX_NEIGHBOR_ADVERTISEMENT, HomeLink, link_local_of
from unwired.core.ipv4_assignment import Ipv4Assignments
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import PATH_MTU_LIFETIME_S
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings, Prefix
from unwired.core.subscribers import SubscriberLookup
from unwired.core.timers import Agenda
from unwired.wire.address import Address, is_ipv4
from unwired.wire.datagram import PORT
from unwired.wire.state_synchronization import DualStack

PLANE = 0
PREVIOUS_MAX = 4
"""Care-of addresses accepted from besides the current one; the oldest gives way."""
Place = tuple[Address, int]
"""A care-of address with its UDP port, 0 without UDP."""
Block = Address | Prefix
"""An IPv4 home address or a mobile prefix."""


class Interception:
    """Makes the rows for bindings; they are idempotent, so that everything may be said again at a restart.

    ``placed`` is called when the tunnel of a binding has got another end or is there for the first time, ``ended`` when
    there is none any more."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        cache: BindingCache,
        home_link: HomeLink,
        assignments: Ipv4Assignments,
        subscribers: SubscriberLookup,
        outbox: Outbox,
        agenda: Agenda,
    ) -> None:
        self._settings = settings
        self._assignments = assignments
        self._subscribers = subscribers
        self._own = roster.own
        self._addresses = roster.addresses
        self._cache = cache
        self._home_link = home_link
        self._outbox = outbox
        self._agenda = agenda
        self._tunnel_mtu: dict[int, int] = {}
        self._contested: dict[Block, set[Address]] = {}
        """Who else names an IPv4 home address or a mobile prefix that is held."""
        self.placed: Callable[[Binding, Now], None] = lambda binding, now: None
        self.ended: Callable[[Binding, Now], None] = lambda binding, now: None

    def tunnel_local(self, binding: Binding) -> Address:
        """Where the tunnel to the mobile node starts: at its primary home agent, whoever sends; at the one IPv4 address
        that all have."""
        if is_ipv4(binding.care_of_address) and self._settings.address_ipv4 is not None:
            return self._settings.address_ipv4
        return self._addresses[binding.primary]

    def tunnel_mtu(self, binding: Binding) -> int:
        """The largest inner packet in bytes that the path was found to carry; 0 when nothing is known."""
        return self._tunnel_mtu.get(binding.tunnel, 0)

    def begin(self, binding: Binding, now: Now, again: bool = False) -> None:
        """Forward, accept and defend; ``again`` after a restart, when the home link knows already."""
        actions = self._outbox.actions
        self._no_longer_previous(binding, _place(binding))
        self._claim(binding, now)
        held = self._held(binding)
        for place in (*_previous(binding), _place(binding)):
            self._accept(_addresses(binding, held), place, binding.tunnel)
        self._set_tunnel(binding)
        for address in _addresses(binding, held):
            actions.append(self._forward(binding, address))
        times = 1 if again else MAX_NEIGHBOR_ADVERTISEMENT
        self._home_link.defend(binding.home_address, now, times)
        self._begin_ipv4(binding, held, now)
        if binding.link_local:
            self._home_link.defend(link_local_of(binding.home_address), now, times)
        self.placed(binding, now)

    def turn(
        self, binding: Binding, care_of_address: Address, dual_stack: DualStack | None, primary: int, now: Now
    ) -> None:
        """The mobile node is at another care-of address, or behind another port of a NAT, or has another primary home
        agent, or other IPv4 addresses."""
        before, held_before = _place(binding), self._held(binding)
        changed = primary != binding.primary
        binding.care_of_address = care_of_address
        self._cache.set_primary(binding, primary)
        binding.dual_stack = dual_stack
        place = _place(binding)
        moved = place != before
        for block in held_before:
            if block not in _blocks(binding):
                self._release(block, (before, *_previous(binding)), now)
        self._claim(binding, now)
        held = self._held(binding)
        news = [block for block in held if block not in held_before]
        if moved:
            self._no_longer_previous(binding, place)
            self._tunnel_mtu.pop(binding.tunnel, None)
            self._accept(_addresses(binding, held), place, binding.tunnel)
        else:
            self._accept(_single(news), place, binding.tunnel)
        if moved or changed:
            self._set_tunnel(binding)
        for address in _addresses(binding, held) if changed else _single(news):
            self._outbox.actions.append(self._forward(binding, address))
        self._begin_ipv4(binding, news, now)
        if moved:
            self._keep_as_previous(binding, before, now)
        if moved or changed:
            self.placed(binding, now)

    def readdress(self, binding: Binding, dual_stack: DualStack | None) -> None:
        """What of IPv4 an entry that is not bound is to have: nothing is accepted any more for what it had else."""
        former = binding.home_address_ipv4
        binding.dual_stack = dual_stack
        if former is not None and former != binding.home_address_ipv4:
            self._unaccept([former], _rows(_previous(binding)))

    def claim(self, binding: Binding, now: Now) -> None:
        """Hold the IPv4 addresses of a binding that came from the journal, before its rows are asked for."""
        self._claim(binding, now)

    def defend_link_local(self, binding: Binding, wanted: bool, now: Now) -> None:
        binding.link_local = wanted
        if wanted:
            self._home_link.defend(link_local_of(binding.home_address), now)
        else:
            self._home_link.release(link_local_of(binding.home_address))

    def end(self, binding: Binding, now: Now, at_once: bool) -> None:
        """Stop intercepting. What is in the tunnel already may still arrive, unless ``at_once``."""
        self.ended(binding, now)
        held = self._held(binding)
        for address in _addresses(binding, held):
            self._outbox.actions.append(Unforward(PLANE, Direction.TO_HOME_ADDRESS, address))
            self._home_link.release(address)
        for block in held:
            if isinstance(block, tuple):
                self._outbox.actions.append(RemoveMobilePrefix(PLANE, *block))
            self._let_go(block, now)
        self._assignments.in_use(binding.home_address, None, None, now)
        if binding.link_local:
            self._home_link.release(link_local_of(binding.home_address))
        self._tunnel_mtu.pop(binding.tunnel, None)
        if at_once or self._settings.previous_care_of_address_grace_s <= 0:
            self._unaccept(_all_addresses(binding), _rows((_place(binding), *_previous(binding))))
            binding.previous = ()
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))
        else:
            self._keep_as_previous(binding, _place(binding), now)

    def set_mtu(self, binding: Binding, mtu: int) -> None:
        """The path carries inner packets of at most ``mtu`` bytes, 0: of any size that the first link takes."""
        if mtu != self.tunnel_mtu(binding):
            if mtu:
                self._tunnel_mtu[binding.tunnel] = mtu
            else:
                del self._tunnel_mtu[binding.tunnel]
            self._set_tunnel(binding)

    def lower_mtu(self, binding: Binding, mtu: int, now: Now) -> None:
        """An error said that the path carries inner packets of at most ``mtu`` bytes: that is believed for a while."""
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
            places = _previous(binding)
            if binding.state == State.BOUND:
                held = self._held(binding)
                for address in _addresses(binding, held):
                    self._outbox.actions.append(Unforward(PLANE, Direction.TO_HOME_ADDRESS, address))
                for block in held:
                    if isinstance(block, tuple):
                        self._outbox.actions.append(RemoveMobilePrefix(PLANE, *block))
                places.append(_place(binding))
            if places:
                self._unaccept(_all_addresses(binding), _rows(places))
                self._outbox.actions.append(RemoveTunnel(binding.tunnel))

    def _set_tunnel(self, binding: Binding) -> None:
        self._outbox.actions.append(SetTunnel(self.tunnel(binding)))

    def tunnel(self, binding: Binding) -> Tunnel:
        """The tunnel to the mobile node."""
        port = binding.care_of_port
        return Tunnel(
            binding.tunnel,
            self.tunnel_local(binding),
            binding.care_of_address,
            binding.encapsulation,
            mtu=self.tunnel_mtu(binding),
            local_port=PORT if port else 0,
            peer_port=port,
        )

    def _forward(self, binding: Binding, address: Address) -> Forward:
        member = 0 if binding.primary == self._own else binding.primary
        return Forward(PLANE, Direction.TO_HOME_ADDRESS, address, binding.tunnel, member)

    def _accept(self, addresses: Iterable[Address], place: Place, tunnel: int) -> None:
        """Take what comes from there with one of these addresses as inner source."""
        for outer_source, port in _rows([place]):
            for address in addresses:
                self._outbox.actions.append(
                    Accept(PLANE, Direction.FROM_HOME_ADDRESS, address, outer_source, tunnel, port)
                )

    def _unaccept(self, addresses: Iterable[Address], rows: Iterable[Place]) -> None:
        for outer_source, port in rows:
            for address in addresses:
                self._outbox.actions.append(Unaccept(PLANE, Direction.FROM_HOME_ADDRESS, address, outer_source, port))

    # --- IPv4 home addresses and mobile prefixes ---

    def _held(self, binding: Binding) -> list[Block]:
        """Those of a binding that are its own: not another one's that is newer."""
        return [block for block in _blocks(binding) if self._cache.holder(block) is binding]

    def _claim(self, binding: Binding, now: Now) -> None:
        """Take what the binding names, unless the configuration has it otherwise. Two members that did not reach each
        other may have given one address to two mobile nodes: then the one with the greater home address has it, at
        every member."""
        for block in _blocks(binding):
            holder = self._cache.holder(block)
            if holder is binding or not self._is_servable(binding, block):
                continue
            if holder is not None:
                self._outbox.counters["ipv4_conflicts"] += 1
                self._contested.setdefault(block, set()).update((holder.home_address, binding.home_address))
                if holder.home_address > binding.home_address:
                    continue
                self._remove_rows(block, (_place(holder), *_previous(holder)))
            self._cache.hold(block, binding)
        self._note_use(binding, now)

    def _note_use(self, binding: Binding, now: Now) -> None:
        """Tell the assignments what is in the binding."""
        held = self._held(binding)
        address = next(iter(_single(held)), None)
        prefix = next((block for block in held if isinstance(block, tuple)), None)
        self._assignments.learn(binding.home_address, address, prefix)
        self._assignments.in_use(binding.home_address, address, prefix, now)

    def _is_servable(self, binding: Binding, block: Block) -> bool:
        """Whether packets for it come here at all, and it is not another's by configuration."""
        if isinstance(block, tuple):
            return True
        owner = self._subscribers.by_home_address_ipv4(block)
        return self._assignments.is_home_address(block) and (
            owner is None or owner.home_address == binding.home_address
        )

    def _begin_ipv4(self, binding: Binding, blocks: Iterable[Block], now: Now) -> None:
        for block in blocks:
            if isinstance(block, tuple):
                self._outbox.actions.append(SetMobilePrefix(PLANE, *block, binding.home_address))
            else:
                self._home_link.defend(block, now)

    def _release(self, block: Block, places: Iterable[Place], now: Now) -> None:
        """It is in a binding no more that packets are taken from these places for."""
        self._remove_rows(block, places)
        self._let_go(block, now)

    def _let_go(self, block: Block, now: Now) -> None:
        """Nobody holds it any more, unless there is somebody else who names it."""
        self._cache.let_go(block)
        others = [self._cache.get(home_address) for home_address in self._contested.pop(block, ())]
        naming = [one for one in others if one is not None and one.state == State.BOUND and block in _blocks(one)]
        if not naming:
            return
        if len(naming) > 1:
            self._contested[block] = {one.home_address for one in naming}
        binding = max(naming, key=lambda one: one.home_address)
        self._cache.hold(block, binding)
        self._note_use(binding, now)
        self._accept(_single([block]), _place(binding), binding.tunnel)
        for address in _single([block]):
            self._outbox.actions.append(self._forward(binding, address))
        self._begin_ipv4(binding, [block], now)

    def _remove_rows(self, block: Block, places: Iterable[Place]) -> None:
        if isinstance(block, tuple):
            self._outbox.actions.append(RemoveMobilePrefix(PLANE, *block))
            return
        self._outbox.actions.append(Unforward(PLANE, Direction.TO_HOME_ADDRESS, block))
        self._unaccept([block], _rows(places))
        self._home_link.release(block)

    # --- previous care-of addresses ---

    def _no_longer_previous(self, binding: Binding, place: Place) -> None:
        if binding.previous:
            binding.previous = tuple(item for item in binding.previous if item[:2] != place)

    def _keep_as_previous(self, binding: Binding, place: Place, now: Now) -> None:
        grace_s = self._settings.previous_care_of_address_grace_s
        if grace_s <= 0:
            self._no_longer_accept(binding, [place])
            return
        until = now.monotonic + grace_s
        if len(binding.previous) >= PREVIOUS_MAX:
            oldest, *others = binding.previous
            binding.previous = tuple(others)
            self._no_longer_accept(binding, [oldest[:2]])
        binding.previous = (*binding.previous, (*place, until))
        self._agenda.at(until, self._end_of_grace, binding)

    def _end_of_grace(self, binding: Binding, now: Now) -> None:
        if not binding.previous:
            return
        over = [item[:2] for item in binding.previous if item[2] <= now.monotonic]
        binding.previous = tuple(item for item in binding.previous if item[2] > now.monotonic)
        self._no_longer_accept(binding, over)
        if not binding.previous and binding.state != State.BOUND:
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))

    def _no_longer_accept(self, binding: Binding, places: list[Place]) -> None:
        """But for the rows that a place has in common with one that is still accepted from."""
        still = _previous(binding)
        if binding.state == State.BOUND:
            still.append(_place(binding))
        rows = _rows(still)
        self._unaccept(_all_addresses(binding), [row for row in _rows(places) if row not in rows])

    def forget(self, binding: Binding) -> None:
        """The entry goes: so does what is still accepted."""
        if binding.previous:
            self._unaccept(_all_addresses(binding), _rows(_previous(binding)))
            self._outbox.actions.append(RemoveTunnel(binding.tunnel))
        binding.previous = ()


def _place(binding: Binding) -> Place:
    return binding.care_of_address, binding.care_of_port


def _previous(binding: Binding) -> list[Place]:
    return [(address, port) for address, port, _ in binding.previous]


def _rows(places: Iterable[Place]) -> list[Place]:
    """From which outer sources and UDP ports packets are taken that a mobile node at one of these places sends, port 0:
    without UDP. In an IPv4 network it uses UDP until it knows that there is no NAT."""
    rows = []
    for address, port in places:
        rows.append((address, port))
        if not port and is_ipv4(address):
            rows.append((address, PORT))
    return rows


def _blocks(binding: Binding) -> list[Block]:
    """The IPv4 home address and the mobile prefix that a binding names."""
    blocks = (binding.home_address_ipv4, binding.mobile_prefix)
    return [block for block in blocks if block is not None]


def _single(blocks: Iterable[Block]) -> list[Address]:
    """The address among them."""
    return [block for block in blocks if not isinstance(block, tuple)]


def _addresses(binding: Binding, held: Iterable[Block]) -> list[Address]:
    """The home addresses: the IPv6 one, and the IPv4 one where it is held."""
    return [binding.home_address, *_single(held)]


def _all_addresses(binding: Binding) -> list[Address]:
    """The home addresses that a binding names, held or not: what is not there may be removed all the same."""
    return _addresses(binding, _blocks(binding))
