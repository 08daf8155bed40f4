"""Binding updates to the home agent and the judgement of what comes back (RFC 6275 sections 11.7.1, 11.7.3 and 11.8,
RFC 4285).

From an IPv4 network they travel in UDP and IPv4, and say their care-of address in an option (RFC 5555 section 4.4.2);
that address, in v4-mapped form, is the care-of address that the authenticator covers (docs/dual-stack.md).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from unwired.core.authentication import TimestampClock, is_authentic, sign, timestamp_answers
from unwired.core.binding_update_list import REFRESH_AT, BindingUpdateListEntry, Transmission
from unwired.core.door import Now
from unwired.core.forwarding import Encapsulation
from unwired.core.mobile_node_authentication import required_options
from unwired.core.notices import Drop
from unwired.core.places import Away
from unwired.core.settings import MobileNodeSettings
from unwired.wire.address import is_ipv4
from unwired.wire.datagram import PORT
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityOption, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc5555 import NO_KEEPALIVES, Ipv4AddressAcknowledgement, Ipv4CareOfAddress, NatDetection
from unwired.wire.rfc6275 import (
    LIFETIME_UNIT_S,
    AlternateCareOfAddress,
    BindingAcknowledgement,
    BindingRefreshAdvice,
    BindingStatus,
    BindingUpdate,
)

MAX_UPDATE_RATE = 3
"""Binding updates to one node within a second (RFC 6275 section 12)."""
RATE_PERIOD_S = 1.0
CORRECTIONS_MAX = 3
"""How often in one attempt a sequence number may be corrected before it counts as a refusal."""
LIFETIME_UNITS_MAX = 0xFFFF
NAT_KEEPALIVE_S = 110
"""NATKATIMEOUT (RFC 5555 section 6), where the home agent advises nothing."""
NAT_KEEPALIVE_MIN_S = 5
NAT_KEEPALIVE_MAX_S = 3600
"""Between these a home agent's advice is followed."""
CLOCKS_AGREE_S = 3
"""A timestamp is not refused for the clock when the home agent's own is as near as this."""


class Verdict(Enum):
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    """What was wrong is put right by now: send again."""
    REFUSED = "refused"
    NOT_OUR_AGENT = "not_our_agent"
    """This node is no home agent for us: another one might be."""
    FORBIDDEN = "forbidden"
    """The home address must not be tried again (status 134, RFC 6275 section 11.7.1)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A valid binding acknowledgement. ``wait_s`` is how long to leave the home agent alone after a refusal, before
    doubling; lifetimes count from ``transmission.sent``. ``encapsulation`` is that of packets from now on,
    ``nat_keepalive_s`` as in ``Bound``, ``ipv4`` what became of IPv4 home address options."""

    verdict: Verdict
    status: int
    transmission: Transmission
    lifetime_s: int = 0
    refresh_s: float = 0.0
    wait_s: float = 0.0
    encapsulation: Encapsulation = Encapsulation.IPV6
    nat_keepalive_s: int | None = None
    ipv4: tuple[Ipv4AddressAcknowledgement, ...] = ()


_REFUSALS: dict[int, tuple[Verdict, float]] = {
    BindingStatus.REASON_UNSPECIFIED: (Verdict.REFUSED, 5.0),
    BindingStatus.ADMINISTRATIVELY_PROHIBITED: (Verdict.REFUSED, 30.0),
    BindingStatus.INSUFFICIENT_RESOURCES: (Verdict.REFUSED, 5.0),
    BindingStatus.HOME_REGISTRATION_NOT_SUPPORTED: (Verdict.NOT_OUR_AGENT, 30.0),
    BindingStatus.NOT_HOME_SUBNET: (Verdict.NOT_OUR_AGENT, 30.0),
    BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE: (Verdict.NOT_OUR_AGENT, 10.0),
    BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED: (Verdict.FORBIDDEN, 0.0),
    BindingStatus.MIPV6_MESG_ID_REQD: (Verdict.REFUSED, 30.0),
    BindingStatus.MIPV6_AUTH_FAIL: (Verdict.REFUSED, 30.0),
    BindingStatus.INVALID_CARE_OF_ADDRESS: (Verdict.REFUSED, 30.0),
}
"""What to make of a refusal, and how long to wait. Statuses that are not here wait like REASON_UNSPECIFIED."""
REFUSAL_WAIT_MIN_S = 5.0
REFUSAL_WAIT_MAX_S = 300.0


