"""One line declares a message's bytes: the layout. ``generate.py`` makes the functions from it.

A layout names the fields in wire order, as the RFCs draw them::

    "sequence:16 acknowledge:flag home_registration:flag _:14 lifetime_units:16"

The fixed part:

===================  ===================================================================================
``name:16``          unsigned integer of that many bits, network order
``name:signed24``    three bytes, two's complement
``name:flag``        one bit, a bool
``name:8B``          that many bytes, as they are
``name:address``     16 bytes, an IPv6 address
``name:ipv4``        4 bytes, an IPv4 address: the field holds its v4-mapped form
``_:12``             reserved bits: zero when sent, ignored when received
``_:skip``           a byte that counts units of four bytes behind all fields: zero when sent, skipped when
                     received where items follow each other
``=2:8``             always this number: it tells messages apart that share a type
===================  ===================================================================================

What is derived from another field, and no field of its own:

===================  ===================================================================================
``name:count``       one byte: how many items the list ``name`` has (``count16``: two bytes)
``name:present``     one bit: whether the optional field ``name`` is there
``name:which8``      that many bits: which form the tail ``name`` has
===================  ===================================================================================

Fields of variable size, in order behind the fixed part:

===================  ===================================================================================
``name:counted``     as many addresses as were counted (``counted_ipv4``: IPv4 addresses)
``name:32?``         a field of that kind (8, 16, 32, ipv4, address), or nothing: None
``name:short_text``  a byte that holds the length, and that many bytes, shown to people as UTF-8
===================  ===================================================================================

And last, perhaps, a tail, which takes all remaining bytes: ``name:KIND`` with one of ``TAILS``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ADDRESS_SIZE = 16
IPV4_SIZE = 4
OPTIONAL_SIZES = {"8?": 1, "16?": 2, "32?": 4, "ipv4?": IPV4_SIZE, "address?": ADDRESS_SIZE}
COUNTED_SIZES = {"counted": ADDRESS_SIZE, "counted_ipv4": IPV4_SIZE}
_SHOWN = {"counted": "addresses", "counted_ipv4": "ipv4_addresses"}
_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}
_WIDTHS = {"flag": 1, "present": 1, "count": 8, "count16": 16}
_DERIVED = re.compile(r"(present|count|which)[0-9]*")


@dataclass(frozen=True, slots=True)
class Tail:
    """A variable-length last field: how it is read from ``data[start:end]`` and written.

    A tail of several forms has ``number``, which tells the form of a value; ``unpack`` gets it as a fourth argument.
    ``members`` are the declared classes that may be in it, by number.
    """

    unpack: Callable[..., Any]
    pack: Callable[[Any], bytes]
    number: Callable[[Any], int] | None = None
    members: Mapping[int, type[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a layout; ``kind`` is as declared: ``flag``, ``address``, a number of bits, ..."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that always stands at byte ``at`` of the fields, ``size`` bytes long."""

    at: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a layout declaration says.

    ``size`` counts the bytes of the fixed part, whose ``struct`` format is ``format``; ``extract`` has an expression
    for each field in it and ``derived`` one for what is derived (by role and field), ``insert`` one for each value to
    pack. ``parts`` are the fields of variable size; ``counts`` says where in the fixed part a list's number stands:
    (byte, bytes), and ``skip_at`` in which byte stands how much is to be skipped.
    """

    fields: tuple[Field, ...]
    size: int
    format: str
    extract: dict[str, str]
    derived: dict[tuple[str, str], str]
    insert: tuple[str, ...]
    parts: tuple[Field, ...]
    tail: Field | None
    counts: dict[str, tuple[int, int]]
    constant: Constant | None
    skip_at: int | None

    def length(self, data: bytes, start: int) -> int:
        """Bytes of the fixed part at ``data[start]``, of the counted addresses behind it and of what is skipped."""
        size = self.size
        if self.skip_at is not None:
            size += 4 * data[start + self.skip_at]
        for part in self.parts:
            if part.kind in COUNTED_SIZES:
                at, width = self.counts[part.name]
                size += COUNTED_SIZES[part.kind] * int.from_bytes(data[start + at : start + at + width])
        return size


def _width(kind: str) -> int | None:
    """The bits of a kind that may share an integer with others."""
    number = kind.removeprefix("which")
    return _WIDTHS.get(kind) or (int(number) if number.isdigit() else None)


class _Parser:
    """The fixed part, bit by bit: integers are shared by what stands between two byte boundaries."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.size = 0
        self.extract: dict[str, str] = {}
        self.derived: dict[tuple[str, str], str] = {}
        self.insert: list[str] = []
        self.counts: dict[str, tuple[int, int]] = {}
        self.constant: Constant | None = None
        self.skip_at: int | None = None
        self._group: list[tuple[Field, int]] = []
        self._bits = 0

    def bits(self, item: Field, width: int) -> None:
        self._group.append((item, width))
        self._bits += width
        if self._bits % 8 == 0:
            self._integer(self._group, self._bits)
            self._group, self._bits = [], 0

    def single(self, code: str, size: int, name: str, extract: str, insert: str) -> None:
        """A field that has a value of its own in the struct, which ``extract`` calls VALUE."""
        self.extract[name] = extract.replace("VALUE", f"v{len(self.insert)}")
        self.insert.append(insert)
        self.codes.append(code)
        self.size += size

    def must_be_aligned(self, name: str) -> None:
        if self._group:
            raise TypeError(f"{name} does not start on a byte boundary")

    def _integer(self, members: list[tuple[Field, int]], total: int) -> None:
        if all(item.name == "_" for item, _ in members):
            self.codes.append(f"{total // 8}x")
            self.size += total // 8
            return
        if total not in _CODES:
            raise TypeError(f"{total} bits ({', '.join(item.name for item, _ in members)}) are no struct integer")
        value = f"v{len(self.insert)}"
        insert: list[str] = []
        shift = total
        for item, width in members:
            shift -= width
            if item.name == "_":
                continue
            whole = width == total
            number = value if whole else f"{value} >> {shift} & {(1 << width) - 1}"
            given = _given(item)
            at = self.size + (total - shift - width) // 8
            derived = _DERIVED.fullmatch(item.kind)
            if item.name.startswith("="):
                self.constant = Constant(at, width // 8, int(item.name[1:]))
            elif item.kind == "flag":
                self.extract[item.name] = f"{value} & {1 << shift} != 0"
            elif derived:
                self.derived[derived[1], item.name] = f"{value} & {1 << shift}" if width == 1 else number
                if derived[1] == "count":
                    self.counts[item.name] = at, width // 8
            else:
                self.extract[item.name] = number
            if width == 1:
                insert.append(f"({1 << shift} if {given} else 0)")
            else:
                insert.append(given if whole else f"fit({given}, {width}, {item.name!r}) << {shift}")
        self.insert.append(" | ".join(insert))
        self.codes.append(_CODES[total])
        self.size += total // 8


def _given(item: Field) -> str:
    """The expression of what a bit field is packed from."""
    if item.name.startswith("="):
        return item.name[1:]
    if item.kind == "present":
        return f"m.{item.name} is not None"
    if item.kind.startswith("count"):
        return f"len(m.{item.name})"
    return f"number(m.{item.name})" if item.kind.startswith("which") else f"m.{item.name}"


def _fixed(parser: _Parser, item: Field) -> bool:
    """Take ``item`` into the fixed part; False when its kind cannot be there."""
    name = item.name
    width = _width(item.kind)
    if width is not None:
        parser.bits(item, width)
        return True
    parser.must_be_aligned(name)
    if item.kind == "skip":
        parser.skip_at = parser.size
        parser.bits(item, 8)
        return True
    if item.kind == "ipv4":
        parser.single("4s", IPV4_SIZE, name, "V4_MAPPED + VALUE", f"ipv4(m.{name}, {name!r})")
    elif item.kind == "signed24":
        parser.single("3s", 3, name, "from_bytes(VALUE, signed=True)", f"signed(m.{name}, 3, {name!r})")
    elif item.kind == "address" or (item.kind.endswith("B") and item.kind[:-1].isdigit()):
        size = ADDRESS_SIZE if item.kind == "address" else int(item.kind[:-1])
        parser.single(f"{size}s", size, name, "VALUE", f"sized(m.{name}, {size}, {name!r})")
    else:
        return False
    return True


def parse_layout(text: str, tails: Mapping[str, Tail]) -> Layout:
    """Read a declaration. Raises TypeError, at import, when it is not one."""
    items = [Field(*item.split(":")) for item in text.split()]
    parser = _Parser()
    parts: list[Field] = []
    tail = None
    for number, item in enumerate(items):
        if not parts and _fixed(parser, item):
            continue
        if item.kind in OPTIONAL_SIZES or item.kind in COUNTED_SIZES or item.kind == "short_text":
            parts.append(item)
        elif item.kind in tails and number == len(items) - 1:
            tail = item
        else:
            raise TypeError(f"unknown kind {item.kind!r} of {item.name}, or a tail that is not last")
    parser.must_be_aligned("the end")
    _check(items, parts, tail, tails)
    return Layout(
        tuple(
            Field(item.name, _SHOWN.get(item.kind, item.kind))
            for item in items
            if item.name[0] not in "_=" and not _DERIVED.fullmatch(item.kind)
        ),
        parser.size,
        "!" + "".join(parser.codes),
        parser.extract,
        parser.derived,
        tuple(parser.insert),
        tuple(parts),
        tail,
        parser.counts,
        parser.constant,
        parser.skip_at,
    )


def _check(items: list[Field], parts: list[Field], tail: Field | None, tails: Mapping[str, Tail]) -> None:
    """Every derived field has what it is derived from, and what needs one has it."""
    given = {(found[1], item.name) for item in items if (found := _DERIVED.fullmatch(item.kind))}
    needed = {("count", part.name) for part in parts if part.kind in COUNTED_SIZES}
    needed |= {("present", part.name) for part in parts if part.kind in OPTIONAL_SIZES}
    optional = set()
    if tail is not None:
        optional.add(("count", tail.name))
        if tails[tail.kind].number is not None:
            needed.add(("which", tail.name))
    for role, name in needed - given:
        raise TypeError(f"{name} needs a field of kind {role} before it")
    for role, name in given - needed - optional:
        raise TypeError(f"{role} of {name} without it")


NO_FIELDS = parse_layout("", {})
"""Of what has no declared layout."""
