"""RFC 7222: the quality-of-service mobility option and its attributes."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.families import Member, SubOptions, kind_of
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc6088 import TRAFFIC_SELECTORS, AnyTrafficSelector

ATTRIBUTES = SubOptions("quality_of_service_attributes", "quality-of-service attribute")
_BIT_RATE = "_:16 bit_rate_bit_s:32"
_SESSION_BIT_RATE = "of_service:flag exclude_guaranteed:flag _:14 bit_rate_bit_s:32"


class QualityOfServiceOperation(IntEnum):
    """Operational code (section 4.1)."""

    RESPONSE = 0
    ALLOCATE = 1
    DE_ALLOCATE = 2
    MODIFY = 3
    QUERY = 4
    NEGOTIATE = 5


class Preemption(IntEnum):
    """Preemption capability and vulnerability (section 4.2.5)."""

    ENABLED = 0
    DISABLED = 1


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 58   | Option Length |     SR-ID     |       TC      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |       OC      |                    Reserved                   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        QoS Attribute(s)                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    58,
    "Quality-of-Service",
    "RFC 7222, 4.1",
    "service_request:8 dscp:6 _:2 operation:8 _:24 attributes:quality_of_service_attributes",
    align=(4, 0),
)
class QualityOfService(MobilityOption):
    """One service request of a session. The local mobility anchor numbers them; a new one from the gateway has 0. The
    DSCP is the upper six bits of the traffic class (TC)."""

    operation: Annotated[int, QualityOfServiceOperation]
    service_request: int = 0
    dscp: int = 0
    attributes: tuple[Member, ...] = ()


# --- attributes: bit rates -------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Type = 1, 2  |   Length = 6  |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |               Per-MN-Agg-Max-DL-Bit-Rate or -UL-              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ATTRIBUTES, 1, "Per-MN-Agg-Max-DL-Bit-Rate", "RFC 7222, 4.2.1", _BIT_RATE)
class PerMobileNodeMaximumDownlink(Member):
    """Downlink, all sessions of the mobile node together."""

    bit_rate_bit_s: int


@kind_of(ATTRIBUTES, 2, "Per-MN-Agg-Max-UL-Bit-Rate", "RFC 7222, 4.2.2", _BIT_RATE)
class PerMobileNodeMaximumUplink(Member):
    """Uplink, all sessions of the mobile node together."""

    bit_rate_bit_s: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Type = 3, 4  |   Length = 6  |S|E|          Reserved         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |            Per-Session-Agg-Max-DL-Bit-Rate or -UL-            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ATTRIBUTES, 3, "Per-Session-Agg-Max-DL-Bit-Rate", "RFC 7222, 4.2.3", _SESSION_BIT_RATE)
class PerSessionMaximumDownlink(Member):
    """Downlink of the session, or of all sessions with its service identifier (S); flows that have a guaranteed bit
    rate do not count with ``exclude_guaranteed`` (E)."""

    bit_rate_bit_s: int
    of_service: bool = False
    exclude_guaranteed: bool = False


@kind_of(ATTRIBUTES, 4, "Per-Session-Agg-Max-UL-Bit-Rate", "RFC 7222, 4.2.4", _SESSION_BIT_RATE)
class PerSessionMaximumUplink(Member):
    """Uplink, likewise."""

    bit_rate_bit_s: int
    of_service: bool = False
    exclude_guaranteed: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Type = 6 to 9 |   Length = 6  |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |       Aggregate-Max- or Guaranteed-, DL- or UL-Bit-Rate       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ATTRIBUTES, 6, "Aggregate-Max-DL-Bit-Rate", "RFC 7222, 4.2.6", _BIT_RATE)
class AggregateMaximumDownlink(Member):
    """Downlink, of the flows that a traffic selector attribute describes, else of the session."""

    bit_rate_bit_s: int


@kind_of(ATTRIBUTES, 7, "Aggregate-Max-UL-Bit-Rate", "RFC 7222, 4.2.7", _BIT_RATE)
class AggregateMaximumUplink(Member):
    """Uplink, likewise."""

    bit_rate_bit_s: int


@kind_of(ATTRIBUTES, 8, "Guaranteed-DL-Bit-Rate", "RFC 7222, 4.2.8", _BIT_RATE)
class GuaranteedDownlink(Member):
    """What the flows have for certain, downlink."""

    bit_rate_bit_s: int


@kind_of(ATTRIBUTES, 9, "Guaranteed-UL-Bit-Rate", "RFC 7222, 4.2.9", _BIT_RATE)
class GuaranteedUplink(Member):
    """What the flows have for certain, uplink."""

    bit_rate_bit_s: int


# --- attributes: the others ------------------------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 5   |   Length = 2  |    Reserved   |   PL  | PC| PV|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    ATTRIBUTES,
    5,
    "Allocation-Retention-Priority",
    "RFC 7222, 4.2.5",
    "_:8 priority_level:4 preemption_capability:2 preemption_vulnerability:2",
)
class AllocationRetentionPriority(Member):
    """Who gets resources when they run short: 1 before 15."""

    priority_level: int
    preemption_capability: Annotated[int, Preemption]
    preemption_vulnerability: Annotated[int, Preemption]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 10   |     Length    |    Reserved   |   TS Format   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Traffic Selector                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    ATTRIBUTES,
    10,
    "QoS-Traffic-Selector",
    "RFC 7222, 4.2.10",
    f"_:8 selector:which8 selector:{TRAFFIC_SELECTORS.kind}",
)
class QualityOfServiceTrafficSelector(Member):
    """The flows that the other attributes are about."""

    selector: AnyTrafficSelector


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 11   |     Length    |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Vendor ID                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Sub-Type   |              ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ATTRIBUTES, 11, "QoS-Vendor-Specific-Attribute", "RFC 7222, 4.2.11", "_:16 vendor:32 subtype:8 data:rest")
class QualityOfServiceVendorSpecific(Member):
    """``vendor`` is a private enterprise number; the vendor says what ``subtype`` and ``data`` are."""

    vendor: int
    subtype: int
    data: bytes
