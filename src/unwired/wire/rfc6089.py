"""RFC 6089: flow bindings, which send flows to one of several care-of addresses."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.families import Member, SubOptions, kind_of
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc6088 import TRAFFIC_SELECTORS, AnyTrafficSelector

FLOW_SUB_OPTIONS = SubOptions("flow_sub_options", "flow identification sub-option", padded=True)
"""RFC 7109 adds two."""


class FlowBindingStatus(IntEnum):
    """Status of one flow in a binding acknowledgement (section 4.2); below 128 it was accepted."""

    FLOW_BINDING_SUCCESSFUL = 0
    ADMINISTRATIVELY_PROHIBITED = 128
    REJECTED_REASON_UNSPECIFIED = 129
    FLOW_IDENTIFICATION_MOBILITY_OPTION_MALFORMED = 130
    BID_NOT_FOUND = 131
    FID_NOT_FOUND = 132
    TRAFFIC_SELECTOR_FORMAT_NOT_SUPPORTED = 133


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 44   | Option Length |              FID              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |              FID              |            ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(44, "Flow Summary", "RFC 6089, 4.2.2", "flow_ids:numbers", align=(2, 0))
class FlowSummary(MobilityOption):
    """Flow bindings to refresh."""

    flow_ids: tuple[int, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 45   | Option Length |              FID              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |            FID-PRI            |    Reserved   |     Status    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Sub-options (optional) ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    45,
    "Flow Identification",
    "RFC 6089, 4.2",
    "flow_id:16 priority:16 _:8 status:8 sub_options:flow_sub_options",
    align=(8, 0),
)
class FlowIdentification(MobilityOption):
    """One flow: a lower ``priority`` counts first, 0 is none. The alignment asked for is 2n; with 8n the sub-options,
    which follow after 8 bytes, can have theirs."""

    flow_id: int
    priority: int
    sub_options: tuple[Member, ...] = ()
    status: Annotated[int, FlowBindingStatus] = 0


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 2   |  Sub-Opt Len  |              BID              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |              BID              |            ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(FLOW_SUB_OPTIONS, 2, "Binding Reference", "RFC 6089, 4.2.1.3", "binding_ids:numbers", align=(2, 0))
class BindingReference(Member):
    """The bindings that the flow goes to."""

    binding_ids: tuple[int, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 3   |  Sub-Opt Len  |   TS Format   |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Traffic Selector ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    FLOW_SUB_OPTIONS,
    3,
    "Traffic Selector",
    "RFC 6089, 4.2.1.4",
    f"selector:which8 _:8 selector:{TRAFFIC_SELECTORS.kind}",
    align=(8, 0),
)
class TrafficSelector(Member):
    """The packets of the flow, in one of the forms of RFC 6088. The alignment fits both."""

    selector: AnyTrafficSelector
