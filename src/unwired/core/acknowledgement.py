"""What a home agent makes of a binding update's bytes, and the acknowledgement that answers it."""

from typing import Any

from unwired.core.authentication import placeholder, seal
from unwired.core.door import Send
from unwired.core.ipv4_assignment import Grant
from unwired.core.settings import SecurityAssociation, Subscriber
from unwired.wire.address import UNSPECIFIED_IPV4, Address
from unwired.wire.generate import draft_of
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityOption
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import AuthenticationSubtype, MessageId, MobilityMessageAuthentication
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4CareOfAddress, Ipv4HomeAddress, NatDetection
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingAcknowledgement,
    BindingRefreshAdvice,
    BindingStatus,
    BindingUpdate,
    NonceIndices,
)
from unwired.wire.state_synchronization import DualStack

_PacketDraft: Any = draft_of(Packet)
"""Filled in and then made a ``Packet``: a ninth of the cost of the frozen class's own making, for each answer."""
_NOTHING_OF_IPV4 = DualStack()


class Request:
    """A binding update with what was found in it and, as it is checked, about it.

    ``care_of_address`` and ``home_address`` are determined as RFC 6275 section 9.5.1 says. Where the update came in a
    tunnel from an IPv4 network, the care-of address is where that comes from, be it a NAT (RFC 5555 section 4.2).
    ``signed_care_of_address`` is the one that the mobile node knows, and that the authenticator covers: there its IPv4
    Care-of Address option's. ``ambiguous``: options are repeated or combined that must not be. ``member`` is the number
    of the home agent it was sent to (``Roster``), in whose place we may answer; ``switch_to`` that of the one that the
    mobile node is to change to afterwards, 0 if none.

    ``ipv4_home_addresses`` are the options that ask for IPv4 home addresses and prefixes, ``ipv4_answers`` the options
    that grant or refuse them; ``nat_detection`` tells about the NAT; ``care_of_port`` is the UDP port that packets are
    to be tunnelled to, 0: not in UDP.
    """

    __slots__ = (
        "ambiguous",
        "association",
        "authentication",
        "care_of_address",
        "care_of_port",
        "home_address",
        "identifier",
        "interface",
        "ipv4_answers",
        "ipv4_home_addresses",
        "member",
        "message_id",
        "nat_detection",
        "outer",
        "packet",
        "signed_care_of_address",
        "subscriber",
        "switch_to",
        "update",
    )

    def __init__(self, packet: Packet, update: BindingUpdate, interface: int, member: int = 0) -> None:
        self.packet = packet
        self.update = update
        self.interface = interface
        self.member = member
        self.switch_to = 0
        self.home_address: Address = packet.source if packet.home_address is None else packet.home_address
        self.care_of_address: Address = packet.source
        self.outer: Outer | None = packet.outer
        self.care_of_port = 0
        self.nat_detection: NatDetection | None = None
        self.ipv4_home_addresses: tuple[Ipv4HomeAddress, ...] = ()
        self.ipv4_answers: tuple[Ipv4AddressAcknowledgement, ...] = ()
        self.identifier: MobileNodeIdentifier | None = None
        self.message_id: MessageId | None = None
        self.authentication: MobilityMessageAuthentication | None = None
        self.subscriber: Subscriber | None = None
        self.association: SecurityAssociation | None = None
        self.ambiguous = False
        alternate = ipv4_care_of = None
        other_authentication = False
        for option in update.options:
            kind = type(option)
            if kind is MobilityMessageAuthentication:
                if option.subtype != AuthenticationSubtype.MN_HA:  # type: ignore[attr-defined]
                    other_authentication = True
                elif self.authentication is not None or other_authentication:
                    # One of each subtype, MN-HA before MN-AAA (RFC 4285 section 5).
                    self.ambiguous = True
                else:
                    self.authentication = option  # type: ignore[assignment]
            elif kind is AlternateCareOfAddress:
                if alternate is None:
                    alternate = option
                    self.care_of_address = option.address  # type: ignore[attr-defined]
                elif option != alternate:
                    self.ambiguous = True
            elif kind is MobileNodeIdentifier:
                if self.identifier is None:
                    self.identifier = option  # type: ignore[assignment]
                else:
                    self.ambiguous = True
            elif kind is MessageId:
                if self.message_id is None:
                    self.message_id = option  # type: ignore[assignment]
                else:
                    self.ambiguous = True
            elif kind is Ipv4HomeAddress:
                self.ipv4_home_addresses += (option,)  # type: ignore[assignment,operator]
            elif kind is Ipv4CareOfAddress:
                if ipv4_care_of is None:
                    ipv4_care_of = option.address  # type: ignore[attr-defined]
                elif option.address != ipv4_care_of:  # type: ignore[attr-defined]
                    self.ambiguous = True
            elif kind is NonceIndices and update.home_registration:
                # "the Nonce Indices mobility option MUST NOT be present" (RFC 6275 section 9.5.1).
                self.ambiguous = True
        if self.authentication is not None and type(update.options[-1]) is not MobilityMessageAuthentication:
            # What comes after it is not authenticated: it must be the last option (RFC 4285 section 5.1).
            self.ambiguous = True
        self.signed_care_of_address = self.care_of_address
        if packet.outer is not None:
            self.ambiguous = self.ambiguous or alternate is not None
            self.care_of_address = packet.outer.source
            self.signed_care_of_address = packet.outer.source if ipv4_care_of is None else ipv4_care_of

    @property
    def is_from_home(self) -> bool:
        """Sent from the home address itself, with or without a Home Address option (RFC 6275 section 10.3.2)."""
        return self.packet.source == self.home_address and self.outer is None

    @property
    def is_in_udp(self) -> bool:
        return self.outer is not None and self.outer.source_port != 0

    @property
    def is_behind_nat(self) -> bool:
        """The IPv4 care-of address is not where the update comes from (RFC 5555 section 4.2)."""
        return self.outer is not None and self.signed_care_of_address != self.care_of_address

    def dual_stack(self, grant: Grant) -> DualStack | None:
        """What of IPv4 there is in the binding that it makes; None: nothing."""
        prefix, length = grant.mobile_prefix or (UNSPECIFIED_IPV4, 0)
        private = self.signed_care_of_address if self.is_behind_nat else UNSPECIFIED_IPV4
        found = DualStack(self.care_of_port, private, grant.home_address, prefix, length)
        return None if found == _NOTHING_OF_IPV4 else found


