"""A declaration that is wrong fails at import, and a right one gives a frozen, slotted class with its functions."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from unwired.wire.generate import compile_unpack
from unwired.wire.icmpv6 import ICMP_MESSAGES
from unwired.wire.layout import parse_layout
from unwired.wire.mobility import MESSAGES, OPTIONS, decode_mobility, encode_mobility
from unwired.wire.nd_options import ND_OPTIONS
from unwired.wire.rfc6275 import BindingUpdate, NonceIndices
from unwired.wire.tails import TAILS

DECLARED: list[Any] = [*MESSAGES.values(), *OPTIONS.values(), *ICMP_MESSAGES.values(), *ND_OPTIONS.values()]


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("a:flag b:6", "byte boundary"),
        ("a:flag b:address", "byte boundary"),
        ("a:24", "no struct integer"),
        ("a:rest b:8", "not last"),
        ("a:word", "unknown kind"),
        ("a:32?", "needs a field of kind present"),
        ("a:present _:7 b:32?", "needs a field of kind present"),
        ("a:present _:7", "present of a without it"),
        ("a:count", "count of a without it"),
        ("a:counted", "needs a field of kind count"),
        ("a:which8 a:any_address", "which of a without it"),
        ("a:count a:counted b:8", "unknown kind '8'"),
    ],
)
def test_wrong_layouts(layout: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        parse_layout(layout, TAILS)


def test_layout_and_fields_must_agree() -> None:
    with pytest.raises(TypeError, match="care_of_nonce_index"):
        compile_unpack(NonceIndices, parse_layout("home_nonce_index:16", TAILS), "name", TAILS, exact=True)


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_declared_classes(cls: Any) -> None:
    assert "__dict__" not in dir(cls)
    assert cls.__doc__
    assert cls.NAME
    assert cls.REFERENCE.startswith("RFC ")


def test_decoded_messages_are_like_constructed_ones() -> None:
    message = BindingUpdate(1, 2, True, options=(NonceIndices(3, 4),))
    decoded = decode_mobility(encode_mobility(message))
    assert type(decoded) is BindingUpdate
    assert hash(decoded) == hash(message)
    assert repr(decoded) == repr(message)
    assert replace(decoded, sequence=9) == replace(message, sequence=9)
    with pytest.raises(FrozenInstanceError):
        decoded.sequence = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del decoded.sequence
