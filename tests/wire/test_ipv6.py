"""The headers around a message: exact bytes, order, checksums and what must be discarded with which answer."""

from dataclasses import replace

import pytest

from unwired.wire.address import parse_address
from unwired.wire.checksum import filled
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import ParameterProblem, RouterSolicitation
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_packet, encode_packet
from unwired.wire.mobility import UnknownMessage, encode_mobility
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

HOME_AGENT = parse_address("2001:db8:1::1")
CARE_OF = parse_address("2001:db8:a::9")
HOME = parse_address("2001:db8:1::100")
MESSAGE = BindingUpdate(9221, 21599, acknowledge=True, home_registration=True)
UPDATE = Packet(CARE_OF, HOME_AGENT, MESSAGE, home_address=HOME)


def with_header(packet: bytes, protocol: int, header: bytes) -> bytes:
    """A packet with an extension header put right after the IPv6 header; ``header`` starts with its own length."""
    inner = bytes((packet[6],)) + header + packet[40:]
    return packet[:4] + len(inner).to_bytes(2) + bytes((protocol,)) + packet[7:40] + inner


def changed(packet: bytes, at: int, value: int) -> bytes:
    return packet[:at] + bytes((value,)) + packet[at + 1 :]


def test_home_address_option_is_aligned() -> None:
    """RFC 6275 section 6.3: type 201, length 16, at 8n + 6, in a destination options header before the message."""
    encoded = encode_packet(UPDATE)
    assert encoded[6] == 60
    assert encoded[40:48] == bytes((135, 2, 1, 2, 0, 0, 201, 16))
    assert encoded[48:64] == HOME
    assert encoded[64:67] == bytes((59, 1, 5))


def test_type_2_routing_header() -> None:
    """RFC 6275 section 6.4.1."""
    encoded = encode_packet(Packet(HOME_AGENT, CARE_OF, BindingAcknowledgement(0, 1, 2), routing_home_address=HOME))
    assert encoded[6] == 43
    assert encoded[40:48] == bytes((135, 2, 2, 1, 0, 0, 0, 0))
    assert encoded[48:64] == HOME


def test_home_address_option_comes_after_the_routing_header() -> None:
    other = parse_address("2001:db8:b::7")
    packet = replace(UPDATE, routing_home_address=other)
    encoded = encode_packet(packet)
    assert (encoded[6], encoded[40], encoded[64]) == (43, 60, 135)
    assert replace(decode_packet(encoded), data=b"") == packet


def test_checksum_is_over_the_home_addresses() -> None:
    """RFC 6275 section 6.1.1: as if the packet went from home address to home address."""
    plain = encode_packet(Packet(HOME, HOME_AGENT, MESSAGE))
    assert encode_packet(UPDATE)[64:] == plain[40:]


def test_wrong_checksum_is_told_and_not_raised() -> None:
    encoded = encode_packet(UPDATE)
    assert not decode_packet(changed(encoded, 68, encoded[68] ^ 1)).checksum_ok
    solicitation = encode_packet(Packet(CARE_OF, HOME_AGENT, RouterSolicitation(), hop_limit=255))
    assert not decode_packet(changed(solicitation, 43, solicitation[43] ^ 1)).checksum_ok


def test_data_is_sent_in_place_of_the_payload() -> None:
    header = encode_mobility(MESSAGE)
    dirty = header[:4] + b"\xab\xcd" + header[6:]
    assert encode_packet(replace(UPDATE, data=dirty)) == encode_packet(UPDATE)


def test_bytes_after_the_payload_length_are_ignored() -> None:
    encoded = encode_packet(UPDATE)
    assert decode_packet(encoded + bytes(7)) == decode_packet(encoded)


