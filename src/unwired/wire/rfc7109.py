"""RFC 7109: flow bindings that the home agent asks for."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.families import Member, kind_of
from unwired.wire.mobility import MobilityMessage, mobility_message
from unwired.wire.rfc6089 import FLOW_SUB_OPTIONS


class FlowBindingTrigger(IntEnum):
    """Why the home agent asks (section 6.1.1)."""

    UNSPECIFIED = 1
    ADMINISTRATIVE_REASON = 2
    POSSIBLE_OUT_OF_SYNC_BCE_STATE = 3


class FlowBindingAcknowledgementStatus(IntEnum):
    """Status of a flow binding acknowledgement (section 6.1.2); below 128 the indication was processed."""

    SUCCESS = 0
    BINDING_DOES_NOT_EXIST = 128
    ACTION_NOT_AUTHORIZED = 129


class FlowAction(IntEnum):
    """What to do with a flow binding (section 6.2.1)."""

    ADD = 11
    DELETE = 12
    MODIFY = 13
    REFRESH = 14
    MOVE = 15
    REVOKE = 16


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |     Flow Binding Type = 1     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |    Trigger    |A|   Reserved  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(21, "Flow Binding Indication", "RFC 7109, 6.1.1", "=1:16 sequence:16 trigger:8 acknowledge:flag _:7")
class FlowBindingIndication(MobilityMessage):
    """The home agent asks the mobile node to change its flow bindings, as the flow identification options say."""

    sequence: int
    trigger: Annotated[int, FlowBindingTrigger] = FlowBindingTrigger.UNSPECIFIED
    acknowledge: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |     Flow Binding Type = 2     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Sequence #          |     Status    |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(21, "Flow Binding Acknowledgement", "RFC 7109, 6.1.2", "=2:16 sequence:16 status:8 _:8")
class FlowBindingAcknowledgement(MobilityMessage):
    """Answers a flow binding indication, with the same options; the binding update follows."""

    sequence: int
    status: Annotated[int, FlowBindingAcknowledgementStatus]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 4   |   Length = 2  |    Reserved   |     Action    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(FLOW_SUB_OPTIONS, 4, "Flow Binding Action", "RFC 7109, 6.2.1", "_:8 action:8")
class FlowBindingAction(Member):
    """What to do with the flow."""

    action: Annotated[int, FlowAction]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Type = 5   | Length = 6, 18|            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                     Target Care-of Address                    .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(FLOW_SUB_OPTIONS, 5, "Target Care-of Address", "RFC 7109, 6.2.2", "_:16 address:any_address", align=(4, 0))
class TargetCareOfAddress(Member):
    """The address of the interface that a flow moves to, of either family."""

    address: Address
