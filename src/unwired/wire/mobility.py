"""The mobility header and its options (RFC 6275 section 6.1), and the registries of both by number.

A message or option is one class, declared where its RFC is (``rfc6275.py``, ``rfc4285.py``, ...)::

    @mobility_option(3, "Alternate Care-of Address", "RFC 6275, 6.2.5", "address:address", align=(8, 6))
    class AlternateCareOfAddress(MobilityOption):
        address: Address

The layout is described in ``layout.py``; ``align`` is the RFC's alignment requirement xn+y as (x, y), or where it has
none, that of the natural boundaries of the fields (RFC 6275 section 6.2.1). Nothing else is to be written: decoding,
encoding, padding, ``unwired decode`` and the documentation come from the declaration.

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    | Payload Proto |  Header Len   |   MH Type     |   Reserved    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Checksum            |                               |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               |
    .                       Message Data                            .
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Pad1 and PadN are not kept as options: decoding skips them, encoding pads as each option's alignment demands. Options
with a number that is not registered are kept as ``UnknownOption`` and skipped by whoever reads options by class.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, dataclass_transform

from unwired.wire.declared import Declared, MessageTypes, made_of
from unwired.wire.errors import DecodeError
from unwired.wire.families import PADDING
from unwired.wire.generate import Unpack, compile_pack, compile_unpack
from unwired.wire.layout import Tail, parse_layout
from unwired.wire.tails import TAILS

NO_NEXT_HEADER = 59
MOBILITY_HEADER = 135
HEADER_SIZE = 6
"""Bytes before the message data."""
_PAD1 = 0
_PADN = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MobilityOption(Declared):
    """Base of every mobility option. ``pack`` makes the option with its type and length, without padding."""

    ALIGNMENT: ClassVar[tuple[int, int]] = (1, 0)


O = TypeVar("O", bound=MobilityOption)  # noqa: E741


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownOption(MobilityOption):
    """An option whose number is not registered: kept, skipped (RFC 6275 section 6.2.1)."""

    type: int
    data: bytes

    def pack(self) -> bytes:
        return bytes((self.type, len(self.data))) + self.data


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MobilityMessage(Declared):
    """Base of every mobility message. ``options`` are in the order of the wire; ``pack`` makes the message data without
    them."""

    HAS_OPTIONS: ClassVar[bool] = True

    options: tuple[MobilityOption, ...] = field(default=(), kw_only=True)

    def option(self, kind: type[O]) -> O | None:
        """The first option of a class."""
        for option in self.options:
            if type(option) is kind:
                return option
        return None

    def options_of(self, kind: type[O]) -> tuple[O, ...]:
        return tuple(option for option in self.options if type(option) is kind)


M = TypeVar("M", bound=MobilityMessage)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownMessage(MobilityMessage):
    """A message whose MH Type is not registered, to be answered with a binding error (RFC 6275 section 9.2).

    ``data`` is the message data: everything after the checksum.
    """

    HAS_OPTIONS: ClassVar[bool] = False
    type: int
    data: bytes

    def pack(self) -> bytes:
        return self.data


def _unpack_unknown(number: int, data: bytes, start: int, end: int) -> MobilityMessage:
    return UnknownMessage(number, data[start:end])


_types: MessageTypes[MobilityMessage] = MessageTypes(HEADER_SIZE, _unpack_unknown)
MESSAGES = _types.classes
"""The messages by their MH Type, or by it and the number that tells messages of one type apart (RFC 5846, 7109)."""
_unpack_message = _types.unpackers
OPTIONS: dict[int, type[MobilityOption]] = {}
_unpack_option: list[Unpack | None] = [None] * 256
_IN_WORDS: set[int] = set()
"""Options whose length counts units of four bytes after the first four (RFC 7411)."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def mobility_option(
    number: int, name: str, reference: str, layout: str, align: tuple[int, int] = (1, 0), in_words: bool = False
) -> Callable[[type[O]], type[O]]:
    """Declare a mobility option; ``layout`` starts after the option's length, which ``in_words`` counts units of four
    bytes after the first four bytes of the option."""

    def declare(cls: type[O]) -> type[O]:
        made = made_of(cls, number, name, reference, parse_layout(layout, TAILS))
        made.ALIGNMENT = align
        made.pack = compile_pack(
            made.LAYOUT, name, TAILS, "BB", (str(number), "words(size - 2)" if in_words else "size")
        )
        OPTIONS[number] = made
        if in_words:
            _IN_WORDS.add(number)
        _unpack_option[number] = compile_unpack(made, made.LAYOUT, name, TAILS, exact=True)
        return made

    return declare


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def mobility_message(number: int, name: str, reference: str, layout: str) -> Callable[[type[M]], type[M]]:
    """Declare a mobility message; ``layout`` starts after the checksum, the mobility options follow it."""

    def declare(cls: type[M]) -> type[M]:
        made = made_of(cls, number, name, reference, parse_layout(layout, _MESSAGE_TAILS))
        made.pack = compile_pack(made.LAYOUT, name, TAILS)
        made.HAS_OPTIONS = made.LAYOUT.tail is None
        whole = parse_layout(f"{layout} options:mobility_options", _MESSAGE_TAILS) if made.HAS_OPTIONS else made.LAYOUT
        _types.add(made, compile_unpack(made, whole, name, _MESSAGE_TAILS, exact=False))
        return made

    return declare


