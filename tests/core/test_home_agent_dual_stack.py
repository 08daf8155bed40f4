"""Registration from IPv4 networks (RFC 5555): with and without NAT, in UDP and without, forced or not, and home
addresses of both families."""

import hmac
from dataclasses import replace
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
    KEYLESS,
    NAT,
    OTHER_HOME,
    OTHER_KEY,
    PRIVATE_CARE_OF,
    REAL_LINK,
    STATIC_IPV4,
    SUBSCRIBERS,
    Driver,
    acknowledgement,
    status_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from unwired.core.door import ActionFailed
from unwired.core.forwarding import Encapsulation, Forward, Listen, SetMobilePrefix, Unlisten
from unwired.core.notices import Drop
from unwired.core.settings import SecurityAssociation, Subscriber
from unwired.wire.address import UNSPECIFIED_IPV4, parse_address
from unwired.wire.datagram import decode_datagram, encode_datagram
from unwired.wire.errors import DecodeError
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.mobility import UnknownMessage
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, mobility_data, ntp_timestamp
from unwired.wire.rfc5555 import (
    NO_KEEPALIVES,
    Ipv4AddressAcknowledgement,
    Ipv4CareOfAddress,
    Ipv4HomeAddress,
    NatDetection,
)
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingStatus,
    BindingUpdate,
)

STATIC = (Subscriber(SUBSCRIBERS[0].identifier, HOME, (KEY,), STATIC_IPV4), SUBSCRIBERS[1])
ASK = Ipv4HomeAddress()


def dual_stack(subscribers: tuple[Subscriber, ...] = SUBSCRIBERS, **settings: Any) -> Driver:
    return Driver(subscribers, **(DUAL_STACK | settings))


def nat_detection(answer: BindingAcknowledgement | None) -> NatDetection | None:
    return None if answer is None else answer.option(NatDetection)


# --- where it comes from ---


def test_it_listens_at_its_ipv4_address() -> None:
    driver = Driver(start=False, **DUAL_STACK)
    driver.engine.start(driver.now)
    assert Listen(0, HOME_AGENT_IPV4) in driver.engine.actions()
    driver.engine.stop(driver.now)
    assert Unlisten(0, HOME_AGENT_IPV4) in driver.engine.actions()


def test_public_ipv4_address_without_nat() -> None:
    driver = dual_stack()
    (packet,) = driver.receive(driver.packet_ipv4(1))
    answer = packet.payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == 0
    assert packet.outer == Outer(HOME_AGENT_IPV4, CARE_OF_IPV4, 4191, 4191)
    assert (packet.source, packet.destination, packet.routing_home_address) == (HOME_AGENT, HOME, None)
    assert nat_detection(answer) == NatDetection(NO_KEEPALIVES)
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.encapsulation is Encapsulation.IPV4
    assert (tunnel.local, tunnel.peer, tunnel.peer_port) == (HOME_AGENT_IPV4, CARE_OF_IPV4, 0)
    assert driver.places_accepted_from() == {(CARE_OF_IPV4, 0), (CARE_OF_IPV4, 4191)}


def test_behind_a_nat() -> None:
    driver = dual_stack(nat_keepalive_s=77)
    (packet,) = driver.receive(driver.packet_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000)))
    assert packet.outer == Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)
    assert isinstance(packet.payload, BindingAcknowledgement) and packet.payload.status == 0
    assert nat_detection(packet.payload) == NatDetection(77)
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.encapsulation is Encapsulation.UDP
    assert (tunnel.local, tunnel.local_port, tunnel.peer, tunnel.peer_port) == (HOME_AGENT_IPV4, 4191, NAT, 40_000)
    assert driver.places_accepted_from() == {(NAT, 40_000)}
    (row,) = driver.engine.bindings()
    assert (row["encapsulation"], row["care_of_address"], row["care_of_port"]) == ("udp", "192.0.2.99", 40_000)
    assert row["nat"] and row["private_care_of_address"] == "192.168.1.10"
    notice = next(one for one in driver.notices if one.name == "binding_created")
    assert (notice.fields["encapsulation"], notice.fields["nat"], notice.fields["care_of_port"]) == (
        "udp",
        True,
        40_000,
    )


