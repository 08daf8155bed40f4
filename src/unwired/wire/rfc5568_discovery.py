"""RFC 5568: the ICMPv6 messages and neighbour discovery options of fast handovers."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.icmpv6 import IcmpMessage, icmp_message
from unwired.wire.nd_options import NdOption, nd_option
from unwired.wire.rfc5568 import AddressCode, LinkLayerAddressCode


class ProxyAdvertisementCode(IntEnum):
    """What a proxy router advertisement is (section 6.1.2)."""

    SOLICITED = 0
    UNSOLICITED_HANDOVER = 1
    NO_NEW_ROUTER_INFORMATION = 2
    LIMITED_NEW_ROUTER_INFORMATION = 3
    UNSOLICITED = 4
    DHCP_AT_THE_NEW_ROUTER = 5


class NeighborAcknowledgmentStatus(IntEnum):
    """What a mobile node is to do with its new care-of address (section 6.4.6)."""

    NCOA_INVALID_CONFIGURE_ADDRESS = 1
    NCOA_INVALID_USE_SUPPLIED_NCOA = 2
    NCOA_INVALID_USE_NAR_ADDRESS = 3
    PCOA_SUPPLIED_DO_NOT_SEND_FBU = 4
    LINK_LAYER_ADDRESS_UNRECOGNIZED = 128


# --- messages --------------------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 154  |    Code = 0   |            Checksum           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Subtype = 2  |    Reserved   |           Identifier          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Options ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(
    154,
    "Router Solicitation for Proxy Advertisement",
    "RFC 5568, 6.1.1",
    "_:8 _:16 =2:8 _:8 identifier:16 options:nd_options",
)
class RouterSolicitationForProxyAdvertisement(IcmpMessage):
    """Asks an access router about the neighbouring ones: link-layer address options name the access points."""

    identifier: int
    options: tuple[NdOption, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 154  |      Code     |            Checksum           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Subtype = 3  |M|   Reserved  |           Identifier          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Options ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(
    154,
    "Proxy Router Advertisement",
    "RFC 5568, 6.1.2; RFC 7411, 5.1",
    "code:8 _:16 =3:8 multicast:flag _:7 identifier:16 options:nd_options",
)
class ProxyRouterAdvertisement(IcmpMessage):
    """What an access router knows of its neighbours, or that the mobile node must move. ``multicast`` (M): it can
    transfer multicast memberships."""

    code: Annotated[int, ProxyAdvertisementCode]
    identifier: int = 0
    multicast: bool = False
    options: tuple[NdOption, ...] = ()


# --- options ---------------------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 17   |   Length = 3  |  Option-Code  | Prefix Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                            Reserved                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                          IPv6 Address                         +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(17, "IP Address/Prefix", "RFC 5568, 6.4.1", "code:8 prefix_length:8 _:32 address:address")
class IpAddressPrefix(NdOption):
    """An address or prefix of the new access router's link."""

    code: Annotated[int, AddressCode]
    address: Address
    prefix_length: int = 128


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 19   |     Length    |  Option-Code  |    LLA ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(19, "Link-Layer Address", "RFC 5568, 6.4.3", "code:8 address:rest")
class LinkLayerAddress(NdOption):
    """A link-layer address with the padding behind it, which only the link's type tells apart."""

    code: Annotated[int, LinkLayerAddressCode]
    address: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 20   | Length = 1, 3 |Option-Code = 0|     Status    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                            Reserved                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +              New Care-of Address, if Length is 3              +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(
    20,
    "Neighbor Advertisement Acknowledgment",
    "RFC 5568, 6.4.6",
    "_:8 status:8 _:32 new_care_of_address:optional_ipv6",
)
class NeighborAdvertisementAcknowledgment(NdOption):
    """The new access router's answer to a mobile node that announced itself with an address it cannot have."""

    status: Annotated[int, NeighborAcknowledgmentStatus]
    new_care_of_address: Address | None = None
