"""RFC 6909: the mobility option that lets IPv4 traffic leave at the mobile access gateway."""

from unwired.wire.families import Member
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc6089 import FLOW_SUB_OPTIONS


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 53   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |M|                           Reserved                          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Traffic Selector Sub-option ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    53,
    "IPv4 Traffic Offload Selector",
    "RFC 6909, 3.1",
    f"tunnel_selected:flag _:7 _:24 sub_options:{FLOW_SUB_OPTIONS.kind}",
    align=(4, 0),
)
class Ipv4TrafficOffloadSelector(MobilityOption):
    """The traffic selector sub-option (RFC 6089) says which packets are offloaded, or with ``tunnel_selected`` (M)
    which are not."""

    sub_options: tuple[Member, ...] = ()
    tunnel_selected: bool = False