def message_class(header: bytes, start: int = 0) -> type[MobilityMessage] | None:
    """The class of the message whose mobility header starts there; None when no such message is declared."""
    return _types.find(header[start + 2], header, start)


def options_start(header: bytes) -> int:
    """Where in an encoded mobility header the options start, if it has any."""
    cls = message_class(header)
    return HEADER_SIZE + (cls.LAYOUT.length(header, HEADER_SIZE) if cls else 2)


def option_end(data: bytes, start: int) -> int:
    """Where by its length the option ends that starts there and is not a Pad1."""
    length = data[start + 1]
    return start + 4 + 4 * length if data[start] in _IN_WORDS else start + 2 + length


def decode_options(data: bytes, start: int, end: int) -> tuple[MobilityOption, ...]:
    """The options in ``data[start:end]``, padding left out."""
    options: list[MobilityOption] = []
    while start < end:
        number = data[start]
        if number == _PAD1:
            start += 1
            continue
        body = start + 2
        if body > end:
            raise DecodeError("mobility option without a length", start)
        after = body + data[start + 1]
        if number in _IN_WORDS:
            after = option_end(data, start)
        if after > end:
            raise DecodeError("mobility option that ends after its message", start + 1)
        unpack = _unpack_option[number]
        if unpack is not None:
            options.append(unpack(data, body, after))
        elif number != _PADN:
            options.append(UnknownOption(number, data[body:after]))
        start = after
    return tuple(options)


_MESSAGE_TAILS = TAILS | {"mobility_options": Tail(decode_options, lambda options: b"")}


def decode_message(data: bytes, start: int, end: int) -> MobilityMessage:
    """The mobility message whose header is ``data[start:end]``, the header's own checks done already."""
    number = data[start + 2]
    unpack = _unpack_message[number]
    if unpack is None:
        return _unpack_unknown(number, data, start + HEADER_SIZE, end)
    return unpack(data, start + HEADER_SIZE, end)  # type: ignore[no-any-return]


def header_end(data: bytes, start: int, end: int) -> int:
    """Where the mobility header at ``start`` ends by its Header Len; what follows it up to ``end`` is not read.

    Fewer than 8 bytes behind it do belong to a message with options: OpenAirInterface's gateway rounds the Header Len
    down when its last option does not end on a multiple of 8 bytes.
    """
    if end - start < 8:
        raise DecodeError(f"mobility header of {end - start} bytes where 8 are needed", start)
    header = start + 8 + data[start + 1] * 8
    if header > end:
        raise DecodeError(f"header length of {header - start} bytes where {end - start} are there", start + 1)
    if 0 < end - header < 8:
        cls = message_class(data, start)
        return end if cls is not None and cls.HAS_OPTIONS else header
    return header


def decode_mobility(data: bytes) -> MobilityMessage:
    """A mobility header and its message, from the header's first byte.

    The checksum is not looked at (it needs the addresses: ``ipv6.decode_packet``). Raises DecodeError also where
    RFC 6275 section 9.2 asks for an ICMPv6 parameter problem; ``decode_packet`` keeps these apart.
    """
    data = bytes(data)
    end = header_end(data, 0, len(data))
    problem = header_problem(data, 0, end)
    if problem:
        raise DecodeError(*problem)
    return decode_message(data, 0, end)


def header_problem(data: bytes, start: int, end: int) -> tuple[str, int] | None:
    """What RFC 6275 section 9.2 answers with an ICMPv6 parameter problem: (reason, offset of the field)."""
    if _unpack_message[data[start + 2]] is None:
        return None
    if data[start] != NO_NEXT_HEADER:
        return f"payload protocol {data[start]} where 59 (none) must be", start
    cls = message_class(data, start)
    if cls is not None and end - start < HEADER_SIZE + cls.LAYOUT.size:
        return f"header length too small for {cls.NAME}", start + 1
    return None


def encode_mobility(message: MobilityMessage, next_header: int = NO_NEXT_HEADER) -> bytes:
    """The mobility header with the checksum field zero. Raises ValueError for what the wire cannot hold."""
    body = message.pack()
    parts = [body]
    size = HEADER_SIZE + len(body)
    for option in message.options:
        multiple, remainder = option.ALIGNMENT
        padding = (remainder - size) % multiple
        if padding:
            parts.append(PADDING[padding])
        encoded = option.pack()
        parts.append(encoded)
        size += padding + len(encoded)
    padding = -size % 8
    if not message.HAS_OPTIONS and (padding or message.options):
        raise ValueError(f"{message.NAME} has no options, and data of 2 bytes or 8n + 2, not {len(body)}")
    if padding:
        parts.append(PADDING[padding])
        size += padding
    if size > 2048:
        raise ValueError(f"a mobility header holds at most 2048 bytes, not {size}")
    number = message.TYPE if message.TYPE >= 0 else message.type  # type: ignore[attr-defined]
    return b"".join((bytes((next_header, size // 8 - 1, number, 0, 0, 0)), *parts))
