"""HA-HELLO bodies and the datagram around them: as drawn, both ways, and nothing but DecodeError for anything else."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.wire.errors import DecodeError
from unwired.wire.home_agent_hello import (
    AUTHENTICATOR_SIZE,
    DATAGRAM_SIZE_MIN,
    HELLO_OPTIONS,
    HelloOption,
    HomeAgentHello,
    KeyHeld,
    MemberState,
    MemberStateOption,
    TimeEcho,
    TimeSent,
    UnknownHelloOption,
    body,
    datagram_size,
    decode_envelope,
    decode_hello,
    encode_hello,
    encode_text,
    group_id,
)

HELLO = HomeAgentHello(
    4690,
    0x1234,
    active=True,
    request=False,
    lifetime_s=1,
    interval_ms=50,
    options=(
        MemberStateOption(MemberState.SERVING, 7, 8, 9, b"bootboot"),
        TimeSent(1_000_001),
        TimeEcho(2_000_002, 333),
        KeyHeld(0xCAFEBABE),
    ),
)
BODY = bytes.fromhex(
    "04 00 1252 1234 88 00 0000 0001 0032"
    "f0 18 02 000000 00000007 00000008 00000009 626f6f74626f6f74"
    "f1 08 00000000000f4241"
    "f2 0c 00000000001e8482 0000014d"
    "f3 04 cafebabe"
)


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("B"):
        return st.binary(min_size=int(kind[:-1]), max_size=int(kind[:-1]))
    return st.integers(0, (1 << int(kind)) - 1)


def _option(cls: type[HelloOption]) -> st.SearchStrategy[HelloOption]:
    kinds = {field.name: field.kind for field in cls.LAYOUT.fields}
    return st.builds(cls, **{field.name: _values(kinds[field.name]) for field in fields(cls)})


options = st.one_of(
    *(_option(cls) for cls in HELLO_OPTIONS.values()),
    st.builds(UnknownHelloOption, st.sampled_from(range(2, 240)), st.binary(max_size=30)),
)
hellos = st.builds(
    HomeAgentHello,
    group_id=_values("16"),
    sequence=_values("16"),
    active=st.booleans(),
    request=st.booleans(),
    lifetime_s=_values("16"),
    interval_ms=_values("16"),
    options=st.lists(options, max_size=6).map(tuple),
    global_set=st.booleans(),
    preference=_values("16"),
    status=_values("8"),
)


def test_body_is_as_drawn() -> None:
    assert encode_hello(HELLO) == BODY
    assert decode_hello(BODY) == HELLO
    assert HELLO.option(KeyHeld) == KeyHeld(0xCAFEBABE)
    assert HomeAgentHello(1, 1, False, False, 1, 1).option(KeyHeld) is None


def test_request_flag_is_the_second_bit_and_reserved_bits_are_ignored() -> None:
    flags = BODY[:6] + b"\x77" + BODY[7:]
    decoded = decode_hello(flags)
    assert (decoded.active, decoded.request, decoded.global_set) == (False, True, False)


@given(hellos)
def test_body_round_trip(hello: HomeAgentHello) -> None:
    assert decode_hello(encode_hello(hello)) == hello


@given(hellos, st.integers(0, 0xFFFF_FFFF), st.integers(0, (1 << 64) - 1))
def test_datagram_round_trip(hello: HomeAgentHello, epoch: int, sequence: int) -> None:
    encoded = encode_hello(hello)
    data = encode_text(epoch, sequence, encoded) + bytes(AUTHENTICATOR_SIZE)
    assert datagram_size(data) == len(data)
    envelope = decode_envelope(data)
    assert (envelope.version, envelope.epoch, envelope.sequence) == (1, epoch, sequence)
    assert body(data) == encoded
    assert group_id(data) == hello.group_id


def test_datagram_is_as_drawn() -> None:
    text = encode_text(0xCAFEBABE, 0x0102030405060708, BODY)
    assert text == bytes.fromhex("01 00 0046 cafebabe 0102030405060708") + BODY


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_decode_error(data: bytes) -> None:
    assert datagram_size(data) >= DATAGRAM_SIZE_MIN
    assert group_id(data) is None or len(data) >= DATAGRAM_SIZE_MIN + 4
    for decode in (decode_envelope, decode_hello):
        try:
            decode(data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(data)


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_message_or_a_decode_error(at: int, value: int) -> None:
    changed = bytearray(BODY)
    changed[at] = value
    try:
        decode_hello(bytes(changed))
    except DecodeError as error:
        assert 0 <= error.offset <= len(changed)


def test_padding_is_skipped() -> None:
    padded = BODY[:14] + b"\0" + b"\1\3abc" + BODY[14:] + b"\0\0"
    assert decode_hello(padded) == HELLO


@pytest.mark.parametrize(
    "data",
    [
        BODY[:13],
        b"\x03" + BODY[1:],  # another HARP message
        BODY[:-1],
        BODY + b"\xf3",
        BODY + b"\xf3\x05abcde",
        BODY + b"\x10\x05abcd",
    ],
)
def test_malformed_bodies(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_hello(data)


def test_what_the_wire_cannot_hold_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Home Agent Hello"):
        encode_hello(HomeAgentHello(1 << 16, 0, True, False, 1, 50))
    with pytest.raises(ValueError, match="boot"):
        MemberStateOption(1, 1, 1, 1, b"short").pack()
