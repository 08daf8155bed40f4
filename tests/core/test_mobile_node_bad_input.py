"""Bytes that were changed on the way never raise, never stop the engine and never register anything by themselves."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mobile_node_driver import (
    DUAL_STACK,
    HOME_ADDRESS,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    HOME_PREFIX,
    INSECURE,
    SETTINGS,
    Driver,
    care_of,
    care_of_ipv4,
    prefix,
)

from unwired.core.binding_update_list import OUTSTANDING_MAX
from unwired.core.link import PREFIXES_MAX, ROUTERS_MAX
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.wire.address import ALL_NODES, parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import (
    EchoReply,
    HomeAgentAddressDiscoveryReply,
    MobilePrefixAdvertisement,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    UnknownIcmp,
)
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram, encode_ipv4
from unwired.wire.ipv6 import Outer, Packet, Payload, UnknownPayload, decode_packet, encode_packet
from unwired.wire.mobility import MobilityOption, UnknownMessage
from unwired.wire.nd_options import AdvertisementInterval, PrefixInformation, SourceLinkLayerAddress
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, NatDetection
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingError, BindingRefreshAdvice, BindingRefreshRequest

ROUTER = parse_address("fe80::5")
OPTIONS: tuple[MobilityOption, ...] = (
    BindingRefreshAdvice(10),
    MobileNodeIdentifier(b"mn@example.org"),
    MessageId(1 << 63),
    MobilityMessageAuthentication(256, bytes(12)),
)
ADVERTISEMENT = RouterAdvertisement(
    router_lifetime_s=1800,
    options=(
        SourceLinkLayerAddress(bytes(6)),
        PrefixInformation(prefix(3), 64, True, True, False, 86_400, 14_400),
        AdvertisementInterval(100),
    ),
)
PAYLOADS = (
    BindingAcknowledgement(0, 259, 105, options=OPTIONS),
    BindingAcknowledgement(135, 9, 0, options=OPTIONS),
    BindingRefreshRequest(),
    HomeAgentSwitch((HOME_AGENT, prefix(9)), options=OPTIONS),
    BindingError(1, HOME_ADDRESS),
    ParameterProblem(1, 6, encode_packet(Packet(care_of(1), HOME_AGENT, BindingRefreshRequest()))),
    PacketTooBig(1300, encode_packet(Packet(care_of(1), HOME_AGENT, BindingRefreshRequest()))),
    HomeAgentAddressDiscoveryReply(0x0102, (HOME_AGENT,)),
    MobilePrefixAdvertisement(0x0102, options=ADVERTISEMENT.options),
)
LINK_PAYLOADS = (ADVERTISEMENT, NeighborAdvertisement(ROUTER, True, True), NeighborSolicitation(HOME_ADDRESS))
GOOD = [
    encode_packet(Packet(HOME_AGENT, care_of(1), payload, routing_home_address=HOME_ADDRESS)) for payload in PAYLOADS
] + [encode_packet(Packet(ROUTER, ALL_NODES, payload, hop_limit=255)) for payload in LINK_PAYLOADS]

changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    packets=st.lists(
        st.tuples(st.sampled_from(GOOD), changes, st.integers(0, 60), st.booleans(), st.sampled_from([0, 2, 9])),
        min_size=1,
        max_size=4,
    ),
    registered=st.booleans(),
    authenticated=st.booleans(),
)
def test_changed_packets(
    packets: list[tuple[bytes, list[tuple[int, int]], int, bool, int]], registered: bool, authenticated: bool
) -> None:
    driver = Driver(SETTINGS if authenticated else replace(INSECURE, home_agent=HOME_AGENT))
    driver.visit(1)
    if registered:
        driver.acknowledge()
    for good, edits, cut, whole, interface in packets:
        data = bytearray(good)
        for at, value in edits:
            data[at % len(data)] = value
        try:
            packet = decode_packet(bytes(data[: len(data) - cut]))
        except DecodeError:
            continue
        if whole:
            packet = replace(packet, checksum_ok=True)  # let it in further than the checksum would
        driver.node.receive(packet, interface, driver.now)
        driver.collect()
        driver.run(0.5)
    if authenticated and not registered:
        assert driver.state is not State.REGISTERED
    driver.run(100)
    assert driver.node.status() and driver.node.explain(HOME_ADDRESS)


MESSAGES_IN_TUNNELS = (
    BindingAcknowledgement(0, 259, 105, options=(NatDetection(110), *OPTIONS)),
    BindingAcknowledgement(
        0, 259, 105, options=(Ipv4AddressAcknowledgement(0, care_of_ipv4(9), 24), NatDetection(0, True), *OPTIONS)
    ),
    BindingAcknowledgement(144, 259, 105, options=(NatDetection(0xFFFF_FFFF), *OPTIONS)),
    BindingRefreshRequest(),
    BindingError(1, HOME_ADDRESS),
    HomeAgentSwitch((HOME_AGENT,), options=OPTIONS),
    EchoReply(4191, 1, bytes(32)),
    UnknownMessage(99, bytes(10)),
)
IN_IPV4 = [
    *(
        Packet(HOME_AGENT, HOME_ADDRESS, payload, outer=Outer(HOME_AGENT_IPV4, care_of_ipv4(1), *ports))
        for ports in ((PORT, PORT), (0, 0))
        for payload in MESSAGES_IN_TUNNELS
    ),
    Packet(HOME_AGENT_IPV4, care_of_ipv4(1), UdpDatagram(PORT, PORT, b"\x0e\x01\x00\x10\x00\x00\x00\x01")),
    Packet(
        HOME_AGENT_IPV4,
        care_of_ipv4(1),
        Icmpv4Message(3, 4, 1400, encode_ipv4(care_of_ipv4(1), HOME_AGENT_IPV4, 17, bytes(8))),
    ),
]


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    packets=st.lists(
        st.tuples(
            st.sampled_from([encode_datagram(packet) for packet in IN_IPV4]),
            st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
            st.integers(0, 8) | st.just(0),
        ),
        max_size=8,
    ),
    registered=st.booleans(),
    authenticated=st.booleans(),
)
def test_changed_packets_in_an_ipv4_network(
    packets: list[tuple[bytes, list[tuple[int, int]], int]], registered: bool, authenticated: bool
) -> None:
    association = SETTINGS.association if authenticated else None
    asks = {"home_address_ipv4": parse_address("0.0.0.0"), "mobile_prefix_length_ipv4": 96 + 24}
    driver = Driver(replace(DUAL_STACK, association=association, insecure=not authenticated, **asks))
    driver.visit_ipv4(1)
    if registered:
        driver.acknowledge(options=(NatDetection(110),), association=association)
    for good, edits, cut in packets:
        data = bytearray(good)
        for at, value in edits:
            data[at % len(data)] = value
        try:
            packet = decode_datagram(bytes(data[: len(data) - cut]))
        except DecodeError:
            continue
        driver.node.receive(replace(packet, checksum_ok=True), 2, driver.now)
        driver.collect()
        driver.run(0.5)
    if authenticated and not registered:
        assert driver.state is not State.REGISTERED
    driver.run(100)
    assert driver.node.status() and driver.node.explain(HOME_ADDRESS)


@pytest.mark.parametrize("length", [129, 255])
def test_prefix_longer_than_an_address_is_ignored(length: int) -> None:
    """RFC 4861 section 4.6.2: the prefix length ranges from 0 to 128."""
    driver = Driver(replace(INSECURE, home_agent=HOME_AGENT))
    driver.visit(1)
    driver.acknowledge(1, association=None)  # "prefix discovery necessary"
    wrong = PrefixInformation(HOME_PREFIX, length, True, True, False, 0, 0)
    right = PrefixInformation(HOME_PREFIX, 64, True, True, False, 500, 500)
    driver.receives(Packet(ROUTER, ALL_NODES, RouterAdvertisement(options=(wrong,)), hop_limit=255))
    driver.from_home_agent(MobilePrefixAdvertisement(0x0102, options=(right, wrong)))
    assert driver.state is State.REGISTERED
    assert driver.node.machine.prefixes.valid_until == driver.time + 500


def test_made_up_routers_and_prefixes_fill_a_table_and_no_more() -> None:
    driver = Driver().registered(1)
    for number in range(100):
        driver.advertisement(prefix(9), router=parse_address(f"fe80::1:{number}"), mac=bytes((2, 0, 0, 0, 9, number)))
    (link,) = driver.node.movement.links.values()
    assert len(link.routers) == ROUTERS_MAX
    assert driver.node.drops == {Drop.TABLE_FULL: 101 - ROUTERS_MAX}
    for number in range(100):
        driver.advertisement(prefix(1), prefix(0x100 + number), mac=b"\x02\0\0\0\1\1")
    assert max(len(router.prefixes) for router in link.routers.values()) == PREFIXES_MAX
    driver.run(1)
    assert driver.state is State.REGISTERED and len(driver.updates()) == 1


def test_a_home_agent_silent_for_days_costs_no_memory() -> None:
    driver = Driver()
    driver.visit(1)
    for _ in range(200):
        driver.run(25)
        driver.advertisement(prefix(1), mac=b"\x02\0\0\0\1\1")
    assert len(driver.updates()) > 100
    assert len(driver.node.machine.entry.outstanding) == OUTSTANDING_MAX
    driver.acknowledge()
    assert driver.state is State.REGISTERED


@pytest.mark.parametrize(
    ("payload", "answered"),
    [(UnknownPayload(6, bytes(20)), True), (UnknownIcmp(128, 0, bytes(4)), True), (UnknownPayload(50, b"abcd"), False)],
)
def test_home_address_option_of_others_is_not_believed(payload: Payload, answered: bool) -> None:
    """RFC 6275 section 9.3.1: a mobile node keeps no bindings of others."""
    driver = Driver().registered()
    driver.receives(Packet(prefix(8), care_of(1), payload, home_address=prefix(7)))
    errors = driver.payloads(BindingError)
    assert [(packet.source, packet.destination, packet.payload) for _, packet in errors] == (
        [(care_of(1), prefix(8), BindingError(1, prefix(7)))] if answered else []
    )
    assert driver.node.drops == {Drop.UNKNOWN_PAYLOAD: 1}


def test_routing_header_to_another_home_address_is_discarded() -> None:
    """RFC 6275 section 11.3.3."""
    driver = Driver().registered()
    driver.clear()
    for message in (UnknownMessage(99, bytes(10)), BindingRefreshRequest()):
        driver.receives(Packet(HOME_AGENT, care_of(1), message, routing_home_address=prefix(8)))
    assert driver.sent == [] and driver.node.drops == {Drop.NOT_OUR_ADDRESS: 2}