def test_private_address_without_a_nat_is_fine() -> None:
    driver = dual_stack()
    assert nat_detection(driver.update_ipv4(1, care_of=PRIVATE_CARE_OF)) == NatDetection(NO_KEEPALIVES)
    assert driver.tunnel_peer() == PRIVATE_CARE_OF


def test_a_nat_that_changes_only_the_port_is_none() -> None:
    """Addresses are compared (RFC 5555 section 4.2), but the answer goes to where the update came from."""
    driver = dual_stack()
    (packet,) = driver.receive(driver.packet_ipv4(1, seen_as=(CARE_OF_IPV4, 40_000)))
    assert packet.outer == Outer(HOME_AGENT_IPV4, CARE_OF_IPV4, 4191, 40_000)
    assert isinstance(packet.payload, BindingAcknowledgement)
    assert nat_detection(packet.payload) == NatDetection(NO_KEEPALIVES)


@pytest.mark.parametrize(
    ("settings", "force", "detection", "encapsulation"),
    [
        ({}, False, NatDetection(NO_KEEPALIVES), Encapsulation.IPV4),
        ({}, True, NatDetection(NO_KEEPALIVES, True), Encapsulation.UDP),
        ({"force_udp": True}, False, NatDetection(NO_KEEPALIVES, True), Encapsulation.UDP),
        ({"force_udp": True, "allow_forced_udp": False}, False, NatDetection(NO_KEEPALIVES, True), Encapsulation.UDP),
        ({"allow_forced_udp": False}, False, NatDetection(NO_KEEPALIVES), Encapsulation.IPV4),
    ],
)
def test_forced_udp(
    settings: dict[str, Any], force: bool, detection: NatDetection, encapsulation: Encapsulation
) -> None:
    driver = dual_stack(**settings)
    answer = driver.update_ipv4(1, force_udp=force)
    assert status_of(answer) == 0 and nat_detection(answer) == detection
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.encapsulation is encapsulation


def test_forced_udp_that_is_not_allowed_is_144_with_the_timestamp_as_it_was() -> None:
    driver = dual_stack(allow_forced_udp=False)
    timestamp = ntp_timestamp(driver.now.wall)
    answer = driver.update_ipv4(1, force_udp=True, timestamp=timestamp)
    assert status_of(answer) == 144 and answer is not None
    assert answer.option(MessageId) == MessageId(timestamp)
    assert nat_detection(answer) == NatDetection(NO_KEEPALIVES), "in every answer to what came in UDP"
    assert driver.tunnel() is None
    assert driver.engine.counters["refused_forced_udp"] == 1
    assert status_of(driver.update_ipv4(2, timestamp=timestamp + 1)) == 0


def test_udp_is_not_forced_where_the_update_did_not_come_in_it() -> None:
    driver = dual_stack()
    assert status_of(driver.update_ipv4(1, force_udp=True, udp=False)) == 144
    without_keys = dual_stack(KEYLESS, insecure=True)
    update = BindingUpdate(1, 60, True, True, force_udp_encapsulation=True)
    packet = Packet(CARE_OF, HOME_AGENT, update, home_address=HOME)
    assert status_of(acknowledgement(without_keys.receive(packet))) == 144


def test_without_udp_it_is_answered_without_udp() -> None:
    driver = dual_stack()
    (packet,) = driver.receive(driver.packet_ipv4(1, udp=False))
    assert packet.outer == Outer(HOME_AGENT_IPV4, CARE_OF_IPV4)
    assert isinstance(packet.payload, BindingAcknowledgement) and packet.payload.status == 0
    assert nat_detection(packet.payload) is None
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.encapsulation is Encapsulation.IPV4


