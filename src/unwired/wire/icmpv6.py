"""ICMPv6 messages: errors (RFC 4443), neighbour discovery (RFC 4861), home agent address discovery and mobile prefix
discovery (RFC 6275 sections 6.5 to 6.8).

They are declared like mobility messages (``mobility.py``); a layout starts after the type, at the code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar, dataclass_transform

from unwired.wire.address import Address
from unwired.wire.declared import Declared, MessageTypes, made_of
from unwired.wire.errors import DecodeError
from unwired.wire.generate import compile_pack, compile_unpack
from unwired.wire.layout import Tail, parse_layout
from unwired.wire.nd_options import NdOption, decode_nd_options, encode_nd_options
from unwired.wire.tails import TAILS

ICMPV6 = 58


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IcmpMessage(Declared):
    """Base of every ICMPv6 message. ``pack`` makes the message with the checksum field zero."""


I = TypeVar("I", bound=IcmpMessage)  # noqa: E741


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnknownIcmp(IcmpMessage):
    """A message whose type is not registered; ``data`` is everything after the checksum."""

    type: int
    code: int
    data: bytes

    def pack(self) -> bytes:
        return bytes((self.type, self.code, 0, 0)) + self.data


def _unpack_unknown(number: int, data: bytes, start: int, end: int) -> IcmpMessage:
    return UnknownIcmp(number, data[start], data[start + 3 : end])


_types: MessageTypes[IcmpMessage] = MessageTypes(1, _unpack_unknown)
ICMP_MESSAGES = _types.classes
"""The messages by their type, or by it and the number that tells messages of one type apart (RFC 5568)."""
_CODE_MUST_BE_ZERO = range(133, 137)
"""Neighbour discovery: any other code is invalid (RFC 4861 sections 6.1 and 7.1)."""
_TAILS = TAILS | {"nd_options": Tail(decode_nd_options, encode_nd_options)}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def icmp_message(number: int, name: str, reference: str, layout: str) -> Callable[[type[I]], type[I]]:
    """Declare an ICMPv6 message; ``layout`` starts at the code, the checksum is reserved bits."""

    def declare(cls: type[I]) -> type[I]:
        made = made_of(cls, number, name, reference, parse_layout(layout, _TAILS))
        made.pack = compile_pack(made.LAYOUT, name, _TAILS, "B", (str(number),))
        _types.add(made, compile_unpack(made, made.LAYOUT, name, _TAILS, exact=False))
        return made

    return declare


def icmp_class(data: bytes, start: int = 0) -> type[IcmpMessage] | None:
    """The class of the message that starts there; None when no such message is declared."""
    return _types.find(data[start], data, start)


def decode_icmp(data: bytes, start: int, end: int) -> IcmpMessage:
    """The ICMPv6 message in ``data[start:end]``; the checksum is not looked at (it needs the addresses)."""
    if end - start < 4:
        raise DecodeError(f"ICMPv6 message of {end - start} bytes where 4 are needed", start)
    unpack = _types.unpackers[data[start]]
    if unpack is None:
        return _unpack_unknown(data[start], data, start + 1, end)
    if data[start + 1] and data[start] in _CODE_MUST_BE_ZERO:
        raise DecodeError(f"code {data[start + 1]} where 0 must be", start + 1)
    return unpack(data, start + 1, end)  # type: ignore[no-any-return]


def encode_icmp(message: IcmpMessage) -> bytes:
    """The message with the checksum field zero. Raises ValueError for what the wire cannot hold."""
    return message.pack()


# --- errors (RFC 4443 section 3) -------------------------------------------------------------------------------------


class ParameterProblemCode(IntEnum):
    """RFC 4443 section 3.4."""

    ERRONEOUS_HEADER_FIELD = 0
    UNRECOGNIZED_NEXT_HEADER = 1
    UNRECOGNIZED_OPTION = 2


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                Unused / MTU / Unused / Pointer                |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |    As much of invoking packet as fits in the minimum MTU      |
@icmp_message(1, "Destination Unreachable", "RFC 4443, 3.1", "code:8 _:16 _:32 quoted:rest")
class DestinationUnreachable(IcmpMessage):
    """``quoted`` is the beginning of the packet that could not be delivered."""

    code: int
    quoted: bytes


@icmp_message(2, "Packet Too Big", "RFC 4443, 3.2", "_:8 _:16 mtu:32 quoted:rest")
class PacketTooBig(IcmpMessage):
    """``mtu`` is the next link's, in bytes."""

    mtu: int
    quoted: bytes


@icmp_message(3, "Time Exceeded", "RFC 4443, 3.3", "code:8 _:16 _:32 quoted:rest")
class TimeExceeded(IcmpMessage):
    """``code`` 0: the hop limit ran out; 1: reassembly took too long."""

    code: int
    quoted: bytes


@icmp_message(4, "Parameter Problem", "RFC 4443, 3.4", "code:8 _:16 pointer:32 quoted:rest")
class ParameterProblem(IcmpMessage):
    """``pointer`` counts bytes from the start of the quoted packet to what is wrong; ``code`` is a
    ParameterProblemCode."""

    code: int
    pointer: int
    quoted: bytes


