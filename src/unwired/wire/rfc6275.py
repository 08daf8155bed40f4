"""RFC 6275: the mobility messages and options of Mobile IPv6."""

from enum import IntEnum

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option

LIFETIME_UNIT_S = 4
"""One unit of a lifetime or refresh interval field, in seconds (sections 6.1.7, 6.2.4)."""


class BindingStatus(IntEnum):
    """Status of a binding acknowledgement (section 6.1.8); below 128 the binding update was accepted."""

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
    MIPV6_ID_MISMATCH = 144
    """RFC 4285 section 6."""
    MIPV6_MESG_ID_REQD = 145
    """RFC 4285 section 6."""
    MIPV6_AUTH_FAIL = 146
    """RFC 4285 section 5.1.1."""
    INVALID_CARE_OF_ADDRESS = 174


class BindingErrorStatus(IntEnum):
    """Status of a binding error (section 6.1.9)."""

    UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION = 1
    UNRECOGNIZED_MH_TYPE_VALUE = 2


def _name(names: type[IntEnum], value: int) -> str:
    return names(value).name if value in names.__members__.values() else ""


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
#  |A|H|L|K|        Reserved       |           Lifetime            |
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
    "sequence:16 acknowledge:flag home_registration:flag link_local_compatible:flag key_management:flag _:12"
    " lifetime_units:16",
)
class BindingUpdate(MobilityMessage):
    """Tells a home agent or correspondent the care-of address. ``lifetime_units`` counts 4 s; 0 removes the binding."""

    sequence: int
    lifetime_units: int
    acknowledge: bool = False
    home_registration: bool = False
    link_local_compatible: bool = False
    key_management: bool = False

    @property
    def lifetime_s(self) -> int:
        return self.lifetime_units * LIFETIME_UNIT_S


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |    Status     |K|  Reserved   |
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
    6, "Binding Acknowledgement", "RFC 6275, 6.1.8", "status:8 key_management:flag _:7 sequence:16 lifetime_units:16"
)
class BindingAcknowledgement(MobilityMessage):
    """Answers a binding update. ``status`` is a BindingStatus or a value that later RFCs define; ``lifetime_units``
    counts 4 s."""

    status: int
    sequence: int
    lifetime_units: int
    key_management: bool = False

    @property
    def lifetime_s(self) -> int:
        return self.lifetime_units * LIFETIME_UNIT_S

    @property
    def status_name(self) -> str:
        """The status in the RFCs' words; empty when none of them names it."""
        return _name(BindingStatus, self.status)


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

    status: int
    home_address: Address

    @property
    def status_name(self) -> str:
        """The status in the RFC's words; empty when it names none."""
        return _name(BindingErrorStatus, self.status)


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