def test_a_nat_that_lets_protocol_41_through_is_told() -> None:
    driver = dual_stack()
    answer = driver.update_ipv4(1, udp=False, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 0))
    assert nat_detection(answer) == NatDetection(110)
    tunnel = driver.tunnel()
    assert tunnel is not None and (tunnel.encapsulation, tunnel.peer) == (Encapsulation.IPV4, NAT)


def test_the_authenticator_covers_the_address_that_the_mobile_node_has() -> None:
    driver = dual_stack()
    (packet,) = driver.receive(driver.packet_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000)))
    assert isinstance(packet.payload, BindingAcknowledgement)
    option = packet.payload.options[-1]
    assert isinstance(option, MobilityMessageAuthentication)
    expected = hmac.digest(KEY.key, mobility_data(PRIVATE_CARE_OF, HOME, packet.data), "sha1")[:12]
    assert option.authenticator == expected


def test_the_outer_source_stands_in_for_a_missing_option() -> None:
    driver = dual_stack()
    assert status_of(driver.update_ipv4(1, option=False)) == 0
    assert driver.tunnel_peer() == CARE_OF_IPV4


def test_refusals_go_back_in_udp_as_well() -> None:
    driver = dual_stack()
    seen_as = (NAT, 40_000)
    for how, status in (
        ({"key": SecurityAssociation(256, b"wrong")}, BindingStatus.MIPV6_AUTH_FAIL),
        ({"timestamp": ntp_timestamp(driver.now.wall - 100)}, BindingStatus.MIPV6_ID_MISMATCH),
        ({"timestamp": None}, BindingStatus.MIPV6_MESG_ID_REQD),
    ):
        sent = driver.receive(driver.packet_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=seen_as, **how))  # type: ignore[arg-type]
        assert sent[0].outer == Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)
        assert isinstance(sent[0].payload, BindingAcknowledgement)
        assert sent[0].payload.status == status
        assert nat_detection(sent[0].payload) == NatDetection(110)
    refused = [one for one in driver.notices if one.name == "registration_refused"]
    assert refused[0].fields["source"] == NAT


def test_sequence_number_is_refused_where_it_came_from() -> None:
    driver = dual_stack()
    driver.update_ipv4(5)
    timestamp = ntp_timestamp(driver.now.wall + 0.5)
    sent = driver.receive(driver.packet_ipv4(5, seen_as=(NAT, 40_000), timestamp=timestamp))
    assert sent[0].outer == Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)
    assert status_of(acknowledgement(sent)) == BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW
    assert driver.tunnel_peer() == CARE_OF_IPV4


# --- moves ---


def test_a_nat_that_rebinds_is_a_move() -> None:
    driver = dual_stack()
    driver.update_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    driver.pass_time(1)
    assert status_of(driver.update_ipv4(2, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 50_000))) == 0
    tunnel = driver.tunnel()
    assert tunnel is not None and tunnel.peer_port == 50_000
    assert driver.places_accepted_from() == {(NAT, 40_000), (NAT, 50_000)}
    assert driver.notices[-1].name == "binding_updated"
    driver.pass_time(3)
    assert driver.places_accepted_from() == {(NAT, 50_000)}


def test_between_families_and_back() -> None:
    driver = dual_stack()
    driver.update(1)
    driver.pass_time(1)
    assert status_of(driver.update_ipv4(2)) == 0
    assert driver.places_accepted_from() == {(CARE_OF, 0), (CARE_OF_IPV4, 0), (CARE_OF_IPV4, 4191)}
    driver.pass_time(1)
    driver.update(3)
    assert driver.tunnel_peer() == CARE_OF
    driver.pass_time(10)
    assert driver.places_accepted_from() == {(CARE_OF, 0)}
    assert len(driver.table.rows().tunnels) == 1


