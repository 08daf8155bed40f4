"""IPv4 packets, UDP and tunnels on the wire, against bytes known from elsewhere and against each other."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.wire.address import parse_address
from unwired.wire.checksum import ones_sum
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram, route_of
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import EchoRequest
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram, encode_ipv4
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload, encode_packet
from unwired.wire.nat_probe import NatProbe, decode_nat_probe
from unwired.wire.rfc6275 import BindingUpdate

HOME = parse_address("2001:db8:100::1000")
AGENT = parse_address("2001:db8:100::1")
HERE = parse_address("192.168.1.7")
THERE = parse_address("198.51.100.1")
UPDATE = Packet(HOME, AGENT, BindingUpdate(7, 100, acknowledge=True, home_registration=True))


def test_a_binding_update_in_udp_is_the_inner_packet_with_how_it_came() -> None:
    outer = Outer(HERE, THERE, PORT, PORT)
    data = encode_datagram(Packet(UPDATE.source, UPDATE.destination, UPDATE.payload, outer=outer))
    assert data[:1] == b"\x45" and data[9] == 17 and data[12:16] == HERE[12:] and data[16:20] == THERE[12:]
    assert struct.unpack("!HH", data[20:24]) == (4191, 4191)
    assert ones_sum(data[:20]) == 0
    udp = data[20:]
    assert (ones_sum(data[12:20]) + 17 + len(udp) + ones_sum(udp)) % 0xFFFF == 0
    packet = decode_datagram(data)
    assert (packet.source, packet.destination, packet.payload, packet.outer) == (HOME, AGENT, UPDATE.payload, outer)
    assert packet.checksum_ok
    assert route_of(packet) == (HERE, THERE)


@pytest.mark.parametrize("ends", [(HERE, THERE), (AGENT, HOME)])
def test_a_tunnel_without_udp(ends: tuple[bytes, bytes]) -> None:
    echo = Packet(HOME, AGENT, EchoRequest(1, 2, b"abc"), outer=Outer(*ends))
    data = encode_datagram(echo)
    if ends[0] == HERE:
        assert data[9] == 41
        assert decode_datagram(data).payload == echo.payload
        assert decode_datagram(data).outer == echo.outer
    else:
        # From IPv6 no tunnel is opened.
        packet = decode_datagram(data)
        assert isinstance(packet.payload, UnknownPayload) and packet.payload.protocol == 41
        assert decode_datagram(packet.payload.data).payload == echo.payload


@pytest.mark.parametrize("ends", [(HERE, AGENT), (AGENT, HERE)])
def test_an_ipv4_mapped_address_in_an_ipv6_header_is_refused(ends: tuple[bytes, bytes]) -> None:
    """It would pass for an IPv4 one."""
    data = encode_packet(Packet(*ends, EchoRequest(1, 2)))
    with pytest.raises(DecodeError, match="IPv4-mapped"):
        decode_datagram(data)
    with pytest.raises(DecodeError, match="IPv4-mapped"):
        decode_datagram(encode_ipv4(HERE, THERE, 41, data))


def test_other_ipv4_packets_are_packets_of_their_own() -> None:
    probe = Packet(HERE, THERE, UdpDatagram(50_000, PORT, NatProbe(9, 30).encode()))
    again = decode_datagram(encode_datagram(probe))
    assert again.payload == probe.payload and again.outer is None
    assert decode_nat_probe(again.payload.data) == NatProbe(9, 30)  # type: ignore[union-attr]
    error = Packet(THERE, HERE, Icmpv4Message(3, 4, 1400, b"quoted"))
    assert decode_datagram(encode_datagram(error)).payload == error.payload
    # A UDP datagram of other ports is none of ours, whatever is in it.
    other = Packet(HERE, THERE, UdpDatagram(1, 2, b"\x60abc"))
    assert decode_datagram(encode_datagram(other)).payload == other.payload


def test_ipv4_in_a_tunnel() -> None:
    inner = Packet(parse_address("203.0.113.5"), parse_address("203.0.113.9"), UnknownPayload(6, b"segment"))
    outer = Outer(HERE, THERE, PORT, 6000)
    packet = decode_datagram(encode_datagram(Packet(inner.source, inner.destination, inner.payload, outer=outer)))
    assert (packet.source, packet.destination, packet.payload) == (inner.source, inner.destination, inner.payload)
    assert packet.outer == outer


@given(st.binary(max_size=120))
def test_any_bytes_are_a_packet_or_a_decode_error(data: bytes) -> None:
    for given_data in (data, b"\x45" + data[1:], b"\x45\0\0" + bytes((len(data),)) + data[4:]):
        try:
            decode_datagram(given_data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(given_data)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_nat_probe_or_a_decode_error(data: bytes) -> None:
    try:
        probe = decode_nat_probe(data)
    except DecodeError:
        return
    assert probe.encode() == data


def test_what_the_wire_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="70000"):
        encode_datagram(Packet(HERE, THERE, UnknownPayload(6, bytes(69_980))))
    with pytest.raises(ValueError, match="UDP"):
        encode_datagram(Packet(HERE, THERE, UdpDatagram(70_000, 1, b"")))
    with pytest.raises(ValueError, match="BindingUpdate"):
        encode_datagram(Packet(HERE, THERE, UPDATE.payload))
    with pytest.raises(ValueError, match="fit"):
        NatProbe(1, 70_000).encode()
