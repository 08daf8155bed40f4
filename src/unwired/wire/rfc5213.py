"""RFC 5213: the mobility options of Proxy Mobile IPv6.

A proxy binding update is a binding update whose proxy registration flag (P) is set (``rfc6275.py``).
"""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option

_FRACTIONS = 1 << 16
"""Of a second, in a timestamp."""


class Handoff(IntEnum):
    """Values of a handoff indicator (section 8.4)."""

    ATTACHMENT_OVER_A_NEW_INTERFACE = 1
    HANDOFF_BETWEEN_TWO_DIFFERENT_INTERFACES_OF_THE_MOBILE_NODE = 2
    HANDOFF_BETWEEN_MOBILE_ACCESS_GATEWAYS_FOR_THE_SAME_INTERFACE = 3
    HANDOFF_STATE_UNKNOWN = 4
    HANDOFF_STATE_NOT_CHANGED = 5
    """A re-registration."""
    ATTACHMENT_OVER_A_NEW_INTERFACE_SHARING_PREFIXES = 6
    """RFC 7864 section 3.2."""


class AccessTechnology(IntEnum):
    """Values of an access technology type (section 8.5, and what was registered later)."""

    VIRTUAL = 1
    PPP = 2
    IEEE_802_3 = 3
    IEEE_802_11 = 4
    IEEE_802_16E = 5
    GERAN = 6
    UTRAN = 7
    E_UTRAN = 8
    EHRPD = 9
    HRPD = 10
    ONE_X_RTT = 11
    UMB = 12
    NB_IOT = 13


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 22   |  Length = 18  |L|   Reserved  | Prefix Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                      Home Network Prefix                      +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    22,
    "Home Network Prefix",
    "RFC 5213, 8.3; RFC 7864, 4.1",
    "off_link:flag _:7 prefix_length:8 prefix:address",
    align=(8, 4),
)
class HomeNetworkPrefix(MobilityOption):
    """A prefix of the mobile node; the unspecified one with length 0 asks for any. With ``off_link`` (L) it is not on
    the link and serves flow mobility."""

    prefix: Address
    prefix_length: int
    off_link: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 23   |   Length = 2  |  Reserved (R) |       HI      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(23, "Handoff Indicator", "RFC 5213, 8.4", "_:8 handoff:8")
class HandoffIndicator(MobilityOption):
    """What the mobile access gateway knows of the handoff."""

    handoff: Annotated[int, Handoff]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 24   |   Length = 2  |  Reserved (R) |      ATT      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(24, "Access Technology Type", "RFC 5213, 8.5", "_:8 technology:8")
class AccessTechnologyType(MobilityOption):
    """Over what the mobile node is attached."""

    technology: Annotated[int, AccessTechnology]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 25   | Option Length |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                     Link-layer Identifier                     .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(25, "Mobile Node Link-layer Identifier", "RFC 5213, 8.6", "_:16 identifier:rest")
class MobileNodeLinkLayerIdentifier(MobilityOption):
    """The mobile node's link-layer address, laid out as in neighbour discovery options."""

    identifier: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 26   |  Length = 16  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                       Link-local Address                      +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(26, "Link-local Address", "RFC 5213, 8.7", "address:address", align=(8, 6))
class LinkLocalAddress(MobilityOption):
    """The link-local address that the mobile access gateway uses towards the mobile node."""

    address: Address


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 27   |   Length = 8  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                           Timestamp                           +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(27, "Timestamp", "RFC 5213, 8.8", "timestamp:64", align=(8, 2))
class Timestamp(MobilityOption):
    """When the message was made: 48 bits of seconds since 1970, 16 bits of fractions, see ``timestamp``."""

    timestamp: int

    @property
    def wall_time_s(self) -> float:
        """Seconds since 1970."""
        return self.timestamp / _FRACTIONS


def timestamp(wall: float) -> int:
    """Seconds since 1970 in the format of the timestamp option."""
    return int(wall * _FRACTIONS)
