"""RFC 5847: heartbeats between a mobile access gateway and a local mobility anchor."""

from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |          Reserved         |U|R|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Sequence Number                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .                        Mobility Options                       .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(13, "Heartbeat", "RFC 5847, 3.3", "_:14 unsolicited:flag response:flag sequence:32")
class Heartbeat(MobilityMessage):
    """Asks whether the other end lives, or answers (R). An answer without question (U) announces a restart."""

    sequence: int
    response: bool = False
    unsolicited: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 28   |   Length = 4  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                        Restart Counter                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(28, "Restart Counter", "RFC 5847, 3.4", "counter:32", align=(4, 2))
class RestartCounter(MobilityOption):
    """How often the sender has lost its state; in heartbeat responses."""

    counter: int
