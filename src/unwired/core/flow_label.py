"""The flow label of what a mobile node sends to home agents.

Where several equally good paths lead to an anycast address, routers choose by a hash of addresses and flow label
(RFC 6438). One label for all that leaves a care-of address takes all of it to the same home agent; with a label for
each flow, data and binding updates come to different ones, and every one that is not the primary asks for a change.
"""

from hashlib import sha256

from unwired.wire.address import Address

_BITS = 20


def flow_label(source: Address, home_address: Address) -> int:
    """The same for the same addresses, also after a restart; never 0, which would leave the choice to others."""
    digest = int.from_bytes(sha256(source + home_address).digest()[:8])
    return digest % ((1 << _BITS) - 1) + 1
