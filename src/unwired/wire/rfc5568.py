"""RFC 5568: the mobility messages and options of fast handovers, with what RFC 5949 added for proxies.

Its ICMPv6 messages and neighbour discovery options are in ``rfc5568_discovery.py``.
"""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option


class FastBindingStatus(IntEnum):
    """Status of a fast binding acknowledgment (section 6.2.3); below 128 the fast binding update was accepted."""

    FAST_BINDING_UPDATE_ACCEPTED = 0
    ACCEPTED_BUT_NCOA_IS_INVALID = 1
    REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INSUFFICIENT_RESOURCES = 130
    INCORRECT_INTERFACE_IDENTIFIER_LENGTH = 131


class HandoverInitiateCode(IntEnum):
    """Code of a handover initiate (section 6.2.1.1; from 2 on RFC 5949 section 6.1.1)."""

    FBU_WITH_THE_PCOA_AS_SOURCE = 0
    FBU_WHOSE_SOURCE_IS_NOT_THE_PCOA = 1
    COMPLETION_OF_FORWARDING = 2
    ALL_AVAILABLE_CONTEXT_TRANSFERRED = 3


class HandoverAcknowledgeCode(IntEnum):
    """Code of a handover acknowledge (section 6.2.1.2; 5, 6, 131 and 132 RFC 5949 section 6.1.2); below 128 the
    handover was accepted."""

    ACCEPTED_NCOA_VALID = 0
    """Among proxies: accepted or successful."""
    ACCEPTED_NCOA_NOT_VALID = 1
    ACCEPTED_NCOA_ASSIGNED = 2
    ACCEPTED_USE_PCOA = 3
    MESSAGE_SENT_UNSOLICITED = 4
    CONTEXT_TRANSFER_ACCEPTED = 5
    ALL_AVAILABLE_CONTEXT_TRANSFERRED = 6
    NOT_ACCEPTED_REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INSUFFICIENT_RESOURCES = 130
    REQUESTED_CONTEXT_NOT_AVAILABLE = 131
    FORWARDING_NOT_AVAILABLE = 132


class AddressCode(IntEnum):
    """Which address an IPv6 address/prefix option has (sections 6.4.1 and 6.4.2)."""

    OLD_CARE_OF_ADDRESS = 1
    NEW_CARE_OF_ADDRESS = 2
    NAR_ADDRESS = 3
    NAR_PREFIX = 4


class LinkLayerAddressCode(IntEnum):
    """Whose address a link-layer address option has, or what is known of it (section 6.4.3)."""

    WILDCARD = 0
    NEW_ACCESS_POINT = 1
    MOBILE_NODE = 2
    NAR = 3
    SOURCE = 4
    ACCESS_POINT_OF_THE_CURRENT_INTERFACE = 5
    NO_PREFIX_INFORMATION = 6
    NO_FAST_HANDOVER_SUPPORT = 7


# --- messages --------------------------------------------------------------------------------------------------------


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |A|H|L|K|        Reserved       |            Lifetime           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    8,
    "Fast Binding Update",
    "RFC 5568, 6.2.2",
    "sequence:16 acknowledge:flag home_registration:flag link_local_compatible:flag key_management:flag _:12"
    " lifetime_s:16",
)
class FastBindingUpdate(MobilityMessage):
    """Asks the previous access router to forward to the new care-of address. The first two flags (A, H) must be set;
    the lifetime is in seconds, unlike a binding update's."""

    sequence: int
    lifetime_s: int
    acknowledge: bool = True
    home_registration: bool = True
    link_local_compatible: bool = False
    key_management: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |     Status    |K|   Reserved  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |            Lifetime           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    9, "Fast Binding Acknowledgment", "RFC 5568, 6.2.3", "status:8 key_management:flag _:7 sequence:16 lifetime_s:16"
)
class FastBindingAcknowledgment(MobilityMessage):
    """Answers a fast binding update."""

    status: Annotated[int, FastBindingStatus]
    sequence: int
    lifetime_s: int
    key_management: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(10, "Fast Neighbor Advertisement", "RFC 4068, 6.3.3; deprecated by RFC 5568", "_:16")
class FastNeighborAdvertisement(MobilityMessage):
    """The mobile node is here, said to the new access router. An unsolicited neighbour advertisement took its place."""


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |S|U|P|F| Resv. |      Code     |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               .
#  .                        Mobility Options                       .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    14,
    "Handover Initiate",
    "RFC 5568, 6.2.1.1; RFC 5949, 6.1.1",
    "sequence:16 assign_address:flag buffer:flag proxy:flag forward:flag _:4 code:8",
)
class HandoverInitiate(MobilityMessage):
    """Starts a handover between access routers: assign a care-of address (S), buffer packets (U). Between mobile access
    gateways with ``proxy`` (P): forward packets (F)."""

    sequence: int
    code: Annotated[int, HandoverInitiateCode] = 0
    assign_address: bool = False
    buffer: bool = False
    proxy: bool = False
    forward: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |U|P|F| Reserved|      Code     |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               .
#  .                        Mobility Options                       .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    15,
    "Handover Acknowledge",
    "RFC 5568, 6.2.1.2; RFC 5949, 6.1.2",
    "sequence:16 buffer:flag proxy:flag forward:flag _:5 code:8",
)
class HandoverAcknowledge(MobilityMessage):
    """Answers a handover initiate; the flags are the same, and only between mobile access gateways."""

    sequence: int
    code: Annotated[int, HandoverAcknowledgeCode]
    buffer: bool = False
    proxy: bool = False
    forward: bool = False


# --- options ---------------------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |    Type = 7   |     Length    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Option-Code  |              LLA ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(7, "Mobility Header Link-Layer Address", "RFC 5568, 6.4.4", "code:8 address:rest")
class MobilityHeaderLinkLayerAddress(MobilityOption):
    """The mobile node's link-layer address."""

    address: bytes
    code: Annotated[int, LinkLayerAddressCode] = LinkLayerAddressCode.MOBILE_NODE


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 21   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                              SPI                              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                         Authenticator                         |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    21, "Binding Authorization Data for FMIPv6", "RFC 5568, 6.4.5", "spi:32 authenticator:rest", align=(4, 2)
)
class FastBindingAuthorizationData(MobilityOption):
    """Proof of who sent a fast binding update, and its last option; SPI 0 means keys made with SEND.

    The RFC says that the option's length is the authenticator's. Here it counts the SPI too, as every option's must for
    a receiver to find the next one.
    """

    spi: int
    authenticator: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 34   |  Length = 18  |  Option-Code  | Prefix Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                      IPv6 Address/Prefix                      +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    34,
    "Mobility Header IPv6 Address/Prefix",
    "RFC 5568, 6.4.2",
    "code:8 prefix_length:8 address:address",
    align=(8, 4),
)
class MobilityHeaderIpv6Address(MobilityOption):
    """An address or prefix, in handover messages."""

    code: Annotated[int, AddressCode]
    address: Address
    prefix_length: int = 128