def test_rows_that_two_places_have_in_common_stay() -> None:
    """Without NAT packets are taken in UDP too; when UDP is then forced from the same port, only that remains."""
    driver = dual_stack()
    driver.update_ipv4(1)
    driver.pass_time(1)
    driver.update_ipv4(2, force_udp=True)
    driver.pass_time(10)
    assert driver.places_accepted_from() == {(CARE_OF_IPV4, 4191)}
    driver.update_ipv4(3)
    driver.pass_time(10)
    assert driver.places_accepted_from() == {(CARE_OF_IPV4, 0), (CARE_OF_IPV4, 4191)}


def test_deregistration_from_an_ipv4_network() -> None:
    driver = dual_stack(STATIC)
    driver.update_ipv4(1, extra=(ASK,))
    driver.pass_time(1)
    (packet,) = driver.receive(driver.packet_ipv4(2, 0))
    assert isinstance(packet.payload, BindingAcknowledgement)
    assert (packet.payload.status, packet.payload.lifetime_units) == (0, 0)
    assert packet.outer == Outer(HOME_AGENT_IPV4, CARE_OF_IPV4, 4191, 4191)
    assert driver.tunnel() is None and driver.tunnel(STATIC_IPV4) is None
    assert driver.places_accepted_from(STATIC_IPV4) == {(CARE_OF_IPV4, 0), (CARE_OF_IPV4, 4191)}
    driver.pass_time(4)
    assert driver.table.rows().accepts == () and driver.table.rows().tunnels == ()


def test_expiry_leaves_nothing() -> None:
    driver = dual_stack(STATIC)
    driver.update_ipv4(1, 10, extra=(ASK, Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True)))
    assert len(driver.table.rows().mobile_prefixes) == 1
    driver.pass_time(60)
    rows = driver.table.rows()
    assert (rows.accepts, rows.forwards, rows.tunnels, rows.mobile_prefixes) == ((), (), (), ())


# --- what may not be ---


@pytest.mark.parametrize("care_of", [HOME_AGENT_IPV4, STATIC_IPV4, parse_address("203.0.113.200")])
def test_tunnel_that_would_lead_back_is_174(care_of: bytes) -> None:
    driver = dual_stack(STATIC)
    assert status_of(driver.update_ipv4(1, care_of=care_of)) == BindingStatus.INVALID_CARE_OF_ADDRESS


def test_real_home_link_has_hosts_of_its_own() -> None:
    """On a real home link the home prefix has other hosts, too; but what was given to a mobile node leads back."""
    driver = dual_stack(STATIC, **REAL_LINK)
    driver.update(1, extra=(ASK,))
    driver.pass_time(2)
    for care_of, status in ((STATIC_IPV4, 174), (parse_address("203.0.113.50"), None)):
        driver.pass_time(1)
        answer = driver.update_ipv4(1, care_of=care_of, home=OTHER_HOME, key=OTHER_KEY, name=SUBSCRIBERS[1].identifier)
        assert status_of(answer) == status, "None: address detection has begun"


@pytest.mark.parametrize("source", ["224.0.0.1", "0.0.0.0", "127.0.0.1", "169.254.3.4", "255.255.255.255"])
def test_impossible_outer_sources_are_dropped(source: str) -> None:
    driver = dual_stack()
    assert driver.update_ipv4(1, seen_as=(parse_address(source), 4191)) is None
    assert driver.engine.drops[Drop.FORGED_SOURCE] == 1


def test_impossible_ipv4_care_of_address_options_are_dropped() -> None:
    driver = dual_stack()
    assert driver.update_ipv4(1, care_of=UNSPECIFIED_IPV4, seen_as=(NAT, 4191)) is None
    assert driver.engine.drops[Drop.FORGED_SOURCE] == 1


def test_contradicting_options_are_dropped() -> None:
    driver = dual_stack()
    for option in (Ipv4CareOfAddress(NAT), AlternateCareOfAddress(CARE_OF)):
        assert driver.update_ipv4(1, extra=(option,)) is None
    assert driver.engine.drops[Drop.AMBIGUOUS_OPTIONS] == 2


