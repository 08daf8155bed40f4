"""The home agent (RFC 6275 sections 8.4 and 10): the engine's door, and who inside handles what.

| part | what |
|---|---|
| ``admission.py`` | which binding updates are taken: authentication, replay, sequence, the home agent's tests |
| ``registration.py`` | what they do: acknowledgements, refresh requests, expiry |
| ``durability.py`` | the journal, the other members' journals, and which acknowledgements may go |
| ``binding_states.py``, ``binding_cache.py`` | the life of a binding as a table; the entries, records, timers |
| ``intercept.py`` | rows of the forwarding table for a binding |
| ``home_link.py`` | duplicate address detection, defence of home addresses, router advertisements |
| ``discovery.py`` | home agent address discovery, mobile prefix discovery |
| ``ipv4_assignment.py``, ``ipv4_pool.py`` | IPv4 home addresses and mobile prefixes: whose they are |
| ``nat_traversal.py`` | mobile nodes behind NATs: mappings that we do not know, probes |
| ``home_agent_paths.py``, ``path_probing.py`` | what the paths to mobile nodes in IPv4 networks carry |
| ``tunnel_errors.py`` | ICMP errors from inside a tunnel |

As a member of a home agent set besides:

| part | what |
|---|---|
| ``home_agent_set.py`` | the other members: who is up, who is near, when to announce the home prefix |
| ``home_agent_switch.py`` | telling mobile nodes to change to another member |
| ``set_resettle.py`` | moving the mobile nodes of a member that stays away |
| ``merge.py`` | what the others know, taken into the cache |
| ``replica.py`` | what we know, for the others |

Not here: answering solicitations for a defended address and forwarding, which go on without the daemon; route
optimization (a binding update without the H bit, home test init and care-of test init are dropped and counted).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from unwired.core import home_agent_report
from unwired.core.acknowledgement import back
from unwired.core.admission import Admission
from unwired.core.binding_cache import (
    Binding,
    BindingCache,
    decode_record,
    is_binding_key,
)
from unwired.core.binding_states import State
from unwired.core.discovery import Discovery
from unwired.core.door import (
    Action,
    ActionFailed,
    BindingsHeld,
    BindingsReceived,
    DefendAddress,
    Drain,
    Event,
    Health,
    HelloReceived,
    KeyShared,
    Now,
    Persist,
    Persisted,
    Send,
    SetCurrent,
)
from unwired.core.durability import Safekeeping
from unwired.core.forwarding import Accept, Forward, Listen, SetMobilePrefix, SetTunnel, Unlisten
from unwired.core.global_binding import BindingStore
from unwired.core.home_agent_paths import HomeAgentPaths
from unwired.core.home_agent_set import HomeAgentSet, Load
from unwired.core.home_agent_switch import SwitchSender
from unwired.core.home_link import HOP_LIMIT, HomeLink
from unwired.core.intercept import PLANE, Interception
from unwired.core.ipv4_assignment import Ipv4Assignments, is_assignment_key
from unwired.core.merge import Merger
from unwired.core.nat_traversal import NatTraversal
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.rate_limit import TokenBucket
from unwired.core.recognized import is_recognized
from unwired.core.registration import Registrar
from unwired.core.replica import Replica
from unwired.core.roster import roster
from unwired.core.set_resettle import Resettling
from unwired.core.settings import HomeAgentSettings
from unwired.core.subscribers import SubscriberLookup
from unwired.core.timers import Agenda
from unwired.core.tunnel_errors import TunnelError, TunnelErrors
from unwired.wire.address import (
    UNSPECIFIED,
    Address,
    format_address,
    home_agents_anycast,
    is_ipv4,
    is_multicast,
)
from unwired.wire.icmpv6 import (
    EchoReply,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram
from unwired.wire.ipv6 import AUTHENTICATION_HEADER, ESP, Packet, UnknownPayload
from unwired.wire.mobility import MobilityMessage
from unwired.wire.rfc6275 import BindingError, BindingErrorStatus, BindingUpdate

AGAIN = 1000
"""For how many bindings at a time the rows are asked for again that an earlier process has left: some milliseconds'
work."""
_SOON_S = 1e-6
ROOM = 1000
"""How many mobile nodes the others may send to us at once, less those whose acknowledgements wait."""


class HomeAgent:
    """An engine (``door.Engine``) that keeps packets flowing to mobile nodes that are away.

    ``entropy(size)`` gives random bytes; secret ones in a set, whose HELLO keys are made of them. ``rows_are_there``,
    set before the start: an earlier process has left the rows of the bindings in the forwarding table, and asking for
    them again may take its time; ``is_settled`` says when all have been asked for.
    """

    def __init__(
        self, settings: HomeAgentSettings, subscribers: SubscriberLookup, entropy: Callable[[int], bytes]
    ) -> None:
        self.settings = settings
        self._now = Now(0.0, 0.0)
        self.rows_are_there = False
        self.is_settled = True
        self._outbox = Outbox()
        self._agenda = Agenda()
        self._subscribers = subscribers
        self.cache = BindingCache()
        self.roster = roster(settings)
        self.home_link = HomeLink(settings, self._outbox, self._agenda, entropy)
        replica = Replica(settings, self.roster, self.cache, lambda: self._now) if self.roster.is_set else None
        self.binding_store: BindingStore | None = replica
        self._safekeeping = Safekeeping(settings, self.roster, self.cache, replica, self._outbox, self._agenda)
        self.assignments = Ipv4Assignments(settings, self.roster, subscribers, self._safekeeping.write)
        self._interception = Interception(
            settings,
            self.roster,
            self.cache,
            self.home_link,
            self.assignments,
            subscribers,
            self._outbox,
            self._agenda,
        )
        admission = Admission(settings, self.roster, subscribers, self.cache, self.home_link, self.assignments)
        self._registrar = Registrar(
            settings,
            self.roster,
            admission,
            self.cache,
            self.home_link,
            self._interception,
            self._safekeeping,
            self.assignments,
            self._outbox,
        )
        self._nat_traversal = NatTraversal(
            settings, self.cache, self._registrar.ask_for_refresh, self._outbox, self._agenda
        )
        self.members: HomeAgentSet | None = None
        self._switch: SwitchSender | None = None
        self._merger: Merger | None = None
        self._resettling: Resettling | None = None
        if settings.home_agent_set is not None:
            members = self.members = HomeAgentSet(
                settings.home_agent_set, settings, self._outbox, self._agenda, entropy
            )
            members.primaries = self._primaries
            members.load = self._load
            members.hand_over = self._hand_over
            switch = self._switch = SwitchSender(self._outbox, self._agenda, members)
            self._registrar.join(members, switch)
            self._resettling = Resettling(
                members, self.cache, self._registrar.ask_for_refresh, self._outbox, self._agenda
            )
            members.on_change = self._resettling.changed
            self._merger = Merger(
                settings,
                self.roster,
                subscribers,
                admission,
                self.cache,
                self._interception,
                self.assignments,
                self._safekeeping,
                self._outbox,
                self._registrar.next_look,
            )
            self._merger.turned = switch.completed
            self._merger.is_current = lambda: members.is_current
        self._discovery = Discovery(settings, self.cache, self.members, self._outbox, entropy)
        self._paths = HomeAgentPaths(self.roster, self.cache, self._interception, self._outbox, self._agenda, entropy)
        self._safekeeping.acknowledged = self._paths.acknowledged
        self._tunnel_errors = TunnelErrors(
            settings, self.cache, self._interception, self._paths, self.members, self._outbox
        )
        self._answers = TokenBucket(rate=100.0, burst=100)
        self._anycast = tuple(
            dict.fromkeys(home_agents_anycast(prefix.prefix, prefix.length) for prefix in settings.home_prefixes)
        )
        self._neighbour_discovery: dict[type, Callable[[Packet, Any, Now], None]] = {
            NeighborSolicitation: self.home_link.neighbor_solicitation,
            NeighborAdvertisement: self.home_link.neighbor_advertisement,
            RouterSolicitation: self.home_link.router_solicitation,
            RouterAdvertisement: self._router_advertisement,
        }

    # --- the door ---

    @property
    def drops(self) -> Counter[Drop]:
        """Packets dropped without an answer, by reason."""
        return self._outbox.drops

    @property
    def counters(self) -> dict[str, int]:
        """What was done, by name; they only grow."""
        return self._outbox.counters

    def actions(self) -> list[Action]:
        return self._outbox.take()

    def start(self, now: Now) -> None:
        self._now = now
        for address in self._addresses():
            self._outbox.actions.append(Listen(PLANE, address))
        if self.rows_are_there:
            self.is_settled = False
            self._agenda.at(now.monotonic, self._ask_again, iter([binding.home_address for binding in self.cache]))
        else:
            for binding in self.cache:
                if binding.state == State.BOUND:
                    self._interception.begin(binding, now, again=True)
        self.home_link.start(now)
        if self.members is not None:
            self.members.start(now)
        if self._resettling is not None:
            self._resettling.start(now)
        self._outbox.notify(
            "home_agent_started", address=format_address(self.settings.address), bindings=self.cache.in_use
        )

    def _addresses(self) -> list[Address]:
        """Where we listen."""
        address_ipv4 = self.settings.address_ipv4
        return [self.settings.address, *self._anycast, *([] if address_ipv4 is None else [address_ipv4])]

    def _ask_again(self, unasked: Iterator[Address], now: Now) -> None:
        """For the rows of some bindings more, as they are now; and for those of the others soon."""
        if self.is_settled:
            return
        asked = 0
        for home_address in islice(unasked, AGAIN):
            asked += 1
            binding = self.cache.get(home_address)
            if binding is not None and binding.state == State.BOUND:
                self._interception.begin(binding, now, again=True)
        if asked == AGAIN:
            self._agenda.at(now.monotonic + _SOON_S, self._ask_again, unasked)
        else:
            self.is_settled = True

    def stop(self, now: Now) -> None:
        """Nothing of ours stays on the host; the journal keeps the bindings for the next start."""
        self._now = now
        self.is_settled = True
        if self.members is not None:
            self.members.stop(now)
        self.home_link.stop(now)
        self._interception.remove_all()
        for address in reversed(self._addresses()):
            self._outbox.actions.append(Unlisten(PLANE, address))
        self._outbox.notify("home_agent_stopped", address=format_address(self.settings.address))

    def restore(self, records: Iterable[tuple[bytes, bytes]], now: Now) -> None:
        self._now = now
        bindings = []
        for key, record in records:
            try:
                if is_binding_key(key):
                    bindings.append(decode_record(key, record, now))
                elif is_assignment_key(key):
                    self.assignments.restore(key, record)
            except ValueError as error:
                self._outbox.notify("record_unreadable", Level.WARNING, reason=str(error), key=key.hex())
        self.assignments.restored()
        for binding, primary in bindings:
            self._registrar.restore(binding, primary, now)

    def deadline(self) -> float | None:
        wheel, agenda = self.cache.wheel.deadline(), self._agenda.deadline()
        if wheel is None or agenda is None:
            return agenda if wheel is None else wheel
        return min(wheel, agenda)

    def wake(self, now: Now) -> None:
        self._now = now
        self._agenda.run(now)
        self._registrar.wake(now)

    def handle(self, event: Event, now: Now) -> None:
        self._now = now
        if isinstance(event, Persisted):
            self._safekeeping.persisted(event.token, now)
        elif isinstance(event, ActionFailed):
            self._action_failed(event.action, event.reason, now)
        elif self.members is None or self._merger is None:
            self.home_link.handle(event, now)
        elif isinstance(event, BindingsReceived):
            self._merger.receive(event, now)
        elif isinstance(event, BindingsHeld):
            self._safekeeping.held(event.member, event.token, event.refused, now)
        elif isinstance(event, HelloReceived | KeyShared | Health | Drain | SetCurrent):
            self.members.handle(event, now)

    def receive(self, packet: Packet, interface: int, now: Now, via: Address | None = None) -> None:
        self._now = now
        payload, outer = packet.payload, packet.outer
        if outer is not None and outer.destination != self.settings.address_ipv4:
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif outer is not None and not (
            isinstance(payload, MobilityMessage | EchoReply) and self._serves(packet.destination)
        ):
            self._nat_traversal.packet_in_tunnel(packet, outer, now)
        elif is_ipv4(packet.source):
            self._receive_ipv4(packet, now)
        elif not packet.checksum_ok:
            self._outbox.drop(Drop.BAD_CHECKSUM)
        elif packet.routing_home_address is not None:
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)  # only a mobile node takes type 2 routing headers (section 8.2)
        elif type(payload) is BindingUpdate:
            if self._serves(packet.destination):
                self._registrar.receive(packet, payload, interface, now, via)
            else:
                self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif isinstance(payload, IcmpMessage):
            self._receive_icmp(packet, payload, interface, now)
        elif not self._serves(packet.destination):
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif packet.problem is not None:
            self._answer_problem(packet, now)
        elif isinstance(payload, MobilityMessage) and not is_recognized(payload):
            self._binding_error(packet, BindingErrorStatus.UNRECOGNIZED_MH_TYPE_VALUE, now)
        elif isinstance(payload, MobilityMessage):
            self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
        elif not isinstance(payload, UnknownPayload) or self._home_address_option_holds(packet, payload.protocol, now):
            self._outbox.drop(Drop.UNKNOWN_PAYLOAD)

    # --- what is said to people ---

    def status(self) -> dict[str, Any]:
        """The role in numbers, ready for JSON."""
        return home_agent_report.status(
            self.settings,
            self.cache,
            self.home_link,
            self._discovery,
            self._outbox,
            self._safekeeping,
            self.assignments,
            self.members,
            self._now,
        )

    def bindings(self) -> list[dict[str, Any]]:
        """The bound entries, ready for JSON, by home address."""
        return list(self.each_binding())

    def each_binding(self) -> Iterator[dict[str, Any]]:
        """The same one by one, each as it is when its turn comes: all of a hundred thousand take seconds."""
        return home_agent_report.bindings(self.cache, self.roster, self._subscribers, self._interception, self._now)

    def explain(self, address: Address) -> list[str]:
        """Why a packet to or from this address goes where it goes, in sentences."""
        return home_agent_report.explain(
            address,
            self.settings,
            self.roster,
            self.cache,
            self._subscribers,
            self.home_link,
            self._interception,
            self.assignments,
            self.members,
            self._now,
        )

    # --- packets ---

    def _serves(self, address: Address) -> bool:
        """Whether we are the home agent at this address: it is ours, or of a member that is not there any more."""
        return address == self.settings.address or (self.members is not None and self.members.serves(address))

    def _receive_icmp(self, packet: Packet, message: IcmpMessage, interface: int, now: Now) -> None:
        handler = self._neighbour_discovery.get(type(message))
        if handler is not None:
            # RFC 4861 sections 6.1 and 7.1: hop limit 255 proves that it comes from this link.
            if (
                packet.hop_limit != HOP_LIMIT
                or not self.home_link.is_real
                or (interface != self.settings.home_interface)
            ):
                self._outbox.drop(Drop.BEYOND_THE_LINK)
            else:
                handler(packet, message, now)
        elif isinstance(message, HomeAgentAddressDiscoveryRequest):
            if packet.destination in self._anycast or self._serves(packet.destination):
                self._discovery.address_request(packet, message, now)
            else:
                self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif not self._serves(packet.destination) and not self._tells_of_a_member(packet, message):
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif isinstance(message, EchoReply):
            if not self._paths.echoed(packet, message, now):
                self._outbox.counters["path_probes_answered_late"] += 1
        elif not self._home_address_option_holds(packet, 0, now):
            return
        elif isinstance(message, MobilePrefixSolicitation):
            self._discovery.prefix_solicitation(packet, message, now)
        elif isinstance(message, TunnelError):
            self._tunnel_errors.receive(message, now)
        else:
            self._outbox.drop(Drop.UNKNOWN_PAYLOAD)

    def _receive_ipv4(self, packet: Packet, now: Now) -> None:
        """An IPv4 packet that is in no tunnel."""
        payload = packet.payload
        if packet.destination != self.settings.address_ipv4:
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)
        elif isinstance(payload, UdpDatagram):
            self._nat_traversal.probe(packet, payload, now)
        elif isinstance(payload, Icmpv4Message):
            self._tunnel_errors.receive(payload, now)
        else:
            self._outbox.drop(Drop.UNKNOWN_PAYLOAD)

    def _tells_of_a_member(self, packet: Packet, message: IcmpMessage) -> bool:
        """Whether it is an error that came to our locator, where the tunnels to other members start."""
        members = self.members
        is_to_locator = members is not None and members.number_of(packet.destination) == members.own
        return is_to_locator and isinstance(message, TunnelError)

    def _router_advertisement(self, packet: Packet, message: RouterAdvertisement, now: Now) -> None:
        self._discovery.router_advertisement(packet, message, self.home_link.link_local_address, now)

    def _home_address_option_holds(self, packet: Packet, protocol: int, now: Now) -> bool:
        """Whether a Home Address option, if there is one, agrees with a binding (RFC 6275 section 9.3.1)."""
        home_address = packet.home_address
        if home_address is None or protocol in (ESP, AUTHENTICATION_HEADER):
            return True
        if self.cache.at_care_of_address(home_address, packet.source) is not None:
            return True
        self._binding_error(packet, BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION, now)
        return False

    def _may_answer(self, packet: Packet, now: Now) -> bool:
        """Errors go to unicast sources and not too many at once (RFC 6275 section 9.3.3, RFC 4443 section 2.4)."""
        if is_multicast(packet.source) or packet.source == UNSPECIFIED:
            self._outbox.drop(Drop.FORGED_SOURCE)
        elif not self._answers.take(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            return True
        return False

    def _binding_error(self, packet: Packet, status: BindingErrorStatus, now: Now) -> None:
        """To the packet's source as it was on the wire (RFC 6275 section 9.3.3)."""
        if self._may_answer(packet, now):
            error = BindingError(status, packet.home_address or UNSPECIFIED)
            self._outbox.send(Packet(packet.destination, packet.source, error, outer=back(packet.outer)))
            self._outbox.counters["binding_errors_sent"] += 1

    def _answer_problem(self, packet: Packet, now: Now) -> None:
        """A header that must be answered with an ICMPv6 parameter problem (RFC 6275 section 9.2, RFC 8200)."""
        if packet.problem is None or packet.problem.answer is None:
            self._outbox.drop(Drop.MALFORMED)
        elif self._may_answer(packet, now):
            self._outbox.drop(Drop.MALFORMED)
            answer = packet.problem.answer
            self._outbox.send(Packet(packet.destination, packet.source, answer, outer=back(packet.outer)))
            self._outbox.counters["parameter_problems_sent"] += 1

    # --- as a member of a set ---

    def _primaries(self) -> Iterator[Binding]:
        """The bindings whose primary home agent we are."""
        own = self.roster.own
        return (one for one in self.cache if one.primary == own and one.state == State.BOUND)

    def _load(self) -> Load:
        waiting = len(self._safekeeping)
        return Load(self.cache.primaries[self.roster.own], waiting, max(0, ROOM - waiting))

    def _hand_over(self, binding: Binding, member: int, now: Now) -> bool:
        """Ask a mobile node of ours to go to another member."""
        subscriber = self._subscribers.by_home_address(binding.home_address)
        if self._switch is None or subscriber is None:
            return False
        association = next(iter(subscriber.associations), None)
        return self._switch.request(binding, association, subscriber.identifier, self.settings.address, member, now)

    # --- failures of the host ---

    def _action_failed(self, action: Action, reason: str, now: Now) -> None:
        if isinstance(action, Persist):
            self._safekeeping.not_persisted(action, reason, now)
            return
        self._outbox.counters["actions_failed"] += 1
        binding = self._binding_of(action)
        level = Level.WARNING if binding is None else Level.ERROR
        self._outbox.notify(
            "action_failed",
            # Anybody may have us answer to where there is no way.
            Level.DEBUG if isinstance(action, Send) else level,
            None if binding is None else binding.home_address,
            action=type(action).__name__,
            reason=reason,
        )
        if binding is not None:
            self._registrar.failed(binding, now)

    def _binding_of(self, action: Action) -> Binding | None:
        """The binding that can't be without this action."""
        if isinstance(action, Forward | Accept | DefendAddress):
            return self.cache.of(action.address)
        if isinstance(action, SetMobilePrefix):
            return self.cache.get(action.home_address)
        if isinstance(action, SetTunnel):
            # Searched, because it is rare and an index would cost memory in every binding.
            return next((one for one in self.cache if one.tunnel == action.tunnel.number), None)
        return None
