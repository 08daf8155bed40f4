"""Messages and options as plain values, for JSON and for people."""

from collections.abc import Iterator
from dataclasses import fields
from enum import IntEnum
from typing import Annotated, Any, get_args, get_origin

from unwired.wire.address import format_address
from unwired.wire.families import Member, UnknownForm, UnknownSubOption
from unwired.wire.icmpv6 import IcmpMessage
from unwired.wire.layout import ADDRESS_SIZE
from unwired.wire.mobility import MobilityMessage, UnknownMessage, UnknownOption
from unwired.wire.nd_options import UnknownNdOption

Value = str | int | float | bool | None | list[Any] | dict[str, Any]
_UNDECLARED = (UnknownMessage, UnknownOption, UnknownNdOption, UnknownSubOption, UnknownForm)


def _plain(kind: str, value: Any) -> Value:
    """Addresses as text, other bytes in hexadecimal; what is meant to be text too, unless it is printable UTF-8: it may
    be an identifier of bits, or escape sequences for a terminal. A sub-option is an object, of a list each item by
    itself."""
    if isinstance(value, Member):
        return _named(value)
    if isinstance(value, tuple):
        return [_plain(kind, item) for item in value]
    if not isinstance(value, bytes):
        return value  # type: ignore[no-any-return]
    if kind.endswith("text"):
        text = str(value, "utf-8", "replace")
        return text if text.isprintable() and "\ufffd" not in text else value.hex()
    if len(value) == ADDRESS_SIZE and kind.rstrip("?").endswith(("address", "addresses", "ipv4", "ipv6")):
        return format_address(value)
    return value.hex()


def _properties(cls: type) -> Iterator[str]:
    return (name for name, member in vars(cls).items() if isinstance(member, property))


def _value_names(cls: type) -> dict[str, type[IntEnum]]:
    return {field.name: get_args(field.type)[1] for field in fields(cls) if get_origin(field.type) is Annotated}


def value_name(message: Any, field: str) -> str:
    """The RFC's name of a field's value, or nothing. The field is declared with the names:
    ``status: Annotated[int, BindingStatus]``."""
    try:
        return _value_names(type(message))[field](getattr(message, field)).name
    except ValueError:
        return ""


def field_values(message: Any) -> dict[str, Value]:
    """The fields of a message, option or sub-option under their names, without the options, then the names of their
    values (``status_name``) and what the class computes from them (``lifetime_s``)."""
    names = [field.name for field in fields(message) if field.name not in ("options", "type")]
    kinds = {field.name: field.kind for field in message.LAYOUT.fields}
    values = {name: _plain(kinds.get(name, ""), getattr(message, name)) for name in names}
    values |= {f"{name}_name": value_name(message, name) for name in _value_names(type(message))}
    return values | {name: getattr(message, name) for name in _properties(type(message))}


def _named(option: Any) -> dict[str, Value]:
    """Type, name, then the fields."""
    number = option.type if isinstance(option, _UNDECLARED) else option.TYPE
    return {"type": number, "name": option.NAME, **field_values(option)}


def option_values(message: MobilityMessage | IcmpMessage) -> list[dict[str, Value]]:
    """The options in order: type, name, then their fields."""
    return [_named(option) for option in getattr(message, "options", ())]
