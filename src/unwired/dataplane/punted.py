"""What the programs give to the daemon: the packets that a read from the punt device returns, one each.

All begin with an IP header; docs/data-plane.md ("What the daemon reads") has the table. A packet that was too big for
its tunnel comes as it was encapsulated, with what no packet on a wire has: hop limit 0 (bpf/too_big.h).
"""

from dataclasses import dataclass

from unwired.wire.address import V4_MAPPED, Address
from unwired.wire.datagram import decode_datagram
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import DONT_FRAGMENT, HEADER_SIZE, IPV4_IN_IP, UDP, UDP_HEADER_SIZE, Icmpv4Message
from unwired.wire.ipv6 import IPV6_IN_IPV6, Packet

_IPV6_HEADER = 40
_MINIMUM_MTU = 1280
_HOP_LIMIT = 64


@dataclass(frozen=True, slots=True)
class TooBig:
    """A packet that the path of its tunnel does not carry: ``data`` begins with its outer headers.

    When it ``goes_in_fragments`` it is whole, else cut behind what its sender has to be told of it. ``path_mtu`` is in
    bytes, outer headers included."""

    data: bytes
    path_mtu: int
    goes_in_fragments: bool

    def encapsulated(self) -> bytes:
        """The packet as it would have been sent, with a hop limit; an IPv4 header's checksum is left to the sender."""
        data = bytearray(self.data)
        if data[0] >> 4 == 4:
            data[4:6] = bytes(2)
            data[8] = _HOP_LIMIT
        else:
            data[1:4] = bytes((data[1] & 0xF0, 0, 0))
            data[7] = _HOP_LIMIT
        return bytes(data)

    def error(self) -> Packet:
        """What the first router of the path would have said of it: it reads the same to an engine."""
        if self.data[0] >> 4 == 4:
            local = V4_MAPPED + self.data[12:16]
            kind, code = Icmpv4Message.DESTINATION_UNREACHABLE, Icmpv4Message.FRAGMENTATION_NEEDED
            return Packet(local, local, Icmpv4Message(kind, code, self.path_mtu, self.data))
        local = self.data[8:24]
        return Packet(local, local, PacketTooBig(self.path_mtu, self.data))


def decode_punted(data: bytes) -> tuple[Packet, Address | None] | TooBig:
    """A control packet, with the locator of the member that sent it on to us (None: it came by itself); or one that was
    too big. Raises DecodeError."""
    if len(data) < HEADER_SIZE:
        raise DecodeError(f"a punted packet of {len(data)} bytes", 0)
    if data[0] >> 4 == 4:
        if data[8]:
            return decode_datagram(data), None
        overhead = HEADER_SIZE + (UDP_HEADER_SIZE if data[9] == UDP else 0)
        return _too_big(data, overhead, int.from_bytes(data[4:6]))
    if len(data) < _IPV6_HEADER or data[6] not in (IPV6_IN_IPV6, IPV4_IN_IP):
        return decode_datagram(data), None
    if data[7]:
        return decode_datagram(data[_IPV6_HEADER:]), data[8:24]
    return _too_big(data, _IPV6_HEADER, int.from_bytes(data[1:4]) & 0xFFFFF)


def _too_big(data: bytes, overhead: int, path_mtu: int) -> TooBig:
    inner = data[overhead : overhead + HEADER_SIZE]
    if len(inner) < HEADER_SIZE:
        raise DecodeError(f"a packet that is too big has {len(inner)} bytes inside", len(data))
    if inner[0] >> 4 == 4:  # RFC 2473 section 7.2
        return TooBig(data, path_mtu, not int.from_bytes(inner[6:8]) & DONT_FRAGMENT)
    return TooBig(data, path_mtu, _IPV6_HEADER + int.from_bytes(inner[4:6]) <= _MINIMUM_MTU)  # section 7.1
