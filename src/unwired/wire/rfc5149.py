"""RFC 5149: the service selection mobility option."""

from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 20   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Identifier ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(20, "Service Selection", "RFC 5149, 3", "identifier:text")
class ServiceSelection(MobilityOption):
    """Which of the home agent's services a first registration is for: UTF-8, 1 to 255 bytes, such as ``ims``."""

    identifier: bytes
