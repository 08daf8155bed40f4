"""Home agent address discovery, mobile prefix discovery, binding errors and errors from inside the tunnel."""

from typing import Any

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_2,
    CORRESPONDENT,
    HOME,
    HOME_AGENT,
    HOME_LINK,
    LINK_LOCAL,
    OTHER_HOME,
    PREFIX,
    REAL_LINK,
    Driver,
)

from unwired.core import discovery
from unwired.core.notices import Drop
from unwired.wire.address import ALL_NODES, UNSPECIFIED, Address, home_agents_anycast, parse_address
from unwired.wire.icmpv6 import (
    DestinationUnreachable,
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    IcmpMessage,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    PacketTooBig,
    ParameterProblem,
    RouterAdvertisement,
    TimeExceeded,
    UnknownIcmp,
)
from unwired.wire.ipv6 import IPV6_IN_IPV6, Packet, UnknownPayload, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage
from unwired.wire.nd_options import HomeAgentInformation, NdOption, PrefixInformation
from unwired.wire.rfc5847 import Heartbeat
from unwired.wire.rfc6275 import BindingError, BindingErrorStatus, CareOfTestInit
from unwired.wire.rfc7077 import UpdateNotification

ANYCAST = home_agents_anycast(PREFIX.prefix)


def discover(driver: Driver, destination: Address = ANYCAST, source: Address = CARE_OF) -> list[Packet]:
    return driver.receive(Packet(source, destination, HomeAgentAddressDiscoveryRequest(77)))


def discovered(driver: Driver) -> tuple[Address, ...]:
    reply = discover(driver)[0].payload
    assert isinstance(reply, HomeAgentAddressDiscoveryReply)
    return reply.addresses


def other_agent(number: int) -> Address:
    return PREFIX.prefix[:8] + (0xA0000 + number).to_bytes(8)


def advertise(
    driver: Driver,
    number: int,
    preference: int | None = None,
    lifetime_s: int = 1800,
    home_agent: bool = True,
    valid_s: int = 1000,
    source: Address | None = None,
    router_lifetime_s: int = 30,
) -> None:
    options: list[NdOption] = [PrefixInformation(other_agent(number), 64, True, True, True, valid_s, valid_s)]
    if preference is not None:
        options.append(HomeAgentInformation(preference, lifetime_s))
    message = RouterAdvertisement(home_agent=home_agent, router_lifetime_s=router_lifetime_s, options=tuple(options))
    source = source or parse_address("fe80::")[:14] + (0x100 + number).to_bytes(2)
    driver.receive(Packet(source, ALL_NODES, message, hop_limit=255), HOME_LINK)


# --- home agent address discovery ---


def test_reply_names_us() -> None:
    driver = Driver()
    assert {row.address for row in driver.table.rows().listens} == {HOME_AGENT, ANYCAST}
    sent = discover(driver)
    assert sent[0] == Packet(HOME_AGENT, CARE_OF, sent[0].payload, data=sent[0].data)
    assert sent[0].payload == HomeAgentAddressDiscoveryReply(77, (HOME_AGENT,))
    assert len(discover(driver, HOME_AGENT)) == 1
    assert discover(driver, OTHER_HOME) == []


def test_reply_is_ordered_by_preference() -> None:
    driver = Driver(**REAL_LINK, preference=5)
    advertise(driver, 1, preference=9)
    advertise(driver, 2)
    advertise(driver, 3, preference=6)
    assert discovered(driver) == (other_agent(1), other_agent(3), HOME_AGENT, other_agent(2))


def test_equal_preferences_are_in_random_order() -> None:
    driver = Driver(**REAL_LINK)
    for number in (1, 2):
        advertise(driver, number)
    assert {discovered(driver)[0] for _ in range(40)} == {HOME_AGENT, other_agent(1), other_agent(2)}


def test_entries_leave_the_list() -> None:
    driver = Driver(**REAL_LINK)
    advertise(driver, 1, router_lifetime_s=30)
    advertise(driver, 2, preference=0, lifetime_s=100)
    advertise(driver, 3, preference=0, lifetime_s=100, valid_s=50)
    advertise(driver, 4)
    advertise(driver, 4, home_agent=False)
    advertise(driver, 5, preference=1)
    advertise(driver, 5, preference=1, lifetime_s=0)
    advertise(driver, 6, preference=1)
    advertise(driver, 6, preference=1, valid_s=0)
    assert set(discovered(driver)) == {HOME_AGENT, other_agent(1), other_agent(2), other_agent(3)}
    driver.pass_time(31)
    assert set(discovered(driver)) == {HOME_AGENT, other_agent(2), other_agent(3)}
    driver.pass_time(20)
    assert set(discovered(driver)) == {HOME_AGENT, other_agent(2)}
    driver.pass_time(50)
    assert driver.engine.status()["other_home_agents"] == [] or len(driver.engine.status()["other_home_agents"]) == 1
    assert discovered(driver) == (HOME_AGENT,)


