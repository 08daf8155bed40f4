"""ICMP errors about tunnels of either family with packets of either family in them, and whom they are relayed to."""

from dataclasses import dataclass
from typing import Any

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_IPV4,
    CORRESPONDENT,
    DUAL_STACK,
    HOME,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    KEY,
    NAME,
    NAT,
    PRIVATE_CARE_OF,
    STATIC_IPV4,
    Driver,
    status_of,
)
from hypothesis import given
from hypothesis import strategies as st

from unwired.core.notices import Drop
from unwired.core.settings import Subscriber
from unwired.core.tunnelled import tunnelled
from unwired.wire.address import Address, is_ipv4, parse_address
from unwired.wire.datagram import encode_datagram
from unwired.wire.icmpv6 import DestinationUnreachable, IcmpMessage, PacketTooBig
from unwired.wire.ipv4 import ICMPV4, Icmpv4Message, encode_icmpv4, encode_ipv4
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload, encode_packet
from unwired.wire.rfc5555 import Ipv4HomeAddress

CORRESPONDENT_IPV4 = parse_address("198.51.100.77")
ROUTER = parse_address("192.0.2.1")
ROUTER_IPV6 = parse_address("2001:db8:f::1")


@dataclass(frozen=True)
class Access:
    """A way to be bound, the outer headers of its tunnel and their size."""

    name: str
    outer: Outer
    overhead: int

    def bind(self, driver: Driver) -> None:
        options = (Ipv4HomeAddress(),)
        if self.name == "ipv6":
            answer = driver.update(1, extra=options)
        elif self.name == "ipv4":
            answer = driver.update_ipv4(1, extra=options)
        else:
            answer = driver.update_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000), extra=options)
        assert status_of(answer) == 0


IPV6 = Access("ipv6", Outer(HOME_AGENT, CARE_OF), 40)
IPV4 = Access("ipv4", Outer(HOME_AGENT_IPV4, CARE_OF_IPV4), 20)
UDP = Access("udp", Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000), 28)
EACH = pytest.mark.parametrize("access", [IPV6, IPV4, UDP], ids=lambda access: access.name)
FAMILIES = pytest.mark.parametrize("source", [CORRESPONDENT, CORRESPONDENT_IPV4], ids=["inner6", "inner4"])


def bound(access: Access, **settings: Any) -> Driver:
    driver = Driver((Subscriber(NAME, HOME, (KEY,), STATIC_IPV4),), **(DUAL_STACK | settings))
    access.bind(driver)
    return driver


def inner(source: Address, size: int = 1400, dont_fragment: bool = True) -> bytes:
    if is_ipv4(source):
        return encode_ipv4(source, STATIC_IPV4, 17, bytes(size - 20), dont_fragment=dont_fragment)
    return encode_packet(Packet(source, HOME, UnknownPayload(17, bytes(size - 40))))


def quoted(outer: Outer, packet: bytes) -> bytes:
    """What an error about a packet in this tunnel quotes, as much as it may."""
    protocol = 4 if packet[0] >> 4 == 4 else 41
    if is_ipv4(outer.source):
        whole = _in_ipv4(outer, protocol, packet)
    else:
        whole = encode_packet(Packet(outer.source, outer.destination, UnknownPayload(protocol, packet)))
    return whole[:548] if is_ipv4(outer.source) else whole[:1232]


def _in_ipv4(outer: Outer, protocol: int, packet: bytes) -> bytes:
    if outer.destination_port:
        ports = outer.source_port.to_bytes(2) + outer.destination_port.to_bytes(2)
        return encode_ipv4(
            outer.source, outer.destination, 17, ports + (8 + len(packet)).to_bytes(2) + b"\0\0" + packet
        )
    return encode_ipv4(outer.source, outer.destination, protocol, packet, dont_fragment=True)


