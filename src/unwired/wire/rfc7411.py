"""RFC 7411: the mobility options that transfer multicast memberships in fast handovers.

Their length counts units of four bytes, behind the first four bytes of the option. A payload is an MLD or IGMP report
without its ICMP header; RFC 7161's forms are in it.
"""

from enum import IntEnum
from typing import Annotated, TypeAlias

from unwired.wire.errors import DecodeError
from unwired.wire.families import Choice, Member, UnknownForm, kind_of
from unwired.wire.layout import Tail
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc7161 import Igmpv3GroupRecord, Mldv2AddressRecord
from unwired.wire.tails import TAILS

REPORTS = Choice("multicast_report", "multicast report")
"""By option code (section 5.3)."""
_IGMPV3 = "_:16 records:count16 records:igmpv3_records"
_MLDV2 = "_:16 records:count16 records:mldv2_records"


AnyRecords: TypeAlias = tuple[Mldv2AddressRecord, ...] | tuple[Igmpv3GroupRecord, ...]


class MulticastStatus(IntEnum):
    """Status of a multicast acknowledgement (section 5.4)."""

    REPORT_PAYLOAD_TYPE_UNSUPPORTED = 1
    REQUESTED_GROUP_SERVICE_UNSUPPORTED = 2
    REQUESTED_GROUP_SERVICE_ADMINISTRATIVELY_PROHIBITED = 3


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |            Reserved           |  No of Mcast Address Records  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                   Multicast Address Records                   .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(REPORTS, 1, "IGMPv3 Report Payload", "RFC 7411, 5.3", _IGMPV3)
class Igmpv3Report(Member):
    """Memberships of a host that speaks IGMPv3."""

    records: tuple[Igmpv3GroupRecord, ...]


@kind_of(REPORTS, 2, "MLDv2 Report Payload", "RFC 7411, 5.3", _MLDV2)
class Mldv2Report(Member):
    """Memberships of a host that speaks MLDv2."""

    records: tuple[Mldv2AddressRecord, ...]


@kind_of(REPORTS, 3, "IGMPv3 Report Payload from IGMPv2 Compatibility Mode", "RFC 7411, 5.3", _IGMPV3)
class Igmpv3ReportFromIgmpv2(Member):
    """Memberships of a host that speaks IGMPv2."""

    records: tuple[Igmpv3GroupRecord, ...]


@kind_of(REPORTS, 4, "MLDv2 Report Payload from MLDv1 Compatibility Mode", "RFC 7411, 5.3", _MLDV2)
class Mldv2ReportFromMldv1(Member):
    """Memberships of a host that speaks MLDv1."""

    records: tuple[Mldv2AddressRecord, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 60   | Length (words)|  Option-Code  |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                   MLD or IGMP Report Payload                  .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    60,
    "Multicast Mobility",
    "RFC 7411, 5.3",
    "report:which8 _:8 report:multicast_report",
    align=(4, 0),
    in_words=True,
)
class MulticastMobility(MobilityOption):
    """What the mobile node listens to."""

    report: Igmpv3Report | Mldv2Report | Igmpv3ReportFromIgmpv2 | Mldv2ReportFromMldv1 | UnknownForm


_unpack_mldv2 = REPORTS.unpackers[Mldv2Report.TYPE]
_unpack_igmpv3 = REPORTS.unpackers[Igmpv3Report.TYPE]


def _unpack_records(data: bytes, start: int, end: int) -> AnyRecords:
    """The records of an acknowledgement, which does not say whether they are of MLD or of IGMP: of the kind that fills
    the option exactly."""
    try:
        return _unpack_mldv2(data, start, end).records  # type: ignore[no-any-return]
    except DecodeError:
        return _unpack_igmpv3(data, start, end).records  # type: ignore[no-any-return]


def _pack_records(records: AnyRecords) -> bytes:
    if all(isinstance(record, Mldv2AddressRecord) for record in records):
        return Mldv2Report(records).pack()  # type: ignore[arg-type]
    return Igmpv3Report(records).pack()  # type: ignore[arg-type]


TAILS["unsupported_records"] = Tail(
    _unpack_records, _pack_records, members={cls.TYPE: cls for cls in (Igmpv3GroupRecord, Mldv2AddressRecord)}
)


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 61   | Length (words)|Option-Code = 0|     Status    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .             MLD or IGMP Unsupported Report Payload            .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    61,
    "Multicast Acknowledgement",
    "RFC 7411, 5.4",
    "_:8 status:8 records:unsupported_records",
    align=(4, 0),
    in_words=True,
)
class MulticastAcknowledgement(MobilityOption):
    """Which memberships could not be transferred: all of one protocol; none with the first status."""

    status: Annotated[int, MulticastStatus]
    records: AnyRecords = ()