def test_list_and_reply_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(**REAL_LINK)
    for number in range(200):
        advertise(driver, number, preference=number % 7)
    addresses = discovered(driver)
    assert len(addresses) == 77
    assert len(encode_packet(discover(driver)[0])) <= 1280
    monkeypatch.setattr(discovery, "HOME_AGENTS_MAX", 200)
    advertise(driver, 201)
    assert driver.engine.drops == {Drop.TABLE_FULL: 1}


def test_advertisements_that_do_not_count() -> None:
    driver = Driver(**REAL_LINK)
    advertise(driver, 1, source=CORRESPONDENT)
    advertise(driver, 2, source=LINK_LOCAL)
    assert discovered(driver) == (HOME_AGENT,)
    assert driver.engine.drops == {Drop.FORGED_SOURCE: 1}


def test_discovery_is_limited_and_answers_no_forged_source() -> None:
    driver = Driver()
    assert discover(driver, source=UNSPECIFIED) == [] and discover(driver, source=ALL_NODES) == []
    assert driver.engine.drops == {Drop.FORGED_SOURCE: 2}
    assert sum(len(discover(driver)) for _ in range(300)) == 100
    driver.pass_time(0.5)
    assert sum(len(discover(driver)) for _ in range(300)) == 50


# --- mobile prefix discovery ---


def solicit_prefixes(driver: Driver, care_of: Address = CARE_OF, home: Address | None = HOME) -> list[Packet]:
    return driver.receive(Packet(care_of, HOME_AGENT, MobilePrefixSolicitation(5), home_address=home))


def test_prefix_discovery_is_off_under_the_authentication_option() -> None:
    driver = Driver()
    driver.update(1)
    assert solicit_prefixes(driver) == []
    assert driver.engine.drops == {Drop.PREFIX_DISCOVERY_OFF: 1}


def test_prefix_discovery_when_insecure() -> None:
    driver = Driver(insecure=True)
    driver.update(1)
    packet = solicit_prefixes(driver)[0]
    assert (packet.source, packet.destination, packet.routing_home_address) == (HOME_AGENT, CARE_OF, HOME)
    message = packet.payload
    assert isinstance(message, MobilePrefixAdvertisement) and message.identifier == 5
    assert message.options == (PrefixInformation(HOME_AGENT, 64, True, True, True, 86_400, 14_400),)
    assert solicit_prefixes(driver) == [] and driver.engine.drops == {Drop.RATE_LIMITED: 1}
    driver.pass_time(1)
    assert len(solicit_prefixes(driver)) == 1
    assert solicit_prefixes(driver, home=None) == []


# --- binding errors (RFC 6275 sections 9.2, 9.3.1, 9.3.3) ---


@pytest.mark.parametrize(
    ("payload", "home", "care_of", "answered"),
    [
        (MobilePrefixSolicitation(5), HOME, CARE_OF_2, True),
        (UnknownPayload(6, bytes(20)), HOME, CARE_OF_2, True),
        (UnknownPayload(6, bytes(20)), OTHER_HOME, CARE_OF, True),
        (UnknownPayload(6, bytes(20)), ALL_NODES, CARE_OF, True),
        (UnknownPayload(6, bytes(20)), HOME, CARE_OF, False),
        (UnknownPayload(50, bytes(20)), OTHER_HOME, CARE_OF, False),
        (UnknownPayload(6, bytes(20)), None, CARE_OF, False),
    ],
)
def test_home_address_option_without_binding(payload: Any, home: Address, care_of: Address, answered: bool) -> None:
    driver = Driver(insecure=True)
    driver.update(1)
    sent = driver.receive(Packet(care_of, HOME_AGENT, payload, home_address=home))
    if answered:
        assert [packet.payload for packet in sent] == [
            BindingError(BindingErrorStatus.UNKNOWN_BINDING_FOR_HOME_ADDRESS_DESTINATION_OPTION, home)
        ]
        assert (sent[0].destination, sent[0].routing_home_address) == (care_of, None)
    else:
        assert sent == [] and driver.engine.drops == {Drop.UNKNOWN_PAYLOAD: 1}