def acknowledge(
    request: Request,
    status: int,
    sequence: int,
    lifetime_units: int = 0,
    timestamp: int | None = None,
    refresh_advice_units: int = 0,
) -> Send:
    """The acknowledgement of a binding update, from where that was sent to and to where it came from: with a type 2
    routing header unless that was the home address itself (RFC 6275 section 9.5.4), and authenticated if the update was
    (RFC 4285 section 5.1.1). What came in a tunnel is answered in that tunnel (RFC 5555 section 4.2).

    ``timestamp``: what goes into the message identification option instead of the update's own.
    """
    options: list[MobilityOption] = []
    if refresh_advice_units:
        options.append(BindingRefreshAdvice(refresh_advice_units))
    if status < BindingStatus.REASON_UNSPECIFIED:
        options += request.ipv4_answers
    if request.nat_detection is not None:
        options.append(request.nat_detection)
    association = request.association
    if association is not None:
        if request.identifier is not None:
            options.append(request.identifier)
        if request.message_id is not None:
            options.append(request.message_id if timestamp is None else MessageId(timestamp))
        options.append(placeholder(association))
    message = BindingAcknowledgement(status, sequence, lifetime_units, options=tuple(options))
    data = b""
    if association is not None:
        data = seal(message, association, request.signed_care_of_address, request.home_address)
    packet = request.packet
    # From home it must leave by the home link: the route may still lead into the tunnel (RFC 6275 section 10.3.2).
    interface = request.interface if request.is_from_home else 0
    answer = _PacketDraft()
    answer.source = packet.destination
    answer.destination = packet.source
    answer.payload = message
    answer.home_address = None
    answer.routing_home_address = packet.home_address
    answer.hop_limit = 64
    answer.traffic_class = 0
    answer.flow_label = 0
    answer.data = data
    answer.checksum_ok = True
    answer.problem = None
    answer.outer = back(request.outer)
    answer.__class__ = Packet
    return Send(answer, interface)


def back(outer: Outer | None) -> Outer | None:
    """The tunnel by which an answer goes to what came in this one."""
    if outer is None:
        return None
    return Outer(outer.destination, outer.source, outer.destination_port, outer.source_port)
