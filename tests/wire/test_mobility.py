"""Mobility messages and options: exact bytes, alignment, and the ways to be wrong."""

import hashlib
import hmac

import pytest

from unwired.wire.address import parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.mobility import MobilityMessage, UnknownMessage, UnknownOption, decode_mobility, encode_mobility
from unwired.wire.present import value_name
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import (
    AuthenticationSubtype,
    MessageId,
    MobilityMessageAuthentication,
    mobility_data,
    ntp_timestamp,
    wall_time,
    with_authenticator,
)
from unwired.wire.rfc5096 import ExperimentalMobilityHeader
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingAcknowledgement,
    BindingAuthorizationData,
    BindingError,
    BindingRefreshAdvice,
    BindingRefreshRequest,
    BindingStatus,
    BindingUpdate,
    HomeTest,
    HomeTestInit,
    NonceIndices,
)

CARE_OF = parse_address("2001:db8:a::9")
HOME = parse_address("2001:db8:1::100")


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (BindingRefreshRequest(), "3b00000000000000"),
        (HomeTestInit(b"cookie01"), "3b01010000000000636f6f6b69653031"),
        (HomeTest(7, b"cookie01", b"token..8"), "3b02030000000007636f6f6b69653031746f6b656e2e2e38"),
        (BindingUpdate(9221, 21599, True, True), "3b010500000024" + "05c000545f01020000"),
        (BindingAcknowledgement(134, 1, 2, True), "3b010600000086800001000201020000"),
        (BindingError(1, HOME), "3b02070000000100" + HOME.hex()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MobilityMessage) else "",
)
def test_bytes_of_messages(message: MobilityMessage, wire: str) -> None:
    assert encode_mobility(message).hex() == wire
    assert decode_mobility(bytes.fromhex(wire)) == message


