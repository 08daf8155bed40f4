"""RFC 8278: the mobility options of mobile access gateways with several uplinks."""

from typing import Annotated

from unwired.wire.mobility import MobilityOption, mobility_option
from unwired.wire.rfc4283 import MobileNodeIdentifierSubtype
from unwired.wire.rfc5213 import AccessTechnology


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 63   |   Length = 6  |     If-ATT    |    If-Label   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Binding ID  |B|O|                  Reserved                 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    63,
    "MAG Multipath-Binding",
    "RFC 8278, 4.1",
    "technology:8 label:8 binding_id:8 bulk:flag overwrite:flag _:6 _:16",
)
class MagMultipathBinding(MobilityOption):
    """One of several care-of addresses of the gateway: its interface's access technology and label, and its number, 1
    to 254. ``bulk`` (B) refreshes all the mobile node's bindings, ``overwrite`` (O) replaces them: never both."""

    technology: Annotated[int, AccessTechnology]
    label: int
    binding_id: int
    bulk: bool = False
    overwrite: bool = False


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 64   | Option Length |    Subtype    |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Identifier ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(64, "MAG Identifier", "RFC 8278, 4.2", "subtype:8 _:8 identifier:text")
class MagIdentifier(MobilityOption):
    """Who the mobile access gateway is; the subtypes are those of mobile node identifiers."""

    identifier: bytes
    subtype: Annotated[int, MobileNodeIdentifierSubtype] = MobileNodeIdentifierSubtype.NAI
