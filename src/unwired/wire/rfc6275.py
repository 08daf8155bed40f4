"""RFC 6275: the mobility messages and options of Mobile IPv6."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option

LIFETIME_UNIT_S = 4
"""One unit of a lifetime or refresh interval field, in seconds (sections 6.1.7, 6.2.4)."""


class BindingStatus(IntEnum):
    """Status of a binding acknowledgement (section 6.1.8, then what later RFCs added); below 128 the binding update was
    accepted."""

    BINDING_UPDATE_ACCEPTED = 0
    ACCEPTED_BUT_PREFIX_DISCOVERY_NECESSARY = 1
    REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INSUFFICIENT_RESOURCES = 130
    HOME_REGISTRATION_NOT_SUPPORTED = 131
    NOT_HOME_SUBNET = 132
    NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE = 133
    DUPLICATE_ADDRESS_DETECTION_FAILED = 134
    SEQUENCE_NUMBER_OUT_OF_WINDOW = 135
    EXPIRED_HOME_NONCE_INDEX = 136
    EXPIRED_CARE_OF_NONCE_INDEX = 137
    EXPIRED_NONCES = 138
    REGISTRATION_TYPE_CHANGE_DISALLOWED = 139
    INVALID_CARE_OF_ADDRESS = 174
    # RFC 3963 section 4.2
    MOBILE_ROUTER_OPERATION_NOT_PERMITTED = 140
    INVALID_PREFIX = 141
    NOT_AUTHORIZED_FOR_PREFIX = 142
    FORWARDING_SETUP_FAILED = 143
    # RFC 4285 sections 5.1.1 and 6
    MIPV6_ID_MISMATCH = 144
    MIPV6_MESG_ID_REQD = 145
    MIPV6_AUTH_FAIL = 146
    # RFC 4866 section 5.7
    PERMANENT_HOME_KEYGEN_TOKEN_UNAVAILABLE = 147
    CGA_AND_SIGNATURE_VERIFICATION_FAILED = 148
    PERMANENT_HOME_KEYGEN_TOKEN_EXISTS = 149
    NON_NULL_HOME_NONCE_INDEX_EXPECTED = 150
    # RFC 5149 section 4
    SERVICE_AUTHORIZATION_FAILED = 151
    # RFC 5213 section 8.9
    PROXY_REG_NOT_ENABLED = 152
    NOT_LMA_FOR_THIS_MOBILE_NODE = 153
    MAG_NOT_AUTHORIZED_FOR_PROXY_REG = 154
    NOT_AUTHORIZED_FOR_HOME_NETWORK_PREFIX = 155
    TIMESTAMP_MISMATCH = 156
    TIMESTAMP_LOWER_THAN_PREV_ACCEPTED = 157
    MISSING_HOME_NETWORK_PREFIX_OPTION = 158
    BCE_PBU_PREFIX_SET_DO_NOT_MATCH = 159
    MISSING_MN_IDENTIFIER_OPTION = 160
    MISSING_HANDOFF_INDICATOR_OPTION = 161
    MISSING_ACCESS_TECH_TYPE_OPTION = 162
    # RFC 5845 section 6.4
    GRE_KEY_OPTION_NOT_REQUIRED = 2
    GRE_TUNNELING_BUT_TLV_HEADER_NOT_SUPPORTED = 3
    GRE_KEY_OPTION_REQUIRED = 163
    # RFC 5648 section 4.4
    MCOA_NOTCOMPLETE = 4
    MCOA_RETURNHOME_WO_NDP = 5
    MCOA_MALFORMED = 164
    MCOA_NON_MCOA_BINDING_EXISTS = 165
    MCOA_PROHIBITED = 166
    MCOA_UNKNOWN_COA = 167
    MCOA_BULK_REGISTRATION_PROHIBITED = 168
    MCOA_SIMULTANEOUS_HOME_AND_FOREIGN_PROHIBITED = 169
    # RFC 5844 section 3.3.5
    NOT_AUTHORIZED_FOR_IPV4_MOBILITY_SERVICE = 170
    NOT_AUTHORIZED_FOR_IPV4_HOME_ADDRESS = 171
    NOT_AUTHORIZED_FOR_IPV6_MOBILITY_SERVICE = 172
    MULTIPLE_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_SUPPORTED = 173
    # RFC 6058 section 4.8
    PBU_ACCEPTED_TB_IGNORED_SETTINGSMISMATCH = 6
    # RFC 6602 section 4.4
    INVALID_MOBILE_NODE_GROUP_IDENTIFIER = 175
    # RFC 6618 section 8.2
    REINIT_SA_WITH_HAC = 176
    # RFC 7148 section 4.2
    NOT_AUTHORIZED_FOR_DELEGATED_MNP = 177
    REQUESTED_DMNP_IN_USE = 178
    # RFC 7222 section 4.3
    CANNOT_MEET_QOS_SERVICE_REQUEST = 179
    # RFC 8278 section 4.3
    CANNOT_SUPPORT_MULTIPATH_BINDING = 180


class BindingErrorStatus(IntEnum):
    """Status of a binding error (section 6.1.9)."""

    UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION = 1
    UNRECOGNIZED_MH_TYPE_VALUE = 2


# --- messages --------------------------------------------------------------------------------------------------------


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |          Reserved             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(0, "Binding Refresh Request", "RFC 6275, 6.1.2", "_:16")
class BindingRefreshRequest(MobilityMessage):
    """Asks a mobile node to update its binding."""


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                       Home Init Cookie                        +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                       Mobility Options                        .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(1, "Home Test Init", "RFC 6275, 6.1.3", "_:16 cookie:8B")
class HomeTestInit(MobilityMessage):
    """Asks a correspondent for a home keygen token, through the home agent."""

    cookie: bytes


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                      Care-of Init Cookie                      +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(2, "Care-of Test Init", "RFC 6275, 6.1.4", "_:16 cookie:8B")
class CareOfTestInit(MobilityMessage):
    """Asks a correspondent for a care-of keygen token, from the care-of address."""

    cookie: bytes


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |       Home Nonce Index        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                        Home Init Cookie                       +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                       Home Keygen Token                       +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(3, "Home Test", "RFC 6275, 6.1.5", "nonce_index:16 cookie:8B keygen_token:8B")
class HomeTest(MobilityMessage):
    """The correspondent's answer to a home test init."""

    nonce_index: int
    cookie: bytes
    keygen_token: bytes


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |      Care-of Nonce Index      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                      Care-of Init Cookie                      +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                     Care-of Keygen Token                      +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(4, "Care-of Test", "RFC 6275, 6.1.6", "nonce_index:16 cookie:8B keygen_token:8B")
class CareOfTest(MobilityMessage):
    """The correspondent's answer to a care-of test init."""

    nonce_index: int
    cookie: bytes
    keygen_token: bytes


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |          Sequence #           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |A|H|L|K|M|R|P|F|T|B|S|D| Rsvd. |           Lifetime            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    5,
    "Binding Update",
    "RFC 6275, 6.1.7",
    "sequence:16 acknowledge:flag home_registration:flag link_local_compatible:flag key_management:flag"
    " map_registration:flag mobile_router:flag proxy_registration:flag force_udp_encapsulation:flag"
    " tlv_header_format:flag bulk_binding_update:flag multicast_signaling:flag distributed_mobility_management:flag _:4"
    " lifetime_units:16",
)
class BindingUpdate(MobilityMessage):
    """Tells a home agent or correspondent the care-of address. ``lifetime_units`` counts 4 s; 0 removes the binding.

    The flags after the first four come from RFC 5380 section 4 (M), 3963 4.1 (R), 5213 8.1 (P), 5555 3.1.3 (F), 5845
    6.2 (T), 6602 4.1 (B), 7161 4.2.2.1 (S) and 8885 4.1 (D).
    """

    sequence: int
    lifetime_units: int
    acknowledge: bool = False
    home_registration: bool = False
    link_local_compatible: bool = False
    key_management: bool = False
    map_registration: bool = False
    mobile_router: bool = False
    proxy_registration: bool = False
    force_udp_encapsulation: bool = False
    tlv_header_format: bool = False
    bulk_binding_update: bool = False
    multicast_signaling: bool = False
    distributed_mobility_management: bool = False

    @property
    def lifetime_s(self) -> int:
        return self.lifetime_units * LIFETIME_UNIT_S


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |    Status     |K|R|P|T|B|S|D|_|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |           Lifetime            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    6,
    "Binding Acknowledgement",
    "RFC 6275, 6.1.8",
    "status:8 key_management:flag mobile_router:flag proxy_registration:flag tlv_header_format:flag"
    " bulk_binding_update:flag multicast_signaling:flag distributed_mobility_management:flag _:1 sequence:16"
    " lifetime_units:16",
)
class BindingAcknowledgement(MobilityMessage):
    """Answers a binding update. ``lifetime_units`` counts 4 s. The flags after the first are as in a binding update,
    from the next section of the same RFCs."""

    status: Annotated[int, BindingStatus]
    sequence: int
    lifetime_units: int
    key_management: bool = False
    mobile_router: bool = False
    proxy_registration: bool = False
    tlv_header_format: bool = False
    bulk_binding_update: bool = False
    multicast_signaling: bool = False
    distributed_mobility_management: bool = False

    @property
    def lifetime_s(self) -> int:
        return self.lifetime_units * LIFETIME_UNIT_S


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |     Status    |   Reserved    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                          Home Address                         +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(7, "Binding Error", "RFC 6275, 6.1.9", "status:8 _:8 home_address:address")
class BindingError(MobilityMessage):
    """Says that a home address has no binding here, or that a message type is unknown."""

    status: Annotated[int, BindingErrorStatus]
    home_address: Address


