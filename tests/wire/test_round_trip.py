"""What is encoded decodes to itself, whatever the message; what is received never does anything else than give a
message or a DecodeError."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import strategies
from hypothesis import given
from hypothesis import strategies as st

from unwired.wire.errors import DecodeError
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.mobility import (
    MobilityMessage,
    MobilityOption,
    decode_mobility,
    encode_mobility,
    option_end,
    options_start,
)
from unwired.wire.pcap import LINK_RAW, Frame
from unwired.wire.rfc6275 import BindingRefreshRequest
from unwired.wire.trace import find


@given(strategies.mobility_messages)
def test_mobility_header(message: MobilityMessage) -> None:
    encoded = encode_mobility(message)
    assert len(encoded) % 8 == 0
    assert len(encoded) == 8 + 8 * encoded[1]
    assert decode_mobility(encoded) == message


def _options_of(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each option starts and all its bytes, padding left out."""
    at = options_start(header)
    while at < len(header):
        end = at + 1 if header[at] == 0 else option_end(header, at)
        if header[at] > 1:
            yield at, header[at:end]
        at = end


@given(strategies.known_mobility_messages)
def test_options_are_where_their_rfcs_want_them(message: MobilityMessage) -> None:
    header = encode_mobility(message)
    found = list(_options_of(header)) if message.LAYOUT.tail is None else []
    assert [wire for _, wire in found] == [option.pack() for option in message.options]
    for (at, _), option in zip(found, message.options, strict=True):
        multiple, remainder = option.ALIGNMENT
        assert at % multiple == remainder


paddings = st.lists(st.sampled_from((b"\0", b"\1\0", b"\1\3abc")), max_size=3).map(b"".join)


@given(st.lists(st.tuples(paddings, strategies.mobility_options), max_size=5), paddings)
def test_options_in_any_order_with_padding_at_any_place(
    parts: list[tuple[bytes, MobilityOption]], behind: bytes
) -> None:
    data = encode_mobility(BindingRefreshRequest())[:8]
    data += b"".join(padding + option.pack() for padding, option in parts) + behind
    data += bytes(-len(data) % 8)
    header = data[:1] + bytes((len(data) // 8 - 1,)) + data[2:]
    assert decode_mobility(header).options == tuple(option for _, option in parts)


@given(strategies.any_packets)
def test_packet(packet: Packet) -> None:
    decoded = decode_packet(encode_packet(packet))
    assert decoded.checksum_ok
    assert decoded.problem is None
    assert replace(decoded, data=b"") == packet


@given(strategies.packets(st.one_of(strategies.mobility_messages, strategies.icmp_messages)))
def test_payload_as_received_is_sent_as_it_is(packet: Packet) -> None:
    """A packet whose ``data`` is given is sent with that payload and a checksum that fits."""
    encoded = encode_packet(packet)
    decoded = decode_packet(encoded)
    assert encode_packet(decoded) == encoded


@given(strategies.packets(strategies.mobility_messages), st.integers(0), st.integers(1, 0xFFFE))
def test_checksum_sees_a_changed_word(packet: Packet, place: int, change: int) -> None:
    encoded = bytearray(encode_packet(packet))
    header = len(encoded) - len(decode_packet(bytes(encoded)).data)
    # Any word but the first two: they hold the lengths and the type that say what the rest is.
    at = header + 4 + place % ((len(encoded) - header) // 2 - 2) * 2
    word = (int.from_bytes(encoded[at : at + 2]) + change) % 0xFFFF
    encoded[at : at + 2] = word.to_bytes(2)
    with contextlib.suppress(DecodeError):  # the changed word was an option's length
        assert not decode_packet(bytes(encoded)).checksum_ok


@st.composite
def mutated_packets(draw: st.DrawFn) -> bytes:
    """Packets with bytes changed, cut off, put in and moved."""
    data = bytearray(encode_packet(draw(strategies.any_packets)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("change", "change", "change", "cut", "insert", "remove", "copy"))):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case "remove":
                del data[at : at + draw(st.integers(1, 8))]
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 24))]
    return bytes(data)


def _decodes_or_says_why(data: bytes) -> None:
    try:
        packet = decode_packet(data)
    except DecodeError as error:
        assert error.reason
        assert 0 <= error.offset <= len(data)
        return
    if packet.problem:
        assert 0 <= packet.problem.offset < len(data)
    try:
        again = decode_packet(encode_packet(replace(packet, data=b"")))
    except ValueError as error:
        assert "2048" in str(error)  # our padding may need more room than the sender's
        return
    assert again.payload == packet.payload
    assert again.home_address == packet.home_address
    assert again.routing_home_address == packet.routing_home_address


@given(mutated_packets())
def test_mutated_packets(data: bytes) -> None:
    _decodes_or_says_why(data)


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    _decodes_or_says_why(data)


@given(st.sampled_from((0, 43, 58, 60, 135)), st.binary(max_size=120))
def test_random_bytes_behind_a_good_header(protocol: int, data: bytes) -> None:
    header = b"\x60\0\0\0" + len(data).to_bytes(2) + bytes((protocol, 64)) + bytes(15) + b"\1" + bytes(15) + b"\2"
    _decodes_or_says_why(header + data)


@given(st.integers(0, 255), st.binary(min_size=2, max_size=122))
def test_random_message_data(number: int, data: bytes) -> None:
    data = data[: len(data) // 8 * 8 + 2] if len(data) % 8 >= 2 else data[: len(data) // 8 * 8 - 6]
    header = bytes((59, (len(data) - 2) // 8, number, 0, 0, 0)) + data
    try:
        message = decode_mobility(header)
    except DecodeError as error:
        assert 0 <= error.offset <= len(header)
    else:
        assert decode_mobility(encode_mobility(message)) == message


@given(mutated_packets() | st.binary(max_size=120))
def test_trace_of_anything(data: bytes) -> None:
    """``unwired decode`` meets any frame with a line or none."""
    sighting = find(Frame(1, 0, LINK_RAW, data))
    if sighting is not None and sighting.error is not None:
        assert 0 <= sighting.error.offset <= len(data)
