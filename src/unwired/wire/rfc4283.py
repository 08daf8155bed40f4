"""RFC 4283: the mobile node identifier option."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.mobility import MobilityOption, mobility_option


class MobileNodeIdentifierSubtype(IntEnum):
    """What an identifier is (section 3.1; from 2 on RFC 8371)."""

    NAI = 1
    """A network access identifier, ``user@realm``."""
    IPV6_ADDRESS = 2
    IMSI = 3
    P_TMSI = 4
    EUI_48_ADDRESS = 5
    EUI_64_ADDRESS = 6
    GUTI = 7
    DUID = 8


#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |  Option Type  | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Subtype      |          Identifier ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(8, "Mobile Node Identifier", "RFC 4283, 3", "subtype:8 identifier:text")
class MobileNodeIdentifier(MobilityOption):
    """Who the mobile node is. Must stand before any authentication option (section 3.2)."""

    identifier: bytes
    subtype: Annotated[int, MobileNodeIdentifierSubtype] = MobileNodeIdentifierSubtype.NAI
