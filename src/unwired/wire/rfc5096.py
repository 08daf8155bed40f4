"""RFC 5096: the experimental mobility header and option, for experiments between peers who agree."""

from unwired.wire.mobility import MobilityMessage, MobilityOption, mobility_message, mobility_option


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               |
#  |                                                               |
#  .                         Message Data                          .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(11, "Experimental Mobility Header", "RFC 5096, 3", "data:rest")
class ExperimentalMobilityHeader(MobilityMessage):
    """``data`` is everything after the checksum, 2 bytes or 8n + 2: there are no options."""

    data: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 18   | Option Length |             Data ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(18, "Experimental Mobility Option", "RFC 5096, 4", "data:rest")
class ExperimentalMobilityOption(MobilityOption):
    """Any data."""

    data: bytes
