"""RFC 5845: the mobility option with the GRE key of a Proxy Mobile IPv6 tunnel.

The TLV-header format flag (T) of binding updates and acknowledgements is among their fields in ``rfc6275.py``.
"""

from unwired.wire.mobility import MobilityOption, mobility_option


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 33   | Length = 2, 6 |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       GRE Key Identifier                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(33, "GRE Key", "RFC 5845, 6.1", "_:16 key:optional_number", align=(4, 0))
class GreKey(MobilityOption):
    """The key of packets towards the sender; without one GRE is asked for, but no key."""

    key: int | None = None
