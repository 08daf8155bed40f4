"""RFC 5949: the mobility options of fast handovers for Proxy Mobile IPv6; its messages are those of ``rfc5568.py``."""

from unwired.wire.address import Address
from unwired.wire.families import SubOptions, UnknownSubOption
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.tails import TAILS, numbered_address

SubOptions("requested_options", "requested option")
TAILS["anchor_address"] = numbered_address(ipv6=1, ipv4=2)


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 40   | Option Length |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Req-type-1  |  Req-length-1 |   Req-type-2  |  Req-length-2 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Req-type-3  |  Req-length-3 |          Req-option-3         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                              ...                              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(40, "Context Request", "RFC 5949, 6.2.1", "_:16 requested:requested_options")
class ContextRequest(MobilityOption):
    """The mobility options that the new gateway wants to have: each is an ``UnknownSubOption`` with the option's type
    and as much data as it takes to name it, mostly none."""

    requested: tuple[UnknownSubOption, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 41   | Length = 6, 18|  Option-Code  |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Local Mobility Anchor Address ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    41,
    "Local Mobility Anchor Address",
    "RFC 5949, 6.2.2",
    "address:which8 _:8 address:anchor_address",
    align=(8, 4),
)
class LocalMobilityAnchorAddress(MobilityOption):
    """Where the mobile node is registered; the Option-Code says the address's family."""

    address: Address


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 42   |  Length = 10  |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                      Interface Identifier                     +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    42,
    "Mobile Node Link-local Address Interface Identifier",
    "RFC 5949, 6.2.3",
    "_:16 interface_identifier:8B",
    align=(8, 4),
)
class MobileNodeLinkLocalAddressInterfaceIdentifier(MobilityOption):
    """The lower half of the mobile node's link-local address on the previous link."""

    interface_identifier: bytes
