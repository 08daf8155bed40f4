"""Hypothesis strategies for everything the codec knows, made from the declarations themselves: a message or option that
is declared is tested."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from unwired.wire.address import V4_MAPPED
from unwired.wire.families import FAMILIES, Choice, SubOptions, UnknownForm, UnknownSubOption
from unwired.wire.icmpv6 import ICMP_MESSAGES, IcmpMessage, UnknownIcmp
from unwired.wire.ipv6 import Packet, UnknownPayload
from unwired.wire.mobility import (
    HEADER_SIZE,
    MESSAGES,
    OPTIONS,
    MobilityMessage,
    MobilityOption,
    UnknownMessage,
    UnknownOption,
)
from unwired.wire.nd_options import ND_OPTIONS, NdOption, UnknownNdOption
from unwired.wire.tails import TAILS

addresses = st.binary(min_size=16, max_size=16).filter(lambda address: address[:12] != V4_MAPPED)
any_addresses = addresses | st.binary(min_size=4, max_size=4).map(lambda packed: V4_MAPPED + packed)
ipv4_addresses = st.binary(min_size=4, max_size=4).map(lambda packed: V4_MAPPED + packed)
unknown_option_numbers = st.sampled_from(sorted(set(range(2, 256)) - set(OPTIONS)))
unknown_message_numbers = st.sampled_from(sorted(set(range(256)) - {cls.TYPE for cls in MESSAGES.values()}))
unknown_icmp_numbers = st.sampled_from(sorted(set(range(256)) - {cls.TYPE for cls in ICMP_MESSAGES.values()}))
unknown_nd_numbers = st.sampled_from(sorted(set(range(256)) - set(ND_OPTIONS)))
_whole_nd_option = st.sampled_from((6, 14)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "address": addresses,
    "ipv4": ipv4_addresses,
    "signed24": st.integers(-(1 << 23), (1 << 23) - 1),
    "short_text": st.binary(max_size=20),
    "rest": st.binary(min_size=1, max_size=40),
    "text": st.binary(min_size=1, max_size=40),
    "addresses": st.lists(addresses, max_size=4).map(tuple),
    "ipv4_addresses": st.lists(ipv4_addresses, max_size=4).map(tuple),
    "numbers": st.lists(st.integers(0, 0xFFFF), max_size=4).map(tuple),
    "integer": st.integers(0, (1 << 32) - 1),
    "optional_number": st.none() | st.integers(0, 0xFFFF_FFFF),
    "any_address": any_addresses,
    "optional_ipv6": st.none() | addresses,
    "optional_address": st.none() | any_addresses,
}


def _values(kind: str) -> st.SearchStrategy[Any]:
    """Any value of a field of this kind."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind.isdigit():
        return st.integers(0, (1 << int(kind)) - 1)
    if kind.endswith("?"):
        return st.none() | _values(kind[:-1])
    if kind.endswith("B"):
        size = int(kind[:-1])
        return st.binary(min_size=size, max_size=size)
    if kind == "nd_options":
        return nd_option_lists
    if TAILS[kind].number is not None and not TAILS[kind].members:
        return any_addresses
    return _members(kind)


def _members(kind: str) -> st.SearchStrategy[Any]:
    """Of a family: lists of sub-options or of items of one form, or a form."""
    forms = [declared(cls) for cls in TAILS[kind].members.values()]
    unknown_numbers = st.sampled_from(sorted(set(range(2, 256)) - set(TAILS[kind].members)))
    if isinstance(FAMILIES.get(kind), Choice):
        return st.one_of(*forms, st.builds(UnknownForm, unknown_numbers, st.binary(max_size=12)))
    if isinstance(FAMILIES.get(kind), SubOptions):
        forms.append(st.builds(UnknownSubOption, unknown_numbers, st.binary(max_size=12)))
    return st.lists(st.one_of(*forms), max_size=3).map(tuple)


def declared(cls: type[Any], unit: int = 1, before: int = 0, **more: st.SearchStrategy[Any]) -> Any:
    """Objects of a declared class. With ``unit``, ``before`` bytes and the fields are a multiple of it."""
    kinds = {field.name: field.kind for field in cls.LAYOUT.fields}
    given = {
        name: _values(kinds[name]) for name in sorted(field.name for field in fields(cls) if field.name not in more)
    }
    for name in given:
        if kinds[name] == "rest" and unit > 1:
            least = -(before + cls.LAYOUT.size) % unit
            sizes = st.sampled_from((least, least + unit))
            given[name] = sizes.flatmap(lambda size: st.binary(min_size=size, max_size=size))
    return st.builds(cls, **given, **more).filter(_fits)


def _fits(option: Any) -> bool:
    """Whether the wire can hold an option: a list of sub-options may be too long."""
    try:
        option.pack()
    except ValueError:
        return False
    return True


mobility_options: st.SearchStrategy[MobilityOption] = st.one_of(
    *(declared(cls) for cls in OPTIONS.values()),
    st.builds(UnknownOption, unknown_option_numbers, st.binary(max_size=40)),
)
option_lists = st.lists(mobility_options, max_size=6).map(tuple)
nd_options: st.SearchStrategy[NdOption] = st.one_of(
    *(declared(cls, unit=8, before=2) for cls in ND_OPTIONS.values()),
    st.builds(UnknownNdOption, unknown_nd_numbers, _whole_nd_option),
)
nd_option_lists = st.lists(nd_options, max_size=5).map(tuple)
known_mobility_messages: st.SearchStrategy[MobilityMessage] = st.one_of(
    *(
        declared(cls, unit=8, before=HEADER_SIZE, options=option_lists if cls.LAYOUT.tail is None else st.just(()))
        for cls in MESSAGES.values()
    )
)
_message_data = st.integers(0, 6).flatmap(lambda words: st.binary(min_size=2 + 8 * words, max_size=2 + 8 * words))
unknown_messages = st.builds(UnknownMessage, unknown_message_numbers, _message_data)
mobility_messages = st.one_of(known_mobility_messages, unknown_messages)
known_icmp_messages: st.SearchStrategy[IcmpMessage] = st.one_of(*(declared(cls) for cls in ICMP_MESSAGES.values()))
icmp_messages = st.one_of(
    known_icmp_messages, st.builds(UnknownIcmp, unknown_icmp_numbers, st.integers(0, 255), st.binary(max_size=40))
)
unknown_payloads = st.builds(UnknownPayload, st.sampled_from((4, 6, 17, 41, 44, 50, 51, 59)), st.binary(max_size=60))


def packets(payloads: st.SearchStrategy[Any]) -> st.SearchStrategy[Packet]:
    return st.builds(
        Packet,
        source=addresses,
        destination=addresses,
        payload=payloads,
        home_address=st.none() | addresses,
        routing_home_address=st.none() | addresses,
        hop_limit=st.integers(0, 255),
        traffic_class=st.integers(0, 255),
        flow_label=st.integers(0, 0xFFFFF),
    )


any_packets = packets(st.one_of(mobility_messages, icmp_messages, unknown_payloads))