# --- options ---------------------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 2    |   Length = 2  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |       Refresh Interval        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(2, "Binding Refresh Advice", "RFC 6275, 6.2.4", "interval_units:16", align=(2, 0))
class BindingRefreshAdvice(MobilityOption):
    """When the mobile node should refresh its home registration: ``interval_units`` counts 4 s."""

    interval_units: int

    @property
    def interval_s(self) -> int:
        return self.interval_units * LIFETIME_UNIT_S


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 3    |  Length = 16  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                   Alternate Care-of Address                   +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(3, "Alternate Care-of Address", "RFC 6275, 6.2.5", "address:address", align=(8, 6))
class AlternateCareOfAddress(MobilityOption):
    """The care-of address, when not the packet's source or where only this one is authenticated."""

    address: Address


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 4    |   Length = 4  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |         Home Nonce Index      |     Care-of Nonce Index       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(4, "Nonce Indices", "RFC 6275, 6.2.6", "home_nonce_index:16 care_of_nonce_index:16", align=(2, 0))
class NonceIndices(MobilityOption):
    """Which of the correspondent's nonces the keygen tokens were made from."""

    home_nonce_index: int
    care_of_nonce_index: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 5    | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                         Authenticator                         |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(5, "Binding Authorization Data", "RFC 6275, 6.2.7", "authenticator:rest", align=(8, 2))
class BindingAuthorizationData(MobilityOption):
    """Proof of return routability; 12 bytes, the last option of its message and without padding after it."""

    authenticator: bytes
