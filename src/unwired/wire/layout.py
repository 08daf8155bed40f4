"""One line declares a message's bytes: the layout, and the functions made from it.

A layout names the fields in wire order, as the RFCs draw them::

    "sequence:16 acknowledge:flag home_registration:flag _:14 lifetime_units:16"

=================  =====================================================================================
``name:16``        unsigned integer of that many bits, network order
``name:flag``      one bit, a bool
``name:8B``        that many bytes, as they are
``name:address``   16 bytes, an IPv6 address
``name:ipv4``      4 bytes, an IPv4 address: the field holds its v4-mapped form
``_:12``           reserved bits: zero when sent, ignored when received
``name:rest``      only last: all remaining bytes (``text``: the same, shown to people as UTF-8)
``name:count``     one byte: how many addresses the list ``name`` has; no field of its own
``name:counted``   that many addresses; only what is a tail may follow
``name:KIND``      only last: a tail declared with ``Tail`` (a list of addresses, a list of options)
=================  =====================================================================================

The functions are generated as source, once per class at import, as ``dataclasses`` does for ``__init__``: one struct
call and straight-line code per message is what lets a home agent decode a binding update in a few microseconds.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from unwired.wire.address import V4_MAPPED, is_ipv4
from unwired.wire.errors import DecodeError

Unpack = Callable[[bytes, int, int], Any]
"""(data, first byte of the fields, end) -> message. Offsets in errors count from the start of ``data``."""
Pack = Callable[[Any], bytes]

ADDRESS_SIZE = 16
IPV4_SIZE = 4
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


@dataclass(frozen=True, slots=True)
class Tail:
    """A variable-length last field: how it is read from ``data[start:end]`` and written."""

    unpack: Callable[[bytes, int, int], Any]
    pack: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout; ``kind`` is as declared: ``flag``, ``address``, a number of bits, ..."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout declaration says. ``size`` counts the bytes of the fixed part; ``tail`` is the kind of the last,
    variable field or None. ``counted`` is the list of addresses whose number stands in the byte ``count_at``."""

    fields: tuple[Field, ...]
    size: int
    format: str
    extract: dict[str, str]
    insert: tuple[str, ...]
    tail: Field | None
    counted: str | None = None
    count_at: int = 0

    def length(self, data: bytes, start: int) -> int:
        """Bytes of the fixed part at ``data[start]`` and of the counted addresses behind it."""
        return self.size if self.counted is None else self.size + ADDRESS_SIZE * data[start + self.count_at]


def _bits(kind: str) -> int | None:
    return 1 if kind == "flag" else int(kind) if kind.isdigit() else None


def _group(members: list[tuple[str, str, int]], total: int, index: int) -> tuple[str, dict[str, str], str | None]:
    """Struct code, extraction expressions and insertion expression of bit fields that share ``total`` bits."""
    if all(name == "_" for name, _, _ in members):
        return f"{total // 8}x", {}, None
    if total not in _CODES:
        raise TypeError(f"{total} bits ({', '.join(name for name, _, _ in members)}) are no struct integer")
    extract: dict[str, str] = {}
    insert: list[str] = []
    shift = total
    for name, kind, bits in members:
        shift -= bits
        if name == "_":
            continue
        if kind == "flag":
            extract[name] = f"v{index} & {1 << shift} != 0"
            insert.append(f"({1 << shift} if m.{name} else 0)")
        elif bits == total:
            extract[name] = f"v{index}"
            insert.append(f"m.{name}")
        else:
            extract[name] = f"v{index} >> {shift} & {(1 << bits) - 1}"
            insert.append(f"fit(m.{name}, {bits}, {name!r}) << {shift}")
    return _CODES[total], extract, " | ".join(insert)


def parse_layout(text: str, tails: dict[str, Tail]) -> Layout:
    """Read a declaration. Raises TypeError, at import, when it is not one."""
    items = [Field(*item.split(":")) for item in text.split()]
    tail = None
    counted = count = None
    count_at = 0
    codes: list[str] = []
    extract: dict[str, str] = {}
    insert: list[str] = []
    group: list[tuple[str, str, int]] = []
    total = 0
    index = 0
    for number, item in enumerate(items):
        bits = _bits(item.kind)
        if bits is not None and counted is None:
            group.append((item.name, item.kind, bits))
            total += bits
            if total % 8 == 0:
                code, taken, given = _group(group, total, index)
                codes.append(code)
                if given is not None:
                    extract |= taken
                    insert.append(given)
                    index += 1
                group, total = [], 0
            continue
        if group:
            raise TypeError(f"{item.name} does not start on a byte boundary")
        if item.kind == "count":
            count, count_at = item.name, struct.calcsize("!" + "".join(codes))
            codes.append("B")
            insert.append(f"len(m.{item.name})")
            index += 1
        elif item.kind == "counted" and item.name == count and number >= len(items) - 2:
            counted = item.name
        elif item.kind == "ipv4" and counted is None:
            codes.append("4s")
            extract[item.name] = f"V4_MAPPED + v{index}"
            insert.append(f"ipv4(m.{item.name}, {item.name!r})")
            index += 1
        elif counted is None and (item.kind == "address" or item.kind.endswith("B")):
            size = 16 if item.kind == "address" else int(item.kind[:-1])
            codes.append(f"{size}s")
            extract[item.name] = f"v{index}"
            insert.append(f"sized(m.{item.name}, {size}, {item.name!r})")
            index += 1
        elif item.kind in tails and number == len(items) - 1:
            tail = item
        else:
            raise TypeError(f"unknown kind {item.kind!r} of {item.name}, or a tail that is not last")
    if group:
        raise TypeError("the fields do not end on a byte boundary")
    if count != counted:
        raise TypeError(f"a count of {count} without the list")
    form = "!" + "".join(codes)
    named = tuple(
        Field(item.name, "addresses") if item.kind == "counted" else item
        for item in items
        if item.name != "_" and item.kind != "count"
    )
    return Layout(named, struct.calcsize(form), form, extract, tuple(insert), tail, counted, count_at)


