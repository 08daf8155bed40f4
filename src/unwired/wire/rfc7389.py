"""RFC 7389: the mobility option for a local mobility anchor whose user plane has another address."""

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 59   | Option Length |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                     LMA User-Plane Address                    .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(59, "LMA User-Plane Address", "RFC 7389, 4", "_:16 address:optional_address", align=(8, 2))
class LmaUserPlaneAddress(MobilityOption):
    """Where packets are to be tunnelled to, of either family; in a proxy binding update nothing or the unspecified
    address."""

    address: Address | None = None