def test_inner_source_must_be_the_home_address() -> None:
    driver = dual_stack()
    packet = replace(driver.packet_ipv4(1), source=CORRESPONDENT, home_address=HOME)
    assert driver.receive(packet) == []
    assert driver.engine.drops[Drop.FORGED_SOURCE] == 1


def test_an_ipv4_care_of_address_needs_an_ipv4_packet() -> None:
    driver = dual_stack()
    driver.update_ipv4(1)
    assert driver.update(2, care_of=CARE_OF_IPV4, source=CARE_OF) is None, "an alternate care-of address, v4-mapped"
    assert driver.engine.drops[Drop.FORGED_SOURCE] == 1


def test_tunnels_to_somebody_else_are_dropped() -> None:
    driver = dual_stack()
    packet = driver.packet_ipv4(1)
    assert packet.outer is not None
    assert driver.receive(replace(packet, outer=replace(packet.outer, destination=NAT))) == []
    driver.engine.receive(replace(packet, outer=Outer(CARE_OF, HOME_AGENT)), 1, driver.now)
    assert driver.engine.drops[Drop.NOT_OUR_ADDRESS] == 2
    assert driver.receive(driver.packet_ipv4(1, to=CORRESPONDENT)) == []
    assert driver.engine.drops[Drop.UNKNOWN_HOME_ADDRESS] == 1
    without = Driver()
    assert without.receive(packet) == [] and without.engine.drops[Drop.NOT_OUR_ADDRESS] == 1


def test_replay_by_another_mapping_is_refused_and_changes_nothing() -> None:
    driver = dual_stack()
    packet = driver.packet_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    driver.receive(packet)
    for source in (NAT, CARE_OF_IPV4):
        (answer,) = driver.receive(replace(packet, outer=Outer(source, HOME_AGENT_IPV4, 666, 4191)))
        assert answer.outer == Outer(HOME_AGENT_IPV4, source, 4191, 666)
        assert isinstance(answer.payload, BindingAcknowledgement)
        assert answer.payload.status == BindingStatus.MIPV6_ID_MISMATCH
    tunnel = driver.tunnel()
    assert tunnel is not None and (tunnel.peer, tunnel.peer_port) == (NAT, 40_000)


def test_unknown_messages_are_answered_in_their_tunnel() -> None:
    driver = dual_stack()
    outer = Outer(NAT, HOME_AGENT_IPV4, 40_000, 4191)
    (answer,) = driver.receive(Packet(HOME, HOME_AGENT, UnknownMessage(200, bytes(2)), outer=outer))
    assert isinstance(answer.payload, BindingError)
    assert answer.outer == Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)


def test_ipv4_packets_that_are_nothing_for_us_are_dropped() -> None:
    driver = dual_stack()
    driver.receive(Packet(NAT, HOME_AGENT_IPV4, UnknownPayload(6, b"x" * 20)))
    assert driver.engine.drops[Drop.UNKNOWN_PAYLOAD] == 1
    driver.receive(Packet(NAT, CARE_OF_IPV4, UnknownPayload(6, b"x" * 20)))
    assert driver.engine.drops[Drop.NOT_OUR_ADDRESS] == 1


# --- our own messages ---


def test_refresh_requests_go_in_the_tunnel() -> None:
    driver = dual_stack()
    driver.update_ipv4(1, 30, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000))
    driver.update_ipv4(1, 30, home=OTHER_HOME, key=OTHER_KEY, name=SUBSCRIBERS[1].identifier)
    driver.sent.clear()
    driver.pass_time(119)
    asked = {one.packet.destination: one.packet for one in driver.sent}
    assert all(isinstance(one.payload, BindingRefreshRequest) for one in asked.values())
    assert asked[HOME].outer == Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)
    assert asked[OTHER_HOME].outer == Outer(HOME_AGENT_IPV4, CARE_OF_IPV4)
    assert {one.routing_home_address for one in asked.values()} == {None}


# --- IPv4 home addresses, over any access ---


