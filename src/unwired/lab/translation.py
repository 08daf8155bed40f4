"""IPv4 packets as IPv6 packets and back: what a NAT64 (RFC 6146) and a CLAT (RFC 6877) do to each packet.

Headers are rewritten, the hop limit is left to the kernels that forward on both sides. A UDP packet without a checksum
gets one (RFC 6146 section 3.4: a NAT64 must calculate it), which is why the lab does not use tayga: 0.9.2 drops them.
Fragments are not carried; path MTU discovery is.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from unwired.wire.checksum import filled, ones_sum
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    ICMPV6,
    DestinationUnreachable,
    EchoReply,
    EchoRequest,
    PacketTooBig,
    TimeExceeded,
    decode_icmp,
    encode_icmp,
)

_TCP, _UDP, _ICMPV4 = 6, 17, 1
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_ECHO_REPLY, _UNREACHABLE, _ECHO_REQUEST, _TIME_EXCEEDED = 0, 3, 8, 11
_FRAGMENTATION_NEEDED = 4
_LARGER_BYTES = 20
"""By so much an IPv6 header is larger."""
_QUOTED_MAX = 512
_ipv4 = struct.Struct("!BBHHHBBH4s4s")
_ipv6 = struct.Struct("!IHBB16s16s")
_icmpv4 = struct.Struct("!BBHHH")


@dataclass(slots=True)
class Translator:
    """IPv4 addresses are 4 bytes and IPv6 addresses 16. ``prefix``, 12 bytes, stands for all of IPv4 (RFC 6052);
    ``own`` are the IPv6 addresses that IPv4 addresses stand for, and ``pool`` gives one to each that is new."""

    prefix: bytes
    own: dict[bytes, bytes] = field(default_factory=dict)
    pool: Iterator[bytes] = field(default_factory=lambda: iter(()))
    _known: dict[bytes, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._known = {ipv6: ipv4 for ipv4, ipv6 in self.own.items()}

    def translate(self, packet: bytes) -> bytes | None:
        """A packet of the other family; None where there is none to make of this one."""
        try:
            return self._to_ipv6(packet) if packet[0] >> 4 == 4 else self._to_ipv4(packet)
        except (struct.error, IndexError, DecodeError, ValueError):
            return None

    def _to_ipv6(self, packet: bytes, quoted: bool = False) -> bytes | None:
        first, service, length, _, flags, hops, protocol, _, source4, destination4 = _ipv4.unpack_from(packet)
        if flags & 0x3FFF:  # a fragment
            return None
        payload = packet[(first & 15) * 4 :] if quoted else packet[(first & 15) * 4 : length]
        source, destination = self._address_ipv6(source4), self._address_ipv6(destination4)
        if protocol == _ICMPV4:
            protocol = ICMPV6
            message = self._message_ipv6(payload, quoted)
            if message is None:
                return None
            payload = message if quoted else filled(source, destination, ICMPV6, message, 2)
        elif not quoted:
            payload = _adjusted(protocol, payload, source4 + destination4, source, destination)
        size = length - (first & 15) * 4 if quoted else len(payload)
        return _ipv6.pack(6 << 28 | service << 20, size, protocol, hops, source, destination) + payload

    def _to_ipv4(self, packet: bytes, quoted: bool = False) -> bytes | None:
        first, size, protocol, hops, source6, destination6 = _ipv6.unpack_from(packet)
        payload = packet[_ipv6.size :] if quoted else packet[_ipv6.size : _ipv6.size + size]
        source, destination = self._address_ipv4(source6), self._address_ipv4(destination6)
        if source is None or destination is None or protocol not in (_TCP, _UDP, ICMPV6, 4, 41):
            return None
        if protocol == ICMPV6:
            protocol = _ICMPV4
            message = self._message_ipv4(payload, quoted)
            if message is None:
                return None
            payload = message
        elif not quoted:
            payload = _adjusted(protocol, payload, source6 + destination6, source, destination)
        fields = (0x45, first >> 20 & 255, _ipv4.size + (size if quoted else len(payload)), 0, 0x4000, hops, protocol)
        checksum = 0xFFFF - ones_sum(_ipv4.pack(*fields, 0, source, destination))
        return _ipv4.pack(*fields, checksum, source, destination) + payload

    # --- addresses ---

    def _address_ipv6(self, address: bytes) -> bytes:
        return self.own.get(address) or self.prefix + address

    def _address_ipv4(self, address: bytes) -> bytes | None:
        if address.startswith(self.prefix):
            return address[12:]
        known = self._known.get(address)
        if known is None and (known := next(self.pool, None)) is not None:
            self.own[known], self._known[address] = address, known
        return known

    # --- ICMP ---

    def _message_ipv6(self, payload: bytes, quoted: bool) -> bytes | None:
        """The ICMPv6 message with the meaning of an ICMPv4 message, its checksum still to be filled in."""
        kind, code, _, identifier, number = _icmpv4.unpack_from(payload)
        if kind in (_ECHO_REQUEST, _ECHO_REPLY):
            echo = EchoRequest if kind == _ECHO_REQUEST else EchoReply
            return encode_icmp(echo(identifier, number, payload[_icmpv4.size :]))
        concerned = None if quoted else self._to_ipv6(payload[_icmpv4.size :], quoted=True)
        if concerned is None:
            return None
        if kind == _UNREACHABLE and code == _FRAGMENTATION_NEEDED:
            return encode_icmp(PacketTooBig(number + _LARGER_BYTES, concerned))
        if kind == _UNREACHABLE:
            return encode_icmp(DestinationUnreachable(4 if code == 3 else 0, concerned))
        return encode_icmp(TimeExceeded(code, concerned)) if kind == _TIME_EXCEEDED else None

    def _message_ipv4(self, payload: bytes, quoted: bool) -> bytes | None:
        message = decode_icmp(payload, 0, len(payload))
        if isinstance(message, EchoRequest | EchoReply):
            kind = _ECHO_REQUEST if isinstance(message, EchoRequest) else _ECHO_REPLY
            return _message(kind, 0, message.identifier, message.sequence, message.echoed)
        if quoted or not isinstance(message, PacketTooBig | DestinationUnreachable | TimeExceeded):
            return None
        concerned = self._to_ipv4(message.quoted[:_QUOTED_MAX], quoted=True)
        if concerned is None:
            return None
        if isinstance(message, PacketTooBig):
            return _message(_UNREACHABLE, _FRAGMENTATION_NEEDED, 0, message.mtu - _LARGER_BYTES, concerned)
        if isinstance(message, DestinationUnreachable):
            return _message(_UNREACHABLE, 3 if message.code == 4 else 1, 0, 0, concerned)
        return _message(_TIME_EXCEEDED, message.code, 0, 0, concerned)


def _message(kind: int, code: int, first: int, second: int, rest: bytes) -> bytes:
    data = _icmpv4.pack(kind, code, 0, first, second) + rest
    return data[:2] + (0xFFFF - ones_sum(data)).to_bytes(2) + data[4:]


def _adjusted(protocol: int, payload: bytes, before: bytes, source: bytes, destination: bytes) -> bytes:
    """The payload with its checksum right for the new addresses; ``before`` are both of the old ones."""
    at = _CHECKSUM_AT.get(protocol)
    if at is None:
        return payload
    checksum = int.from_bytes(payload[at : at + 2])
    if checksum == 0 and protocol == _UDP:
        return _summed(payload, at, source, destination)
    value = (checksum + ones_sum(before) - ones_sum(source + destination)) % 0xFFFF or 0xFFFF
    return payload[:at] + value.to_bytes(2) + payload[at + 2 :]


def _summed(payload: bytes, at: int, source: bytes, destination: bytes) -> bytes:
    total = (ones_sum(source + destination) + ones_sum(payload) + len(payload) + _UDP) % 0xFFFF
    return payload[:at] + (0xFFFF - total).to_bytes(2) + payload[at + 2 :]
