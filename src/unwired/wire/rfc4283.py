"""RFC 4283: the mobile node identifier option."""

from unwired.wire.mobility import MobilityOption, mobility_option

NAI_SUBTYPE = 1
"""The identifier is a network access identifier, ``user@realm`` (section 3.1)."""


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
    subtype: int = NAI_SUBTYPE
