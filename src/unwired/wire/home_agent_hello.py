"""The HA-HELLO that the members of a home agent set send each other, and the datagram around it.

Body: draft-ietf-mip6-hareliability-06 section 6.1.1 (HARP message, type HA-HELLO) with what
draft-wakikawa-mext-global-haha-spec-01 section 5.2.2 adds. The two disagree; what is chosen here:

* The field order of the former, with its type field. It numbers two messages 4; HA-HELLO keeps 4, which is what its
  section 4.3.2.1 demands of a sender, and Switch Complete is not used.
* The Group ID has 16 bits instead of 8, after 8 reserved bits.
* The G flag of the latter follows the flags of the former. V and M (VHARP) are reserved bits: zero.
* The Hello Interval, whose unit neither says, is in milliseconds.

No mobility header number was ever assigned, so the body stands in a UDP datagram and not in a mobility header. Its
options have the form of mobility options (Pad1 and PadN included) and numbers of their own, from 240, where the
registry of mobility options has none: they may stand beside registered ones, which are skipped here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, TypeVar, dataclass_transform

from unwired.wire.address import Address
from unwired.wire.errors import DecodeError
from unwired.wire.generate import Pack, Unpack, compile_pack, compile_unpack
from unwired.wire.layout import Layout, Tail, parse_layout
from unwired.wire.tails import TAILS

VERSION = 1
HA_HELLO = 4
"""The type of a HARP message that is an HA-HELLO."""
AUTHENTICATOR_SIZE = 16
"""HMAC-SHA-256, of which the first 128 bits are sent."""
_PAD1 = 0
_PADN = 1

# --- the datagram ----------------------------------------------------------------------------------------------------

#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Version = 1  |   Reserved    |          Body Length          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Key Epoch                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                           Sequence                            +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  .                        HA-HELLO (body)                        .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                         Authenticator                         |
#  +                                                               +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
_envelope = struct.Struct("!BxHIQ")
_GROUP_ID_AT = _envelope.size + 2
DATAGRAM_SIZE_MIN = _envelope.size + AUTHENTICATOR_SIZE


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands before and after the body; nothing of it is proven before the authenticator was found right."""

    version: int
    epoch: int
    sequence: int


def datagram_size(data: bytes) -> int:
    """The bytes that a datagram has by its own account; the least possible ones when it ends before saying so."""
    if len(data) < DATAGRAM_SIZE_MIN:
        return DATAGRAM_SIZE_MIN
    return DATAGRAM_SIZE_MIN + int.from_bytes(data[2:4])


def decode_envelope(data: bytes) -> Envelope:
    """Of a datagram whose length is ``datagram_size``. Raises DecodeError for what is shorter than any."""
    if len(data) < DATAGRAM_SIZE_MIN:
        raise DecodeError(f"datagram of {len(data)} bytes where {DATAGRAM_SIZE_MIN} are needed", 0)
    version, _, epoch, sequence = _envelope.unpack_from(data)
    return Envelope(version, epoch, sequence)


def group_id(data: bytes) -> int | None:
    """The Group ID in a datagram's body; None when the body has none."""
    if len(data) < _GROUP_ID_AT + 2 + AUTHENTICATOR_SIZE:
        return None
    return int.from_bytes(data[_GROUP_ID_AT : _GROUP_ID_AT + 2])


def body(data: bytes) -> bytes:
    return data[_envelope.size : -AUTHENTICATOR_SIZE]


def covered(source: Address, destination: Address, text: bytes) -> bytes:
    """What the authenticator is computed over: both locators, then ``text``, all of the datagram before it."""
    return b"".join((source, destination, text))


def encode_text(epoch: int, sequence: int, hello: bytes) -> bytes:
    """A datagram with this encoded body, up to the authenticator."""
    return _envelope.pack(VERSION, len(hello), epoch, sequence) + hello


# --- options ---------------------------------------------------------------------------------------------------------


class MemberState(IntEnum):
    """What a member says of itself."""

    JOINING = 1
    """It does not have all bindings yet, or can't serve: it must not be sent any traffic."""
    SERVING = 2
    DRAINING = 3
    """It serves, but hands its mobile nodes over and will leave."""
    LEAVING = 4
    """The last HELLO of this member."""


@dataclass(frozen=True, slots=True)
class HelloOption:
    TYPE: ClassVar[int]
    NAME: ClassVar[str]
    LAYOUT: ClassVar[Layout]
    pack: ClassVar[Pack]


@dataclass(frozen=True, slots=True)
class UnknownHelloOption(HelloOption):
    """An option whose number is not ours: kept, skipped."""

    type: int
    data: bytes

    def pack(self) -> bytes:
        return bytes((self.type, len(self.data))) + self.data


O = TypeVar("O", bound=HelloOption)  # noqa: E741
HELLO_OPTIONS: dict[int, type[HelloOption]] = {}
_unpack_option: dict[int, Unpack] = {}