def test_any_buffer_decodes() -> None:
    encoded = encode_packet(UPDATE)
    assert decode_packet(memoryview(encoded)) == decode_packet(bytearray(encoded)) == decode_packet(encoded)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "data", "offset"),
    [
        ("nothing", b"", 0),
        ("short IPv6 header", encode_packet(UPDATE)[:39], 0),
        ("IPv4", b"\x45" + bytes(40), 0),
        ("cut short", encode_packet(UPDATE)[:-1], 79),
        ("Home Address option of 15 bytes", changed(encode_packet(UPDATE), 47, 15), 47),
        ("extension header too long", changed(encode_packet(UPDATE), 41, 9), 41),
        ("mobility header too long", changed(encode_packet(UPDATE), 65, 2), 65),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed(what: str, data: bytes, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode_packet(data)
    assert error.value.offset == offset, what


def test_second_home_address_option() -> None:
    encoded = encode_packet(UPDATE)
    with pytest.raises(DecodeError, match="second Home Address option"):
        decode_packet(with_header(encoded, 60, encoded[41:64]))


@pytest.mark.parametrize(("at", "value"), [(41, 4), (43, 0), (43, 2)])
def test_wrong_type_2_routing_header(at: int, value: int) -> None:
    encoded = encode_packet(Packet(HOME_AGENT, CARE_OF, MESSAGE, routing_home_address=HOME)) + bytes(16)
    grown = encoded[:4] + (len(encoded) - 40).to_bytes(2) + encoded[6:]
    with pytest.raises(DecodeError) as error:
        decode_packet(changed(grown, at, value))
    assert error.value.offset == at


def test_payload_protocol_must_be_none() -> None:
    """RFC 6275 section 9.2: parameter problem, code 0, pointing at Payload Proto."""
    encoded = bytearray(encode_packet(UPDATE))
    encoded[64] = 6
    encoded[64:] = filled(HOME, HOME_AGENT, 135, bytes(encoded[64:]), 4)
    packet = decode_packet(bytes(encoded))
    assert packet.checksum_ok
    assert isinstance(packet.payload, UnknownPayload)
    assert packet.problem is not None
    assert packet.problem.offset == 64
    assert packet.problem.answer == ParameterProblem(0, 64, bytes(encoded))


def test_header_length_too_small_for_the_type() -> None:
    """RFC 6275 section 9.2: parameter problem, code 0, pointing at Header Len."""
    body = bytes((59, 0, 7, 0, 0, 0, 1, 0))
    packet = decode_packet(encode_packet(Packet(CARE_OF, HOME_AGENT, UnknownPayload(135, body))))
    assert packet.problem is not None
    assert packet.problem.answer is not None
    assert (packet.problem.answer.code, packet.problem.answer.pointer) == (0, 41)


def test_unknown_mobility_header_type_is_kept() -> None:
    """RFC 6275 section 9.2: answered with a binding error, before its other fields are looked at."""
    body = bytes((7, 0, 200, 0, 0, 0, 1, 2))
    packet = decode_packet(encode_packet(Packet(CARE_OF, HOME_AGENT, UnknownPayload(135, body), home_address=HOME)))
    assert packet.payload == UnknownMessage(200, b"\1\2")
    assert packet.problem is None


@pytest.mark.parametrize(
    ("option", "discarded", "code"),
    [(0x1E, False, None), (0x5E, True, None), (0x9E, True, 2), (0xDE, True, 2)],
    ids=["skip", "discard", "discard and answer", "discard and answer unless multicast"],
)
def test_unrecognized_option(option: int, discarded: bool, code: int | None) -> None:
    """RFC 8200 section 4.2."""
    encoded = with_header(encode_packet(UPDATE), 60, bytes((0, option, 4, 1, 2, 3, 4)))
    packet = decode_packet(encoded)
    if not discarded:
        assert packet.problem is None
        assert packet.payload == MESSAGE
        return
    assert packet.problem is not None
    assert packet.problem.offset == 42
    answer = packet.problem.answer
    assert (answer and answer.code) == code


def test_unrecognized_option_to_a_multicast_address() -> None:
    group = parse_address("ff02::1")
    for option, answered in ((0x9E, True), (0xDE, False)):
        encoded = with_header(
            encode_packet(Packet(CARE_OF, group, RouterSolicitation())), 60, bytes((0, option, 4, 1, 2, 3, 4))
        )
        problem = decode_packet(encoded).problem
        assert problem is not None
        assert (problem.answer is not None) == answered


def test_other_routing_headers() -> None:
    """RFC 8200 section 4.4: skipped without segments left, else answered, pointing at the routing type."""
    passed = decode_packet(with_header(encode_packet(UPDATE), 43, bytes((0, 4, 0, 0, 0, 0, 0))))
    assert passed.payload == MESSAGE
    packet = decode_packet(with_header(encode_packet(UPDATE), 43, bytes((0, 4, 1, 0, 0, 0, 0))))
    assert packet.problem is not None
    assert packet.problem.answer is not None
    assert (packet.problem.answer.code, packet.problem.answer.pointer) == (0, 42)


def test_hop_by_hop_options_are_skipped_and_come_first() -> None:
    router_alert = bytes((0, 5, 2, 0, 0, 1, 0))
    assert decode_packet(with_header(encode_packet(UPDATE), 0, router_alert)).payload == MESSAGE
    twice = with_header(with_header(encode_packet(UPDATE), 0, router_alert), 60, bytes((0, 1, 4, 0, 0, 0, 0)))
    with pytest.raises(DecodeError, match="hop-by-hop"):
        decode_packet(twice)


def test_fragment_is_left_as_it_is() -> None:
    fragment = bytes((135, 0, 0, 9, 1, 2, 3, 4)) + bytes(20)
    packet = Packet(CARE_OF, HOME_AGENT, UnknownPayload(44, fragment))
    assert replace(decode_packet(encode_packet(packet)), data=b"") == packet


def test_offsets_count_through_the_headers() -> None:
    """A mobility option's error points into the whole packet."""
    bad = changed(encode_mobility(MESSAGE), 13, 99)  # the padding option's length
    with pytest.raises(DecodeError) as error:
        decode_packet(encode_packet(replace(UPDATE, data=bad)))
    assert error.value.offset == 64 + 13


@pytest.mark.parametrize(
    "packet",
    [
        replace(UPDATE, source=b"short"),
        replace(UPDATE, home_address=b"short"),
        replace(UPDATE, routing_home_address=b""),
        replace(UPDATE, hop_limit=256),
        replace(UPDATE, traffic_class=-1),
        replace(UPDATE, flow_label=1 << 20),
        replace(UPDATE, payload=UnknownPayload(17, bytes(70_000)), data=b""),
    ],
    ids=["source", "home address", "routing header", "hop limit", "traffic class", "flow label", "size"],
)
def test_what_the_wire_cannot_hold(packet: Packet) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_packet(packet)


@pytest.mark.parametrize(
    ("source", "destination", "answered"),
    [("2001:db8::1", "2001:db8::2", True), ("2001:db8::1", "ff02::1", False), ("::", "2001:db8::2", False)],
)
def test_errors_that_are_not_answered(source: str, destination: str, answered: bool) -> None:
    """RFC 4443 section 2.4 e: not to a multicast destination, not to a source that is no single node."""
    body = bytes((59, 0, 5, 0, 0, 0, 0, 0))
    packet = Packet(parse_address(source), parse_address(destination), UnknownPayload(135, body))
    problem = decode_packet(encode_packet(packet)).problem
    assert problem is not None
    assert (problem.answer is not None) == answered
