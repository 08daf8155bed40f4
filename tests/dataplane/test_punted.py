"""What the daemon makes of a packet from the punt device: by whom it came, and nothing of what is malformed."""

import pytest
from packets import ICMPV6, UDP, icmpv6, ipv4, ipv6, mobility, udp

from unwired.dataplane.punted import TooBig, decode_punted
from unwired.wire.address import Address, parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryRequest, PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram
from unwired.wire.ipv6 import Outer, Packet, encode_packet

AGENT, CARE_OF = parse_address("2001:db8:100::1"), parse_address("2001:db8:200::2")
LOCATOR, MEMBER = parse_address("2001:db8:a::1"), parse_address("2001:db8:b::1")
REQUEST = encode_packet(Packet(CARE_OF, AGENT, HomeAgentAddressDiscoveryRequest(7)))
AGENT_IPV4, CARE_OF_IPV4 = "198.51.100.1", "192.0.2.2"
HOME = "2001:db8:100::1000"
MESSAGE = ipv6(HOME, "2001:db8:100::1", 135, mobility())


def in_tunnel(inner: bytes, source: Address, destination: Address, hop_limit: int, flow_label: int = 0) -> bytes:
    word = 6 << 28 | flow_label
    protocol = 4 if inner[:1] < b"\x60" else 41
    return word.to_bytes(4) + len(inner).to_bytes(2) + bytes((protocol, hop_limit)) + source + destination + inner


def in_udp(inner: bytes) -> bytes:
    return ipv4(CARE_OF_IPV4, AGENT_IPV4, UDP, udp(inner, 40000, 4191))


def decoded(data: bytes) -> tuple[Packet, Address | None]:
    punted = decode_punted(data)
    assert isinstance(punted, tuple)
    return punted


def too_big(data: bytes) -> TooBig:
    punted = decode_punted(data)
    assert isinstance(punted, TooBig)
    return punted


def test_a_packet_that_came_by_itself() -> None:
    packet, via = decoded(REQUEST)
    assert (packet.source, packet.destination, via) == (CARE_OF, AGENT, None)


def test_a_packet_that_a_member_sent_on() -> None:
    packet, via = decoded(in_tunnel(REQUEST, MEMBER, LOCATOR, 63))
    assert (packet.source, packet.destination, via) == (CARE_OF, AGENT, MEMBER)
    assert packet.payload == HomeAgentAddressDiscoveryRequest(7)


OUTER = Outer(parse_address(CARE_OF_IPV4), parse_address(AGENT_IPV4), 40000, 4191, dont_fragment=True)


def test_control_in_udp() -> None:
    """With the headers that it came in, also by a member."""
    for data, by in ((in_udp(MESSAGE), None), (in_tunnel(in_udp(MESSAGE), MEMBER, LOCATOR, 63), MEMBER)):
        packet, via = decoded(data)
        assert (packet.source, packet.outer, via) == (parse_address(HOME), OUTER, by)


def test_what_is_no_ip_packet_in_udp() -> None:
    packet, via = decoded(in_udp(b"\x0e\0\0\x05abcd"))
    assert via is None
    assert packet.payload == UdpDatagram(40000, 4191, b"\x0e\0\0\x05abcd")


@pytest.mark.parametrize(("source", "destination"), [(AGENT, CARE_OF), (LOCATOR, MEMBER)])
def test_too_big_for_a_tunnel_in_ipv6(source: Address, destination: Address) -> None:
    """Also for the tunnel to a member."""
    inner = ipv6(HOME, "2001:db8::1", ICMPV6, icmpv6(128, bytes(1300)))[:1200]
    told = in_tunnel(inner, source, destination, 0, 1400)
    punted = too_big(told)
    assert (punted.path_mtu, punted.goes_in_fragments) == (1400, False)
    assert punted.error() == Packet(source, source, PacketTooBig(1400, told))


@pytest.mark.parametrize("outer_headers", [20, 28])
def test_too_big_for_a_tunnel_in_ipv4(outer_headers: int) -> None:
    inner = ipv6(HOME, "2001:db8::1", ICMPV6, icmpv6(128, bytes(1300)))[:1200]
    payload, protocol = (udp(inner, 4191, 4191), UDP) if outer_headers == 28 else (inner, 41)
    told = ipv4(AGENT_IPV4, CARE_OF_IPV4, protocol, payload, time_to_live=0, identification=1280)
    local = parse_address(AGENT_IPV4)
    punted = too_big(told)
    assert (punted.path_mtu, punted.goes_in_fragments) == (1280, False)
    assert punted.error() == Packet(local, local, Icmpv4Message(3, 4, 1280, told))


def test_what_goes_in_fragments() -> None:
    """IPv6 of up to 1280 bytes, and IPv4 that does not forbid it (RFC 2473 sections 7.1 and 7.2)."""

    def goes(inner: bytes) -> bool:
        alike = {
            too_big(in_tunnel(inner, AGENT, CARE_OF, 0, 1280)).goes_in_fragments,
            too_big(ipv4(AGENT_IPV4, CARE_OF_IPV4, UDP, udp(inner), time_to_live=0)).goes_in_fragments,
        }
        (answer,) = alike
        return answer

    assert goes(ipv6(HOME, "2001:db8::1", UDP, udp(bytes(1232))))
    assert not goes(ipv6(HOME, "2001:db8::1", UDP, udp(bytes(1233))))
    assert goes(ipv4("203.0.113.7", "192.0.2.9", UDP, udp(bytes(1400)), dont_fragment=False))
    assert not goes(ipv4("203.0.113.7", "192.0.2.9", UDP, udp(bytes(1000)), dont_fragment=True))


def test_encapsulated_is_what_would_have_been_sent() -> None:
    inner = ipv6(HOME, "2001:db8::1", UDP, udp(bytes(1232)))
    sent = in_tunnel(inner, AGENT, CARE_OF, 64)
    assert too_big(in_tunnel(inner, AGENT, CARE_OF, 0, 1280)).encapsulated() == sent
    told = ipv4(AGENT_IPV4, CARE_OF_IPV4, UDP, udp(inner), time_to_live=0, identification=1280)
    sent = ipv4(AGENT_IPV4, CARE_OF_IPV4, UDP, udp(inner), time_to_live=64)
    found = too_big(told).encapsulated()
    assert found[:10] + found[12:] == sent[:10] + sent[12:]


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 19, 39])
def test_cut_short(length: int) -> None:
    told = ipv4(AGENT_IPV4, CARE_OF_IPV4, UDP, udp(MESSAGE), time_to_live=0)
    for whole in (REQUEST, in_tunnel(REQUEST, MEMBER, LOCATOR, 63), in_udp(MESSAGE), told):
        with pytest.raises(DecodeError):
            decode_punted(whole[:length])


@pytest.mark.parametrize("inner", [b"", REQUEST[:39], REQUEST[:45], b"\x45" + REQUEST[1:]])
def test_a_member_sends_on_what_is_malformed(inner: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_punted(in_tunnel(inner, MEMBER, LOCATOR, 63))
