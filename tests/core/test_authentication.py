"""RFC 4285: authenticators over known bytes, and timestamps at both ends."""

import hmac
from collections.abc import Callable
from dataclasses import replace

import home_agent_driver
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.core.authentication import (
    TimestampClock,
    compute_authenticator,
    corrected_timestamp,
    is_authentic,
    is_fresh,
    is_later,
    sign,
    timestamp_answers,
)
from unwired.core.notices import Drop
from unwired.core.settings import Algorithm, SecurityAssociation
from unwired.wire.mobility import decode_mobility, encode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import (
    MessageId,
    MobilityMessageAuthentication,
    ntp_timestamp,
    wall_time,
    with_authenticator,
)
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingRefreshAdvice, BindingRefreshRequest, BindingUpdate

CARE_OF, HOME = bytes(15) + b"\x0a", bytes(15) + b"\x0b"
KEY = SecurityAssociation(256, bytes(range(16)))
STRONG = SecurityAssociation(257, bytes(range(32)), Algorithm.HMAC_SHA256)
UPDATE = BindingUpdate(7, 60, True, True, options=(MobileNodeIdentifier(b"mn@example.org"), MessageId(1 << 40)))


def option_of(data: bytes) -> MobilityMessageAuthentication:
    found = decode_mobility(data).option(MobilityMessageAuthentication)
    assert found is not None
    return found


def zeros(size: int) -> bytes:
    return bytes(size)


def ones(size: int) -> bytes:
    return b"\xff" * size


def test_authenticator_is_what_the_rfc_says_computed_by_hand() -> None:
    message, data = sign(UPDATE, KEY, CARE_OF, HOME)
    # RFC 4285 section 5.1: up to and including the SPI, the checksum as zero; the option is the last.
    spi_ends = data.rindex(b"\x01\x00\x00\x01\x00") + 5
    expected = hmac.digest(KEY.key, CARE_OF + HOME + data[:spi_ends], "sha1")[:12]
    assert data[spi_ends : spi_ends + 12] == expected
    assert option_of(data).authenticator == expected
    assert message.options[-1] == option_of(data)
    assert decode_mobility(data) == message


@pytest.mark.parametrize(("association", "length"), [(KEY, 12), (STRONG, 16)])
def test_what_is_signed_verifies(association: SecurityAssociation, length: int) -> None:
    for message in (UPDATE, BindingAcknowledgement(0, 7, 60)):
        _, data = sign(message, association, CARE_OF, HOME)
        assert len(option_of(data).authenticator) == length
        assert is_authentic(option_of(data), data, association, CARE_OF, HOME)


def test_checksum_that_was_filled_in_does_not_matter() -> None:
    _, data = sign(UPDATE, KEY, CARE_OF, HOME)
    on_the_wire = data[:4] + b"\x12\x34" + data[6:]
    assert is_authentic(option_of(data), on_the_wire, KEY, CARE_OF, HOME)


def test_every_covered_byte_counts() -> None:
    _, data = sign(UPDATE, KEY, CARE_OF, HOME)
    option = option_of(data)
    end = data.index(option.authenticator)
    for offset in {*range(6, end - 7)} - {4, 5}:
        changed = data[:offset] + bytes((data[offset] ^ 1,)) + data[offset + 1 :]
        try:
            decode_mobility(changed)
        except ValueError:
            continue
        if decode_mobility(changed).option(MobilityMessageAuthentication) != option:
            continue
        assert not is_authentic(option, changed, KEY, CARE_OF, HOME), offset
    assert not is_authentic(option, data, KEY, HOME, CARE_OF)
    assert not is_authentic(option, data, SecurityAssociation(256, bytes(16)), CARE_OF, HOME)


def test_authenticator_of_another_length_is_wrong() -> None:
    _, data = sign(UPDATE, STRONG, CARE_OF, HOME)
    same_key = SecurityAssociation(257, STRONG.key, Algorithm.HMAC_SHA1)
    assert not is_authentic(option_of(data), data, same_key, CARE_OF, HOME)


def test_only_updates_and_acknowledgements_are_signed_alike() -> None:
    message, data = sign(BindingRefreshRequest(), KEY, CARE_OF, HOME)
    assert decode_mobility(data) == message


def test_padding_before_and_after_is_found() -> None:
    for name in (b"a", b"ab", b"abc", b"abcd", b"abcdefg"):
        update = BindingUpdate(1, 1, options=(MobileNodeIdentifier(name),))
        message, data = sign(update, KEY, CARE_OF, HOME)
        assert len(data) % 8 == 0
        assert encode_mobility(message) == data
        assert is_authentic(option_of(data), data, KEY, CARE_OF, HOME)


