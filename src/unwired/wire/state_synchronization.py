"""State Synchronization messages between the members of a home agent set, as frames of a stream.

draft-ietf-mip6-hareliability-06 sections 6.1.2 and 6.2 with the G flag of draft-wakikawa-mext-global-haha-spec-01
section 5.4.2. A frame is a length and the message data of the drafts' mobility header::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                  Length of what follows (32)                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     Type      |A|G| Reserved  |          Identifier           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    .                            Options                            .
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

A binding is a Binding Cache Information option of 40 bytes followed by a Global Binding Version option, and by a
Dual-Stack Binding option where there is anything of IPv4 in it; a Primary Home Agent option before them holds for all
bindings up to the next one. Hundreds of such pairs follow each other, so a run of them is read by one ``struct``
iterator; everything else, and pairs with something in between, by a walk over the options. docs/ha-ha.md draws the
options, and says where this differs from the drafts and why.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, TypeVar, dataclass_transform

from unwired.wire.address import IPV4_BITS, UNSPECIFIED, UNSPECIFIED_IPV4, V4_MAPPED, Address, is_ipv4
from unwired.wire.errors import DecodeError
from unwired.wire.generate import Pack, Unpack, compile_pack, compile_unpack
from unwired.wire.layout import parse_layout
from unwired.wire.tails import TAILS

LENGTH_SIZE = 4
"""Bytes of the length before each frame."""
FRAME_SIZE_MAX = 1 << 17
"""A longer frame is refused before it is read. Ours end far below: digests of all buckets take 34 kB."""
_HEAD = struct.Struct("!BBH")
_ACKNOWLEDGE = 0x80
_GLOBAL = 0x40
_PAD1 = 0


class Kind(IntEnum):
    """The Type of a message."""

    REQUEST = 0
    """SS-REQ: asks for bindings."""
    REPLY = 1
    """SS-REP: carries bindings, asked for or not."""
    ACKNOWLEDGEMENT = 2
    """SS-ACK."""
    LINK = 128
    """Ours: about the stream itself. Without options it only says that the sender lives."""


class Status(IntEnum):
    """Of the State Synchronization Status option (global-haha-spec section 5.4.2)."""

    SUCCESS = 0
    REASON_UNSPECIFIED = 128
    MALFORMED_SS_REP = 129
    NOT_IN_SAME_GLOBAL_HOME_AGENT_SET = 130
    NO_MOBILITY_OPTION = 131


# --- options ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SynchronizationOption:
    """Base of every option that is kept as one. The drafts left the numbers open; these are far from IANA's."""

    TYPE: ClassVar[int] = -1
    pack: ClassVar[Pack]


O = TypeVar("O", bound=SynchronizationOption)  # noqa: E741
_OPTIONS: dict[int, Unpack] = {}


@dataclass_transform(frozen_default=True)
def _option(number: int, name: str, layout: str) -> Callable[[type[O]], type[O]]:
    def declare(cls: type[O]) -> type[O]:
        made: type[Any] = dataclass(frozen=True, slots=True)(cls)
        parsed = parse_layout(layout, TAILS)
        made.TYPE = number
        made.pack = compile_pack(parsed, name, TAILS, "BB", (str(number), "size"))
        _OPTIONS[number] = compile_unpack(made, parsed, name, TAILS, exact=True)
        return made

    return declare


_BINDING_CACHE_INFORMATION = 240
_GLOBAL_BINDING_VERSION = 243
_DUAL_STACK_BINDING = 247


@_option(242, "Primary Home Agent", "locator:address")
class PrimaryHomeAgent(SynchronizationOption):
    """Ours: the primary home agent's locator of the bindings that follow (global-haha-spec section 5.4.1 wants it in
    a global binding and has no field for it)."""

    locator: Address


@_option(241, "State Synchronization Status", "status:8 _:24 home_address:address")
class StateSynchronizationStatus(SynchronizationOption):
    """hareliability section 6.2.2. In a reply: this is the end of what was asked for."""

    status: int
    home_address: Address = UNSPECIFIED


@_option(244, "Bucket Digests", "first:16 digests:rest")
class BucketDigests(SynchronizationOption):
    """Ours, in a request: what the sender has in buckets ``first`` and following, 8 bytes each."""

    first: int
    digests: bytes


