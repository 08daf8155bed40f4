"""RFC 5380: the neighbour discovery option of hierarchical Mobile IPv6.

The MAP registration flag (M) of a binding update is among its fields in ``rfc6275.py``.
"""

from unwired.wire.address import Address
from unwired.wire.nd_options import NdOption, nd_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 23   |   Length = 3  |  Dist |  Pref |R|   Reserved  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Valid Lifetime                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                   Global IP Address for MAP                   +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(
    23,
    "Mobility Anchor Point",
    "RFC 5380, 5",
    "distance:4 preference:4 allocates_address:flag _:7 valid_lifetime_s:32 address:address",
)
class MobilityAnchorPoint(NdOption):
    """A mobility anchor point of the domain, ``distance`` hops away (at least 1); a higher ``preference`` is better, up
    to 15. With ``allocates_address`` (R) it assigns the regional care-of address."""

    address: Address
    distance: int
    preference: int
    valid_lifetime_s: int
    allocates_address: bool = False
