"""Mobile nodes behind NATs that forget: who is asked, how long a mapping lasts, and what strangers get out of it."""

from typing import Any

import pytest
from home_agent_driver import (
    CORRESPONDENT,
    DUAL_STACK,
    HOME,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    KEY,
    NAT,
    OTHER_HOME,
    OTHER_KEY,
    PRIVATE_CARE_OF,
    STATIC_IPV4,
    SUBSCRIBERS,
    Driver,
    acknowledgement,
    status_of,
)

from unwired.core.nat_traversal import ASKED_PER_S, PROBES_MAX, PROBES_OF_ONE_SOURCE_MAX
from unwired.core.notices import Drop
from unwired.core.settings import HomePrefix, Subscriber
from unwired.wire.address import V4_MAPPED, Address, parse_address
from unwired.wire.icmpv6 import EchoRequest
from unwired.wire.ipv4 import UdpDatagram
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.nat_probe import NatProbe
from unwired.wire.rfc5555 import Ipv4HomeAddress
from unwired.wire.rfc6275 import BindingRefreshRequest

REQUEST = BindingRefreshRequest()
CORRESPONDENT_IPV4 = parse_address("198.51.100.77")


def behind_nat(**settings: Any) -> Driver:
    """Bound by (NAT, 40000), with an IPv4 home address and a mobile prefix, 10.64.0.0/24."""
    driver = Driver(
        (Subscriber(SUBSCRIBERS[0].identifier, HOME, (KEY,), STATIC_IPV4), SUBSCRIBERS[1]), **(DUAL_STACK | settings)
    )
    options = Ipv4HomeAddress(), Ipv4HomeAddress(prefix_length=24, request_prefix=True)
    answer = driver.update_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000), extra=options)
    assert status_of(answer) == 0
    driver.sent.clear()
    return driver


def data(
    source: Address = HOME,
    place: tuple[Address, int] = (NAT, 50_000),
    destination: Address | None = None,
    payload: Any = None,
) -> Packet:
    """A packet out of a mobile node, in UDP by a mapping; by default one that nobody knows."""
    if destination is None:
        destination = CORRESPONDENT if source[:12] != V4_MAPPED else CORRESPONDENT_IPV4
    outer = Outer(place[0], HOME_AGENT_IPV4, place[1], 4191)
    return Packet(source, destination, payload or UnknownPayload(17, b"data" * 4), outer=outer)


def asked(driver: Driver, packet: Packet) -> list[Outer | None]:
    """The tunnels by which binding refresh requests go out upon a packet."""
    sent = driver.receive(packet)
    assert all(one.payload == REQUEST and (one.source, one.destination) == (HOME_AGENT, HOME) for one in sent)
    return [one.outer for one in sent]


# --- mappings that we do not know ---


@pytest.mark.parametrize("source", [HOME, STATIC_IPV4, parse_address("10.64.0.9")])
def test_who_comes_by_an_unknown_mapping_is_asked_there(source: Address) -> None:
    driver = behind_nat()
    assert asked(driver, data(source)) == [Outer(HOME_AGENT_IPV4, NAT, 4191, 50_000)]
    assert driver.tunnel_peer() == NAT and driver.places_accepted_from() == {(NAT, 40_000)}, "asked, not believed"
    assert driver.engine.counters["unknown_nat_mappings_asked"] == 1
    driver.pass_time(0.1)
    sent = driver.receive(driver.packet_ipv4(2, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 50_000)))
    assert status_of(acknowledgement(sent)) == 0
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.peer_port == 50_000


def test_keepalive_by_an_unknown_mapping_asks_too() -> None:
    driver = behind_nat()
    assert asked(driver, data(destination=HOME_AGENT, payload=EchoRequest(1, 1))) != []


def test_nat_with_another_address_is_asked_there() -> None:
    driver = behind_nat()
    other = parse_address("192.0.2.123")
    assert asked(driver, data(place=(other, 1024))) == [Outer(HOME_AGENT_IPV4, other, 4191, 1024)]


def test_known_mappings_are_not_asked() -> None:
    driver = behind_nat()
    assert asked(driver, data(place=(NAT, 40_000))) == []
    driver.pass_time(0.1)
    driver.receive(driver.packet_ipv4(2, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 50_000)))
    assert asked(driver, data(place=(NAT, 40_000))) == [], "the previous one, for a while"
    driver.pass_time(5)
    assert asked(driver, data(place=(NAT, 40_000))) != []


@pytest.mark.parametrize(
    "source", [OTHER_HOME, CORRESPONDENT, parse_address("203.0.113.9"), parse_address("10.64.1.1")]
)
def test_who_is_not_bound_is_not_asked(source: Address) -> None:
    driver = behind_nat()
    assert asked(driver, data(source)) == []
    assert driver.engine.drops[Drop.UNKNOWN_HOME_ADDRESS] == 1


def test_without_udp_nobody_is_asked() -> None:
    driver = behind_nat()
    assert asked(driver, data(place=(NAT, 0))) == []


@pytest.mark.parametrize("source", ["224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0"])
def test_impossible_places_are_not_asked(source: str) -> None:
    driver = behind_nat()
    assert asked(driver, data(place=(parse_address(source), 4191))) == []
    assert driver.engine.drops[Drop.FORGED_SOURCE] == 1


def test_a_mobile_node_is_asked_again_after_a_while() -> None:
    driver = behind_nat()
    assert sum(len(asked(driver, data(place=(NAT, port)))) for port in range(1000, 1100)) == 1
    assert driver.engine.drops[Drop.RATE_LIMITED] == 99
    driver.pass_time(0.2)
    assert len(asked(driver, data())) == 1