class HomeRegistration:
    """Makes binding updates and judges acknowledgements; keeps the clock that the home agent agrees with."""

    def __init__(self, settings: MobileNodeSettings, entropy: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._entropy = entropy
        self.clock = TimestampClock()
        self._sent_at: deque[float] = deque(maxlen=MAX_UPDATE_RATE)
        self._corrections = 0
        self._clock_corrected = False
        self.udp_refused = False
        """The home agent does not let us force UDP encapsulation."""

    def begin(self) -> None:
        """A fresh attempt: corrections may be tried anew."""
        self._corrections = 0
        self._clock_corrected = False

    def allowed_at(self, now: float, count: int = 1) -> float:
        """When the next ``count`` binding updates may be sent (RFC 6275 section 11.8)."""
        over = len(self._sent_at) + count - MAX_UPDATE_RATE
        return now if over <= 0 else max(now, self._sent_at[over - 1] + RATE_PERIOD_S)

    def lifetime_units(self, limit_s: float) -> int:
        """The lifetime to ask for, in units of 4 s: the settings', but no more than ``limit_s``."""
        wanted = min(float(self._settings.lifetime_s), limit_s)
        return max(1, min(int(wanted) // LIFETIME_UNIT_S, LIFETIME_UNITS_MAX))

    def update(
        self,
        entry: BindingUpdateListEntry,
        place: Away | None,
        lifetime_units: int,
        now: Now,
        home_options: Sequence[MobilityOption] = (),
        force_udp: bool = False,
    ) -> Packet:
        """The next binding update, noted in the entry. ``place`` None: from the home address, without the Home Address
        option (RFC 6275 section 11.5.5). ``home_options`` are about other home addresses.

        The L flag stays clear: on return the kernel would test our link-local address on the home link while the home
        agent still defends it.
        """
        if entry.home_agent is None:
            raise ValueError("a binding update needs a home agent")
        home_address, association = self._settings.home_address, self._settings.association
        care_of_address = home_address if place is None else place.care_of_address
        in_ipv4 = is_ipv4(care_of_address)
        timestamp = None
        # The alternate care-of address option goes into all other home registrations (section 11.7.1).
        options: list[MobilityOption] = [
            Ipv4CareOfAddress(care_of_address) if in_ipv4 else AlternateCareOfAddress(care_of_address),
            *home_options,
        ]
        if association is not None:
            timestamp = self.clock.next(now.wall, self._entropy)
            options += [MobileNodeIdentifier(self._settings.identifier), MessageId(timestamp)]
        elif self._settings.identifier:
            options.append(MobileNodeIdentifier(self._settings.identifier))
        force_udp = force_udp and in_ipv4 and not self.udp_refused
        message = BindingUpdate(
            entry.next_sequence(),
            lifetime_units,
            acknowledge=True,
            home_registration=True,
            force_udp_encapsulation=force_udp,
            options=tuple(options),
        )
        if association is None:
            data = encode_mobility(message)
        else:
            message, data = sign(message, association, care_of_address, home_address)
        sequence, lifetime_s = message.sequence, message.lifetime_s
        entry.add(Transmission(sequence, timestamp, care_of_address, lifetime_s, now, place, force_udp))
        self._sent_at.append(now.monotonic)
        if not in_ipv4:
            option = None if place is None else home_address
            return Packet(care_of_address, entry.home_agent, message, home_address=option, data=data)
        agent_ipv4 = self._settings.home_agent_ipv4
        if agent_ipv4 is None:
            raise ValueError("a binding update from an IPv4 network needs the home agent's IPv4 address")
        outer = Outer(care_of_address, agent_ipv4, PORT, PORT)
        return Packet(home_address, entry.home_agent, message, data=data, outer=outer)

    def judge(
        self, packet: Packet, message: BindingAcknowledgement, entry: BindingUpdateListEntry, now: Now
    ) -> Answer | Drop:
        """What an acknowledgement means, or why it is ignored (RFC 6275 section 11.7.3, RFC 4285 sections 5 and 6)."""
        if packet.source != entry.home_agent or not self._is_for_us(packet):
            return Drop.FORGED_SOURCE
        if not entry.outstanding:
            return Drop.STALE_SEQUENCE
        out_of_window = message.status == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW
        # Status 135 carries the home agent's sequence number instead of ours.
        transmission = entry.outstanding[-1] if out_of_window else entry.find(message.sequence)
        if transmission is None:
            return Drop.STALE_SEQUENCE
        candidates = entry.outstanding[::-1] if out_of_window else [transmission]
        checked = self._authenticated(packet, message, candidates)
        if isinstance(checked, Drop):
            return checked
        if self._overtaken(message, entry, checked, now):
            return Drop.STALE_SEQUENCE
        if not self._came_back(packet, checked):
            return Drop.FORGED_SOURCE
        return self._answer(message, entry, checked, now)

    def _is_for_us(self, packet: Packet) -> bool:
        """By a type 2 routing header when away, straight to the home address at home (RFC 6275 section 9.5.4)."""
        home_address = self._settings.home_address
        if packet.routing_home_address is None:
            return packet.destination == home_address
        return packet.routing_home_address == home_address

    def _came_back(self, packet: Packet, transmission: Transmission) -> bool:
        """Whether it comes by the way that the binding update went: in UDP and IPv4, or in neither (RFC 5555 section
        4.2)."""
        outer = packet.outer
        if not is_ipv4(transmission.care_of_address):
            return outer is None
        return (
            outer is not None
            and outer.source == self._settings.home_agent_ipv4
            and outer.destination == transmission.care_of_address
            and (outer.source_port, outer.destination_port) == (PORT, PORT)
        )

    def _overtaken(
        self, message: BindingAcknowledgement, entry: BindingUpdateListEntry, transmission: Transmission, now: Now
    ) -> bool:
        """A refusal only because the home agent had a later binding update of ours first, as happens in a race of
        families: the answer to that one counts."""
        if message.status == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            is_race = len({one.care_of_address for one in entry.outstanding}) > 1
            ahead = (entry.sequence - message.sequence) & 0xFFFF
            return is_race and ahead < 0x8000  # the last one is in its window
        if message.status != BindingStatus.MIPV6_ID_MISMATCH or transmission is entry.outstanding[-1]:
            return False
        message_id = message.option(MessageId)
        ours = ntp_timestamp(now.wall + self.clock.offset_s) >> 32
        return message_id is not None and abs((message_id.timestamp >> 32) - ours) <= CLOCKS_AGREE_S

    def _authenticated(
        self, packet: Packet, message: BindingAcknowledgement, candidates: list[Transmission]
    ) -> Transmission | Drop:
        """The transmission among the candidates that this provably answers."""
        association = self._settings.association
        if association is None:
            return candidates[0]
        options = required_options(message, association)
        if isinstance(options, Drop):
            return options
        message_id, option = options
        mismatch = message.status == BindingStatus.MIPV6_ID_MISMATCH
        for candidate in candidates:
            sent = candidate.timestamp
            if sent is not None and timestamp_answers(message_id.timestamp, sent, mismatch):
                if is_authentic(
                    option, packet.data, association, candidate.care_of_address, self._settings.home_address
                ):
                    return candidate
                return Drop.BAD_AUTHENTICATOR
        return Drop.STALE_SEQUENCE

    def _answer(
        self, message: BindingAcknowledgement, entry: BindingUpdateListEntry, transmission: Transmission, now: Now
    ) -> Answer:
        status = message.status
        if status < BindingStatus.REASON_UNSPECIFIED:
            return self._accepted(message, transmission)
        if status == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW:
            self._corrections += 1
            entry.sequence = message.sequence
            verdict = Verdict.CORRECTED if self._corrections <= CORRECTIONS_MAX else Verdict.REFUSED
            return Answer(verdict, status, transmission, wait_s=REFUSAL_WAIT_MIN_S)
        if status == BindingStatus.MIPV6_ID_MISMATCH:
            message_id = message.option(MessageId)
            same = message_id is None or message_id.timestamp == transmission.timestamp
            if transmission.force_udp and same:
                # The number that RFC 5555 section 4.4.2 has for "UDP can't be forced" is RFC 4285's for the clock.
                self.udp_refused = True
                return Answer(Verdict.CORRECTED, status, transmission)
            if message_id is not None and not self._clock_corrected:
                self._clock_corrected = True
                self.clock.adjust(message_id.timestamp, now.wall)
                return Answer(Verdict.CORRECTED, status, transmission)
            return Answer(Verdict.REFUSED, status, transmission, wait_s=REFUSAL_WAIT_MIN_S)
        if not transmission.lifetime_s and status == BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE:
            # De-registration where there is nothing to remove (section 10.3.2): just what we wanted.
            return Answer(Verdict.ACCEPTED, status, transmission)
        verdict, wait_s = _REFUSALS.get(status, (Verdict.REFUSED, REFUSAL_WAIT_MIN_S))
        return Answer(verdict, status, transmission, wait_s=wait_s)

    def _accepted(self, message: BindingAcknowledgement, transmission: Transmission) -> Answer:
        if transmission.timestamp is not None:
            self.clock.accepted(transmission.timestamp)
        lifetime_s = min(message.lifetime_s, transmission.lifetime_s)
        if transmission.lifetime_s and not lifetime_s:
            # Accepted for no time at all.
            return Answer(Verdict.REFUSED, message.status, transmission, wait_s=REFUSAL_WAIT_MIN_S)
        advice = message.option(BindingRefreshAdvice)
        refresh_s = lifetime_s * REFRESH_AT
        if advice is not None and 0 < advice.interval_s < lifetime_s:
            refresh_s = min(refresh_s, float(advice.interval_s))
        encapsulation, nat_keepalive_s = _traversal(message, transmission)
        return Answer(
            Verdict.ACCEPTED,
            message.status,
            transmission,
            lifetime_s,
            refresh_s,
            encapsulation=encapsulation,
            nat_keepalive_s=nat_keepalive_s,
            ipv4=tuple(message.options_of(Ipv4AddressAcknowledgement)),
        )


def _traversal(message: BindingAcknowledgement, transmission: Transmission) -> tuple[Encapsulation, int | None]:
    """What packets travel in from now on, and how long a NAT on the way may be left without any; None: there is none
    (RFC 5555 sections 3.2.2 and 4.2). An acknowledgement without the option says that no NAT was found."""
    if not is_ipv4(transmission.care_of_address):
        return Encapsulation.IPV6, None
    found = message.option(NatDetection)
    if found is None or found.refresh_s == NO_KEEPALIVES:
        forced = transmission.force_udp or (found is not None and found.force_udp_encapsulation)
        return Encapsulation.UDP if forced else Encapsulation.IPV4, None
    advised = found.refresh_s or NAT_KEEPALIVE_S
    return Encapsulation.UDP, min(max(advised, NAT_KEEPALIVE_MIN_S), NAT_KEEPALIVE_MAX_S)
