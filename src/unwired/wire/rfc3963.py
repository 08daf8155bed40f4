"""RFC 3963: the mobility option of network mobility (NEMO).

The mobile router flag (R) of binding updates and acknowledgements is among their fields in ``rfc6275.py``.
"""

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 6   |  Length = 18  |    Reserved   | Prefix Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                     Mobile Network Prefix                     +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(6, "Mobile Network Prefix", "RFC 3963, 4.3", "_:8 prefix_length:8 prefix:address", align=(8, 4))
class MobileNetworkPrefix(MobilityOption):
    """A prefix of the network that moves with the mobile router; one option for each."""

    prefix: Address
    prefix_length: int
