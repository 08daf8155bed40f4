"""The Internet checksum (RFC 1071) over IPv6's pseudo-header (RFC 8200 section 8.1).

The one's complement sum of 16-bit words is their sum modulo 0xffff, and 2**16 is 1 modulo 0xffff: so a whole buffer
read as one big integer has the same remainder, and Python does the work in two calls instead of a loop.
"""

from unwired.wire.address import Address


def ones_sum(data: bytes) -> int:
    """The sum of the 16-bit words modulo 0xffff; an odd byte at the end counts as padded with a zero."""
    if len(data) & 1:
        return (int.from_bytes(data) << 8) % 0xFFFF
    return int.from_bytes(data) % 0xFFFF


def checksum_ok(source: Address, destination: Address, protocol: int, payload: bytes) -> bool:
    """Whether a payload with its checksum in it sums up to zero with its pseudo-header.

    ``source`` and ``destination`` are the ones of the pseudo-header: the home addresses where the packet has them.
    """
    return (ones_sum(source + destination + payload) + len(payload) + protocol) % 0xFFFF == 0


def filled(source: Address, destination: Address, protocol: int, payload: bytes, offset: int) -> bytes:
    """The payload with the right checksum at ``offset`` (even); what stood there does not matter."""
    total = ones_sum(source + destination + payload) + len(payload) + protocol
    value = (int.from_bytes(payload[offset : offset + 2]) - total) % 0xFFFF
    return b"".join((payload[:offset], value.to_bytes(2), payload[offset + 2 :]))
