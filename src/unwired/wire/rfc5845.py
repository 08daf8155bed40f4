"""RFC 5845: the mobility option with the GRE key of a Proxy Mobile IPv6 tunnel, and the TLV header of tunnels in UDP.

The TLV-header format flag (T) of binding updates and acknowledgements is among their fields in ``rfc6275.py``.
"""

import struct

from unwired.wire.mobility import MobilityOption, mobility_option

_tlv_header = struct.Struct("!BBH")


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


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |Type=0 |  Res. |  Next Header  |            Length             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def with_tlv_header(protocol: int, payload: bytes) -> bytes:
    """A tunnel's payload behind the TLV header (section 7.2). Raises ValueError for one that is too long."""
    try:
        return _tlv_header.pack(0, protocol, len(payload)) + payload
    except struct.error:
        raise ValueError(f"a payload of {len(payload)} bytes does not fit behind a TLV header") from None


def tlv_payload(data: bytes, start: int) -> tuple[int, int] | None:
    """The protocol of the payload behind the TLV header at ``start``, and where it starts; None when there is no TLV
    header, but IP, which its first four bits tell."""
    if start + _tlv_header.size > len(data) or data[start] >> 4:
        return None
    return data[start + 1], start + _tlv_header.size
