"""IPv6 packets that no engine sends and the codecs leave to others: UDP and TCP."""

from unwired.wire.address import Address
from unwired.wire.checksum import filled
from unwired.wire.datagram import encode_datagram
from unwired.wire.ipv4 import UDP, UDP_HEADER_SIZE
from unwired.wire.ipv6 import Packet, UnknownPayload

TCP = 6
_SYN = bytes.fromhex("00000001 00000000 50 02 ffff 0000 0000")
"""The first segment of a connection behind its ports (RFC 9293 section 3.1): sequence number, acknowledgement number,
five words of header, SYN, window, checksum, urgent pointer."""


def udp(source: Address, destination: Address, source_port: int, port: int, data: bytes) -> bytes:
    header = b"".join(number.to_bytes(2) for number in (source_port, port, UDP_HEADER_SIZE + len(data), 0))
    payload = UnknownPayload(UDP, filled(source, destination, UDP, header + data, 6))
    return encode_datagram(Packet(source, destination, payload))


def tcp_syn(source: Address, destination: Address, source_port: int, port: int) -> bytes:
    segment = source_port.to_bytes(2) + port.to_bytes(2) + _SYN
    return encode_datagram(
        Packet(source, destination, UnknownPayload(TCP, filled(source, destination, TCP, segment, 16)))
    )
