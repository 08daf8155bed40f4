"""Packets that no engine sends, so that the codecs leave them to others, and the addresses of any packet."""

from unwired.wire.address import UNSPECIFIED, V4_MAPPED, Address, is_ipv4
from unwired.wire.checksum import filled
from unwired.wire.datagram import encode_datagram
from unwired.wire.ipv4 import UDP, UDP_HEADER_SIZE, UdpDatagram
from unwired.wire.ipv6 import Packet, UnknownPayload

TCP = 6
_SYN = bytes.fromhex("00000001 00000000 50 02 ffff 0000 0000")
"""The first segment of a connection behind its ports (RFC 9293 section 3.1): sequence number, acknowledgement number,
five words of header, SYN, window, checksum, urgent pointer."""


def udp(source: Address, destination: Address, source_port: int, port: int, data: bytes) -> bytes:
    """Of the addresses' family."""
    if is_ipv4(source):
        return encode_datagram(Packet(source, destination, UdpDatagram(source_port, port, data)))
    header = b"".join(number.to_bytes(2) for number in (source_port, port, UDP_HEADER_SIZE + len(data), 0))
    payload = UnknownPayload(UDP, filled(source, destination, UDP, header + data, 6))
    return encode_datagram(Packet(source, destination, payload))


def tcp_syn(source: Address, destination: Address, source_port: int, port: int) -> bytes:
    segment = source_port.to_bytes(2) + port.to_bytes(2) + _SYN
    return encode_datagram(
        Packet(source, destination, UnknownPayload(TCP, filled(source, destination, TCP, segment, 16)))
    )


def addresses(packet: bytes) -> tuple[Address, Address]:
    """Source and destination of a packet of either family; of what is none, the unspecified address."""
    if packet[:1] >= b"\x60" and len(packet) >= 40:
        return packet[8:24], packet[24:40]
    if packet[:1] < b"\x50" and len(packet) >= 20:
        return V4_MAPPED + packet[12:16], V4_MAPPED + packet[16:20]
    return UNSPECIFIED, UNSPECIFIED
