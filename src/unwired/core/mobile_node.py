"""The mobile node's engine (RFC 6275 section 11).

Events and router advertisements say where the node is (``movement.py``); every change of that, every answer of the
home agent and every timer is an input of the state machine (``mobile_node_machine.py``). Here is the door to both.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from unwired.core import mobile_node_view as view
from unwired.core.acknowledgement import back
from unwired.core.binding_update_list import SavedEntry
from unwired.core.door import (
    Action,
    ActionFailed,
    AddressAdded,
    AddressRemoved,
    Event,
    LinkDown,
    LinkUp,
    NatProbed,
    Now,
    Persist,
    Persisted,
    RouterAdded,
    RouterRemoved,
    Send,
    TunnelCounted,
)
from unwired.core.forwarding import Encapsulation
from unwired.core.mobile_node_journal import RECORD_KEY
from unwired.core.mobile_node_machine import Fields, MobileNodeMachine
from unwired.core.mobile_node_states import Input, State
from unwired.core.mobile_node_switch import Wish, agents_to_try
from unwired.core.movement import Movement
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.path_mtu import inner_mtu
from unwired.core.places import AtHome, Attachment, Away
from unwired.core.rate_limit import TokenBucket
from unwired.core.recognized import is_recognized
from unwired.core.relayed_error import can_send_less, may_be_told, too_big
from unwired.core.settings import Family, MobileNodeSettings
from unwired.core.tunnel_watch import Finding
from unwired.core.tunnelled import tunnelled
from unwired.wire.address import UNSPECIFIED, Address, format_address, is_ipv4, is_multicast, is_unicast_routable
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    EchoReply,
    HomeAgentAddressDiscoveryReply,
    MobilePrefixAdvertisement,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
    ParameterProblemCode,
    RouterAdvertisement,
    TimeExceeded,
)
from unwired.wire.ipv4 import IPV4_IN_IP, UDP, Icmpv4Message, decode_ipv4_header
from unwired.wire.ipv6 import AUTHENTICATION_HEADER, ESP, IPV6_IN_IPV6, Packet, Payload, UnknownPayload
from unwired.wire.ipv6 import HEADER_SIZE as IPV6_HEADER_SIZE
from unwired.wire.mobility import MobilityMessage
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingError,
    BindingErrorStatus,
    BindingRefreshRequest,
    BindingStatus,
)

PARAMETER_PROBLEM_WAIT_S = 60.0
"""How long a home agent that does not know the mobility header is left alone (RFC 6275 section 11.3.5)."""
ERRORS_PER_SECOND = 3.0
"""How many errors about what cannot be processed we send (RFC 4443 section 2.4 f)."""
ERRORS_RELAYED_PER_SECOND = 100.0
"""How many senders are told that their packets are too big for the tunnel."""


class MobileNode:
    """One home address and its home agent. ``entropy`` gives random bytes."""

    def __init__(self, settings: MobileNodeSettings, entropy: Callable[[int], bytes]) -> None:
        if settings.association is None and not settings.insecure:
            raise ValueError("a mobile node without a key needs insecure = true")
        if settings.home_agent is None and not settings.insecure:
            raise ValueError("home agent address discovery is not protected and needs insecure = true")
        self.settings = settings
        self._outbox = Outbox()
        # Home agent address discovery is IPv6's, and what it finds has no IPv4 address that we knew.
        with_ipv4 = settings.home_agent is not None and settings.home_agent_ipv4 is not None
        families = tuple(family for family in settings.families if with_ipv4 or family is not Family.IPV4)
        home = settings.home_address, settings.home_prefix_length
        self.movement = Movement(*home, settings.interfaces, families)
        self.machine = MobileNodeMachine(settings, self.movement, self._outbox, entropy)
        self._errors = TokenBucket(ERRORS_PER_SECOND, int(ERRORS_PER_SECOND))
        self._relays = TokenBucket(ERRORS_RELAYED_PER_SECOND, int(ERRORS_RELAYED_PER_SECOND))

    @property
    def drops(self) -> Counter[Drop]:
        return self._outbox.drops

    @property
    def counters(self) -> dict[str, int]:
        return self._outbox.counters

    # --- the door --------------------------------------------------------------------------------------------------

    def start(self, now: Now) -> None:
        self.machine.now = now
        self.machine.start()

    def restore(self, records: Iterable[tuple[bytes, bytes]], now: Now) -> None:
        self.machine.now = now
        for key, record in records:
            if key != RECORD_KEY + self.settings.home_address:
                continue
            try:
                self.machine.take_up(SavedEntry.decode(record))
            except ValueError as error:
                self._notify("journal_record_ignored", Level.WARNING, reason=str(error))

    def receive(self, packet: Packet, interface: int, now: Now, via: Address | None = None) -> None:
        self.machine.now = now
        self.counters["packets_received"] += 1
        if self.machine.state is State.OFF:
            return
        if not packet.checksum_ok:
            self._outbox.drop(Drop.BAD_CHECKSUM)
            return
        if packet.routing_home_address not in (None, self.settings.home_address):
            self._outbox.drop(Drop.NOT_OUR_ADDRESS)  # RFC 6275 section 11.3.3
            return
        if packet.problem is not None:
            self._outbox.drop(Drop.MALFORMED)
            if packet.problem.answer is not None:
                self._answer_error(packet, packet.problem.answer)
            return
        payload = packet.payload
        if packet.home_address is not None and not isinstance(payload, MobilityMessage):
            self._home_address_option(packet, payload)
            return
        match payload:
            case RouterAdvertisement():
                drop = self.movement.router_advertised(packet, payload, interface, now.monotonic)
                if drop is not None:
                    self._outbox.drop(drop)
            case NeighborAdvertisement():
                self.movement.neighbor_advertised(packet, payload, interface, now.monotonic)
            case NeighborSolicitation():
                self._outbox.actions.extend(self.machine.neighbors.solicited(packet, payload, interface))
            case BindingAcknowledgement():
                self._acknowledged(packet, payload)
            case HomeAgentSwitch():
                self._switch(packet, payload)
            case BindingRefreshRequest():
                if self._is_from_home_agent(packet):
                    self.machine.watch.asked_to_register(self.machine.now.monotonic)
                    self.machine.input(Input.REFRESH)
                else:
                    self._outbox.drop(Drop.FORGED_SOURCE)
            case BindingError():
                self._binding_error(packet, payload)
            case ParameterProblem():
                self._parameter_problem(payload)
            case PacketTooBig():
                self._packet_too_big(payload)
            case EchoReply():
                if not self.machine.watch.echoed(payload, now.monotonic):
                    self._outbox.drop(Drop.UNKNOWN_PAYLOAD)
            case Icmpv4Message():
                self._icmpv4_error(payload)
            case DestinationUnreachable() | TimeExceeded():
                # Soft errors: retransmission and back-off deal with an unreachable home agent.
                self.counters["home_agent_unreachable"] += 1
            case HomeAgentAddressDiscoveryReply():
                self._agents_discovered(payload)
            case MobilePrefixAdvertisement():
                self._prefixes_advertised(packet, payload)
            case MobilityMessage() if not is_recognized(payload):
                # RFC 6275 section 9.2: an unknown MH Type is answered with a binding error.
                self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
                self._answer_binding_error(packet, BindingErrorStatus.UNRECOGNIZED_MH_TYPE_VALUE)
            case MobilityMessage():
                self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
            case _:
                self._outbox.drop(Drop.UNKNOWN_PAYLOAD)
        self._settle()

    def handle(self, event: Event, now: Now) -> None:
        self.machine.now = now
        if self.machine.state is State.OFF:
            return
        match event:
            case LinkUp():
                self._link_up(event)
            case LinkDown():
                link = self.movement.link_down(event.interface)
                if link is not None:
                    self._notify("link_down", interface=link.name)
            case AddressAdded():
                self.movement.address_added(event)
            case AddressRemoved():
                self.movement.address_removed(event.interface, event.address)
            case RouterAdded():
                self.movement.router_added(event.interface, event.router)
            case RouterRemoved():
                self.movement.router_removed(event.interface, event.router)
            case TunnelCounted():
                self.machine.watch.counted(event, now.monotonic)
            case NatProbed():
                self.machine.watch.nat_probed(event.token, now.monotonic)
            case Persisted():
                pass  # nothing of ours waits for the journal: a lost sequence number is corrected by status 135
            case ActionFailed():
                self._action_failed(event)
        self._settle()

    def deadline(self) -> float | None:
        if self.machine.state is State.OFF:
            return None
        times = [time for time, _ in self.machine.timers()]
        for time in (
            self.movement.deadline(self.machine.now.monotonic),
            self.machine.rows.deadline(),
            self.machine.neighbors.announce_at,
            self.machine.prefixes.next_at,
            self.machine.repair.at,
            self.machine.watch.deadline(),
        ):
            if time is not None:
                times.append(time)
        return min(times, default=None)

    def wake(self, now: Now) -> None:
        self.machine.now = now
        if self.machine.state is State.OFF:
            return
        self.movement.wake(now.monotonic)
        self.machine.rows.wake(now.monotonic)
        self._outbox.actions.extend(self.machine.neighbors.wake(now.monotonic))
        self._settle()
        for time, given in self.machine.timers():
            if time <= now.monotonic:
                self.machine.input(given)
                break  # the timers may be others now; deadline() asks for the rest at once
        if self.machine.prefixes.next_at is not None and self.machine.prefixes.next_at <= now.monotonic:
            self.machine.solicit_prefixes(again=True)
        self._look_after_tunnel()
        if self.machine.repair.is_due(now.monotonic):
            self.machine.say_again()
        self._settle()

    def actions(self) -> list[Action]:
        return self._outbox.take()

    def stop(self, now: Now) -> None:
        """Away, one de-registration is sent and not waited for: should it be lost, the home agent tunnels into the void
        until the lifetime ends."""
        self.machine.now = now
        self.machine.input(Input.STOP)

    # --- for people ------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        return view.status(self)

    def bindings(self) -> list[dict[str, object]]:
        return view.bindings(self)

    def explain(self, address: Address) -> list[str]:
        return view.explain(self, address)

    # --- what came in and where we are ------------------------------------------------------------------------------

    def _settle(self) -> None:
        """After anything that happened: send what movement detection wants, and see whether we have moved."""
        for packet, interface in self.movement.packets():
            self._outbox.send(packet, interface)
        now = self.machine.now.monotonic
        before, after = self.machine.attachment, self.movement.attachment(self.machine.attachment, now)
        if after != before:
            self.machine.attachment = after
            self._moved(before, after)
        entry, tunnel = self.machine.entry, self.machine.rows.tunnel
        if (
            isinstance(after, Away)
            and tunnel is not None
            and entry.home_agent is not None
            and entry.care_of_address == after.care_of_address != tunnel.local
            and not self.movement.is_usable(tunnel.local, now)
        ):
            # The old link broke before the new one was acknowledged.
            self.machine.point_at(after)
        self.machine.join_race()
        self.machine.place_ipv4()
        for packet, interface in self.movement.packets():
            self._outbox.send(packet, interface)

    def _link_up(self, event: LinkUp) -> None:
        here = self.movement.links.get(event.interface)
        was_up = here is not None and here.up
        if self.movement.link_up(event, self.machine.now.monotonic) is None:
            return
        self._notify("link_up", interface=event.name)
        self.machine.link_came_up(event.interface, event.name)
        place = self.machine.attachment
        if was_up and isinstance(place, Away) and place.interface == event.interface and place.family is Family.IPV4:
            # Without having been seen to go down: another network may look just the same.
            self.machine.input(Input.AWAY)

    def _moved(self, before: Attachment | None, after: Attachment | None) -> None:
        if (
            isinstance(before, Away)
            and isinstance(after, Away)
            and (before.care_of_address, before.interface) == (after.care_of_address, after.interface)
        ):
            # Another router of the same link: nothing moved for the home agent.
            self.machine.rows.use(after.care_of_address, after.interface, after.router)
            for entry in (self.machine.entry, self.machine.candidate):
                if entry is not None:
                    entry.router = after.router
            return
        if isinstance(before, AtHome) and isinstance(after, AtHome) and before.interface == after.interface:
            if self.machine.state is State.HOME:
                self.machine.placement.go_home(after)
            return
        fields = self._place("from", before) | self._place("to", after)
        self._outbox.notify("movement_detected", Level.INFO, self.settings.home_address, **fields)
        if after is None:
            self.movement.seek(self.machine.now.monotonic)
            self.machine.input(Input.LOST)
        elif isinstance(after, AtHome):
            self.machine.input(Input.HOME_LINK)
        elif (
            self.machine.state is State.STRANDED
            and after.family is Family.IPV6  # the same IPv4 address may be that of another network
            and self.machine.entry.confirmed
            and self.machine.entry.bound is not None
            and self.machine.entry.bound.care_of_address == after.care_of_address
        ):
            self.machine.input(Input.BACK)
        else:
            self.machine.input(Input.AWAY)

    def _action_failed(self, event: ActionFailed) -> None:
        """A packet that could not be sent counts as lost and a record as not written, which both is dealt with; for the
        rest the host is asked again."""
        self.counters["actions_failed"] += 1
        passing = isinstance(event.action, Send | Persist)
        level = Level.DEBUG if isinstance(event.action, Send) else Level.WARNING
        self._notify("action_failed", level, action=type(event.action).__name__, reason=event.reason)
        if not passing:
            self.machine.repair.failed(self.machine.now.monotonic)

    def _look_after_tunnel(self) -> None:
        found = self.machine.watch.wake(self.machine.now.monotonic)
        if found is Finding.ASK:
            self.machine.input(Input.REFRESH)
        elif found is not None:
            self._tunnel_is_silent(found)

    def _tunnel_is_silent(self, found: Finding) -> None:
        """Nothing passes while the link is up. Where what is not in UDP may be kept out, UDP is tried (RFC 5555 section
        4.4.1); else another place, if there is one; else all that is left is to ask the home agent."""
        machine, now = self.machine, self.machine.now.monotonic
        place, tunnel = machine.entry.place, machine.rows.tunnel
        if machine.state not in (State.REGISTERED, State.REFRESHING) or place is None or tunnel is None:
            return
        self._notify(
            "tunnel_silent",
            Level.WARNING,
            care_of_address=format_address(place.care_of_address),
            interface=self.movement.name(place.interface),
            encapsulation=tunnel.encapsulation.name.lower(),
        )
        if tunnel.encapsulation is Encapsulation.IPV4 and not machine.registration.udp_refused:
            self.movement.networks.of(place).udp_only = True
            machine.point_at(place)
        elif found is Finding.BLOCKED:
            return  # the home agent does not want UDP, and may only not answer echo requests
        elif self.movement.has_other(place, now):
            self.movement.networks.silent(place, now)
            return  # the other one is found by who looks where we are
        machine.input(Input.REFRESH)

    def _acknowledged(self, packet: Packet, message: BindingAcknowledgement) -> None:
        machine = self.machine
        entry = machine.entry_of(packet.source)
        answer = machine.registration.judge(packet, message, entry, machine.now)
        if isinstance(answer, Drop):
            self._outbox.drop(answer)
            if answer is Drop.BAD_AUTHENTICATOR and message.status == BindingStatus.MIPV6_AUTH_FAIL:
                # Cannot be believed, but most likely the keys differ: a person should know.
                self._notify("keys_differ", Level.WARNING, home_agent=format_address(packet.source))
        else:
            machine.answered(answer, entry)

    def _switch(self, packet: Packet, message: HomeAgentSwitch) -> None:
        """RFC 5142 section 6. A Binding Refresh Advice would let us wait; nothing is lost by acting at once."""
        machine, switches, now = self.machine, self.machine.switches, self.machine.now
        wish = switches.judge(packet, message, machine.entry, now.wall + machine.registration.clock.offset_s)
        if isinstance(wish, Drop):
            self._outbox.drop(wish)
            return
        candidate = None if machine.candidate is None else machine.candidate.home_agent
        agents = agents_to_try(wish, packet.source, machine.entry.home_agent, candidate)
        if agents is None:
            self.counters["home_agent_switches_repeated"] += 1
        elif not switches.allowed(now.monotonic):
            self._outbox.drop(Drop.RATE_LIMITED)
        else:
            self._notify(
                "home_agent_switch_asked",
                source=format_address(packet.source),
                home_agents=" ".join(map(format_address, agents)),
            )
            if not agents:
                machine.look_for_another()
            elif not machine.switch(agents):
                self._outbox.drop(Drop.UNWANTED_SWITCH)

    def _binding_error(self, packet: Packet, message: BindingError) -> None:
        """RFC 6275 section 11.3.6."""
        if not self._is_from_home_agent(packet):
            self._outbox.drop(Drop.FORGED_SOURCE)
        elif message.status == BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION:
            self.machine.input(Input.REFRESH)
        elif self.machine.entry.outstanding:
            self._not_understood("the home agent does not know binding updates")
        else:
            self.counters["binding_errors_ignored"] += 1

    def _parameter_problem(self, message: ParameterProblem) -> None:
        """RFC 6275 section 11.3.5. Only about a packet of ours to the home agent."""
        quoted, entry = message.quoted, self.machine.entry
        ours = len(quoted) >= 40 and entry.outstanding and quoted[24:40] == entry.home_agent
        if not ours or quoted[8:24] not in (entry.care_of_address, self.settings.home_address):
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif message.code == ParameterProblemCode.UNRECOGNIZED_NEXT_HEADER:
            self._not_understood("the home agent's host does not know the mobility header")
        else:
            # The Home Address option is not known there: "log the error and then discard".
            self._notify("home_agent_parameter_problem", Level.WARNING, code=message.code, pointer=message.pointer)

    def _not_understood(self, reason: str) -> None:
        """Where acknowledgements are authenticated, an error that anybody may have written must not keep us from
        registering: it is told, and the back-off of retransmission is all the home agent is spared."""
        if self.settings.association is not None:
            self._notify("registration_failed", Level.WARNING, reason=reason, wait_s=0.0)
            return
        self._notify("registration_failed", Level.WARNING, reason=reason, wait_s=PARAMETER_PROBLEM_WAIT_S)
        self.machine.refused(PARAMETER_PROBLEM_WAIT_S)

    def _packet_too_big(self, message: PacketTooBig) -> None:
        """The path to the home agent carries less than thought (RFC 2473 section 7.1), or our data plane has something
        that it was not told of in time."""
        quoted, tunnel = message.quoted, self.machine.rows.tunnel
        if (
            tunnel is None
            or len(quoted) < IPV6_HEADER_SIZE
            or quoted[6] not in (IPV6_IN_IPV6, IPV4_IN_IP)
            or (quoted[8:24], quoted[24:40]) != (tunnel.local, tunnel.peer)
        ):
            self._outbox.drop(Drop.UNRELATED_ERROR)
            return
        self._too_big(message.mtu, quoted)

    def _icmpv4_error(self, message: Icmpv4Message) -> None:
        """The same from an IPv4 network (RFC 1191, RFC 4213 section 3.4)."""
        tunnel = self.machine.rows.tunnel
        try:
            quoted = decode_ipv4_header(message.quoted)
        except DecodeError:
            self._outbox.drop(Drop.UNRELATED_ERROR)
            return
        inside = UDP if tunnel is not None and tunnel.local_port else None
        known = quoted.protocol == inside if inside else quoted.protocol in (IPV6_IN_IPV6, IPV4_IN_IP)
        if tunnel is None or (quoted.source, quoted.destination) != (tunnel.local, tunnel.peer) or not known:
            self._outbox.drop(Drop.UNRELATED_ERROR)
        elif (message.type, message.code) == (message.DESTINATION_UNREACHABLE, message.FRAGMENTATION_NEEDED):
            self._too_big(message.mtu, message.quoted)
        else:
            self.counters["home_agent_unreachable"] += 1

    def _too_big(self, path_mtu: int, quoted: bytes) -> None:
        """Whoever sent it is told, be it this host or one behind it: its next packet may be of a size that our kernel
        lets through and the tunnel does not."""
        now = self.machine.now.monotonic
        self.counters["tunnel_packets_too_big"] += 1
        self.machine.watch.too_big(path_mtu, now)
        original, tunnel = tunnelled(quoted), self.machine.rows.tunnel
        if original is None or tunnel is None or not can_send_less(original) or not may_be_told(original):
            return
        source = self.machine.ipv4.address if is_ipv4(original.source) else self.settings.home_address
        if source is not None and self._relays.take(now):
            mtu = tunnel.mtu or inner_mtu(path_mtu, tunnel.encapsulation)
            self._outbox.send(Packet(source, original.source, too_big(original, mtu)))
            self.counters["tunnel_errors_relayed"] += 1

    def _agents_discovered(self, reply: HomeAgentAddressDiscoveryReply) -> None:
        search = self.machine.search
        if search is None or not search.answered(reply):
            self._outbox.drop(Drop.NOT_FOR_THIS_ROLE)
            return
        self._notify("home_agent_discovered", home_agents=" ".join(map(format_address, search.agents)))
        if self.machine.state is State.DISCOVERING:
            self.machine.next_agent()
            return
        # Our home agent wants to be left and named no other.
        present = self.machine.entry.home_agent
        agents = agents_to_try(Wish(tuple(search.agents)), present or UNSPECIFIED, present, None)
        if not agents or not self.machine.switch(agents):
            self._notify("home_agent_switch_failed", Level.WARNING, reason="no other home agent was found")

    def _prefixes_advertised(self, packet: Packet, message: MobilePrefixAdvertisement) -> None:
        machine, prefixes, now = self.machine, self.machine.prefixes, self.machine.now.monotonic
        agent = machine.entry.home_agent
        if not self.settings.insecure or agent is None:
            self._outbox.drop(Drop.PREFIX_DISCOVERY_OFF)
        elif prefixes.advertised(packet, message, agent, now):
            left_s = None if prefixes.valid_until is None else prefixes.valid_until - now
            level = Level.INFO if left_s is None or left_s > 0 else Level.ERROR
            self._notify("home_prefix_learned", level, valid_s=left_s)
        else:
            self._outbox.drop(Drop.STALE_SEQUENCE)
            if packet.source == agent and machine.state is State.REGISTERED and prefixes.next_at is None:
                machine.solicit_prefixes(again=False)  # section 11.4.3: unsolicited, so ask

    def _home_address_option(self, packet: Packet, payload: Payload) -> None:
        """We keep no bindings of others, so that a Home Address option must not be believed (section 9.3.1)."""
        self._outbox.drop(Drop.UNKNOWN_PAYLOAD)
        if not (isinstance(payload, UnknownPayload) and payload.protocol in (ESP, AUTHENTICATION_HEADER)):
            status = BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION
            self._answer_binding_error(packet, status)

    def _answer_binding_error(self, packet: Packet, status: BindingErrorStatus) -> None:
        """To where a packet came from, with the addresses as they were on the wire (section 9.3.3)."""
        self._answer_error(packet, BindingError(status, packet.home_address or UNSPECIFIED))

    def _answer_error(self, packet: Packet, error: BindingError | ParameterProblem) -> None:
        """An error about a packet that cannot be processed (RFC 4443 section 2.4 e and f), by the way that it came."""
        if is_multicast(packet.destination) or not is_unicast_routable(packet.source):
            return
        if self._errors.take(self.machine.now.monotonic):
            answer = Packet(packet.destination, packet.source, error, outer=back(packet.outer))
            self.machine.updates.send(answer)
        else:
            self._outbox.drop(Drop.RATE_LIMITED)

    def _is_from_home_agent(self, packet: Packet) -> bool:
        """By its source, and that of the tunnel it came in: what anybody on the path or outside of it can forge."""
        outer = packet.outer
        return packet.source == self.machine.entry.home_agent and (
            outer is None or outer.source == self.settings.home_agent_ipv4
        )

    def _place(self, prefix: str, place: Attachment | None) -> Fields:
        if place is None:
            return {prefix: None}
        where = "home" if isinstance(place, AtHome) else format_address(place.care_of_address)
        return {prefix: where, f"{prefix}_interface": self.movement.name(place.interface)}

    def _notify(self, name: str, level: Level = Level.INFO, **fields: str | int | float | bool | None) -> None:
        self._outbox.notify(name, level, self.settings.home_address, **fields)
