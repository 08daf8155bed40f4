"""The functions of a layout (``layout.py``): generated as source, as ``dataclasses`` does for ``__init__``. One struct
call and straight-line code per message is what lets a home agent decode a binding update in a few microseconds.

They are compiled when they are called for the first time: of the 170 classes that are declared a process needs few.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import FunctionType
from typing import Any

from unwired.wire.address import V4_MAPPED
from unwired.wire.errors import DecodeError
from unwired.wire.layout import ADDRESS_SIZE, COUNTED_SIZES, OPTIONAL_SIZES, Constant, Field, Layout, Tail
from unwired.wire.tails import (
    fit,
    integer,
    ipv4,
    pack_addresses,
    pack_ipv4_addresses,
    short_text,
    signed,
    sized,
    unpack_addresses,
    unpack_ipv4_addresses,
    words,
)

Unpack = Callable[[bytes, int, int], Any]
"""(data, first byte of the fields, end) -> message. Offsets in errors count from the start of ``data``; where bytes are
missing it is that of the one before them, which belongs to what lacks them: of an empty option its length."""
Pack = Callable[[Any], bytes]


def draft_of(cls: type[Any]) -> type[Any]:
    """A class with the memory layout of the frozen ``cls`` whose fields can be set.

    A decoder fills a draft and then turns it into a ``cls`` by assigning its class: half the cost of a frozen
    dataclass's ``__init__``, which goes through ``object.__setattr__`` for each field.
    """
    slots = {"__slots__": cls.__dict__["__slots__"], "__setattr__": object.__setattr__}
    return type(f"{cls.__name__}Draft", cls.__bases__, slots)


def _first_call(*arguments: Any) -> Any:
    """The code of a function that has not been called yet."""
    return compile_and_call(*arguments)  # type: ignore[name-defined]  # noqa: F821


def _function(name: str, lines: list[str], scope: dict[str, Any]) -> Any:
    """The function ``name`` that the source defines, in which ``scope`` has the names. Its code is put into it by its
    first call, so that whoever holds the function need not get another one."""
    function = FunctionType(_first_call.__code__, scope, name)

    def compile_and_call(*arguments: Any) -> Any:
        defined: dict[str, Any] = {}
        exec("\n".join(lines), scope, defined)
        function.__code__ = defined[name].__code__
        return function(*arguments)

    scope["compile_and_call"] = compile_and_call
    return function


# --- decoding --------------------------------------------------------------------------------------------------------

_READ_OPTIONAL = {
    "8?": "data[at]",
    "16?": "from_bytes(data[at:after])",
    "32?": "from_bytes(data[at:after])",
    "ipv4?": "V4_MAPPED + data[at:after]",
    "address?": "data[at:after]",
}


def _read_part(part: Field, layout: Layout, name: str) -> list[str]:
    """Source that reads a field of variable size at ``at`` and sets ``at`` behind it."""
    ends_inside = f"  if after > end: raise DecodeError('{name} that ends inside {part.name}', at - 1)"
    if part.kind in COUNTED_SIZES:
        read = "addresses" if part.kind == "counted" else "ipv4_addresses"
        return [
            f"  after = at + {COUNTED_SIZES[part.kind]} * ({layout.derived['count', part.name]})",
            ends_inside.replace(", at - 1)", f", start + {layout.counts[part.name][0]})"),
            f"  m.{part.name} = {read}(data, at, after)",
            "  at = after",
        ]
    if part.kind == "short_text":
        return [
            "  after = at + 1 + data[at] if at < end else end + 1",
            ends_inside,
            f"  m.{part.name} = data[at + 1:after]",
            "  at = after",
        ]
    return [
        f"  if {layout.derived['present', part.name]}:",
        f"    after = at + {OPTIONAL_SIZES[part.kind]}",
        f"  {ends_inside}",
        f"    m.{part.name} = {_READ_OPTIONAL[part.kind]}",
        "    at = after",
        f"  else: m.{part.name} = None",
    ]


def _read_tail(tail: Field, layout: Layout, name: str, at: str, has_number: bool) -> list[str]:
    number = f", {layout.derived['which', tail.name]}" if has_number else ""
    lines = [f"  m.{tail.name} = tail(data, {at}, end{number})"]
    if tail.name in layout.counts:
        lines += [
            f"  if len(m.{tail.name}) != {layout.derived['count', tail.name]}:",
            f"    raise DecodeError('{name} with another number of {tail.name} than it says',"
            f" start + {layout.counts[tail.name][0]})",
        ]
    return lines


def compile_unpack(cls: type[Any], layout: Layout, name: str, tails: Mapping[str, Tail], exact: bool) -> Unpack:
    """The decoder of ``cls``. ``exact``: bytes after the fields are an error and not ignored. The layout has all fields
    but those that only keywords set, which get their default."""
    names = {field.name for field in fields(cls)}
    given = {field.name for field in layout.fields}
    absent = {field.name: field.default for field in fields(cls) if field.kw_only and field.name not in given}
    if given != names - absent.keys():
        raise TypeError(f"layout and fields of {cls.__name__} differ: {sorted(given ^ names)}")
    tail = tails[layout.tail.kind] if layout.tail else None
    wrong = "!=" if exact and not layout.parts and tail is None else "<"
    lines = ["def unpack(data, start, end):"]
    lines.append(f"  if end - start {wrong} {layout.size}: raise short(end - start, start)")
    if layout.insert:
        lines.append(f"  {''.join(f'v{number}, ' for number in range(len(layout.insert)))} = unpack_from(data, start)")
    lines.append("  m = new(draft)")
    lines += [f"  m.{field} = {expression}" for field, expression in layout.extract.items()]
    lines += [f"  m.{name} = {default!r}" for name, default in absent.items()]
    at = f"start + {layout.size}"
    if layout.parts:
        lines.append(f"  at = {at}")
        at = "at"
        for part in layout.parts:
            lines += _read_part(part, layout, name)
        if exact and tail is None:
            lines.append(f"  if at != end: raise DecodeError('{name} with bytes after its last field', at)")
    if layout.tail and tail:
        lines += _read_tail(layout.tail, layout, name, at, tail.number is not None)
    lines += ["  m.__class__ = cls", "  return m"]

    def short(length: int, start: int) -> DecodeError:
        return DecodeError(f"{name} of {length} bytes where {layout.size} are needed", max(0, start - 1))

    scope: dict[str, Any] = {
        "cls": cls,
        "draft": draft_of(cls),
        "new": object.__new__,
        "short": short,
        "unpack_from": struct.Struct(layout.format).unpack_from,
        "from_bytes": int.from_bytes,
        "DecodeError": DecodeError,
        "V4_MAPPED": V4_MAPPED,
        "addresses": unpack_addresses,
        "ipv4_addresses": unpack_ipv4_addresses,
        "tail": tail.unpack if tail else None,
    }
    return _function("unpack", lines, scope)  # type: ignore[no-any-return]


class SharedType:
    """The decoder of a type that several messages share: a constant in their layouts tells them apart."""

    def __init__(self, constant: Constant, unknown: Unpack) -> None:
        self.unpackers: dict[int, Unpack] = {}
        self._at = constant.at
        self._size = constant.size
        self._unknown = unknown

    def subtype(self, data: bytes, start: int) -> int:
        """The number that stands where the constants are."""
        at = start + self._at
        return int.from_bytes(data[at : at + self._size])

    def __call__(self, data: bytes, start: int, end: int) -> Any:
        return self.unpackers.get(self.subtype(data, start), self._unknown)(data, start, end)


# --- encoding --------------------------------------------------------------------------------------------------------


def _written(part: Field) -> str:
    """The expression of a field of variable size, as bytes."""
    value = f"m.{part.name}"
    match part.kind:
        case "counted":
            return f"addresses({value})"
        case "counted_ipv4":
            return f"ipv4_addresses({value})"
        case "short_text":
            return f"short_text({value}, {part.name!r})"
        case "ipv4?":
            written = f"ipv4({value}, {part.name!r})"
        case "address?":
            written = f"sized({value}, {ADDRESS_SIZE}, {part.name!r})"
        case _:
            written = f"integer({value}, {OPTIONAL_SIZES[part.kind]}, {part.name!r})"
    return f"(b'' if {value} is None else {written})"


def compile_pack(
    layout: Layout, name: str, tails: Mapping[str, Tail], head: str = "", head_values: tuple[str, ...] = ()
) -> Pack:
    """The encoder, which raises ValueError for what the fields cannot hold. ``head`` is a struct format that is written
    before the fields, ``head_values`` what goes into it (expressions; ``size`` is the bytes of all fields)."""
    tail = tails[layout.tail.kind] if layout.tail else None
    rest = [_written(part) for part in layout.parts]
    if layout.tail:
        rest.append(f"tail(m.{layout.tail.name})")
    lines = ["def pack(m):"]
    if rest:
        lines += [f"  rest = {' + '.join(rest)}", f"  size = {layout.size} + len(rest)"]
    else:
        lines.append(f"  size = {layout.size}")
    lines += [
        f"  try: return pack_fields({', '.join((*head_values, *layout.insert))}){' + rest' if rest else ''}",
        "  except error as reason: raise ValueError(f'{name} cannot hold its fields: {reason}') from None",
    ]
    scope: dict[str, Any] = {
        "fit": fit,
        "sized": sized,
        "signed": signed,
        "integer": integer,
        "ipv4": ipv4,
        "short_text": short_text,
        "words": words,
        "name": name,
        "error": struct.error,
        "pack_fields": struct.Struct("!" + head + layout.format[1:]).pack,
        "addresses": pack_addresses,
        "ipv4_addresses": pack_ipv4_addresses,
        "tail": tail.pack if tail else None,
        "number": tail.number if tail else None,
    }
    return _function("pack", lines, scope)  # type: ignore[no-any-return]