# --- informational messages (RFC 4443 section 4) ---------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Identifier          |        Sequence Number        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Data ...
#  +-+-+-+-+-
@icmp_message(128, "Echo Request", "RFC 4443, 4.1", "_:8 _:16 identifier:16 sequence:16 echoed:rest")
class EchoRequest(IcmpMessage):
    """Whoever gets it sends ``echoed`` back."""

    identifier: int
    sequence: int
    echoed: bytes = b""


@icmp_message(129, "Echo Reply", "RFC 4443, 4.2", "_:8 _:16 identifier:16 sequence:16 echoed:rest")
class EchoReply(IcmpMessage):
    """The answer, with everything as in the request."""

    identifier: int
    sequence: int
    echoed: bytes = b""


# --- neighbour discovery (RFC 4861 section 4) ------------------------------------------------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                            Reserved                           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Options ...
@icmp_message(133, "Router Solicitation", "RFC 4861, 4.1", "_:8 _:16 _:32 options:nd_options")
class RouterSolicitation(IcmpMessage):
    """Asks routers to advertise at once."""

    options: tuple[NdOption, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Cur Hop Limit |M|O|H| Reserved|       Router Lifetime         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                         Reachable Time                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                          Retrans Timer                        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Options ...
#  +-+-+-+-+-+-+-+-+-+-+-+-
@icmp_message(
    134,
    "Router Advertisement",
    "RFC 4861, 4.2; RFC 6275, 7.1; RFC 4191, 2.2",
    "_:8 _:16 hop_limit:8 managed:flag other:flag home_agent:flag preference:2 _:3 router_lifetime_s:16"
    " reachable_time_ms:32 retransmission_timer_ms:32 options:nd_options",
)
class RouterAdvertisement(IcmpMessage):
    """``home_agent`` (H) says that the router is a home agent on this link. ``preference`` is RFC 4191's two bits: 0
    medium, 1 high, 3 low. Zero in the other numbers means unspecified, or no default router."""

    hop_limit: int = 0
    managed: bool = False
    other: bool = False
    home_agent: bool = False
    router_lifetime_s: int = 0
    reachable_time_ms: int = 0
    retransmission_timer_ms: int = 0
    options: tuple[NdOption, ...] = ()
    preference: int = 0


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                           Reserved                            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  +                       Target Address                          +
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Options ...
@icmp_message(135, "Neighbor Solicitation", "RFC 4861, 4.3", "_:8 _:16 _:32 target:address options:nd_options")
class NeighborSolicitation(IcmpMessage):
    """Who has ``target``? From the unspecified address it is duplicate address detection."""

    target: Address
    options: tuple[NdOption, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |R|S|O|                     Reserved                            |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  +                       Target Address                          +
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Options ...
@icmp_message(
    136,
    "Neighbor Advertisement",
    "RFC 4861, 4.4",
    "_:8 _:16 router:flag solicited:flag override:flag _:29 target:address options:nd_options",
)
class NeighborAdvertisement(IcmpMessage):
    """``target`` is at the link-layer address in the options."""

    target: Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    options: tuple[NdOption, ...] = ()


# --- home agent address and mobile prefix discovery (RFC 6275 sections 6.5 to 6.8) -----------------------------------


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |            Checksum           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |          Identifier           |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(144, "Home Agent Address Discovery Request", "RFC 6275, 6.5", "_:8 _:16 identifier:16 _:16")
class HomeAgentAddressDiscoveryRequest(IcmpMessage):
    """To the home agents' anycast address: who are the home agents of this prefix?"""

    identifier: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |            Checksum           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Identifier          |             Reserved          |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                                                               |
#  +                                                               +
#  .                                                               .
#  .                      Home Agent Addresses                     .
#  .                                                               .
#  +                                                               +
#  |                                                               |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(
    145, "Home Agent Address Discovery Reply", "RFC 6275, 6.6", "_:8 _:16 identifier:16 _:16 addresses:addresses"
)
class HomeAgentAddressDiscoveryReply(IcmpMessage):
    """The home agents, most preferred first."""

    identifier: int
    addresses: tuple[Address, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |          Identifier           |            Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(146, "Mobile Prefix Solicitation", "RFC 6275, 6.7", "_:8 _:16 identifier:16 _:16 options:nd_options")
class MobilePrefixSolicitation(IcmpMessage):
    """A mobile node asks for its home link's prefixes."""

    identifier: int
    options: tuple[NdOption, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |     Type      |     Code      |          Checksum             |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |          Identifier           |M|O|        Reserved           |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |           Options ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@icmp_message(
    147,
    "Mobile Prefix Advertisement",
    "RFC 6275, 6.8",
    "_:8 _:16 identifier:16 managed:flag other:flag _:14 options:nd_options",
)
class MobilePrefixAdvertisement(IcmpMessage):
    """The home link's prefixes, for a mobile node that is away."""

    identifier: int
    managed: bool = False
    other: bool = False
    options: tuple[NdOption, ...] = ()
