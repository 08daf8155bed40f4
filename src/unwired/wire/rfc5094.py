"""RFC 5094: the vendor-specific mobility option."""

from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 19   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Vendor ID                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    Sub-Type   |             Data ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(19, "Vendor Specific", "RFC 5094, 3", "vendor:32 subtype:8 data:rest", align=(4, 2))
class VendorSpecific(MobilityOption):
    """``vendor`` is a private enterprise number; the vendor says what ``subtype`` and ``data`` are."""

    vendor: int
    subtype: int
    data: bytes