@pytest.mark.parametrize("message", [UnknownMessage(200, bytes(2)), Heartbeat(1), UpdateNotification(1, 1)])
def test_unknown_message_type_is_answered(message: MobilityMessage) -> None:
    driver = Driver()
    for home in (HOME, None):
        sent = driver.receive(Packet(CARE_OF, HOME_AGENT, message, home_address=home))
        assert sent[0].payload == BindingError(BindingErrorStatus.UNRECOGNIZED_MH_TYPE_VALUE, home or UNSPECIFIED)
        assert sent[0].destination == CARE_OF


def test_errors_are_limited_and_only_for_unicast_sources() -> None:
    driver = Driver()
    message = UnknownMessage(200, bytes(2))
    assert driver.receive(Packet(ALL_NODES, HOME_AGENT, message)) == []
    assert driver.engine.drops == {Drop.FORGED_SOURCE: 1}
    assert sum(len(driver.receive(Packet(CARE_OF, HOME_AGENT, message))) for _ in range(500)) == 100
    assert driver.engine.drops[Drop.RATE_LIMITED] == 400


def test_header_problem_is_answered_with_a_parameter_problem() -> None:
    driver = Driver()
    packet = encode_packet(driver.packet(1))
    mobility = 40 + 24
    wrong = bytearray(packet)
    wrong[mobility] = 6  # payload protocol TCP where none must be; the checksum is corrected for it
    checksum = int.from_bytes(packet[mobility + 4 : mobility + 6])
    checksum = (checksum + ((59 - 6) << 8)) % 0xFFFF
    wrong[mobility + 4 : mobility + 6] = checksum.to_bytes(2)
    from unwired.wire.ipv6 import decode_packet

    driver.engine.receive(decode_packet(bytes(wrong)), 1, driver.now)
    driver.settle()
    answer = driver.sent[-1].packet.payload
    assert isinstance(answer, ParameterProblem) and (answer.code, answer.pointer) == (0, mobility)
    assert driver.engine.drops == {Drop.MALFORMED: 1}


def test_other_messages_are_dropped_by_name() -> None:
    driver = Driver()
    for packet in (
        Packet(CARE_OF, HOME_AGENT, CareOfTestInit(bytes(8))),
        Packet(CARE_OF, OTHER_HOME, CareOfTestInit(bytes(8))),
        Packet(CARE_OF, HOME_AGENT, UnknownIcmp(128, 0, bytes(4))),
        Packet(CARE_OF, OTHER_HOME, UnknownIcmp(128, 0, bytes(4))),
        Packet(CARE_OF, HOME_AGENT, NeighborAdvertisement(HOME)),
        Packet(CARE_OF, HOME_AGENT, driver.packet(1).payload, routing_home_address=HOME),
        Packet(CARE_OF, OTHER_HOME, driver.packet(1).payload),
        Packet(CARE_OF, HOME_AGENT, HomeAgentAddressDiscoveryRequest(1), routing_home_address=HOME),
    ):
        assert driver.receive(packet) == []
    assert driver.engine.drops == {
        Drop.NOT_FOR_THIS_ROLE: 1,
        Drop.NOT_OUR_ADDRESS: 5,
        Drop.UNKNOWN_PAYLOAD: 1,
        Drop.BEYOND_THE_LINK: 1,
    }


def test_wrong_checksum_is_dropped() -> None:
    from unwired.wire.ipv6 import decode_packet

    driver = Driver()
    data = bytearray(encode_packet(driver.packet(1)))
    data[70] ^= 0xFF
    driver.engine.receive(decode_packet(bytes(data)), 1, driver.now)
    assert driver.engine.drops == {Drop.BAD_CHECKSUM: 1} and driver.engine.actions() == []


# --- errors from inside the tunnel (RFC 2473 section 8) ---


def tunnelled(size: int = 1400, source: Address = CORRESPONDENT, payload: Any = None, **outer: Any) -> bytes:
    inner = encode_packet(Packet(source, HOME, payload or UnknownPayload(17, bytes(size - 40))))
    return encode_packet(
        Packet(
            outer.get("local", HOME_AGENT), outer.get("peer", CARE_OF), UnknownPayload(outer.get("protocol", 41), inner)
        )
    )