def test_ipv4_home_address_over_ipv6() -> None:
    driver = dual_stack(STATIC)
    answer = driver.update(1, extra=(Ipv4HomeAddress(STATIC_IPV4),))
    assert answer is not None and answer.option(Ipv4AddressAcknowledgement) == Ipv4AddressAcknowledgement(
        0, STATIC_IPV4
    )
    tunnel = driver.tunnel(STATIC_IPV4)
    assert tunnel is not None and tunnel == driver.tunnel() and tunnel.encapsulation is Encapsulation.IPV6
    assert driver.accepted_from(STATIC_IPV4) == {CARE_OF}
    (row,) = driver.engine.bindings()
    assert row["home_address_ipv4"] == "203.0.113.7"


def test_both_home_addresses_move_together() -> None:
    driver = dual_stack(STATIC)
    prefix = Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True)
    driver.update(1, extra=(ASK, prefix))
    driver.pass_time(1)
    driver.update_ipv4(2, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000), extra=(ASK, prefix))
    for home in (HOME, STATIC_IPV4):
        tunnel = driver.tunnel(home)
        assert tunnel is not None and (tunnel.peer, tunnel.peer_port) == (NAT, 40_000)
        assert driver.places_accepted_from(home) == {(CARE_OF, 0), (NAT, 40_000)}
    (row,) = driver.table.rows().mobile_prefixes
    assert row.home_address == HOME
    inside = row.prefix[:15] + b"\x05"
    tunnel = driver.table.forward_for(0, CORRESPONDENT, inside)
    assert tunnel is not None and tunnel.peer == NAT
    assert driver.table.accepts(0, inside, CORRESPONDENT, NAT, 40_000)
    assert not driver.table.accepts(0, inside, CORRESPONDENT, NAT, 40_001)
    driver.pass_time(4)
    assert driver.places_accepted_from(STATIC_IPV4) == {(NAT, 40_000)}


def test_update_without_the_option_unbinds_the_ipv4_home_address_only() -> None:
    driver = dual_stack(STATIC)
    driver.update(1, extra=(ASK, Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True)))
    driver.pass_time(1)
    answer = driver.update(2)
    assert status_of(answer) == 0 and answer is not None and answer.option(Ipv4AddressAcknowledgement) is None
    assert driver.tunnel() is not None and driver.tunnel(STATIC_IPV4) is None
    assert driver.accepted_from(STATIC_IPV4) == set() and driver.table.rows().mobile_prefixes == ()
    driver.pass_time(1)
    driver.update(3, extra=(ASK,))
    assert driver.tunnel(STATIC_IPV4) is not None and driver.accepted_from(STATIC_IPV4) == {CARE_OF}


def test_refused_ipv4_home_address_leaves_the_ipv6_binding() -> None:
    driver = dual_stack(STATIC)
    other = parse_address("203.0.113.8")
    answer = driver.update(1, extra=(Ipv4HomeAddress(other),))
    assert status_of(answer) == 0 and answer is not None
    assert answer.option(Ipv4AddressAcknowledgement) == Ipv4AddressAcknowledgement(130, other, 0)
    assert driver.tunnel() is not None and driver.tunnel(other) is None
    assert driver.engine.counters["ipv4_refused_incorrect_ipv4_home_address"] == 1


def test_refused_binding_says_nothing_of_ipv4() -> None:
    driver = dual_stack(STATIC)
    driver.writes = False
    driver.update(1, extra=(ASK,))
    row = next(one for one in driver.log if isinstance(one, Forward) and one.address == STATIC_IPV4)
    driver.engine.handle(ActionFailed(row, "map full"), driver.now)
    driver.writes = True
    driver.settle()
    answer = acknowledgement([one.packet for one in driver.sent])
    assert status_of(answer) == BindingStatus.INSUFFICIENT_RESOURCES and answer is not None
    assert answer.option(Ipv4AddressAcknowledgement) is None
    assert driver.table.rows().forwards == () and driver.table.rows().accepts == ()


