"""Hypothesis strategies for everything the codec knows, made from the declarations themselves: a message or option that
is declared is tested."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from unwired.wire.address import V4_MAPPED
from unwired.wire.icmpv6 import ICMP_MESSAGES, IcmpMessage, UnknownIcmp
from unwired.wire.ipv6 import Packet, UnknownPayload
from unwired.wire.layout import Layout
from unwired.wire.mobility import MESSAGES, OPTIONS, MobilityMessage, MobilityOption, UnknownMessage, UnknownOption
from unwired.wire.nd_options import ND_OPTIONS, NdOption, UnknownNdOption

addresses = st.binary(min_size=16, max_size=16)
ipv4_addresses = st.binary(min_size=4, max_size=4).map(lambda packed: V4_MAPPED + packed)
unknown_option_numbers = st.sampled_from(sorted(set(range(2, 256)) - set(OPTIONS)))
unknown_message_numbers = st.sampled_from(sorted(set(range(256)) - set(MESSAGES)))
unknown_icmp_numbers = st.sampled_from(sorted(set(range(256)) - set(ICMP_MESSAGES)))
unknown_nd_numbers = st.sampled_from(sorted(set(range(256)) - set(ND_OPTIONS)))
_whole_nd_option = st.sampled_from((6, 14)).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def _values(kind: str, in_nd_option: bool) -> st.SearchStrategy[Any]:
    """Any value of a field of this kind."""
    if kind == "flag":
        return st.booleans()
    if kind.isdigit():
        return st.integers(0, (1 << int(kind)) - 1)
    if kind == "address":
        return addresses
    if kind == "ipv4":
        return ipv4_addresses
    if kind.endswith("B"):
        size = int(kind[:-1])
        return st.binary(min_size=size, max_size=size)
    if kind in ("rest", "text"):
        return _whole_nd_option if in_nd_option else st.binary(min_size=1, max_size=40)
    if kind == "addresses":
        return st.lists(addresses, max_size=4).map(tuple)
    if kind == "nd_options":
        return nd_option_lists
    raise LookupError(f"no values for a field of kind {kind}")


def _declared(cls: type[Any], layout: Layout, in_nd_option: bool = False, **more: st.SearchStrategy[Any]) -> Any:
    kinds = {field.name: field.kind for field in layout.fields}
    given = {field.name for field in fields(cls)} - set(more)
    return st.builds(cls, **{name: _values(kinds[name], in_nd_option) for name in sorted(given)}, **more)


mobility_options: st.SearchStrategy[MobilityOption] = st.one_of(
    *(_declared(cls, cls.LAYOUT) for cls in OPTIONS.values()),
    st.builds(UnknownOption, unknown_option_numbers, st.binary(max_size=40)),
)
option_lists = st.lists(mobility_options, max_size=6).map(tuple)
nd_options: st.SearchStrategy[NdOption] = st.one_of(
    *(_declared(cls, cls.LAYOUT, in_nd_option=True) for cls in ND_OPTIONS.values()),
    st.builds(UnknownNdOption, unknown_nd_numbers, _whole_nd_option),
)
nd_option_lists = st.lists(nd_options, max_size=5).map(tuple)
known_mobility_messages: st.SearchStrategy[MobilityMessage] = st.one_of(
    *(_declared(cls, cls.LAYOUT, options=option_lists) for cls in MESSAGES.values())
)
_message_data = st.integers(0, 6).flatmap(lambda words: st.binary(min_size=2 + 8 * words, max_size=2 + 8 * words))
unknown_messages = st.builds(UnknownMessage, unknown_message_numbers, _message_data)
mobility_messages = st.one_of(known_mobility_messages, unknown_messages)
known_icmp_messages: st.SearchStrategy[IcmpMessage] = st.one_of(
    *(_declared(cls, cls.LAYOUT) for cls in ICMP_MESSAGES.values())
)
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
