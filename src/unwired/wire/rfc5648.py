"""RFC 5648: the mobility option of several care-of addresses, with the priority that RFC 6089 put into it."""

from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc6275 import BindingStatus


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |   Type = 35   | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |        Binding ID (BID)       |     Status    |H|   BID-PRI   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                                                               .
#  .               IPv4 or IPv6 care-of address (CoA)              .
#  .                                                               .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    35,
    "Binding Identifier",
    "RFC 5648, 4.3; RFC 6089, 4.1",
    "binding_id:16 status:8 home_and_foreign:flag priority:7 care_of_address:optional_address",
    align=(8, 2),
)
class BindingIdentifier(MobilityOption):
    """One of a mobile node's bindings. The alignment is that of an option with an address; without one 2n would do.

    ``status`` is 0 where the binding acknowledgement's own counts. A lower ``priority`` is preferred, 0 says nothing.
    ``home_and_foreign`` (H): the mobile node is at home too. The overwrite flag (O) of a binding update (section 4.2),
    which replaces all bindings, is the bit that is now assigned to ``bulk_binding_update`` (RFC 6602).
    """

    binding_id: int
    care_of_address: Address | None = None
    status: Annotated[int, BindingStatus] = 0
    home_and_foreign: bool = False
    priority: int = 0
