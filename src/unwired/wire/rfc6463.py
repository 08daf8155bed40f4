"""RFC 6463: the mobility options with which a local mobility anchor assigns another one at run time."""

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.tails import TAILS, numbered_address

TAILS["redirect_address"] = numbered_address(ipv6=0b10, ipv4=0b01)


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 46   |   Length = 2  |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(46, "Redirect-Capability", "RFC 6463, 4.1", "_:16", align=(4, 0))
class RedirectCapability(MobilityOption):
    """The mobile access gateway can be assigned another local mobility anchor."""


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 47   | Length = 6, 18|K|N|          Reserved         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                  Optional IPv6 r2LMA Address                  +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Optional IPv4 r2LMA Address                  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(47, "Redirect", "RFC 6463, 4.2", "address:which2 _:14 address:redirect_address", align=(4, 0))
class Redirect(MobilityOption):
    """The local mobility anchor that was assigned, of the family of the transport; K and N say which."""

    address: Address


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 48   |  Length = 18  |            Priority           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Sessions in Use                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Maximum Sessions                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Used Capacity                         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Maximum Capacity                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    48,
    "Load Information",
    "RFC 6463, 4.3",
    "priority:16 sessions_in_use:32 maximum_sessions:32 used_capacity_kb_s:32 maximum_capacity_kb_s:32",
    align=(4, 0),
)
class LoadInformation(MobilityOption):
    """How busy a local mobility anchor is; a lower ``priority`` is preferred. Capacities are kilobytes per second."""

    priority: int
    sessions_in_use: int
    maximum_sessions: int
    used_capacity_kb_s: int
    maximum_capacity_kb_s: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 49   |   Length = 4  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                 Alternate IPv4 Care-of Address                |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(49, "Alternate IPv4 Care-of Address", "RFC 6463, 4.4", "address:ipv4", align=(4, 2))
class AlternateIpv4CareOfAddress(MobilityOption):
    """The IPv4 counterpart of the alternate care-of address."""

    address: Address
