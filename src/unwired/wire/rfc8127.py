"""RFC 8127: the mobility option with which a local mobility anchor sets parameters of its gateways."""

from unwired.wire.families import Member, SubOptions, kind_of
from unwired.wire.mobility import MobilityOption, mobility_option

PARAMETERS = SubOptions("gateway_parameters", "LMA-controlled MAG parameter sub-option")
_UNIT_S = 4


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 62   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       LCMP Sub-Option(s)                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(62, "LMA-Controlled MAG Parameters", "RFC 8127, 3", "sub_options:gateway_parameters", align=(4, 2))
class LmaControlledMagParameters(MobilityOption):
    """At least one sub-option."""

    sub_options: tuple[Member, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | LCMP Type = 1 |LCMP Length = 6|   Re-registration-Start-Time  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Initial-Retransmission-Time  |  Maximum-Retransmission-Time  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    PARAMETERS,
    1,
    "Binding Re-registration Control",
    "RFC 8127, 3.1.1",
    "start_units:16 initial_retransmission_s:16 maximum_retransmission_s:16",
    align=(4, 0),
)
class BindingReRegistrationControl(Member):
    """How long before its end a binding is refreshed, in units of 4 s, and the bounds of the back-off, in seconds."""

    start_units: int
    initial_retransmission_s: int
    maximum_retransmission_s: int

    @property
    def start_s(self) -> int:
        return self.start_units * _UNIT_S


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | LCMP Type = 2 |LCMP Length = 6|          HB-Interval          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    HB-Retransmission-Delay    |     HB-Max-Retransmissions    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    PARAMETERS,
    2,
    "Heartbeat Control",
    "RFC 8127, 3.1.2",
    "interval_s:16 retransmission_delay_s:16 maximum_retransmissions:16",
    align=(4, 0),
)
class HeartbeatControl(Member):
    """How often heartbeats are exchanged, and how often and after what time an unanswered one is sent again."""

    interval_s: int
    retransmission_delay_s: int
    maximum_retransmissions: int