# --- the home agent's side of replay protection ---


def test_timestamp_window() -> None:
    wall = 1_800_000_000.25
    for ahead, fresh in ((0, True), (6.9, True), (-6.9, True), (7.1, False), (-7.1, False), (1e6, False)):
        assert is_fresh(ntp_timestamp(wall + ahead), None, wall, 7.0) is fresh, ahead


def test_timestamp_must_be_greater_than_the_last() -> None:
    wall = 1_800_000_000.0
    last = ntp_timestamp(wall)
    assert not is_fresh(last, last, wall, 7.0)
    assert not is_fresh(last - 1, last, wall, 7.0)
    assert is_fresh(last + 1, last, wall, 7.0)


def test_timestamps_go_on_when_the_era_ends_in_2036() -> None:
    end = wall_time(0xFFFF_FFFF_FFFF_FFFF)
    before, after = ntp_timestamp(end - 1), ntp_timestamp(end + 1)
    assert after < before
    assert is_later(after, before) and not is_later(before, after)
    assert is_fresh(after, before, end + 1, 7.0)


def test_corrected_timestamp_has_our_seconds_and_their_fraction() -> None:
    wall = 1_800_000_000.5
    corrected = corrected_timestamp(0x0000_0001_DEAD_BEEF, wall)
    assert corrected & 0xFFFF_FFFF == 0xDEAD_BEEF
    assert corrected >> 32 == ntp_timestamp(wall) >> 32


# --- the mobile node's side ---


@pytest.mark.parametrize("entropy", [zeros, ones])
def test_clock_gives_fresh_growing_timestamps(entropy: Callable[[int], bytes]) -> None:
    clock = TimestampClock()
    last = None
    for wall in (1e9, 1e9, 1e9 + 1e-7, 1e9 - 0.5, 1e9 + 3):
        timestamp = clock.next(wall, entropy)
        assert last is None or is_later(timestamp, last)
        last = timestamp


@pytest.mark.parametrize("skew_s", [-100_000, -60, 3600, 500_000_000])
def test_clock_follows_the_home_agent(skew_s: int) -> None:
    clock = TimestampClock()
    mine, theirs = 1_800_000_000.4, 1_800_000_000.4 + skew_s
    sent = clock.next(mine, zeros)
    assert not is_fresh(sent, None, theirs, 7.0)
    answer = corrected_timestamp(sent, theirs)
    assert timestamp_answers(answer, sent, mismatch=True)
    clock.adjust(answer, mine)
    assert clock.offset_s == skew_s
    again = clock.next(mine + 0.1, zeros)
    assert is_fresh(again, None, theirs + 0.1, 7.0)
    clock.accepted(again)
    assert is_later(clock.next(mine + 0.1, zeros), again)


def test_clock_never_goes_below_what_was_accepted() -> None:
    clock = TimestampClock()
    accepted = clock.next(2e9, zeros)
    clock.accepted(accepted)
    clock.adjust(ntp_timestamp(2e9 - 3), 2e9)
    assert is_later(clock.next(2e9, zeros), accepted)


def test_answers_are_matched_by_timestamp() -> None:
    assert timestamp_answers(5, 5, mismatch=False)
    assert not timestamp_answers(5, 6, mismatch=False)
    assert timestamp_answers(9 << 32 | 5, 7 << 32 | 5, mismatch=True)
    assert not timestamp_answers(7 << 32 | 6, 7 << 32 | 5, mismatch=True)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_later_is_an_order_of_two(one: int, other: int) -> None:
    if one == other or (one - other) % (1 << 64) == 1 << 63:
        assert not is_later(one, other)
    else:
        assert is_later(one, other) != is_later(other, one)


def test_options_after_the_authentication_are_discarded() -> None:
    """They are not authenticated (RFC 4285 section 5.1)."""
    driver = home_agent_driver.Driver()
    signed = driver.packet(1)
    assert isinstance(signed.payload, BindingUpdate)
    update = replace(signed.payload, options=(*signed.payload.options, BindingRefreshAdvice(1)))
    header = encode_mobility(update)
    data = with_authenticator(
        header, compute_authenticator(home_agent_driver.KEY, home_agent_driver.CARE_OF, home_agent_driver.HOME, header)
    )
    assert driver.receive(replace(signed, payload=update, data=data)) == []
    assert driver.engine.drops == {Drop.AMBIGUOUS_OPTIONS: 1}