def test_a_flood_of_forged_packets_gets_few_questions_and_leaves_no_state() -> None:
    many = tuple(
        Subscriber(f"mn{number}".encode(), parse_address(f"2001:db8:100::{0x5000 + number:x}")) for number in range(300)
    )
    driver = Driver(many, insecure=True, **DUAL_STACK)
    for one in many:
        driver.update_ipv4(1, home=one.home_address, key=None, name=None, timestamp=None)
    before = driver.engine.bindings(), driver.table.rows(), len(driver.journal)
    driver.sent.clear()
    for number in range(3000):
        home = many[number % 300].home_address
        driver.receive(data(home, (V4_MAPPED + (0x0A000000 + number).to_bytes(4), number + 1)))
    assert len(driver.sent) <= ASKED_PER_S
    driver.pass_time(10)
    assert len(driver.engine._nat_traversal._asked) <= 2 * ASKED_PER_S
    assert (driver.engine.bindings(), driver.table.rows(), len(driver.journal)) == before


# --- probes ---


def probe(delay_s: int = 20, source: Address = NAT, port: int = 33_333, token: int = 7, **how: Any) -> Packet:
    asked = NatProbe(token, delay_s, **how)
    return Packet(source, HOME_AGENT_IPV4, UdpDatagram(port, 4191, asked.encode()))


def answers(driver: Driver) -> list[Packet]:
    found = [one.packet for one in driver.sent]
    driver.sent.clear()
    return found


def test_a_probe_is_answered_when_its_time_has_come() -> None:
    driver = behind_nat()
    assert driver.receive(probe(20)) == []
    driver.pass_time(19.9)
    assert answers(driver) == []
    driver.pass_time(0.2)
    (answer,) = answers(driver)
    assert (answer.source, answer.destination, answer.outer) == (HOME_AGENT_IPV4, NAT, None)
    assert answer.payload == UdpDatagram(4191, 33_333, NatProbe(7, 20, True).encode())
    driver.pass_time(100)
    assert answers(driver) == []


def test_nobody_waits_longer_than_the_keepalive_that_is_granted() -> None:
    driver = behind_nat(nat_keepalive_s=60)
    driver.receive(probe(61))
    assert driver.engine.drops[Drop.NAT_PROBE_TOO_LONG] == 1
    driver.receive(probe(60))
    driver.pass_time(60.1)
    assert UdpDatagram(4191, 33_333, NatProbe(7, 60, True).encode()) in [one.payload for one in answers(driver)]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (probe(is_answer=True), Drop.NOT_FOR_THIS_ROLE),
        (probe(port=0), Drop.FORGED_SOURCE),
        (probe(source=parse_address("224.0.0.1")), Drop.FORGED_SOURCE),
        (Packet(NAT, HOME_AGENT_IPV4, UdpDatagram(4191, 4191, b"\x0e\0\0")), Drop.MALFORMED),
        (Packet(NAT, HOME_AGENT_IPV4, UdpDatagram(4191, 4191, b"")), Drop.MALFORMED),
        (Packet(NAT, HOME_AGENT_IPV4, UdpDatagram(4191, 53, NatProbe(1, 1).encode())), Drop.NOT_FOR_THIS_ROLE),
        (Packet(NAT, PRIVATE_CARE_OF, UdpDatagram(1, 4191, NatProbe(1, 1).encode())), Drop.NOT_OUR_ADDRESS),
    ],
)
def test_probes_that_are_none(packet: Packet, reason: Drop) -> None:
    driver = behind_nat()
    assert driver.receive(packet) == []
    assert driver.engine.drops[reason] == 1
    driver.pass_time(30)
    assert answers(driver) == []


def test_one_source_has_few_probes_waiting() -> None:
    driver = behind_nat()
    for token in range(20):
        driver.receive(probe(20, token=token))
        driver.pass_time(0.1)
    assert driver.engine.drops[Drop.TABLE_FULL] == 20 - PROBES_OF_ONE_SOURCE_MAX
    driver.pass_time(25)
    assert len(answers(driver)) == PROBES_OF_ONE_SOURCE_MAX
    driver.receive(probe(1))
    driver.pass_time(1.1)
    assert len(answers(driver)) == 1, "there is room again"


def test_a_flood_of_probes_is_bounded() -> None:
    driver = behind_nat()
    before = driver.engine.deadline()
    for number in range(20_000):
        driver.engine.receive(probe(110, V4_MAPPED + (0x0A000000 + number).to_bytes(4)), 0, driver.now)
        if number % 100 == 0:
            driver.pass_time(0.5)
    driver.settle()
    dropped = driver.engine.drops[Drop.TABLE_FULL] + driver.engine.drops[Drop.RATE_LIMITED]
    assert 20_000 - dropped <= PROBES_MAX and before is not None
    driver.pass_time(200)
    assert len(answers(driver)) <= PROBES_MAX + 10
    assert not driver.engine._nat_traversal._waiting


def test_other_mobile_nodes_go_on_during_a_flood() -> None:
    driver = behind_nat(home_prefixes=(HomePrefix(parse_address("2001:db8:100::"), 64),))
    for number in range(500):
        driver.receive(data(place=(V4_MAPPED + (0x0A000000 + number).to_bytes(4), 9)))
    driver.pass_time(0.1)
    sent = driver.receive(
        driver.packet_ipv4(1, home=OTHER_HOME, key=OTHER_KEY, name=SUBSCRIBERS[1].identifier, seen_as=(NAT, 9))
    )
    assert status_of(acknowledgement(sent)) == 0
