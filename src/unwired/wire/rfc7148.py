"""RFC 7148: the mobility option with which prefixes are delegated to mobile routers in Proxy Mobile IPv6."""

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.tails import TAILS, numbered_address

TAILS["delegated_address"] = numbered_address(ipv6=0, ipv4=1)


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 55   | Length = 6, 18|V|   Reserved  | Prefix Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .      IPv4 or IPv6 Delegated Mobile Network Prefix (DMNP)      .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    55,
    "Delegated Mobile Network Prefix",
    "RFC 7148, 4.1",
    "prefix:which1 _:7 prefix_length:8 prefix:delegated_address",
    align=(8, 2),
)
class DelegatedMobileNetworkPrefix(MobilityOption):
    """A prefix of the mobile router's network, of either family (V); the length of an IPv4 prefix is at most 32."""

    prefix: Address
    prefix_length: int
