"""Messages and options as plain values, for JSON and for people."""

from collections.abc import Iterator
from dataclasses import fields
from enum import IntEnum
from typing import Annotated, Any, get_args, get_origin

from unwired.wire.address import format_address
from unwired.wire.icmpv6 import IcmpMessage
from unwired.wire.mobility import MobilityMessage, MobilityOption, UnknownMessage, UnknownOption
from unwired.wire.nd_options import NdOption, UnknownNdOption

Value = str | int | float | bool | list[str]
_UNDECLARED = (UnknownMessage, UnknownOption, UnknownNdOption)


def _plain(kind: str, value: Any) -> Value:
    """Addresses as text, other bytes in hexadecimal, ``text`` as UTF-8 with what is none of it escaped."""
    if kind in ("address", "ipv4"):
        return format_address(value)
    if kind == "addresses":
        return [format_address(address) for address in value]
    if kind == "text":
        return str(value, "utf-8", "backslashreplace")
    if isinstance(value, bytes):
        return value.hex()
    return value  # type: ignore[no-any-return]


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


def field_values(message: MobilityMessage | IcmpMessage | MobilityOption | NdOption) -> dict[str, Value]:
    """The fields under their names, without the options, then the names of their values (``status_name``) and what the
    class computes from them (``lifetime_s``)."""
    names = [field.name for field in fields(message) if field.name not in ("options", "type")]
    layout = getattr(type(message), "LAYOUT", None)
    kinds = {field.name: field.kind for field in layout.fields} if layout else {}
    values = {name: _plain(kinds.get(name, ""), getattr(message, name)) for name in names}
    values |= {f"{name}_name": value_name(message, name) for name in _value_names(type(message))}
    return values | {name: getattr(message, name) for name in _properties(type(message))}


def option_values(message: MobilityMessage | IcmpMessage) -> list[dict[str, Value]]:
    """The options in order: type, name, then their fields."""
    options: tuple[MobilityOption | NdOption, ...] = getattr(message, "options", ())
    return [
        {
            "type": option.type if isinstance(option, _UNDECLARED) else option.TYPE,
            "name": option.NAME,
            **field_values(option),
        }
        for option in options
    ]