def _fit(value: int, bits: int, name: str) -> int:
    if value >> bits:
        raise ValueError(f"{name} does not fit in {bits} bits: {value}")
    return value


def _sized(value: bytes, size: int, name: str) -> bytes:
    if len(value) != size:
        raise ValueError(f"{name} must be {size} bytes, not {len(value)}")
    return value


def _ipv4(value: bytes, name: str) -> bytes:
    if len(value) != ADDRESS_SIZE or not is_ipv4(value):
        raise ValueError(f"{name} must be an IPv4 address in its v4-mapped form")
    return value[-IPV4_SIZE:]


def draft_of(cls: type[Any]) -> type[Any]:
    """A class with the memory layout of the frozen ``cls`` whose fields can be set.

    A decoder fills a draft and then turns it into a ``cls`` by assigning its class: half the cost of a frozen
    dataclass's ``__init__``, which goes through ``object.__setattr__`` for each field.
    """
    slots = {"__slots__": cls.__dict__["__slots__"], "__setattr__": object.__setattr__}
    return type(f"{cls.__name__}Draft", cls.__bases__, slots)


def compile_unpack(cls: type[Any], layout: Layout, name: str, tails: dict[str, Tail], exact: bool) -> Unpack:
    """The decoder of ``cls``. ``exact``: bytes after the fixed part are an error and not ignored."""
    names = [field.name for field in fields(cls)]
    given = {field.name for field in layout.fields}
    if given != set(names):
        raise TypeError(f"layout and fields of {cls.__name__} differ: {sorted(given ^ set(names))}")
    count = len(layout.insert)
    wrong = "!=" if exact and layout.tail is None else "<"
    lines = [
        "def unpack(data, start, end):",
        f"  if end - start {wrong} {layout.size}: raise short(end - start, start)",
    ]
    if count:
        lines.append(f"  {''.join(f'v{number}, ' for number in range(count))} = unpack_from(data, start)")
    lines.append("  m = new(draft)")
    lines += [f"  m.{field} = {expression}" for field, expression in layout.extract.items()]
    after = f"start + {layout.size}"
    if layout.counted:
        lines += [
            "  after = start + length(data, start)",
            f"  if after > end: raise DecodeError('{name} that ends inside its addresses', start + {layout.count_at})",
            f"  m.{layout.counted} = addresses(data, {after}, after)",
        ]
        after = "after"
    if layout.tail:
        lines.append(f"  m.{layout.tail.name} = tail(data, {after}, end)")
    lines += ["  m.__class__ = cls", "  return m"]

    def short(length: int, start: int) -> DecodeError:
        return DecodeError(f"{name} of {length} bytes where {layout.size} are needed", start)

    scope: dict[str, Any] = {
        "cls": cls,
        "draft": draft_of(cls),
        "new": object.__new__,
        "short": short,
        "unpack_from": struct.Struct(layout.format).unpack_from,
        "length": layout.length,
        "DecodeError": DecodeError,
        "V4_MAPPED": V4_MAPPED,
        "addresses": _unpack_addresses,
        "tail": tails[layout.tail.kind].unpack if layout.tail else None,
    }
    exec("\n".join(lines), scope)
    return scope["unpack"]  # type: ignore[no-any-return]


def compile_pack(
    layout: Layout, name: str, tails: dict[str, Tail], head: str = "", head_values: tuple[str, ...] = ()
) -> Pack:
    """The encoder, which raises ValueError for what the fields cannot hold. ``head`` is a struct format that is written
    before the fields, ``head_values`` what goes into it (expressions; ``size`` is the length of fields and tail in
    bytes)."""
    values = ", ".join((*head_values, *layout.insert))
    lines = ["def pack(m):"]
    parts = [f"addresses(m.{layout.counted})"] if layout.counted else []
    parts += [f"tail(m.{layout.tail.name})"] if layout.tail else []
    if parts:
        lines += [f"  rest = {' + '.join(parts)}", f"  size = {layout.size} + len(rest)"]
    else:
        lines.append(f"  size = {layout.size}")
    lines += [
        f"  try: return pack_fields({values}){' + rest' if parts else ''}",
        "  except error as reason: raise ValueError(f'{name} cannot hold its fields: {reason}') from None",
    ]
    scope: dict[str, Any] = {
        "fit": _fit,
        "sized": _sized,
        "ipv4": _ipv4,
        "name": name,
        "error": struct.error,
        "pack_fields": struct.Struct("!" + head + layout.format[1:]).pack,
        "addresses": _pack_addresses,
        "tail": tails[layout.tail.kind].pack if layout.tail else None,
    }
    exec("\n".join(lines), scope)
    return scope["pack"]  # type: ignore[no-any-return]


def _unpack_rest(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


def _unpack_addresses(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    if (end - start) % ADDRESS_SIZE:
        raise DecodeError("address list that is no multiple of 16 bytes", end - (end - start) % ADDRESS_SIZE)
    return tuple(data[at : at + ADDRESS_SIZE] for at in range(start, end, ADDRESS_SIZE))


def _pack_addresses(addresses: tuple[bytes, ...]) -> bytes:
    return b"".join(_sized(address, ADDRESS_SIZE, "address") for address in addresses)


TAILS = {
    "rest": Tail(_unpack_rest, bytes),
    "text": Tail(_unpack_rest, bytes),
    "addresses": Tail(_unpack_addresses, _pack_addresses),
}
"""The tails any message may have; a module adds its own kind (its options) to a copy."""
