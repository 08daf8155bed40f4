"""The authentication of HELLO datagrams: who may say what, once."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unwired.core.hello import (
    FORMER_KEY_GRACE_S,
    WINDOW,
    MemberKeys,
    Opened,
    OwnKeys,
    ReplayWindow,
    authenticator,
)
from unwired.core.notices import Drop
from unwired.wire.address import parse_address
from unwired.wire.home_agent_hello import HomeAgentHello, MemberStateOption, decode_envelope, encode_hello, encode_text

HERE = parse_address("2001:db8:1::1")
THERE = parse_address("2001:db8:2::1")
ELSEWHERE = parse_address("2001:db8:3::1")
GROUP = 4690
HELLO = HomeAgentHello(GROUP, 1, True, False, 1, 50, (MemberStateOption(2, 0, 0, 0, bytes(8)),))


def entropy() -> Callable[[int], bytes]:
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size)


class Pair:
    """A sender at HERE and what the receiver at THERE knows of it."""

    def __init__(self) -> None:
        self.own = OwnKeys(entropy())
        self.keys = MemberKeys()
        self.keys.learn(*self.own.newest)

    def sealed(self, hello: HomeAgentHello = HELLO, held: int | None = None) -> bytes:
        return self.own.seal(self.own.next_sequence(), encode_hello(hello), held, HERE, THERE)

    def opened(self, data: bytes, now: float = 0.0) -> Opened | Drop:
        return self.keys.open(data, HERE, THERE, GROUP, now)


# --- the replay window ---


@given(st.lists(st.integers(0, 200), max_size=300), st.integers(0, 1 << 60))
def test_no_number_is_accepted_twice_nor_far_behind(numbers: list[int], base: int) -> None:
    window = ReplayWindow()
    accepted: list[int] = []
    for number in numbers:
        new = window.is_new(base + number)
        recent = not accepted or number > max(accepted) - WINDOW
        assert new == (number not in accepted and recent)
        if new:
            window.accept(base + number)
            accepted.append(number)
            assert window.greatest == base + max(accepted)
    assert len(set(accepted)) == len(accepted)


@given(st.permutations(range(WINDOW)), st.data())
def test_within_the_window_every_order_is_accepted_whole(numbers: list[int], data: st.DataObject) -> None:
    window = ReplayWindow()
    repeated = [n for n in numbers for _ in range(data.draw(st.integers(1, 3), label="times"))]
    accepted = []
    for number in repeated:
        if window.is_new(number):
            window.accept(number)
            accepted.append(number)
    assert sorted(accepted) == list(range(WINDOW))


# --- datagrams ---


def test_an_authentic_datagram_is_opened_once() -> None:
    pair = Pair()
    data = pair.sealed()
    assert pair.opened(data) == Opened(HELLO, True)
    assert pair.opened(data) == Drop.HELLO_REPLAYED


def test_one_that_was_overtaken_is_authentic_and_not_the_latest() -> None:
    pair = Pair()
    first, second = pair.sealed(), pair.sealed()
    assert pair.opened(second) == Opened(HELLO, True)
    assert pair.opened(first) == Opened(HELLO, False)


def test_what_is_older_than_the_window_is_dropped() -> None:
    pair = Pair()
    datagrams = [pair.sealed() for _ in range(WINDOW + 1)]
    assert isinstance(pair.opened(datagrams[-1]), Opened)
    assert pair.opened(datagrams[0]) == Drop.HELLO_REPLAYED
    assert isinstance(pair.opened(datagrams[1]), Opened)


@pytest.mark.parametrize("at", range(len(Pair().sealed())))
def test_a_changed_byte_is_noticed_and_changes_nothing(at: int) -> None:
    pair = Pair()
    data = bytearray(pair.sealed())
    data[at] ^= 0x40
    assert isinstance(pair.opened(bytes(data)), Drop)
    data[at] ^= 0x40
    assert pair.opened(bytes(data)) == Opened(HELLO, True)


def test_each_reason_has_its_name() -> None:
    pair = Pair()
    data = pair.sealed()
    assert MemberKeys().open(data, HERE, THERE, GROUP, 0.0) == Drop.HELLO_NO_KEY
    assert pair.opened(b"") == Drop.HELLO_TRUNCATED
    assert pair.opened(data[:-1]) == Drop.HELLO_TRUNCATED
    assert pair.opened(data + b"\0") == Drop.HELLO_TRAILING_BYTES
    assert pair.opened(b"\2" + data[1:]) == Drop.HELLO_MALFORMED
    assert pair.opened(data[:-1] + bytes((data[-1] ^ 1,))) == Drop.HELLO_BAD_AUTHENTICATOR
    assert pair.keys.open(data, ELSEWHERE, THERE, GROUP, 0.0) == Drop.HELLO_BAD_AUTHENTICATOR
    assert pair.keys.open(data, HERE, ELSEWHERE, GROUP, 0.0) == Drop.HELLO_BAD_AUTHENTICATOR
    assert pair.keys.open(data, HERE, THERE, GROUP + 1, 0.0) == Drop.HELLO_OTHER_GROUP
    assert pair.opened(pair.sealed(replace(HELLO, group_id=1))) == Drop.HELLO_OTHER_GROUP
    other = Pair()
    other.own.renew()
    assert pair.opened(other.sealed()) == Drop.HELLO_OTHER_EPOCH
    assert pair.opened(data) == Opened(HELLO, True)


def test_an_authentic_body_that_is_none_is_malformed() -> None:
    pair = Pair()
    epoch, key = pair.own.newest
    for broken in (b"", b"\x04", encode_hello(HELLO) + b"\xf3", b"\x05" + encode_hello(HELLO)[1:]):
        text = encode_text(epoch, pair.own.next_sequence(), broken)
        assert pair.opened(text + authenticator(key, HERE, THERE, text)) == Drop.HELLO_MALFORMED


@given(st.binary(max_size=150))
def test_any_bytes_are_dropped(data: bytes) -> None:
    assert isinstance(Pair().opened(data), Drop)


# --- keys ---


def test_nothing_is_lost_when_a_key_is_renewed() -> None:
    """The new key is used once the receiver says that it has it, and the former one is good a little longer."""
    pair = Pair()
    first = pair.own.newest[0]
    assert isinstance(pair.opened(pair.sealed(held=first)), Opened)
    pair.own.renew()
    assert decode_envelope(pair.sealed(held=first)).epoch == first
    assert isinstance(pair.opened(pair.sealed(held=first)), Opened)
    late = pair.sealed(held=first)
    pair.keys.learn(*pair.own.newest)
    second = pair.keys.epoch
    assert second == pair.own.newest[0] != first
    assert isinstance(pair.opened(pair.sealed(held=first)), Opened)
    newer = pair.sealed(held=second)
    assert decode_envelope(newer).epoch == second
    assert pair.opened(newer, 10.0) == Opened(HELLO, True)
    assert pair.opened(late, 10.0 + FORMER_KEY_GRACE_S / 2) == Opened(HELLO, False)
    assert pair.opened(pair.sealed(held=first), 10.0 + FORMER_KEY_GRACE_S) == Drop.HELLO_OTHER_EPOCH


def test_the_same_key_again_does_not_open_the_window_again() -> None:
    pair = Pair()
    data = pair.sealed()
    assert isinstance(pair.opened(data), Opened)
    pair.keys.learn(*pair.own.newest)
    assert pair.opened(data) == Drop.HELLO_REPLAYED
    former = pair.own.newest
    pair.own.renew()
    pair.keys.learn(*pair.own.newest)
    pair.keys.learn(*former)
    assert pair.keys.epoch == pair.own.newest[0]
    assert pair.opened(data) == Drop.HELLO_REPLAYED


def test_a_member_that_starts_again_has_another_key() -> None:
    pair = Pair()
    recorded = pair.sealed()
    again = OwnKeys(lambda size: b"\xaa" * size)
    pair.keys.learn(*again.newest)
    text = again.seal(again.next_sequence(), encode_hello(HELLO), None, HERE, THERE)
    assert pair.opened(text, 0.0) == Opened(HELLO, True)
    assert pair.opened(recorded, FORMER_KEY_GRACE_S) == Drop.HELLO_OTHER_EPOCH


@given(st.lists(st.booleans(), max_size=100))
def test_epoch_and_sequence_are_never_used_twice(renewals: list[bool]) -> None:
    own = OwnKeys(entropy())
    used = []
    for renew in renewals:
        if renew:
            own.renew()
        for held in (None, own.former_epoch, own.newest[0]):
            envelope = decode_envelope(own.seal(own.next_sequence(), encode_hello(HELLO), held, HERE, THERE))
            used.append((envelope.epoch, envelope.sequence))
    assert len(set(used)) == len(used)


def test_a_key_is_used_only_for_one_direction_and_pair() -> None:
    """The locators are covered: what was made for one member proves nothing to another."""
    pair = Pair()
    data = pair.own.seal(1, encode_hello(HELLO), None, HERE, ELSEWHERE)
    assert pair.opened(data) == Drop.HELLO_BAD_AUTHENTICATOR