def test_prefix_row_that_fails_ends_the_binding() -> None:
    driver = dual_stack(STATIC)
    driver.update(1, extra=(Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True),))
    row = next(one for one in driver.log if isinstance(one, SetMobilePrefix))
    driver.engine.handle(ActionFailed(row, "map full"), driver.now)
    driver.settle()
    assert driver.tunnel() is None and driver.table.rows().mobile_prefixes == ()


def test_ipv4_home_address_is_defended_on_a_real_home_link() -> None:
    driver = dual_stack(STATIC, **REAL_LINK)
    driver.update(1, extra=(ASK,))
    driver.pass_time(2)
    assert driver.defended == {HOME, STATIC_IPV4}
    driver.update(2)
    assert driver.defended == {HOME}
    driver.pass_time(1)
    driver.update(3, extra=(ASK,))
    driver.restart(killed=False)
    assert driver.defended == {HOME, STATIC_IPV4}


# --- restart ---


def test_restart_asks_for_the_same_rows() -> None:
    driver = dual_stack(STATIC)
    driver.update_ipv4(
        1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000), extra=(ASK, Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True))
    )
    before, (row,) = driver.table.rows(), driver.engine.bindings()
    driver.table.begin_adoption()
    driver.restart(1)
    assert driver.table.sweep() == 0
    after = driver.table.rows()
    assert set(after.accepts) == set(before.accepts) and set(after.forwards) == set(before.forwards)
    assert (after.tunnels, after.mobile_prefixes) == (before.tunnels, before.mobile_prefixes)
    assert driver.engine.bindings() == [row]


def test_stop_leaves_no_row() -> None:
    driver = dual_stack(STATIC)
    driver.update_ipv4(1, extra=(ASK, Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, True)))
    driver.engine.stop(driver.now)
    driver.settle()
    rows = driver.table.rows()
    assert (rows.accepts, rows.forwards, rows.tunnels, rows.mobile_prefixes, rows.listens) == ((),) * 5


def test_binding_at_an_ipv4_address_is_disowned_without_one_of_ours() -> None:
    driver = dual_stack()
    driver.update_ipv4(1)
    driver.settings = replace(driver.settings, address_ipv4=None)
    driver.restart()
    assert driver.engine.bindings() == [] and "binding_disowned" in driver.notice_names()


# --- what people are told ---


def test_explanations() -> None:
    driver = dual_stack(STATIC)
    driver.update_ipv4(1, care_of=PRIVATE_CARE_OF, seen_as=(NAT, 40_000), extra=(ASK,))
    for address in (HOME, STATIC_IPV4):
        text = " ".join(driver.engine.explain(address))
        assert "192.0.2.99 (UDP port 40000)" in text and "192.168.1.10" in text
    assert "IPv4 address" in driver.engine.explain(HOME_AGENT_IPV4)[0]
    assert "care-of address of 2001:db8:100::1000" in driver.engine.explain(NAT)[0]
    assert "nobody's" in driver.engine.explain(parse_address("203.0.113.90"))[0]
    status = driver.engine.status()
    assert status["address_ipv4"] == "198.51.100.1" and status["pool_ipv4"]["addresses"] == 128


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_datagrams_raise_nothing_and_bind_nobody_else(data: st.DataObject) -> None:
    driver = dual_stack(STATIC, insecure=data.draw(st.booleans()))
    options = ASK, Ipv4HomeAddress(prefix_length=24, request_prefix=True)
    raw = bytearray(encode_datagram(driver.packet_ipv4(1, seen_as=(NAT, 40_000), extra=options)))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        packet = decode_datagram(bytes(raw))
    except DecodeError:
        return
    object.__setattr__(packet, "checksum_ok", True)
    driver.engine.receive(packet, 0, driver.now)
    driver.settle()
    assert {binding.home_address for binding in driver.cache} <= {HOME, OTHER_HOME}
    for action in driver.sent:
        assert packet.outer is None or action.packet.outer == Outer(
            packet.outer.destination,
            packet.outer.source,
            packet.outer.destination_port,
            packet.outer.source_port,
        ), "answered to nowhere else than where it came from"
