"""Echo requests in a tunnel: what is sent, and which answers are believed."""

from unwired.core.forwarding import Encapsulation, Tunnel
from unwired.core.tunnel_echo import IDENTIFIER, REMEMBERED, TunnelEcho
from unwired.wire.address import parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.icmpv6 import EchoReply, EchoRequest
from unwired.wire.ipv6 import Outer, Packet

HOME_ADDRESS = parse_address("2001:db8:100::1000")
HOME_AGENT = parse_address("2001:db8:100::1")
UDP = Tunnel(
    1,
    parse_address("192.168.1.7"),
    parse_address("198.51.100.1"),
    Encapsulation.UDP,
    local_port=PORT,
    peer_port=PORT,
)
IPV6 = Tunnel(1, parse_address("2001:db8:1::c2"), HOME_AGENT, flow_label=77)


def echo(entropy: bytes = bytes(range(8))) -> TunnelEcho:
    return TunnelEcho(lambda size: entropy[:size])


def ask(one: TunnelEcho, size: int = 1400, tunnel: Tunnel = UDP) -> EchoRequest:
    payload = one.request(HOME_ADDRESS, HOME_AGENT, tunnel, size, 5.0).payload
    assert isinstance(payload, EchoRequest)
    return payload


def test_request_has_the_size_asked_for_and_must_not_be_fragmented() -> None:
    packet = echo().request(HOME_ADDRESS, HOME_AGENT, UDP, 1400, 5.0)
    data = encode_datagram(packet)
    assert len(data) == 1400 + Encapsulation.UDP.overhead
    decoded = decode_datagram(data)
    assert decoded.outer == Outer(UDP.local, UDP.peer, PORT, PORT, dont_fragment=True)
    assert decoded.checksum_ok and isinstance(decoded.payload, EchoRequest)


def test_request_in_ipv6() -> None:
    packet = echo().request(HOME_ADDRESS, HOME_AGENT, IPV6, 1400, 5.0)
    assert packet.outer == Outer(IPV6.local, IPV6.peer, dont_fragment=True)
    assert packet.flow_label == 77
    assert len(encode_datagram(packet)) == 1400 + Encapsulation.IPV6.overhead


def test_answer_is_known_once() -> None:
    one = echo()
    request = ask(one)
    reply = EchoReply(request.identifier, request.sequence, request.echoed)
    answered = one.answered(reply)
    assert answered is not None and (answered.size, answered.sent_at) == (1400, 5.0)
    assert one.answered(reply) is None


def test_what_is_not_the_answer_to_ours() -> None:
    one = echo()
    request = ask(one)
    for reply in (
        EchoReply(IDENTIFIER + 1, request.sequence, request.echoed),
        EchoReply(IDENTIFIER, request.sequence + 1, request.echoed),
        EchoReply(IDENTIFIER, request.sequence, bytes(len(request.echoed))),
        EchoReply(IDENTIFIER, request.sequence, request.echoed[:-1]),
        EchoReply(IDENTIFIER, request.sequence, b""),
        EchoReply(IDENTIFIER, request.sequence, request.echoed + b"\0"),
    ):
        assert one.answered(reply) is None
    assert one.answered(EchoReply(IDENTIFIER, request.sequence, request.echoed)) is not None


def test_only_so_many_are_remembered_and_none_of_another_tunnel() -> None:
    one = echo()
    first = ask(one)
    for _ in range(REMEMBERED):
        last = ask(one)
    assert one.answered(EchoReply(IDENTIFIER, first.sequence, first.echoed)) is None
    one.forget()
    assert one.answered(EchoReply(IDENTIFIER, last.sequence, last.echoed)) is None


def test_smallest_request_still_has_its_token() -> None:
    one = echo()
    request = ask(one, 0)
    packet = one.request(HOME_ADDRESS, HOME_AGENT, UDP, 0, 5.0)
    assert isinstance(packet, Packet)
    assert one.answered(EchoReply(request.identifier, request.sequence, request.echoed)) is not None
