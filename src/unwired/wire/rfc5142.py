"""RFC 5142: the Home Agent Switch message."""

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, mobility_message


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |# of Addresses |   Reserved    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  .                                                               .
#  .                      Home Agent Addresses                     .
#  .                                                               .
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  .                                                               .
#  .                       Mobility Options                        .
#  .                                                               .
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_message(12, "Home Agent Switch", "RFC 5142, 4", "addresses:count _:8 addresses:counted")
class HomeAgentSwitch(MobilityMessage):
    """Asks a mobile node to register with another home agent, the first in ``addresses`` that serves it; with none it
    has to look for one itself. A Binding Refresh Advice says how long the present one goes on."""

    addresses: tuple[Address, ...] = ()