@dataclass_transform(frozen_default=True)
def _hello_option(number: int, name: str, layout: str) -> Callable[[type[O]], type[O]]:
    """Declare an option; ``layout`` starts after its length."""

    def declare(cls: type[O]) -> type[O]:
        made: type[Any] = dataclass(frozen=True, slots=True)(cls)
        made.TYPE, made.NAME = number, name
        made.LAYOUT = parse_layout(layout, TAILS)
        made.pack = compile_pack(made.LAYOUT, name, TAILS, "BB", (str(number), "size"))
        HELLO_OPTIONS[number] = made
        _unpack_option[number] = compile_unpack(made, made.LAYOUT, name, TAILS, exact=True)
        return made

    return declare


#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  Type = 240   |  Length = 24  |     State     |   Reserved    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Reserved            |          Primaries ...        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |        ... Primaries          |           Waiting ...         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |         ... Waiting           |             Room ...          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |          ... Room             |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
#  |                        Boot Identifier                        |
#  +                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@_hello_option(240, "Member State", "state:8 _:24 primaries:32 waiting:32 room:32 boot:8B")
class MemberStateOption(HelloOption):
    """In every HELLO. ``state`` is a ``MemberState``; ``primaries`` counts the mobile nodes whose primary home agent is
    the sender, ``waiting`` the acknowledgements that it keeps back, ``room`` how many mobile nodes more it takes now.
    ``boot`` is made anew at each start of the member."""

    state: int
    primaries: int
    waiting: int
    room: int
    boot: bytes


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |  Type = 241   |  Length = 8   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                           Time Sent                           +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@_hello_option(241, "Time Sent", "microseconds:64")
class TimeSent(HelloOption):
    """The sender's own clock, which nobody else reads: it comes back in a Time Echo."""

    microseconds: int


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |  Type = 242   |  Length = 12  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                             Echo                              +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                             Held                              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@_hello_option(242, "Time Echo", "microseconds:64 held_us:32")
class TimeEcho(HelloOption):
    """The Time Sent of the receiver's last HELLO, which came ``held_us`` before this one was sent: round trip times
    without clocks that agree."""

    microseconds: int
    held_us: int


#                                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                                  |  Type = 243   |  Length = 4   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Key Epoch                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@_hello_option(243, "Key Held", "epoch:32")
class KeyHeld(HelloOption):
    """The newest key of the receiver that the sender has."""

    epoch: int


def _decode_options(data: bytes, start: int, end: int) -> tuple[HelloOption, ...]:
    options: list[HelloOption] = []
    while start < end:
        number = data[start]
        if number == _PAD1:
            start += 1
            continue
        if start + 2 > end:
            raise DecodeError("option without a length", start)
        after = start + 2 + data[start + 1]
        if after > end:
            raise DecodeError("option that ends after its message", start + 1)
        unpack = _unpack_option.get(number)
        if unpack is not None:
            options.append(unpack(data, start + 2, after))
        elif number != _PADN:
            options.append(UnknownHelloOption(number, data[start + 2 : after]))
        start = after
    return tuple(options)


def _encode_options(options: tuple[HelloOption, ...]) -> bytes:
    return b"".join([option.pack() for option in options])


# --- the body --------------------------------------------------------------------------------------------------------

_TAILS = {"hello_options": Tail(_decode_options, _encode_options)}
_LAYOUT = parse_layout(
    "harp_type:8 _:8 group_id:16 sequence:16 active:flag request:flag _:2 global_set:flag _:3 status:8"
    " preference:16 lifetime_s:16 interval_ms:16 options:hello_options",
    _TAILS,
)


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 4    |   Reserved    |           Group ID            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |          Sequence #           |A|R|0 0|G|Rsvd |    Status     |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Home Agent Preference     |      Home Agent Lifetime      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |        Hello Interval         |                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
#  .                            Options                            .
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@dataclass(frozen=True, slots=True)
class HomeAgentHello:
    """``sequence`` is the lower 16 bits of the datagram's. ``active`` (A): it serves mobile nodes; ``request`` (R):
    answer with a HELLO at once; ``global_set`` (G): always set here. ``status`` and ``preference`` are zero and
    ignored. ``lifetime_s`` zero: the member leaves."""

    group_id: int
    sequence: int
    active: bool
    request: bool
    lifetime_s: int
    interval_ms: int
    options: tuple[HelloOption, ...] = ()
    global_set: bool = True
    preference: int = 0
    status: int = 0
    harp_type: int = HA_HELLO

    def option(self, kind: type[O]) -> O | None:
        """The first option of a class."""
        for option in self.options:
            if type(option) is kind:
                return option
        return None


encode_hello: Callable[[HomeAgentHello], bytes] = compile_pack(_LAYOUT, "Home Agent Hello", _TAILS)
_unpack_hello = compile_unpack(HomeAgentHello, _LAYOUT, "Home Agent Hello", _TAILS, exact=False)


def decode_hello(data: bytes) -> HomeAgentHello:
    """Of a body. Raises DecodeError."""
    hello: HomeAgentHello = _unpack_hello(data, 0, len(data))
    if hello.harp_type != HA_HELLO:
        raise DecodeError(f"HARP message of type {hello.harp_type} where {HA_HELLO} must be", 0)
    return hello
