"""RFC 7161: messages and options that hand a mobile node's multicast memberships over.

The multicast signaling flag (S) of binding updates and acknowledgements is among their fields in ``rfc6275.py``. The
memberships have the form of the MLD or IGMP report that they come from; RFC 7028 and RFC 7411 use the same forms.
"""

from enum import IntEnum

from unwired.wire.address import Address
from unwired.wire.families import Choice, Member, UnknownForm, kind_of, list_of
from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option
from unwired.wire.tails import TAILS


class MembershipProtocol(IntEnum):
    """Types of multicast reports (sections 4.1.2 and 6.1)."""

    IGMPV1 = 0x12
    IGMPV2 = 0x16
    IGMPV3 = 0x22
    MLDV1 = 131
    MLDV2 = 143


# --- multicast memberships -------------------------------------------------------------------------------------------

IGMP_MEMBERSHIPS = Choice("igmp_membership", "IGMP membership")
MLD_MEMBERSHIPS = Choice("mld_membership", "MLD membership")


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Group Address                         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(IGMP_MEMBERSHIPS, MembershipProtocol.IGMPV1, "IGMPv1 Group Address", "RFC 7161, 6.1", "group:ipv4")
class Igmpv1Group(Member):
    """A group of a host that speaks IGMPv1."""

    group: Address


@kind_of(IGMP_MEMBERSHIPS, MembershipProtocol.IGMPV2, "IGMPv2 Group Address", "RFC 7161, 6.1", "group:ipv4")
class Igmpv2Group(Member):
    """A group of a host that speaks IGMPv2."""

    group: Address


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Record Type  |  Aux Data Len |     Number of Sources (N)     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       Multicast Address                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Source Addresses                       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    IGMP_MEMBERSHIPS,
    MembershipProtocol.IGMPV3,
    "IGMPv3 Group Record",
    "RFC 7161, 6.1; RFC 3376, 4.2.4",
    "record_type:8 _:skip sources:count16 group:ipv4 sources:counted_ipv4",
)
class Igmpv3GroupRecord(Member):
    """A group and its sources; ``record_type`` is IGMPv3's. Auxiliary data are skipped."""

    record_type: int
    group: Address
    sources: tuple[Address, ...] = ()


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                            Reserved                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                       Multicast Address                       +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(MLD_MEMBERSHIPS, MembershipProtocol.MLDV1, "MLDv1 Multicast Address", "RFC 7161, 4.1.3", "_:32 group:address")
class Mldv1Group(Member):
    """A group of a host that speaks MLDv1."""

    group: Address


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Record Type  |  Aux Data Len |     Number of Sources (N)     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                       Multicast Address                       +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Source Addresses                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    MLD_MEMBERSHIPS,
    MembershipProtocol.MLDV2,
    "MLDv2 Multicast Address Record",
    "RFC 7161, 4.1.2; RFC 3810, 5.2.4",
    "record_type:8 _:skip sources:count16 group:address sources:counted",
)
class Mldv2AddressRecord(Member):
    """A group and its sources; ``record_type`` is MLDv2's (RFC 3810 section 5.2.12). Auxiliary data are skipped."""

    record_type: int
    group: Address
    sources: tuple[Address, ...] = ()


TAILS["igmpv3_records"] = list_of(Igmpv3GroupRecord)
TAILS["mldv1_groups"] = list_of(Mldv1Group)
TAILS["mldv2_records"] = list_of(Mldv2AddressRecord)


# --- messages --------------------------------------------------------------------------------------------------------


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Sequence #  |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(22, "Subscription Query", "RFC 7161, 4.3.1", "sequence:8 _:8")
class SubscriptionQuery(MobilityMessage):
    """Asks for the multicast memberships of a mobile node."""

    sequence: int


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Sequence #  |I|   Reserved  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(23, "Subscription Response", "RFC 7161, 4.3.2", "sequence:8 has_information:flag _:7")
class SubscriptionResponse(MobilityMessage):
    """Answers a subscription query; with memberships among the options (I) or without any."""

    sequence: int
    has_information: bool = False


# --- options ---------------------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                  |   Type = 56   | Option Length |   IGMP Type   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                  Multicast Membership Context                 .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    56,
    "Active Multicast Subscription IPv4",
    "RFC 7161, 6.1",
    "membership:which8 membership:igmp_membership",
    align=(4, 1),
)
class ActiveMulticastSubscriptionIpv4(MobilityOption):
    """One IPv4 membership of the mobile node."""

    membership: Igmpv1Group | Igmpv2Group | Igmpv3GroupRecord | UnknownForm


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                  |   Type = 57   | Option Length |    MLD Type   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                  Multicast Membership Context                 .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    57,
    "Active Multicast Subscription IPv6",
    "RFC 7161, 4.1",
    "membership:which8 membership:mld_membership",
    align=(8, 1),
)
class ActiveMulticastSubscriptionIpv6(MobilityOption):
    """One IPv6 membership of the mobile node."""

    membership: Mldv1Group | Mldv2AddressRecord | UnknownForm
