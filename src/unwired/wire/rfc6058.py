"""RFC 6058: the mobility option of transient bindings, which switch a proxy registration's path late."""

from unwired.wire.mobility import MobilityOption, mobility_option

_LIFETIME_UNIT_MS = 100


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 43   |   Length = 2  |   Reserved  |L|    Lifetime   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(43, "Transient Binding", "RFC 6058, 5.1", "_:7 late_path_switch:flag lifetime_units:8")
class TransientBinding(MobilityOption):
    """For how long packets to the mobile node go on to its previous gateway (L); ``lifetime_units`` counts 100 ms."""

    lifetime_units: int
    late_path_switch: bool = True

    @property
    def lifetime_ms(self) -> int:
        return self.lifetime_units * _LIFETIME_UNIT_MS
