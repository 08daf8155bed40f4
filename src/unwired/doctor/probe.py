"""Probes: packets like those that Unwired needs to pass between two sites, each with a message to the other side in it.

The message is found by its first bytes wherever it is in a packet, so no header has to be understood on the way in.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from unwired.doctor.packets import udp
from unwired.wire.address import Address, is_ipv4, parse_address
from unwired.wire.datagram import PORT as NAT_TRAVERSAL
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.rfc5096 import ExperimentalMobilityOption
from unwired.wire.rfc6275 import BindingRefreshRequest

MAGIC = b"unwired-doctor-1"
_MESSAGE = struct.Struct("!16s8s?BBHQd")
"""Magic, session, whether of the side that asks, number of the probe, round, MTU of the sender's interface, what it has
received, its clock."""
_EXPERIMENTAL_PROTOCOL = 253
"""RFC 3692 section 2.1: what is in a tunnel of ours is for nobody."""
_IPV6_INNER = parse_address("2001:db8::1"), parse_address("2001:db8::2")
_IPV4_INNER = parse_address("192.0.2.1"), parse_address("192.0.2.2")
_NOT_NARROWER = 65_535
"""The MTU that an error reports which is to change nothing."""
SIZES = (1280, 1320, 1360, 1400, 1420, 1440, 1460, 1472, 1480, 1492, 1500)
"""Bytes of whole packets, by which the path MTU is found; 1492 is PPPoE's (RFC 2516 section 7)."""
TOLD_TOO_BIG: Final = 63
"""In what somebody says to have received: a router's word that a packet was too big."""


@dataclass(frozen=True, slots=True)
class Message:
    """``asks``: it is of the side that asks, so one of our own that an error quotes is known. ``received`` are the
    numbers of the probes that its sender has received in this session."""

    session: bytes
    asks: bool
    probe: int
    round: int
    mtu: int
    received: frozenset[int]
    clock_s: float

    def encode(self) -> bytes:
        bits = sum(1 << number for number in self.received)
        return _MESSAGE.pack(MAGIC, self.session, self.asks, self.probe, self.round, self.mtu, bits, self.clock_s)


def find_message(packet: bytes) -> Message | None:
    """The message in a packet; None when there is none, or one cut short."""
    at = packet.find(MAGIC)
    if at < 0 or len(packet) - at < _MESSAGE.size:
        return None
    _, session, asks, probe, round_, mtu, bits, clock_s = _MESSAGE.unpack_from(packet, at)
    received = frozenset(number for number in range(64) if bits >> number & 1)
    return Message(session, asks, probe, round_, mtu, received, clock_s)


@dataclass(frozen=True, slots=True)
class Probe:
    """A kind of packet. ``make`` takes source, destination and message. ``code`` is that of the finding, ``what`` names
    the packets; one with a ``size`` is filled up to it (in bytes)."""

    code: str
    what: str
    make: Callable[[Address, Address, bytes], bytes]
    ipv6: bool = True
    ipv4: bool = True
    size: int = 0

    def concerns(self, address: Address) -> bool:
        return self.ipv4 if is_ipv4(address) else self.ipv6

    def packet(self, source: Address, destination: Address, message: bytes) -> bytes:
        packet = self.make(source, destination, message)
        return self.make(source, destination, message + bytes(self.size - len(packet))) if self.size else packet


def _mobility_header(source: Address, destination: Address, message: bytes) -> bytes:
    """A binding refresh request: nothing to do for whoever has no binding there (RFC 6275 section 11.7.4). An option
    that is not known is skipped (section 6.2.1)."""
    request = BindingRefreshRequest(options=(ExperimentalMobilityOption(message),))
    return encode_datagram(Packet(source, destination, request))


def _ipv6_tunnel(source: Address, destination: Address, message: bytes) -> bytes:
    return _in_tunnel(_IPV6_INNER, Outer(source, destination, dont_fragment=True), message)


def _ipv4_tunnel(source: Address, destination: Address, message: bytes) -> bytes:
    return _in_tunnel(_IPV4_INNER, Outer(source, destination, dont_fragment=True), message)


def _udp_tunnel(source: Address, destination: Address, message: bytes) -> bytes:
    ports = NAT_TRAVERSAL, NAT_TRAVERSAL
    return _in_tunnel(_IPV6_INNER, Outer(source, destination, *ports, dont_fragment=True), message)


def _in_tunnel(inner: tuple[Address, Address], outer: Outer, message: bytes) -> bytes:
    return encode_datagram(Packet(*inner, UnknownPayload(_EXPERIMENTAL_PROTOCOL, message), outer=outer))


def _too_big(source: Address, destination: Address, message: bytes) -> bytes:
    """What a router on the way would say about a packet in a tunnel, but for the MTU."""
    quoted = _ipv6_tunnel(destination, source, message)
    if is_ipv4(source):
        code = Icmpv4Message.FRAGMENTATION_NEEDED
        error = Icmpv4Message(Icmpv4Message.DESTINATION_UNREACHABLE, code, _NOT_NARROWER, quoted)
        return encode_datagram(Packet(source, destination, error))
    return encode_datagram(Packet(source, destination, PacketTooBig(_NOT_NARROWER, quoted)))


def _sized(source: Address, destination: Address, message: bytes) -> bytes:
    return (_udp_tunnel if is_ipv4(source) else _ipv6_tunnel)(source, destination, message)


def probes(members_port: int) -> tuple[Probe, ...]:
    """All kinds; the place of one is its number, which both sides must agree on: new ones go to the end."""

    def to_members(source: Address, destination: Address, message: bytes) -> bytes:
        return udp(source, destination, members_port, members_port, message)

    return (
        Probe("peer.mobility_headers", "mobility headers (protocol 135)", _mobility_header, ipv4=False),
        Probe("peer.ipv6_tunnels", "tunnels with IPv6 inside (protocol 41)", _ipv6_tunnel),
        Probe("peer.ipv4_tunnels", "tunnels with IPv4 inside (protocol 4)", _ipv4_tunnel),
        Probe("peer.nat_traversal", f"tunnels in UDP port {NAT_TRAVERSAL}", _udp_tunnel, ipv6=False),
        Probe("peer.packet_too_big", "Packet Too Big (in IPv4: fragmentation needed)", _too_big),
        Probe("peer.members_port", f"what members say on UDP port {members_port}", to_members, ipv4=False),
        *(Probe("peer.path_mtu", f"tunnel packets of {size} bytes", _sized, size=size) for size in SIZES),
    )
