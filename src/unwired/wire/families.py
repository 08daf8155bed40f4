"""Declared classes inside options: sub-options that are lists of type, length and value, and fields of several forms.

A family is one number space. Its members are declared like options, wherever their RFC is::

    FLOW_SUB_OPTIONS = SubOptions("flow_sub_options", "flow identification sub-option", padded=True)

    @kind_of(FLOW_SUB_OPTIONS, 2, "Binding Reference", "RFC 6089, 4.2.1.3", "binding_ids:numbers", align=(2, 0))
    class BindingReference(Member):
        binding_ids: tuple[int, ...]

and a layout names the family as its tail: ``"... sub_options:flow_sub_options"``. A member whose number nobody declared
is kept as it is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, dataclass_transform

from unwired.wire.declared import Declared, made_of
from unwired.wire.errors import DecodeError
from unwired.wire.generate import Unpack, compile_pack, compile_unpack
from unwired.wire.layout import Tail, parse_layout
from unwired.wire.tails import TAILS

_PAD1 = 0
_PADN = 1
PADDING = (b"", b"\0", *(bytes((_PADN, size - 2)) + bytes(size - 2) for size in range(2, 8)))
"""Pad1 or PadN of so many bytes, of mobility options and of the sub-options that have them."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Member(Declared):
    """Base of every declared member of a family."""

    ALIGNMENT: ClassVar[tuple[int, int]] = (1, 0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownSubOption(Member):
    """A sub-option whose number is not declared: kept, skipped."""

    type: int
    data: bytes

    def pack(self) -> bytes:
        return bytes((self.type, len(self.data))) + self.data


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownForm(Member):
    """A form whose number is not declared."""

    type: int
    data: bytes

    def pack(self) -> bytes:
        return self.data


def number_of(member: Member) -> int:
    """The number of a member, declared or not."""
    return member.type if isinstance(member, UnknownSubOption | UnknownForm) else member.TYPE


class Family(ABC):
    """The members by number; ``kind`` is the family's name in layouts."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self.members: dict[int, type[Member]] = {}
        self.unpackers: dict[int, Unpack] = {}
        FAMILIES[kind] = self

    @abstractmethod
    def declare(self, made: type[Any]) -> None:
        """Give a new member its functions."""


FAMILIES: dict[str, Family] = {}


class SubOptions(Family):
    """A list of sub-options: type, length in bytes, value. ``padded``: Pad1 and PadN stand between them, and the list
    starts at a multiple of 8 bytes."""

    def __init__(self, kind: str, name: str, padded: bool = False) -> None:
        super().__init__(kind, name)
        self._padded = padded
        TAILS[kind] = Tail(self._unpack, self._pack, members=self.members)

    def declare(self, made: type[Any]) -> None:
        made.pack = compile_pack(made.LAYOUT, made.NAME, TAILS, "BB", (str(made.TYPE), "size"))
        self.unpackers[made.TYPE] = compile_unpack(made, made.LAYOUT, made.NAME, TAILS, exact=True)

    def _unpack(self, data: bytes, start: int, end: int) -> tuple[Member, ...]:
        members: list[Member] = []
        while start < end:
            number = data[start]
            if number == _PAD1 and self._padded:
                start += 1
                continue
            body = start + 2
            if body > end:
                raise DecodeError(f"{self.name} without a length", start)
            after = body + data[start + 1]
            if after > end:
                raise DecodeError(f"{self.name} that ends after its option", start + 1)
            unpack = self.unpackers.get(number)
            if unpack is not None:
                members.append(unpack(data, body, after))
            elif number != _PADN or not self._padded:
                members.append(UnknownSubOption(number, data[body:after]))
            start = after
        return tuple(members)

    def member_at(self, data: bytes, start: int, end: int, at: int) -> type[Member] | None:
        """The class of the sub-option at ``data[at]``, of those in ``data[start:end]``; None when there is none."""
        while start <= at and start + 1 < end:
            is_pad1 = self._padded and data[start] == _PAD1
            after = start + 1 if is_pad1 else start + 2 + data[start + 1]
            if at < after:
                return self.members.get(data[start])
            start = after
        return None

    def _pack(self, members: tuple[Member, ...]) -> bytes:
        packed = b""
        for member in members:
            multiple, remainder = member.ALIGNMENT
            padding = (remainder - len(packed)) % multiple if self._padded else 0
            packed += PADDING[padding] + member.pack()
        return packed


class Choice(Family):
    """A field of several forms: a number, declared with ``which``, says which. Bytes after a form are ignored."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)
        TAILS[kind] = Tail(self._unpack, _pack_form, number_of, self.members)

    def declare(self, made: type[Any]) -> None:
        made.pack = compile_pack(made.LAYOUT, made.NAME, TAILS)
        self.unpackers[made.TYPE] = compile_unpack(made, made.LAYOUT, made.NAME, TAILS, exact=False)

    def _unpack(self, data: bytes, start: int, end: int, number: int) -> Member:
        unpack = self.unpackers.get(number)
        return UnknownForm(number, data[start:end]) if unpack is None else unpack(data, start, end)


def _pack_form(member: Member) -> bytes:
    return member.pack()


T = TypeVar("T", bound=Member)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def kind_of(
    family: Family, number: int, name: str, reference: str, layout: str, align: tuple[int, int] = (1, 0)
) -> Callable[[type[T]], type[T]]:
    """Declare a member of a family; ``layout`` starts after type and length, or is all of a form."""

    def declare(cls: type[T]) -> type[T]:
        made = made_of(cls, int(number), name, reference, parse_layout(layout, TAILS))
        made.ALIGNMENT = align
        family.declare(made)
        family.members[made.TYPE] = made
        return made

    return declare


def list_of(cls: type[Member]) -> Tail:
    """A tail that is a list of one form, each item as long as its fields say."""
    unpack = compile_unpack(cls, cls.LAYOUT, cls.NAME, TAILS, exact=False)

    def read(data: bytes, start: int, end: int) -> tuple[Member, ...]:
        members: list[Member] = []
        while start < end:
            members.append(unpack(data, start, end))
            start += cls.LAYOUT.length(data, start)
        if start > end:
            raise DecodeError(f"{cls.NAME} that ends after its list", end - 1)
        return tuple(members)

    def write(members: tuple[Member, ...]) -> bytes:
        for member in members:
            if type(member) is not cls:
                raise ValueError(f"{type(member).__name__} in a list of {cls.__name__}")
        return b"".join(member.pack() for member in members)

    return Tail(read, write, members={cls.TYPE: cls})