@pytest.mark.parametrize(
    ("option", "at"),
    [
        (AlternateCareOfAddress(CARE_OF), 6),
        (BindingRefreshAdvice(1), 0),
        (NonceIndices(1, 2), 0),
        (BindingAuthorizationData(bytes(12)), 2),
        (MobilityMessageAuthentication(256, bytes(12)), 1),
        (MessageId(1), 2),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else "",
)
def test_alignment(option: AlternateCareOfAddress, at: int) -> None:
    """Each option starts where its RFC wants it (xn + y), whatever stands before it."""
    multiple = option.ALIGNMENT[0]
    for before in range(9):
        filler = UnknownOption(200, bytes(before))
        encoded = encode_mobility(BindingUpdate(1, 2, options=(filler, option)))
        start = encoded.index(option.pack(), 12 + 2 + before)
        assert start % multiple == at


def test_binding_authorization_data_has_no_padding_after_it() -> None:
    """RFC 6275 section 6.2.7."""
    message = BindingUpdate(1, 2, options=(NonceIndices(1, 2), BindingAuthorizationData(bytes(range(12)))))
    assert encode_mobility(message).endswith(bytes(range(12)))


def test_reserved_bits_are_ignored() -> None:
    encoded = bytearray(encode_mobility(BindingUpdate(1, 2)))
    encoded[3] = 0xFF
    encoded[9] = 0x0F
    assert decode_mobility(bytes(encoded)) == BindingUpdate(1, 2)


def test_padding_anywhere() -> None:
    pad1, pad3, advice, pad2 = "00", "0101aa", "02020005", "0100"
    options = pad1 + pad3 + pad1 + advice + pad2 + pad1 + pad1 + pad2 + pad3 + pad1 + pad1
    wire = bytes.fromhex("3b03060000000000" + "00010002" + options)
    assert decode_mobility(wire) == BindingAcknowledgement(0, 1, 2, options=(BindingRefreshAdvice(5),))


def test_options_by_class() -> None:
    first, second = UnknownOption(200, b"a"), UnknownOption(201, b"b")
    message = BindingUpdate(1, 2, options=(first, MessageId(7), second))
    assert message.option(MessageId) == MessageId(7)
    assert message.option(NonceIndices) is None
    assert message.options_of(UnknownOption) == (first, second)


def test_unknown_options_are_kept() -> None:
    message = BindingUpdate(1, 2, options=(UnknownOption(200, b"xyz"), NonceIndices(1, 2)))
    assert decode_mobility(encode_mobility(message)) == message


def test_unknown_message_is_kept() -> None:
    assert decode_mobility(bytes((59, 0, 99, 0, 0, 0, 1, 2))) == UnknownMessage(99, b"\1\2")


def test_what_follows_a_message_without_options_is_none_of_it() -> None:
    """A header length rounded down is believed of options only, whose padding can be made anew."""
    for number, message in ((99, UnknownMessage(99, b"\1\2")), (11, ExperimentalMobilityHeader(b"\1\2"))):
        assert decode_mobility(bytes((59, 0, number, 0, 0, 0, 1, 2, 3))) == message


@pytest.mark.parametrize(
    ("what", "wire", "offset"),
    [
        ("empty", "", 0),
        ("seven bytes", "3b000000000000", 0),
        ("header length beyond the end", "3b01000000000000", 1),
        ("payload protocol", "0600000000000000", 0),
        ("header length too small", "3b00050000000000", 1),
        ("option type at the end", "3b0106000000000000010002000000c8", 15),
        ("option length beyond the end", "3b010600000000000001000202030000", 13),
        ("option of a wrong size", "3b01060000000000000100020201ff00", 13),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_malformed(what: str, wire: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode_mobility(bytes.fromhex(wire))
    assert error.value.offset == offset, what


@pytest.mark.parametrize(
    "message",
    [
        BindingUpdate(0x10000, 1),
        BindingUpdate(1, -1),
        HomeTestInit(b"short"),
        BindingError(1, b"no address"),
        BindingUpdate(1, 1, options=(MobileNodeIdentifier(bytes(256)),)),
        BindingUpdate(1, 1, options=(MobileNodeIdentifier(bytes(250)),) * 9),
        BindingUpdate(1, 1, options=(UnknownOption(200, bytes(256)),)),
        UnknownMessage(99, b"\1\2\3"),
        ExperimentalMobilityHeader(b"\1\2", options=(NonceIndices(1, 2),)),
    ],
    ids=[
        "sequence",
        "lifetime",
        "cookie",
        "address",
        "option",
        "message",
        "unknown option",
        "unknown message",
        "options where none are",
    ],
)
def test_what_the_wire_cannot_hold(message: MobilityMessage) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_mobility(message)


def test_lifetimes_in_seconds() -> None:
    assert BindingUpdate(1, 105).lifetime_s == BindingAcknowledgement(0, 1, 105).lifetime_s == 420
    assert BindingRefreshAdvice(50).interval_s == 200


def test_status_names() -> None:
    assert value_name(BindingAcknowledgement(134, 1, 0), "status") == "DUPLICATE_ADDRESS_DETECTION_FAILED"
    assert value_name(BindingAcknowledgement(250, 1, 0), "status") == ""
    assert value_name(BindingError(2, HOME), "status") == "UNRECOGNIZED_MH_TYPE_VALUE"
    assert (BindingStatus.MIPV6_ID_MISMATCH, BindingStatus.MIPV6_MESG_ID_REQD, BindingStatus.MIPV6_AUTH_FAIL) == (
        144,
        145,
        146,
    )


# --- RFC 4285 --------------------------------------------------------------------------------------------------------


def test_ntp_timestamps() -> None:
    """RFC 5905: 1 January 1970 is second 2208988800; the era after 7 February 2036 starts again at zero."""
    assert ntp_timestamp(0) == 2_208_988_800 << 32
    assert ntp_timestamp(0.5) & 0xFFFF_FFFF == 1 << 31
    for wall in (0.0, 1_700_000_000.25, 2_085_978_495.0, 2_085_978_496.0, 4_000_000_000.5):
        assert wall_time(ntp_timestamp(wall)) == wall


def test_mobility_data_ends_with_the_spi() -> None:
    """RFC 4285 section 5.1."""
    placeholder = MobilityMessageAuthentication(0x01020304, bytes(12))
    options = (MobileNodeIdentifier(b"mn@example.org"), MessageId(7), placeholder)
    message = BindingUpdate(1, 2, True, True, options=options)
    header = encode_mobility(message)
    sent = header[:4] + b"\xab\xcd" + header[6:]
    data = mobility_data(CARE_OF, HOME, sent)
    assert data[:32] == CARE_OF + HOME
    assert data[32:] == header[: len(data) - 32]
    assert data.endswith(b"\x01\x01\x02\x03\x04")
    authenticator = hmac.digest(b"k" * 16, data, hashlib.sha1)[:12]
    signed = with_authenticator(header, authenticator)
    assert mobility_data(CARE_OF, HOME, signed) == data
    decoded = decode_mobility(signed).option(MobilityMessageAuthentication)
    assert decoded == MobilityMessageAuthentication(0x01020304, authenticator)


def test_mobility_data_of_each_subtype() -> None:
    home_agent = MobilityMessageAuthentication(256, bytes(12))
    aaa = MobilityMessageAuthentication(3, bytes(20), subtype=AuthenticationSubtype.MN_AAA)
    header = encode_mobility(BindingUpdate(1, 2, options=(home_agent, aaa)))
    assert mobility_data(CARE_OF, HOME, header).endswith(b"\x01\x00\x00\x01\x00")
    assert mobility_data(CARE_OF, HOME, header, AuthenticationSubtype.MN_AAA).endswith(b"\x02\x00\x00\x00\x03")


@pytest.mark.parametrize("header", [b"", b"\x3b", encode_mobility(BindingUpdate(1, 2))])
def test_no_authentication_option(header: bytes) -> None:
    with pytest.raises(DecodeError):
        mobility_data(CARE_OF, HOME, header)
