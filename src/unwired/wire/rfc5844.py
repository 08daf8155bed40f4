"""RFC 5844: the mobility options for IPv4 home addresses in Proxy Mobile IPv6."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import UNSPECIFIED_IPV4, Address
from unwired.wire.mobility import MobilityOption, mobility_option


class Ipv4HomeAddressReplyStatus(IntEnum):
    """Status of an IPv4 home address reply (section 3.3.2); below 128 the address was assigned."""

    SUCCESS = 0
    FAILURE_REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INCORRECT_IPV4_HOME_ADDRESS = 130
    INVALID_IPV4_ADDRESS = 131
    DYNAMIC_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE = 132


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 36   |  Length = 6   |Prefix-len |      Reserved     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                     IPv4 home address                         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(36, "IPv4 Home Address Request", "RFC 5844, 3.3.1", "prefix_length:6 _:10 address:ipv4", align=(4, 0))
class Ipv4HomeAddressRequest(MobilityOption):
    """The IPv4 home address that the mobile access gateway asks for; the unspecified one leaves the choice to the local
    mobility anchor."""

    address: Address = UNSPECIFIED_IPV4
    prefix_length: int = 32


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 37   |  Length = 6   |    Status     |Pref-len   |Res|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      IPv4 home address                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    37, "IPv4 Home Address Reply", "RFC 5844, 3.3.2", "status:8 prefix_length:6 _:2 address:ipv4", align=(4, 0)
)
class Ipv4HomeAddressReply(MobilityOption):
    """The mobile node's IPv4 home address and the prefix length of its home network, or why it has none."""

    status: Annotated[int, Ipv4HomeAddressReplyStatus]
    address: Address
    prefix_length: int = 32


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 38   |  Length = 6   |         Reserved (R)          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  IPv4 Default-Router Address                  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(38, "IPv4 Default-Router Address", "RFC 5844, 3.3.3", "_:16 address:ipv4", align=(4, 0))
class Ipv4DefaultRouterAddress(MobilityOption):
    """The mobile node's default router."""

    address: Address


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 39   |  Length = 2   |    Reserved (R)             |S|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(39, "IPv4 DHCP Support Mode", "RFC 5844, 3.3.4", "_:15 server:flag")
class Ipv4DhcpSupportMode(MobilityOption):
    """Whether the mobile access gateway is a DHCP server (S) for the mobile node or else a relay."""

    server: bool
