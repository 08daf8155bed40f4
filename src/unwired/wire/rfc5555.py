"""RFC 5555: the mobility options of dual-stack Mobile IPv6.

The force UDP encapsulation flag (F) of a binding update is among its fields in ``rfc6275.py``.
"""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import UNSPECIFIED_IPV4, Address
from unwired.wire.mobility import MobilityOption, mobility_option

NO_KEEPALIVES = 0xFFFF_FFFF
"""As a refresh time: there is no NAT that would need them (section 3.2.2)."""


class Ipv4HomeAddressStatus(IntEnum):
    """Status of an IPv4 address acknowledgement (section 3.2.1); below 128 the home address was accepted."""

    SUCCESS = 0
    FAILURE_REASON_UNSPECIFIED = 128
    ADMINISTRATIVELY_PROHIBITED = 129
    INCORRECT_IPV4_HOME_ADDRESS = 130
    INVALID_IPV4_ADDRESS = 131
    DYNAMIC_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE = 132
    PREFIX_ALLOCATION_UNAUTHORIZED = 133


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 29   |  Length = 6   |Prefix-len |P|    Reserved     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                     IPv4 home address                         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    29, "IPv4 Home Address", "RFC 5555, 3.1.1", "prefix_length:6 request_prefix:flag _:9 address:ipv4", align=(4, 0)
)
class Ipv4HomeAddress(MobilityOption):
    """The IPv4 home address to bind; with the unspecified one the mobile node asks for an address, with
    ``request_prefix`` (P) for a prefix of its own. ``prefix_length`` is 32 for a single address; zero is an error."""

    address: Address = UNSPECIFIED_IPV4
    prefix_length: int = 32
    request_prefix: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 30   |  Length = 6   |    Status     |Pref-len   |Res|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      IPv4 home address                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    30, "IPv4 Address Acknowledgement", "RFC 5555, 3.2.1", "status:8 prefix_length:6 _:2 address:ipv4", align=(4, 0)
)
class Ipv4AddressAcknowledgement(MobilityOption):
    """Whether the IPv4 home address was bound, and which it is. ``prefix_length`` counts on success only and overrides
    what was asked for; zero otherwise."""

    status: Annotated[int, Ipv4HomeAddressStatus]
    address: Address
    prefix_length: int = 32


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 31   |  Length = 6   |F|          Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                      Refresh time                             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(31, "NAT Detection", "RFC 5555, 3.2.2", "force_udp_encapsulation:flag _:15 refresh_s:32", align=(4, 0))
class NatDetection(MobilityOption):
    """Whether a NAT is between mobile node and home agent, and how often the mobile node is advised to refresh its
    mapping: zero is no advice, ``NO_KEEPALIVES`` says that there is no NAT. With ``force_udp_encapsulation`` (F) UDP
    must be used even so."""

    refresh_s: int
    force_udp_encapsulation: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 32   |  Length = 6   |         Reserved              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                     IPv4 Care-of address                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(32, "IPv4 Care-of Address", "RFC 5555, 3.1.2", "_:16 address:ipv4", align=(4, 0))
class Ipv4CareOfAddress(MobilityOption):
    """The care-of address of a mobile node that is in a network without IPv6."""

    address: Address