def tell(driver: Driver, message: IcmpMessage) -> list[Packet]:
    return driver.receive(Packet(parse_address("2001:db8:f::1"), HOME_AGENT, message))


def mtu_of(driver: Driver) -> int:
    return driver.table.rows().tunnels[0].mtu


def test_packet_too_big_lowers_the_tunnel_and_tells_the_source() -> None:
    driver = Driver()
    driver.update(1, 0xFFFF)
    sent = tell(driver, PacketTooBig(1400, tunnelled(1400)[:1232]))
    assert mtu_of(driver) == 1360
    assert (sent[0].source, sent[0].destination) == (HOME_AGENT, CORRESPONDENT)
    answer = sent[0].payload
    assert isinstance(answer, PacketTooBig) and answer.mtu == 1360
    assert tunnelled(1400)[40:].startswith(answer.quoted) and len(answer.quoted) > 1000
    assert len(encode_packet(sent[0])) <= 1280
    assert "at most 1360 bytes" in " ".join(driver.engine.explain(HOME))
    tell(driver, PacketTooBig(1450, tunnelled(1400)[:1232]))
    assert mtu_of(driver) == 1360, "a larger one does not raise it"
    driver.pass_time(1)
    driver.update(2, 60)
    assert mtu_of(driver) == 1360
    driver.pass_time(1)
    driver.update(3, care_of=CARE_OF_2)
    assert mtu_of(driver) == 0, "another path"


def test_path_is_tried_again_after_ten_minutes() -> None:
    driver = Driver(lifetime_max_s=4000)
    driver.update(1, 1000)
    tell(driver, PacketTooBig(1400, tunnelled()))
    driver.pass_time(599)
    assert mtu_of(driver) == 1360
    driver.pass_time(10)
    assert mtu_of(driver) == 0


def test_path_below_the_minimum_is_the_minimum() -> None:
    driver = Driver()
    driver.update(1)
    sent = tell(driver, PacketTooBig(500, tunnelled()))
    assert mtu_of(driver) == 1240, "no IPv6 path carries less than 1280 bytes, whatever an error says"
    answer = sent[0].payload
    assert isinstance(answer, PacketTooBig) and answer.mtu == 1280
    assert tell(driver, PacketTooBig(500, tunnelled(1280))) == [], "the source can't send less"


@pytest.mark.parametrize(
    "error",
    [
        DestinationUnreachable(0, tunnelled()[:200]),
        DestinationUnreachable(4, tunnelled()),
        TimeExceeded(0, tunnelled()[:80]),
        ParameterProblem(1, 6, tunnelled()),
    ],
)
def test_other_errors_make_the_original_destination_unreachable(error: IcmpMessage) -> None:
    driver = Driver()
    driver.update(1)
    sent = tell(driver, error)
    assert (sent[0].source, sent[0].destination) == (HOME_AGENT, CORRESPONDENT)
    answer = sent[0].payload
    assert isinstance(answer, DestinationUnreachable) and answer.code == 3
    assert tunnelled()[40:].startswith(answer.quoted)
    assert driver.tunnel_peer() == CARE_OF, "an error removes no binding"


@pytest.mark.parametrize(
    "quoted",
    [
        b"",
        tunnelled()[:60],
        tunnelled(local=CORRESPONDENT),
        tunnelled(peer=CARE_OF_2),
        tunnelled(protocol=17),
        tunnelled(protocol=43),
        b"\x45" + tunnelled()[1:],
        tunnelled()[:40] + b"\x45" + tunnelled()[41:],
        tunnelled(source=ALL_NODES),
        tunnelled(source=UNSPECIFIED),
        tunnelled(payload=DestinationUnreachable(0, bytes(8))),
        tunnelled(payload=UnknownIcmp(137, 0, bytes(8))),
    ],
)
def test_errors_that_concern_nobody(quoted: bytes) -> None:
    driver = Driver()
    driver.update(1)
    assert tell(driver, DestinationUnreachable(0, quoted)) == []
    assert driver.engine.drops == {Drop.UNRELATED_ERROR: 1}
    assert IPV6_IN_IPV6 == 41


def test_relayed_errors_are_limited() -> None:
    driver = Driver()
    driver.update(1)
    assert sum(len(tell(driver, DestinationUnreachable(0, tunnelled()))) for _ in range(300)) == 100
    assert driver.engine.drops == {Drop.RATE_LIMITED: 200}
