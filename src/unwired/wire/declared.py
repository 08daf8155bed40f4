"""What the declared messages, options and sub-options of all families have in common: their base, how a declaration
makes the class, and the types of messages that a number inside tells apart."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from unwired.wire.generate import Pack, SharedType, Unpack
from unwired.wire.layout import NO_FIELDS, Layout


class Declared:
    """Base of everything that is declared by a layout. ``NAME`` and ``REFERENCE`` are the RFC's.

    To be equal and to be shown is here and not generated for each of 170 classes, which ``unwired`` would wait for each
    time that it starts.
    """

    __slots__ = ()
    TYPE: ClassVar[int] = -1
    NAME: ClassVar[str] = "Unknown"
    REFERENCE: ClassVar[str] = ""
    LAYOUT: ClassVar[Layout] = NO_FIELDS
    pack: ClassVar[Pack]

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"


def made_of(cls: type[Any], number: int, name: str, reference: str, layout: Layout) -> type[Any]:
    """The class that a declaration makes of ``cls``: immutable, with the declared fields, but no ``pack`` yet."""
    made: type[Any] = dataclass(frozen=True, slots=True, eq=False, repr=False)(cls)
    made.TYPE, made.NAME, made.REFERENCE, made.LAYOUT = number, name, reference, layout
    return made


M = TypeVar("M", bound=Declared)


class MessageTypes(Generic[M]):
    """The messages of one number space. Several may share a type: a constant in their layouts tells them apart.

    ``fields_at`` is where the fields start, from the message's first byte; ``unknown`` makes the message of a type, or
    of a number in the constant's place, that nobody declared: (type, data, first byte of the fields, end).
    """

    def __init__(self, fields_at: int, unknown: Callable[[int, bytes, int, int], M]) -> None:
        self.classes: dict[int | tuple[int, int], type[M]] = {}
        """By their type, or by it and the constant."""
        self.unpackers: list[Unpack | None] = [None] * 256
        """By their type."""
        self._fields_at = fields_at
        self._unknown = unknown
        self._shared: dict[int, SharedType] = {}

    def add(self, cls: type[M], unpack: Unpack) -> None:
        constant = cls.LAYOUT.constant
        if constant is None:
            self.classes[cls.TYPE] = cls
            self.unpackers[cls.TYPE] = unpack
        else:
            self.classes[cls.TYPE, constant.value] = cls
            shared = self._shared.setdefault(cls.TYPE, SharedType(constant, partial(self._unknown, cls.TYPE)))
            shared.unpackers[constant.value] = unpack
            self.unpackers[cls.TYPE] = shared

    def find(self, number: int, data: bytes, start: int) -> type[M] | None:
        """The class of the message of type ``number`` that starts there; None when it is not declared."""
        shared = self._shared.get(number)
        if shared is None:
            return self.classes.get(number)
        return self.classes.get((number, shared.subtype(data, start + self._fields_at)))
