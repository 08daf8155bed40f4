"""What the daemon makes of a packet from the punt device: by whom it came, and nothing of what is malformed."""

import pytest

from unwired.host.driver import _decode_punted
from unwired.wire.address import Address, parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryRequest, PacketTooBig
from unwired.wire.ipv6 import Packet, encode_packet

AGENT, CARE_OF = parse_address("2001:db8:100::1"), parse_address("2001:db8:200::2")
LOCATOR, MEMBER = parse_address("2001:db8:a::1"), parse_address("2001:db8:b::1")
REQUEST = encode_packet(Packet(CARE_OF, AGENT, HomeAgentAddressDiscoveryRequest(7)))


def in_tunnel(inner: bytes, source: Address, destination: Address, hop_limit: int, flow_label: int = 0) -> bytes:
    word = 6 << 28 | flow_label
    return word.to_bytes(4) + len(inner).to_bytes(2) + bytes((41, hop_limit)) + source + destination + inner


def test_a_packet_that_came_by_itself() -> None:
    packet, via = _decode_punted(REQUEST)
    assert (packet.source, packet.destination, via) == (CARE_OF, AGENT, None)


def test_a_packet_that_a_member_sent_on() -> None:
    packet, via = _decode_punted(in_tunnel(REQUEST, MEMBER, LOCATOR, 63))
    assert (packet.source, packet.destination, via) == (CARE_OF, AGENT, MEMBER)
    assert packet.payload == HomeAgentAddressDiscoveryRequest(7)


def test_a_packet_that_was_too_big_for_its_tunnel() -> None:
    """Also for the tunnel to a member."""
    for source, destination in ((AGENT, CARE_OF), (LOCATOR, MEMBER)):
        told = in_tunnel(REQUEST, source, destination, 0, 1400)
        assert _decode_punted(told) == (Packet(source, source, PacketTooBig(1400, told)), None)


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 39])
def test_cut_short(length: int) -> None:
    for whole in (REQUEST, in_tunnel(REQUEST, MEMBER, LOCATOR, 63)):
        with pytest.raises(DecodeError):
            _decode_punted(whole[:length])


@pytest.mark.parametrize("inner", [b"", REQUEST[:39], REQUEST[:45], b"\x45" + REQUEST[1:]])
def test_a_member_sends_on_what_is_malformed(inner: bytes) -> None:
    with pytest.raises(DecodeError):
        _decode_punted(in_tunnel(inner, MEMBER, LOCATOR, 63))
