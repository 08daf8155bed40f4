"""How long a NAT keeps a mapping: a mobile node asks, by a port of its own, for one packet back after a while.

No RFC has a message for this (RFC 5555 section 4.3 leaves the time to configuration). It travels in UDP on port 4191
beside the tunnels: what starts with neither 4 nor 6 is no IP packet (section 4.1), and a home agent that does not know
it drops it.

    0                   1                   2                   3
    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |     0x0e      |0 ask, 1 answer|            Delay, s           |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
   |                             Token                             |
   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

The answer is as long as what it answers, so that nothing is won by a forged source.
"""

import struct
from dataclasses import dataclass

from unwired.wire.errors import DecodeError

_MARK = 0x0E
_layout = struct.Struct("!BBHI")


@dataclass(frozen=True, slots=True)
class NatProbe:
    """``delay_s``: after how many seconds the answer is to be sent; in the answer as in what it answers."""

    token: int
    delay_s: int
    is_answer: bool = False

    def encode(self) -> bytes:
        """Raises ValueError for what the wire cannot hold."""
        if self.delay_s >> 16 or self.token >> 32:
            raise ValueError("delay or token of a NAT probe do not fit in 16 and 32 bits")
        return _layout.pack(_MARK, self.is_answer, self.delay_s, self.token)


def decode_nat_probe(data: bytes) -> NatProbe:
    """Raises DecodeError."""
    if len(data) != _layout.size:
        raise DecodeError(f"NAT probe of {len(data)} bytes where {_layout.size} are needed", 0)
    mark, kind, delay_s, token = _layout.unpack(data)
    if mark != _MARK or kind > 1:
        raise DecodeError("no NAT probe", 0)
    return NatProbe(token, delay_s, bool(kind))
