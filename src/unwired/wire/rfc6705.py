"""RFC 6705: localized routing between mobile nodes of Proxy Mobile IPv6."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option

INFINITE_LIFETIME = 0xFFFF
"""As a lifetime of localized routing (section 10.1)."""


class LocalizedRoutingStatus(IntEnum):
    """Status of a localized routing acknowledgment (section 10.2); below 128 it was done."""

    SUCCESS = 0
    LOCALIZED_ROUTING_NOT_ALLOWED = 128
    MN_NOT_ATTACHED = 129


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |            Reserved           |            Lifetime           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(17, "Localized Routing Initiation", "RFC 6705, 10.1", "sequence:16 _:16 lifetime_s:16")
class LocalizedRoutingInitiation(MobilityMessage):
    """Asks to forward between two mobile nodes directly: for each a mobile node identifier and its prefixes, in this
    order. A lifetime of 0 ends it."""

    sequence: int
    lifetime_s: int


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |U|   Reserved  |     Status    |            Lifetime           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    18,
    "Localized Routing Acknowledgment",
    "RFC 6705, 10.2",
    "sequence:16 unsolicited:flag _:7 status:8 lifetime_s:16",
)
class LocalizedRoutingAcknowledgment(MobilityMessage):
    """Answers a localized routing initiation, with those pairs of mobile nodes for which it holds."""

    status: Annotated[int, LocalizedRoutingStatus]
    sequence: int
    lifetime_s: int
    unsolicited: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 51   |  Length = 18  |    Reserved   | Address Length|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                        MAG IPv6 Address                       +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(51, "MAG IPv6 Address", "RFC 6705, 11.1", "_:8 address_length:8 address:address", align=(8, 4))
class MagIpv6Address(MobilityOption):
    """The other mobile access gateway. ``address_length`` is always 128."""

    address: Address
    address_length: int = 128