@_option(245, "HELLO Key", "epoch:64 key:rest")
class HelloKey(SynchronizationOption):
    """Ours: the sender authenticates its HELLO datagrams with this from now on."""

    epoch: int
    key: bytes


@_option(246, "Stream Opening", "protocol_version:8 _:8 group_id:16 locator:address")
class StreamOpening(SynchronizationOption):
    """Ours: the first option of the first frame in each direction."""

    protocol_version: int
    group_id: int
    locator: Address


@dataclass(frozen=True, slots=True)
class RequestedBinding(SynchronizationOption):
    """The Binding Cache Information option of 16 bytes (hareliability section 6.2.1), in a request: this home address,
    or all with the unspecified one."""

    home_address: Address

    def pack(self) -> bytes:
        return _SHORT.pack(_BINDING_CACHE_INFORMATION, 16, self.home_address)


_SHORT = struct.Struct("!BB16s")

# --- bindings --------------------------------------------------------------------------------------------------------


class DualStack(NamedTuple):
    """What RFC 5555 adds to a binding; what is left out is 0 or UNSPECIFIED_IPV4.

    ``care_of_port`` is the UDP port that the mobile node is tunnelled to, 0 without UDP. ``private_care_of_address`` is
    the IPv4 care-of address that it has itself where a NAT makes another one of it (section 4.2).
    ``mobile_prefix_length`` is that of the v4-mapped form, 96 and more; 0: no mobile prefix."""

    care_of_port: int = 0
    private_care_of_address: Address = UNSPECIFIED_IPV4
    home_address: Address = UNSPECIFIED_IPV4
    mobile_prefix: Address = UNSPECIFIED_IPV4
    mobile_prefix_length: int = 0

    def pack(self) -> bytes:
        """The option's body, which also orders two of them. Raises ValueError for what it cannot hold."""
        addresses = self.private_care_of_address, self.home_address, self.mobile_prefix
        if not all(is_ipv4(address) for address in addresses):
            raise ValueError("an address of the dual-stack part of a binding is not IPv4")
        length = self.mobile_prefix_length and self.mobile_prefix_length - IPV4_BITS
        try:
            return _DUAL_STACK.pack(self.care_of_port, *(address[12:] for address in addresses), length)
        except struct.error as reason:
            raise ValueError(f"a binding whose dual-stack part its option cannot hold: {reason}") from None

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> "DualStack":
        """The other way round, of ``DUAL_STACK_SIZE`` bytes."""
        port, private, home_address, prefix, length = _DUAL_STACK.unpack_from(data, at)
        return cls(
            port, V4_MAPPED + private, V4_MAPPED + home_address, V4_MAPPED + prefix, length and length + IPV4_BITS
        )


_DUAL_STACK = struct.Struct("!H4s4s4sB")
DUAL_STACK_SIZE = _DUAL_STACK.size

BindingFields: TypeAlias = tuple[
    Address, Address, Address, int, int, float, int, int, bool, bool, bool, DualStack | None
]
"""Home address, care-of address, primary's locator, version, timestamp, ends_at, sequence number, lifetime (in 4 s),
deleted, link-local (the L flag), switched, and what there is of IPv4."""