def tell(driver: Driver, error: IcmpMessage | Icmpv4Message) -> list[Packet]:
    if isinstance(error, Icmpv4Message):
        return driver.receive(Packet(ROUTER, HOME_AGENT_IPV4, error))
    return driver.receive(Packet(ROUTER_IPV6, HOME_AGENT, error))


def too_big(access: Access, mtu: int, packet: bytes) -> IcmpMessage | Icmpv4Message:
    text = quoted(access.outer, packet)
    return Icmpv4Message(3, 4, mtu, text) if is_ipv4(access.outer.source) else PacketTooBig(mtu, text)


def mtu_of(driver: Driver) -> int:
    return driver.table.rows().tunnels[0].mtu


@EACH
@FAMILIES
def test_too_big_is_told_to_the_source_in_its_family(access: Access, source: Address) -> None:
    driver = bound(access)
    (sent,) = tell(driver, too_big(access, 1350, inner(source)))
    mtu = 1350 - access.overhead
    assert mtu_of(driver) == mtu and sent.destination == source and sent.outer is None
    if is_ipv4(source):
        assert sent.source == HOME_AGENT_IPV4
        assert isinstance(sent.payload, Icmpv4Message)
        assert (sent.payload.type, sent.payload.code, sent.payload.mtu) == (3, 4, mtu)
        assert len(encode_datagram(sent)) <= 576
    else:
        assert sent.source == HOME_AGENT
        assert isinstance(sent.payload, PacketTooBig) and sent.payload.mtu == max(1280, mtu)
        assert len(encode_datagram(sent)) <= 1280
    assert inner(source).startswith(sent.payload.quoted) and len(sent.payload.quoted) >= 28


@EACH
@FAMILIES
def test_unreachable_is_told_to_the_source_in_its_family(access: Access, source: Address) -> None:
    driver = bound(access)
    text = quoted(access.outer, inner(source))
    is_v4 = is_ipv4(access.outer.source)
    (sent,) = tell(driver, Icmpv4Message(3, 1, 0, text) if is_v4 else DestinationUnreachable(0, text))
    if is_ipv4(source):
        assert isinstance(sent.payload, Icmpv4Message) and (sent.payload.type, sent.payload.code) == (3, 1)
    else:
        assert isinstance(sent.payload, DestinationUnreachable)
    assert driver.engine.counters["tunnel_unreachable"] == 1 and mtu_of(driver) == 0


@EACH
def test_what_may_be_fragmented_is_no_source_told_of(access: Access) -> None:
    """It is fragmented in the tunnel from now on (RFC 2473 section 7.2): inside where that is allowed."""
    driver = bound(access)
    assert tell(driver, too_big(access, 1350, inner(CORRESPONDENT_IPV4, dont_fragment=False))) == []
    assert mtu_of(driver) == 1350 - access.overhead


@EACH
def test_ipv6_sources_are_not_told_to_send_less_than_1280(access: Access) -> None:
    driver = bound(access)
    assert tell(driver, too_big(access, 1280, inner(CORRESPONDENT, 1280))) == []
    assert mtu_of(driver) == 1280 - access.overhead


@EACH
def test_ipv4_sources_are_told_what_passes(access: Access) -> None:
    driver = bound(access)
    (sent,) = tell(driver, too_big(access, 1280, inner(CORRESPONDENT_IPV4, 1270)))
    assert isinstance(sent.payload, Icmpv4Message) and sent.payload.mtu == 1280 - access.overhead


@pytest.mark.parametrize(("access", "mtu"), [(IPV6, 1240), (IPV4, 556), (UDP, 548)], ids=["ipv6", "ipv4", "udp"])
def test_absurd_mtus_are_not_believed(access: Access, mtu: int) -> None:
    driver = bound(access)
    for said in (0, 68, 500):
        tell(driver, too_big(access, said, inner(CORRESPONDENT)))
        assert mtu_of(driver) == mtu


