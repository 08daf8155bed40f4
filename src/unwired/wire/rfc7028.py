"""RFC 7028: the mobility option that says which multicast traffic a mobile access gateway gets locally."""

from unwired.wire.address import Address
from unwired.wire.families import Choice, Member, UnknownForm, kind_of
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc7161 import Igmpv3GroupRecord, MembershipProtocol, Mldv1Group, Mldv2AddressRecord

SELECTIONS = Choice("multicast_selection", "list of multicast memberships")
"""By protocol: the number of records and the records (sections 5.1.2 and 8)."""
_GROUPS = "groups:count16 groups:counted_ipv4"


@kind_of(SELECTIONS, MembershipProtocol.IGMPV1, "IGMPv1 Groups", "RFC 7028, 8", _GROUPS)
class Igmpv1Selection(Member):
    """Groups of hosts that speak IGMPv1."""

    groups: tuple[Address, ...]


@kind_of(SELECTIONS, MembershipProtocol.IGMPV2, "IGMPv2 Groups", "RFC 7028, 8", _GROUPS)
class Igmpv2Selection(Member):
    """Groups of hosts that speak IGMPv2."""

    groups: tuple[Address, ...]


@kind_of(
    SELECTIONS, MembershipProtocol.IGMPV3, "IGMPv3 Records", "RFC 7028, 8", "records:count16 records:igmpv3_records"
)
class Igmpv3Selection(Member):
    """Group records of IGMPv3."""

    records: tuple[Igmpv3GroupRecord, ...]


@kind_of(SELECTIONS, MembershipProtocol.MLDV1, "MLDv1 Groups", "RFC 7028, 5.1.2", "groups:count16 groups:mldv1_groups")
class Mldv1Selection(Member):
    """Groups of hosts that speak MLDv1."""

    groups: tuple[Mldv1Group, ...]


@kind_of(
    SELECTIONS, MembershipProtocol.MLDV2, "MLDv2 Records", "RFC 7028, 5.1.2", "records:count16 records:mldv2_records"
)
class Mldv2Selection(Member):
    """Multicast address records of MLDv2."""

    records: tuple[Mldv2AddressRecord, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 54   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Protocol   |M|   Reserved  |  Nr of Mcast Address Records  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                   Multicast Address Records                   .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    54,
    "Dynamic IP Multicast Selector",
    "RFC 7028, 5.1",
    "selection:which8 direct_routing:flag _:7 selection:multicast_selection",
    align=(4, 2),
)
class DynamicIpMulticastSelector(MobilityOption):
    """Traffic of these groups is routed locally with ``direct_routing`` (M), else by way of the multicast anchor."""

    selection: Igmpv1Selection | Igmpv2Selection | Igmpv3Selection | Mldv1Selection | Mldv2Selection | UnknownForm
    direct_routing: bool = False
