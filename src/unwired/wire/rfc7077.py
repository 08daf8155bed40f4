"""RFC 7077: update notifications from a local mobility anchor to a mobile access gateway."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.mobility import MobilityMessage, mobility_message


class NotificationReason(IntEnum):
    """Why the local mobility anchor notifies (section 4.1, and what was registered later)."""

    FORCE_REREGISTRATION = 1
    UPDATE_SESSION_PARAMETERS = 2
    VENDOR_SPECIFIC_REASON = 3
    ANI_PARAMS_REQUESTED = 4
    QOS_SERVICE_REQUEST = 5
    """RFC 7222 section 4.4."""
    PGW_TRIGGERED_PCSCF_RESTORATION_PCO = 6
    """3GPP TS 29.275."""
    PGW_TRIGGERED_PCSCF_RESTORATION_DHCP = 7
    """3GPP TS 29.275."""
    FLOW_MOBILITY = 8
    """RFC 7864 section 4.2."""


class UpdateNotificationStatus(IntEnum):
    """Status of an update notification acknowledgement (section 4.2); below 128 the notification was processed."""

    SUCCESS = 0
    FAILED_TO_UPDATE_SESSION_PARAMETERS = 128
    MISSING_VENDOR_SPECIFIC_OPTION = 129
    CANNOT_MEET_QOS_SERVICE_REQUEST = 130
    """RFC 7222 section 4.5."""
    REASON_UNSPECIFIED = 131
    """RFC 7864 section 4.3."""
    MN_NOT_ATTACHED = 132
    """RFC 7864 section 4.3."""


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |      Notification Reason      |A|D|          Reserved         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(
    19, "Update Notification", "RFC 7077, 4.1", "sequence:16 reason:16 acknowledge:flag retransmission:flag _:14"
)
class UpdateNotification(MobilityMessage):
    """Something about a session changed. The answer is asked for with ``acknowledge`` (A); ``retransmission`` (D) is
    set when it is sent again."""

    sequence: int
    reason: Annotated[int, NotificationReason]
    acknowledge: bool = False
    retransmission: bool = False


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |           Sequence #          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Status Code  |                    Reserved                   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(20, "Update Notification Acknowledgement", "RFC 7077, 4.2", "sequence:16 status:8 _:24")
class UpdateNotificationAcknowledgement(MobilityMessage):
    """Answers an update notification."""

    sequence: int
    status: Annotated[int, UpdateNotificationStatus]