def test_without_an_ipv4_address_ipv4_sources_are_not_told() -> None:
    driver = bound(IPV6, address_ipv4=None)
    assert tell(driver, too_big(IPV6, 1350, inner(CORRESPONDENT_IPV4))) == []
    assert mtu_of(driver) == 1310 and driver.engine.counters["tunnel_errors_without_address"] == 1


@pytest.mark.parametrize(
    "outer",
    [
        Outer(HOME_AGENT_IPV4, CARE_OF_IPV4, 4191, 40_000),
        Outer(HOME_AGENT_IPV4, NAT, 4191, 40_001),
        Outer(HOME_AGENT_IPV4, NAT, 4192, 40_000),
        Outer(HOME_AGENT_IPV4, NAT),
        Outer(CARE_OF_IPV4, NAT, 4191, 40_000),
        Outer(HOME_AGENT, CARE_OF),
    ],
)
def test_errors_about_other_tunnels_change_nothing(outer: Outer) -> None:
    driver = bound(UDP)
    assert tell(driver, Icmpv4Message(3, 4, 1300, quoted(outer, inner(CORRESPONDENT)))) == []
    assert mtu_of(driver) == 0 and driver.engine.drops[Drop.UNRELATED_ERROR] == 1


@pytest.mark.parametrize("size", [0, 19, 20, 27, 28, 28 + 19, 28 + 39])
def test_what_quotes_too_little_is_not_heard(size: int) -> None:
    driver = bound(UDP)
    whole = quoted(UDP.outer, inner(CORRESPONDENT))
    assert tell(driver, Icmpv4Message(3, 4, 1300, whole[:size])) == []
    assert mtu_of(driver) == 0 and driver.engine.drops[Drop.UNRELATED_ERROR] == 1
    tell(driver, Icmpv4Message(3, 4, 1300, whole[: 28 + 40]))
    assert mtu_of(driver) == 1272


@pytest.mark.parametrize("kind", [0, 4, 5, 8, 13, 255])
def test_other_icmpv4_messages_are_no_errors(kind: int) -> None:
    driver = bound(UDP)
    assert tell(driver, Icmpv4Message(kind, 0, 0, quoted(UDP.outer, inner(CORRESPONDENT)))) == []
    assert driver.engine.drops[Drop.UNRELATED_ERROR] == 1


def test_errors_about_errors_and_later_fragments_are_not_relayed() -> None:
    driver = bound(UDP)
    about = encode_icmpv4(Icmpv4Message(3, 1, 0, bytes(1400)))
    echo = encode_icmpv4(Icmpv4Message(8, 0, 0, bytes(1400)))
    fragment = bytearray(inner(CORRESPONDENT_IPV4))
    fragment[7] = 7
    for packet, relayed in (
        (encode_ipv4(CORRESPONDENT_IPV4, STATIC_IPV4, ICMPV4, about, dont_fragment=True), 0),
        (encode_ipv4(CORRESPONDENT_IPV4, STATIC_IPV4, ICMPV4, echo, dont_fragment=True), 1),
        (bytes(fragment), 0),
        (encode_ipv4(parse_address("224.0.0.1"), STATIC_IPV4, 17, bytes(1400), dont_fragment=True), 0),
    ):
        assert len(tell(driver, Icmpv4Message(3, 1, 0, quoted(UDP.outer, packet)))) == relayed


def test_relays_are_limited() -> None:
    driver = bound(UDP)
    error = Icmpv4Message(3, 1, 0, quoted(UDP.outer, inner(CORRESPONDENT_IPV4)))
    assert sum(len(tell(driver, error)) for _ in range(300)) == 100
    assert driver.engine.drops[Drop.RATE_LIMITED] == 200


@given(st.binary(max_size=120), st.integers(0, 80))
def test_any_bytes_may_be_quoted(noise: bytes, kept: int) -> None:
    for start in (
        b"",
        quoted(UDP.outer, inner(CORRESPONDENT))[:kept],
        quoted(IPV6.outer, inner(CORRESPONDENT_IPV4))[:kept],
    ):
        tunnelled(start + noise)
