"""Neighbour discovery options (RFC 4861 section 4.6) with Mobile IPv6's (RFC 6275 section 7).

Type, length in units of 8 bytes, then the fields. They are declared like mobility options (``mobility.py``); a layout
starts after the length.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

from unwired.wire.address import Address
from unwired.wire.declared import Declared, made_of
from unwired.wire.errors import DecodeError
from unwired.wire.generate import Unpack, compile_pack, compile_unpack
from unwired.wire.layout import parse_layout
from unwired.wire.tails import TAILS


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NdOption(Declared):
    """Base of every neighbour discovery option."""


N = TypeVar("N", bound=NdOption)

PREFIX_LENGTH_MAX = 128
"""What a prefix length says at most (RFC 4861 section 4.6.2)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownNdOption(NdOption):
    """An option whose number is not registered; ``data`` is all after its length, 6 bytes or 8n + 6."""

    type: int
    data: bytes

    def pack(self) -> bytes:
        return bytes((self.type, (len(self.data) + 9) // 8)) + self.data


ND_OPTIONS: dict[int, type[NdOption]] = {}
_unpack: dict[int, Unpack] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def nd_option(number: int, name: str, reference: str, layout: str) -> Callable[[type[N]], type[N]]:
    """Declare a neighbour discovery option; ``layout`` starts after the length."""

    def declare(cls: type[N]) -> type[N]:
        made = made_of(cls, number, name, reference, parse_layout(layout, TAILS))
        made.pack = compile_pack(made.LAYOUT, name, TAILS, "BB", (str(number), "(size + 9) // 8"))
        ND_OPTIONS[number] = made
        _unpack[number] = compile_unpack(made, made.LAYOUT, name, TAILS, exact=True)
        return made

    return declare


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     |    Link-Layer Address ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(1, "Source Link-Layer Address", "RFC 4861, 4.6.1", "address:rest")
class SourceLinkLayerAddress(NdOption):
    """The sender's link-layer address: 6 bytes for Ethernet; others come with their padding."""

    address: bytes


@nd_option(2, "Target Link-Layer Address", "RFC 4861, 4.6.1", "address:rest")
class TargetLinkLayerAddress(NdOption):
    """The target's link-layer address, laid out as the source's."""

    address: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     | Prefix Length |L|A|R|Reserved1|
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Valid Lifetime                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                       Preferred Lifetime                      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Reserved2                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +                            Prefix                             +
#  |                                                               |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(
    3,
    "Prefix Information",
    "RFC 4861, 4.6.2; RFC 6275, 7.2",
    "prefix_length:8 on_link:flag autonomous:flag router_address:flag _:5 valid_lifetime_s:32 preferred_lifetime_s:32"
    " _:32 prefix:address",
)
class PrefixInformation(NdOption):
    """A prefix of the link; with ``router_address`` (R) ``prefix`` is the router's complete global address.

    A lifetime of 0xffffffff is infinity. ``prefix_length`` may be any byte here: an option with one above
    ``PREFIX_LENGTH_MAX`` is to be ignored.
    """

    prefix: Address
    prefix_length: int
    on_link: bool
    autonomous: bool
    router_address: bool
    valid_lifetime_s: int
    preferred_lifetime_s: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     |           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                              MTU                              |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(5, "MTU", "RFC 4861, 4.6.4", "_:16 mtu:32")
class Mtu(NdOption):
    """The MTU all nodes on the link use, in bytes."""

    mtu: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     |           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                     Advertisement Interval                    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(7, "Advertisement Interval", "RFC 6275, 7.3", "_:16 interval_ms:32")
class AdvertisementInterval(NdOption):
    """The longest time between two unsolicited router advertisements, for movement detection."""

    interval_ms: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     |           Reserved            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Home Agent Preference     |      Home Agent Lifetime      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(8, "Home Agent Information", "RFC 6275, 7.4", "_:16 preference:16 lifetime_s:16")
class HomeAgentInformation(NdOption):
    """How a home agent ranks among those of its link (higher is better) and for how long it is one."""

    preference: int
    lifetime_s: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |    Length     |     Scaled Lifetime     | PLC |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  |              Highest 96 bits of the Prefix                    |
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@nd_option(38, "PREF64", "RFC 8781, 4", "lifetime_units:13 prefix_length_code:3 prefix:12B")
class Pref64(NdOption):
    """The prefix that stands for IPv4 at this network's NAT64. The lifetime counts units of 8 s; code 0 is a length of
    96, and 1 to 5 are 64, 56, 48, 40 and 32."""

    lifetime_units: int
    prefix_length_code: int
    prefix: bytes


def decode_nd_options(data: bytes, start: int, end: int) -> tuple[NdOption, ...]:
    """The options in ``data[start:end]``; a length of zero is an error (RFC 4861 section 4.6)."""
    options: list[NdOption] = []
    while start < end:
        if start + 2 > end:
            raise DecodeError("neighbour discovery option without a length", start)
        number = data[start]
        after = start + data[start + 1] * 8
        if after == start or after > end:
            raise DecodeError("neighbour discovery option with a wrong length", start + 1)
        unpack = _unpack.get(number)
        if unpack is not None:
            options.append(unpack(data, start + 2, after))
        else:
            options.append(UnknownNdOption(number, data[start + 2 : after]))
        start = after
    return tuple(options)


def encode_nd_options(options: tuple[NdOption, ...]) -> bytes:
    parts: list[bytes] = []
    for option in options:
        encoded = option.pack()
        parts.append(encoded + bytes(-len(encoded) % 8))
    return b"".join(parts)