class BindingLike(Protocol):
    """The same by name, for encoding."""

    @property
    def home_address(self) -> Address: ...
    @property
    def care_of_address(self) -> Address: ...
    @property
    def primary(self) -> Address: ...
    @property
    def version(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def ends_at(self) -> float: ...
    @property
    def sequence(self) -> int: ...
    @property
    def lifetime_units(self) -> int: ...
    @property
    def deleted(self) -> bool: ...
    @property
    def link_local(self) -> bool: ...
    @property
    def switched(self) -> bool: ...
    @property
    def dual_stack(self) -> DualStack | None: ...


# Heads are two bytes, type and length, read and written as one number.
_PAIR = struct.Struct("!H16s16sHHHH" + "HQQQH")
_INFORMATION = struct.Struct("!16s16sHHHH")
_VERSION = struct.Struct("!QQQH")
_INFORMATION_HEAD = _BINDING_CACHE_INFORMATION << 8 | _INFORMATION.size
_VERSION_HEAD = _GLOBAL_BINDING_VERSION << 8 | _VERSION.size
_DUAL_STACK_HEAD = bytes((_DUAL_STACK_BINDING, DUAL_STACK_SIZE))
_HOME_REGISTRATION = 0x4000
_LINK_LOCAL = 0x2000
"""The H and L bits of a binding update's flags, as Binding Cache Information copies them."""
_DELETED = 0x8000
_SWITCHED = 0x4000
_SECOND = float(1 << 32)
"""Times are 32 bits of seconds since 1970 and 32 bits of fraction: all that a float of today's time holds."""


def encode_bindings(bindings: Iterable[BindingLike]) -> bytes:
    """The options of these bindings; shortest when those of one primary are together. Raises ValueError for what the
    fields cannot hold."""
    parts: list[bytes] = []
    primary = None
    pack = _PAIR.pack
    try:
        for binding in bindings:
            if binding.primary != primary:
                primary = binding.primary
                parts.append(PrimaryHomeAgent(primary).pack())
            parts.append(
                pack(
                    _INFORMATION_HEAD,
                    binding.home_address,
                    binding.care_of_address,
                    _HOME_REGISTRATION | _LINK_LOCAL if binding.link_local else _HOME_REGISTRATION,
                    binding.sequence,
                    binding.lifetime_units,
                    0,
                    _VERSION_HEAD,
                    binding.version,
                    binding.timestamp,
                    int(binding.ends_at * _SECOND),
                    (_DELETED if binding.deleted else 0) | (_SWITCHED if binding.switched else 0),
                )
            )
            if binding.dual_stack is not None:
                parts.append(_DUAL_STACK_HEAD + binding.dual_stack.pack())
    except (struct.error, OverflowError) as reason:
        raise ValueError(f"a binding that its options cannot hold: {reason}") from None
    return b"".join(parts)


def _decode_pairs(data: bytes, at: int, end: int, primary: Address, bindings: list[BindingFields]) -> int:
    """Read pairs that follow each other without anything in between; where they end."""
    add = bindings.append
    for (
        information, home_address, care_of_address, flags, sequence, lifetime, _,
        head, version, timestamp, ends_at, more,
    ) in _PAIR.iter_unpack(memoryview(data)[at : at + (end - at) // _PAIR.size * _PAIR.size]):  # fmt: skip
        if information != _INFORMATION_HEAD or head != _VERSION_HEAD:
            break
        add(
            (
                home_address, care_of_address, primary, version, timestamp, ends_at / _SECOND, sequence, lifetime,
                more & _DELETED != 0, flags & _LINK_LOCAL != 0, more & _SWITCHED != 0, None,
            )
        )  # fmt: skip
        at += _PAIR.size
    return at


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateSynchronization:
    """A message. ``bindings`` are apart from the other options, whose order among each other is kept."""

    kind: Kind
    identifier: int = 0
    acknowledge: bool = False
    is_global: bool = False
    bindings: tuple[BindingFields, ...] = ()
    options: tuple[SynchronizationOption, ...] = ()

    def option(self, kind: type[O]) -> O | None:
        """The first option of a class."""
        for option in self.options:
            if type(option) is kind:
                return option
        return None


def encode_frame(
    kind: Kind,
    identifier: int = 0,
    *options: SynchronizationOption,
    acknowledge: bool = False,
    bindings: Iterable[BindingLike] = (),
) -> bytes:
    """A frame with its length, the G flag set. Raises ValueError for what it cannot hold."""
    body = encode_bindings(bindings) + b"".join(option.pack() for option in options)
    size = _HEAD.size + len(body)
    if size > FRAME_SIZE_MAX:
        raise ValueError(f"a frame of {size} bytes where {FRAME_SIZE_MAX} are the most")
    flags = _ACKNOWLEDGE | _GLOBAL if acknowledge else _GLOBAL
    return size.to_bytes(LENGTH_SIZE) + _HEAD.pack(kind, flags, identifier) + body


def decode_frame(data: bytes) -> StateSynchronization:
    """What follows a frame's length. Raises DecodeError."""
    end = len(data)
    if end < _HEAD.size:
        raise DecodeError(f"state synchronization message of {end} bytes where {_HEAD.size} are needed", 0)
    number, flags, identifier = _HEAD.unpack_from(data)
    try:
        kind = Kind(number)
    except ValueError:
        raise DecodeError(f"state synchronization message of unknown type {number}", 0) from None
    bindings: list[BindingFields] = []
    options: list[SynchronizationOption] = []
    primary: Address | None = None
    information: tuple[Any, ...] | None = None
    at = _HEAD.size
    while at < end:
        if primary is not None and information is None and data[at] == _BINDING_CACHE_INFORMATION:
            at = _decode_pairs(data, at, end, primary, bindings)
            if at == end:
                break
        number = data[at]
        if number == _PAD1:
            at += 1
            continue
        body = at + 2
        if body > end:
            raise DecodeError("option without a length", at)
        after = body + data[at + 1]
        if after > end:
            raise DecodeError("option that ends after its message", at + 1)
        if number == _BINDING_CACHE_INFORMATION and after - body == 16:
            options.append(RequestedBinding(data[body:after]))
        elif number == _BINDING_CACHE_INFORMATION:
            _expect(after - body, _INFORMATION.size, "Binding Cache Information", body)
            if information is not None or primary is None:
                missing = "Primary Home Agent" if primary is None else "Global Binding Version"
                raise DecodeError(f"binding without {missing}", at)
            information = _INFORMATION.unpack_from(data, body)
        elif number == _GLOBAL_BINDING_VERSION:
            _expect(after - body, _VERSION.size, "Global Binding Version", body)
            if information is None or primary is None:
                raise DecodeError("Global Binding Version without a binding", at)
            bindings.append(_join(information, primary, _VERSION.unpack_from(data, body)))
            information = None
        elif number == _DUAL_STACK_BINDING:
            _expect(after - body, DUAL_STACK_SIZE, "Dual-Stack Binding", body)
            if information is not None or not bindings or bindings[-1][-1] is not None:
                raise DecodeError("Dual-Stack Binding without a binding", at)
            bindings[-1] = (*bindings[-1][:-1], DualStack.unpack(data, body))
        elif number in _OPTIONS:
            option = _OPTIONS[number](data, body, after)
            if type(option) is PrimaryHomeAgent:
                primary = option.locator
            else:
                options.append(option)
        at = after
    if information is not None:
        raise DecodeError("binding without Global Binding Version", end)
    return StateSynchronization(
        kind, identifier, flags & _ACKNOWLEDGE != 0, flags & _GLOBAL != 0, tuple(bindings), tuple(options)
    )


def _expect(size: int, needed: int, name: str, at: int) -> None:
    if size != needed:
        raise DecodeError(f"{name} of {size} bytes where {needed} are needed", at)


def _join(information: tuple[Any, ...], primary: Address, version: tuple[Any, ...]) -> BindingFields:
    home_address, care_of_address, flags, sequence, lifetime, _ = information
    number, timestamp, ends_at, more = version
    return (
        home_address, care_of_address, primary, number, timestamp, ends_at / _SECOND, sequence, lifetime,
        more & _DELETED != 0, flags & _LINK_LOCAL != 0, more & _SWITCHED != 0, None,
    )  # fmt: skip


# --- digests ---------------------------------------------------------------------------------------------------------

_DIGESTS_EACH = 31
"""As many as an option's 255 bytes hold."""


def digest_options(digests: list[int]) -> list[BucketDigests]:
    """The digests of all buckets, from bucket 0."""
    packed = struct.pack(f"!{len(digests)}Q", *digests)
    return [
        BucketDigests(first, packed[first * 8 : (first + _DIGESTS_EACH) * 8])
        for first in range(0, len(digests), _DIGESTS_EACH)
    ]


def digests_of(message: StateSynchronization) -> list[int] | None:
    """What ``digest_options`` was given; None when the message has no digests. Raises DecodeError when they do not
    follow each other."""
    packed = bytearray()
    found = False
    for option in message.options:
        if type(option) is BucketDigests:
            found = True
            if option.first * 8 != len(packed) or len(option.digests) % 8:
                raise DecodeError(f"bucket digests that do not continue at bucket {len(packed) // 8}", 0)
            packed += option.digests
    return list(struct.unpack(f"!{len(packed) // 8}Q", packed)) if found else None
