"""State synchronization messages: round trips, the two ways to read bindings, malformed frames, sizes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.core.global_binding import GlobalBinding
from unwired.wire.address import UNSPECIFIED, parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.state_synchronization import (
    FRAME_SIZE_MAX,
    BucketDigests,
    HelloKey,
    Kind,
    PrimaryHomeAgent,
    RequestedBinding,
    StateSynchronizationStatus,
    Status,
    StreamOpening,
    decode_frame,
    digest_options,
    digests_of,
    encode_bindings,
    encode_frame,
)

LOCATOR = parse_address("2001:240:100::10")
ONE = GlobalBinding(
    parse_address("2001:200:a000::42"),
    parse_address("2001:db8:c::7"),
    LOCATOR,
    version=0xE94D_5A00_8000_0001,
    timestamp=0xE94D_5A00_8000_0000,
    ends_at=1_763_900_000.25,
    sequence=0xBEEF,
    lifetime_units=105,
    link_local=True,
    switched=True,
)

addresses = st.binary(min_size=16, max_size=16)
# Times that a float of today holds: whole 2^-22 s.
times = st.integers(1 << 52, (1 << 53) - 1).map(lambda number: number / (1 << 22))
bindings = st.builds(
    GlobalBinding,
    home_address=addresses,
    care_of_address=addresses,
    primary=st.sampled_from([LOCATOR, parse_address("2001:db8::1"), UNSPECIFIED]),
    version=st.integers(0, (1 << 64) - 1),
    timestamp=st.integers(0, (1 << 64) - 1),
    ends_at=times,
    sequence=st.integers(0, 0xFFFF),
    lifetime_units=st.integers(0, 0xFFFF),
    deleted=st.booleans(),
    link_local=st.booleans(),
    switched=st.booleans(),
)
options = st.one_of(
    st.builds(StateSynchronizationStatus, status=st.integers(0, 255), home_address=addresses),
    st.builds(RequestedBinding, home_address=addresses),
    st.builds(HelloKey, epoch=st.integers(0, (1 << 64) - 1), key=st.binary(max_size=64)),
    st.builds(StreamOpening, protocol_version=st.integers(0, 255), group_id=st.integers(0, 65535), locator=addresses),
    st.builds(BucketDigests, first=st.integers(0, 65535), digests=st.binary(max_size=248)),
)


def test_the_bytes_of_a_reply() -> None:
    frame = encode_frame(Kind.REPLY, 0x1234, acknowledge=True, bindings=[ONE])
    assert frame == bytes.fromhex(
        "0000005c 01 c0 1234"
        "f210 20010240010000000000000000000010"  # Primary Home Agent
        "f028 20010200a00000000000000000000042 20010db8000c00000000000000000007 6000 beef 0069 0000"
        "f31a e94d5a0080000001 e94d5a0080000000 6922fa6040000000 4000"
    )
    assert len(encode_bindings([ONE, ONE])) - len(encode_bindings([ONE])) == 70


@given(st.lists(bindings, max_size=20), st.lists(options, max_size=4), st.integers(0, 0xFFFF), st.booleans())
def test_what_is_encoded_is_decoded(
    given_bindings: list[GlobalBinding], given_options: list[object], identifier: int, acknowledge: bool
) -> None:
    frame = encode_frame(
        Kind.REPLY,
        identifier,
        *given_options,
        acknowledge=acknowledge,
        bindings=given_bindings,  # type: ignore[arg-type]
    )
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    message = decode_frame(frame[4:])
    assert (message.kind, message.identifier, message.acknowledge) == (Kind.REPLY, identifier, acknowledge)
    assert message.is_global
    assert [GlobalBinding(*fields) for fields in message.bindings] == given_bindings
    assert list(message.options) == given_options


@given(
    st.lists(bindings, min_size=1, max_size=12),
    st.lists(st.sampled_from([b"", b"\x00", b"\x01\x00", b"\x01\x03abc", b"\xe0\x02hi"]), min_size=40, max_size=40),
)
def test_both_ways_of_reading_agree(given_bindings: list[GlobalBinding], between: list[bytes]) -> None:
    """Padding and unknown options between the options make the decoder walk; without them it runs."""
    plain = encode_frame(Kind.REPLY, 2, bindings=given_bindings)[4:]
    parts = [plain[:4]]
    at = 4
    while at < len(plain):
        after = at + 2 + plain[at + 1]
        parts += [between[len(parts) % len(between)], plain[at:after]]
        at = after
    assert decode_frame(b"".join(parts)) == decode_frame(plain)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    for start in (b"", b"\x01\xc0\x00\x02", b"\x01\xc0\x00\x02" + PrimaryHomeAgent(LOCATOR).pack()):
        try:
            decode_frame(start + data)
        except DecodeError as error:
            assert 0 <= error.offset <= len(start) + len(data)


@given(st.lists(bindings, min_size=1, max_size=4), st.data())
def test_a_broken_frame_is_a_message_or_a_decode_error(made: list[GlobalBinding], data: st.DataObject) -> None:
    frame = bytearray(encode_frame(Kind.REPLY, 2, bindings=made)[4:])
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    try:
        message = decode_frame(cut)
    except DecodeError:
        return
    assert len(message.bindings) <= len(made)


def pair() -> bytes:
    return encode_bindings([ONE])[18:]


HEAD = b"\x01\xc0\x00\x02"
PRIMARY = PrimaryHomeAgent(LOCATOR).pack()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "message of 0 bytes"),
        (b"\x09\x00\x00\x00", "unknown type 9"),
        (HEAD + pair(), "binding without Primary Home Agent"),
        (HEAD + PRIMARY + pair()[:42], "binding without Global Binding Version"),
        (HEAD + PRIMARY + pair()[:42] + pair(), "binding without Global Binding Version"),
        (HEAD + PRIMARY + pair()[42:], "Global Binding Version without a binding"),
        (HEAD + PRIMARY + b"\xf0\x11" + bytes(17), "Binding Cache Information of 17 bytes"),
        (HEAD + PRIMARY + pair()[:42] + b"\xf3\x02ab", "Global Binding Version of 2 bytes"),
        (HEAD + b"\xf2", "option without a length"),
        (HEAD + b"\xf2\x10abc", "option that ends after its message"),
        (HEAD + b"\xf2\x03abc", "Primary Home Agent of 3 bytes"),
    ],
)
def test_what_is_malformed_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode_frame(data)


def test_reserved_bits_are_ignored() -> None:
    frame = bytearray(encode_frame(Kind.REPLY, 2, bindings=[ONE])[4:])
    frame[1] |= 0x3F
    frame[22 + 40 : 22 + 42] = b"\xff\xff"  # the Reserved of Binding Cache Information
    frame[-1] |= 0xFF
    assert decode_frame(bytes(frame)).bindings == decode_frame(encode_frame(Kind.REPLY, 2, bindings=[ONE])[4:]).bindings


@pytest.mark.parametrize("change", [{"sequence": 65536}, {"version": 1 << 64}, {"ends_at": -1.0}, {"ends_at": 1e12}])
def test_what_does_not_fit_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        encode_bindings([replace(ONE, **change)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot hold"):
        encode_bindings([replace(ONE, ends_at=float("inf"))])


def test_a_frame_has_a_greatest_size() -> None:
    with pytest.raises(ValueError, match="frame of"):
        encode_frame(Kind.REPLY, 2, bindings=[ONE] * (FRAME_SIZE_MAX // 70 + 1))


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=200))
def test_digests_travel_in_pieces(digests: list[int]) -> None:
    message = decode_frame(encode_frame(Kind.REQUEST, 0x8001, *digest_options(digests))[4:])
    assert digests_of(message) == (digests or None)


def test_digests_of_all_buckets_fit_in_one_frame() -> None:
    assert len(encode_frame(Kind.REQUEST, 0x8001, *digest_options([1] * 4096))) < FRAME_SIZE_MAX


@pytest.mark.parametrize(
    "pieces",
    [
        [BucketDigests(1, bytes(8))],
        [BucketDigests(0, bytes(7))],
        [BucketDigests(0, bytes(8)), BucketDigests(0, bytes(8))],
    ],
)
def test_digests_that_do_not_follow_each_other_are_malformed(pieces: list[BucketDigests]) -> None:
    message = decode_frame(encode_frame(Kind.REQUEST, 0x8001, *pieces)[4:])
    with pytest.raises(DecodeError, match="do not continue"):
        digests_of(message)


def test_an_acknowledgement_as_the_drafts_draw_it() -> None:
    frame = encode_frame(Kind.ACKNOWLEDGEMENT, 7, StateSynchronizationStatus(Status.NO_MOBILITY_OPTION))
    assert frame == bytes.fromhex("0000001a02400007f11483000000" + "00" * 16)
