"""RFC 5026: the mobility option with which a mobile node has its name in the DNS changed."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.mobility import MobilityOption, mobility_option


class DnsUpdateStatus(IntEnum):
    """Status in a binding acknowledgement (section 8.1); below 128 the update was done."""

    DNS_UPDATE_PERFORMED = 0
    REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    DNS_UPDATE_FAILED = 130


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 17   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Status    |R|   Reserved  |     MN identity (FQDN) ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(17, "DNS Update", "RFC 5026, 8.1", "status:8 remove:flag _:7 name:text")
class DnsUpdate(MobilityOption):
    """The domain name to enter with the home address, or with ``remove`` (R) to take out."""

    name: bytes
    status: Annotated[int, DnsUpdateStatus] = 0
    remove: bool = False
