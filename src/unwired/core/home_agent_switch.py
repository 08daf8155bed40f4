"""Home Agent Switch messages (RFC 5142): mobile nodes are asked to register with another member of our set.

Three reasons: another member is nearer (a binding update came by way of it), the member that they were bound to is dead
and we answer in its place, or we drain. A message is repeated as section 5.2 says and nothing is concluded from silence
(section 5.3); how many are under way at once is ``switch_pacing.py``'s. Our profile beyond the RFC, which leaves
protection to IPsec: the message carries a timestamp and the MN-HA authentication option of RFC 4285, computed as for an
acknowledgement.
"""

from collections import OrderedDict

from unwired.core.authentication import placeholder, seal
from unwired.core.binding_cache import Binding
from unwired.core.binding_states import State
from unwired.core.delivery import packet_to
from unwired.core.door import Now
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.outbox import Outbox
from unwired.core.settings import SecurityAssociation
from unwired.core.switch_pacing import Pace
from unwired.core.timers import Agenda
from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5142 import HomeAgentSwitch

INITIAL_HA_SWITCH_TIMEOUT_S = 5.0
MAX_HA_SWITCH_TIMEOUT_S = 20.0
TRANSMISSIONS = 5
"""How often a mobile node is asked: the RFC allows any number at the slowest rate."""


class _Switch:
    """One mobile node to be asked; ``is_under_way`` while it counts in its target's pace."""

    __slots__ = (
        "association",
        "binding",
        "identifier",
        "is_over",
        "is_under_way",
        "source",
        "target",
        "timeout_s",
        "transmissions",
    )

    def __init__(
        self,
        binding: Binding,
        association: SecurityAssociation | None,
        identifier: bytes | None,
        source: Address,
        target: int,
    ) -> None:
        self.binding = binding
        self.association = association
        self.identifier = identifier
        self.source = source
        self.target = target
        self.transmissions = 0
        self.timeout_s = INITIAL_HA_SWITCH_TIMEOUT_S
        self.is_under_way = False
        self.is_over = False


class SwitchSender:
    """All switches that were asked for and are not over, one per home address."""

    def __init__(self, outbox: Outbox, agenda: Agenda, members: HomeAgentSet) -> None:
        self._outbox = outbox
        self._agenda = agenda
        self._members = members
        self._switches: dict[Address, _Switch] = {}
        self._queues: dict[int, OrderedDict[Address, _Switch]] = {}
        self._paces: dict[int, Pace] = {}
        self._timestamp = 0
        members.on_load = self._load_changed

    def __len__(self) -> int:
        """How many mobile nodes are asked or about to be."""
        return len(self._switches)

    def request(
        self,
        binding: Binding,
        association: SecurityAssociation | None,
        identifier: bytes | None,
        source: Address,
        target: int,
        now: Now,
    ) -> bool:
        """Ask a mobile node to register with the member ``target`` (which may be ourselves), in the name of ``source``,
        the home agent address that it knows. Whether it was asked before at this care-of address is the caller's to
        look at (``binding.switched``). False: the target is not up, or too many wait already.
        """
        members = self._members
        if binding.state != State.BOUND or not members.is_up(target):
            return False
        home_address = binding.home_address
        before = self._switches.get(home_address)
        if before is not None:
            asked = before.transmissions and members.is_up(before.target)
            if before.source == source and (before.target == target or asked):
                return True
            self._end(before)
        elif len(self._switches) >= members.bindings_max:
            self._outbox.counters["home_agent_switches_refused"] += 1
            return False
        switch = _Switch(binding, association, identifier, source, target)
        self._switches[home_address] = switch
        self._queue(target)[home_address] = switch
        self._send_what_may_go(target, now)
        return True

    def completed(self, home_address: Address, now: Now) -> None:
        """The mobile node registered with the target, or the binding ended or moved: there is nothing to ask for."""
        switch = self._switches.get(home_address)
        if switch is None:
            return
        if switch.is_under_way:
            switch.is_under_way = False
            self._paces[switch.target].completed()
        if switch.transmissions:
            self._outbox.counters["home_agent_switches_completed"] += 1
        self._end(switch)
        self._send_what_may_go(switch.target, now)

    # --- queues ---

    def _queue(self, target: int) -> OrderedDict[Address, _Switch]:
        if target not in self._queues:
            self._queues[target] = OrderedDict()
            self._paces[target] = Pace()
        return self._queues[target]

    def _end(self, switch: _Switch) -> None:
        """Forget it, and free its place if it is still under way."""
        if switch.is_under_way:
            switch.is_under_way = False
            self._paces[switch.target].under_way -= 1
        switch.is_over = True
        home_address = switch.binding.home_address
        del self._switches[home_address]
        self._queues[switch.target].pop(home_address, None)

    def _load_changed(self, target: int, now: Now) -> None:
        pace = self._paces.get(target)
        if pace is None:
            return
        if self._members.is_up(target) and self._members.room(target) == 0:
            pace.halve(now.monotonic)
        self._send_what_may_go(target, now)

    def _send_what_may_go(self, target: int, now: Now) -> None:
        queue, pace = self._queues[target], self._paces[target]
        room = self._members.room(target)
        while queue and pace.may_send(room):
            _, switch = queue.popitem(last=False)
            if self._members.serves(switch.source):
                self._send(switch, now)
            else:
                # The member whose place we took is back, and cares for its own mobile nodes.
                self._outbox.counters["home_agent_switches_abandoned"] += 1
                self._end(switch)

    # --- one switch ---

    def _send(self, switch: _Switch, now: Now) -> None:
        binding = switch.binding
        message, data = self._message(switch, now)
        self._outbox.send(packet_to(binding, switch.source, self._members.address_ipv4, message, data))
        switch.transmissions += 1
        switch.is_under_way = True
        self._paces[switch.target].sent()
        self._outbox.counters["home_agent_switches_sent"] += 1
        self._agenda.at(now.monotonic + switch.timeout_s, self._timed_out, switch)

    def _message(self, switch: _Switch, now: Now) -> tuple[HomeAgentSwitch, bytes]:
        addresses = (self._members.member(switch.target).address,)
        if switch.association is None:
            return HomeAgentSwitch(addresses), b""
        # One clock for all: so the timestamps of every mobile node only grow, should ours be set back.
        self._timestamp = max(ntp_timestamp(now.wall), self._timestamp + 1)
        options: list[MobilityOption] = []
        if switch.identifier is not None:
            options.append(MobileNodeIdentifier(switch.identifier))
        options += (MessageId(self._timestamp), placeholder(switch.association))
        message = HomeAgentSwitch(addresses, options=tuple(options))
        binding = switch.binding
        return message, seal(message, switch.association, binding.own_care_of_address, binding.home_address)

    def _timed_out(self, switch: _Switch, now: Now) -> None:
        """Once more, a while later and after those who wait already; or no more."""
        if switch.is_over:
            return
        switch.is_under_way = False
        self._paces[switch.target].timed_out(now.monotonic)
        if switch.transmissions >= TRANSMISSIONS:
            self._outbox.counters["home_agent_switches_unanswered"] += 1
            self._end(switch)
        else:
            switch.timeout_s = min(2 * switch.timeout_s, MAX_HA_SWITCH_TIMEOUT_S)
            self._queues[switch.target][switch.binding.home_address] = switch
        self._send_what_may_go(switch.target, now)
