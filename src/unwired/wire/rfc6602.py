"""RFC 6602: the mobility option of bulk binding updates, which refresh many sessions at once.

The bulk binding update flag (B) of binding updates and acknowledgements is among their fields in ``rfc6275.py``.
"""

from enum import IntEnum
from typing import Annotated

from unwired.wire.mobility import MobilityOption, mobility_option

ALL_SESSIONS = 1
"""The group of all sessions between a mobile access gateway and a local mobility anchor (section 4.3)."""


class MobileNodeGroupIdentifierType(IntEnum):
    """Sub-type of a mobile node group identifier (section 4.3)."""

    BULK_BINDING_UPDATE_GROUP = 1


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 50   |   Length = 6  |    Sub-type   |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Mobile Node Group Identifier                 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(50, "Mobile Node Group Identifier", "RFC 6602, 4.3", "subtype:8 _:8 group:32", align=(4, 0))
class MobileNodeGroupIdentifier(MobilityOption):
    """The group of sessions that a mobile node's belongs to."""

    group: int
    subtype: Annotated[int, MobileNodeGroupIdentifierType] = MobileNodeGroupIdentifierType.BULK_BINDING_UPDATE_GROUP
