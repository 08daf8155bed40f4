"""Binding updates on a virtual home link: what is granted, refused and dropped, and what it does to packets."""

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_2,
    CORRESPONDENT,
    HOME,
    HOME_AGENT,
    KEY,
    KEYLESS,
    NAME,
    OTHER_HOME,
    OTHER_KEY,
    PREFIX,
    SUBSCRIBERS,
    Driver,
    status_of,
)
from hypothesis import given
from hypothesis import strategies as st

from unwired.core.binding_cache import is_newer
from unwired.core.door import ActionFailed, Persist, Send
from unwired.core.forwarding import Accept, RemoveTunnel, SetTunnel, Tunnel
from unwired.core.notices import Level
from unwired.core.settings import Algorithm, HomePrefix, SecurityAssociation, Subscriber
from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, encode_packet
from unwired.wire.mobility import MobilityMessage, decode_mobility
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, mobility_data, ntp_timestamp
from unwired.wire.rfc6275 import (
    BindingAcknowledgement,
    BindingRefreshAdvice,
    BindingRefreshRequest,
    BindingStatus,
    BindingUpdate,
)

# --- registration ---


def test_registration_installs_rows_and_is_acknowledged() -> None:
    driver = Driver()
    sent = driver.receive(driver.packet(1000, 60))
    assert len(sent) == 1
    packet, answer = sent[0], sent[0].payload
    assert isinstance(answer, BindingAcknowledgement)
    assert (answer.status, answer.sequence, answer.lifetime_s) == (0, 1000, 240)
    assert (packet.source, packet.destination, packet.routing_home_address) == (HOME_AGENT, CARE_OF, HOME)
    assert driver.tunnel_peer() == CARE_OF
    assert driver.accepted_from() == {CARE_OF}
    assert "binding_created" in driver.notice_names()


def test_acknowledgement_is_authenticated_and_answers_the_timestamp() -> None:
    driver = Driver()
    timestamp = ntp_timestamp(driver.now.wall + 0.123)
    packet = driver.receive(driver.packet(1, timestamp=timestamp))[0]
    answer = packet.payload
    assert isinstance(answer, BindingAcknowledgement)
    assert answer.option(MessageId) == MessageId(timestamp)
    assert answer.option(MobileNodeIdentifier) == MobileNodeIdentifier(NAME)
    option = answer.options[-1]
    assert isinstance(option, MobilityMessageAuthentication)
    import hmac

    expected = hmac.digest(KEY.key, mobility_data(CARE_OF, HOME, packet.data), "sha1")[:12]
    assert (option.spi, option.authenticator) == (256, expected)


def test_stronger_algorithm_by_spi() -> None:
    strong = SecurityAssociation(512, b"k" * 32, Algorithm.HMAC_SHA256)
    driver = Driver((Subscriber(NAME, HOME, (KEY, strong)),))
    answer = driver.update(1, key=strong)
    assert answer is not None and answer.status == 0
    option = answer.option(MobilityMessageAuthentication)
    assert option is not None and (option.spi, len(option.authenticator)) == (512, 16)
    assert status_of(driver.update(2, key=KEY, timestamp=ntp_timestamp(driver.now.wall + 1))) == 0


def test_lifetime_is_limited_by_policy_and_prefix() -> None:
    driver = Driver(lifetime_max_s=420)
    answer = driver.update(1, 0xFFFF)
    assert answer is not None and answer.lifetime_s == 420 and answer.status == 0
    for prefix, lifetime_s, status in (
        (HomePrefix(PREFIX.prefix, 64, 100, 100), 100, 1),
        (HomePrefix(PREFIX.prefix, 64, 103, 103), 100, 1),  # compared in units of 4 s, rounded down
        (HomePrefix(PREFIX.prefix, 64, 1000, 100), 240, 1),  # deprecated during the lifetime
        (HomePrefix(PREFIX.prefix, 64, 1000, 0), 240, 1),  # deprecated already
        (HomePrefix(PREFIX.prefix, 64, 241, 240), 240, 1),  # invalid at the end of the lifetime
        (HomePrefix(PREFIX.prefix, 64, 1000, 240), 240, 0),
        (HomePrefix(PREFIX.prefix, 64, 0xFFFF_FFFF, 0xFFFF_FFFF), 240, 0),
    ):
        answer = Driver(home_prefixes=(prefix,)).update(1, 60)
        assert answer is not None and (answer.lifetime_s, answer.status) == (lifetime_s, status), prefix


def test_refresh_changes_no_row_and_says_nothing() -> None:
    driver = Driver()
    driver.update(1)
    driver.notices.clear()
    driver.log.clear()
    driver.pass_time(10)
    assert status_of(driver.update(2)) == 0
    assert [type(action) for action in driver.log] == [Persist, Send]
    assert driver.notices == []
    assert driver.engine.counters["bindings_refreshed"] == 1


def test_acknowledgement_waits_for_the_journal() -> None:
    driver = Driver()
    driver.writes = False
    assert driver.update(1) is None
    assert driver.update(1, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org") is None
    assert driver.engine.status()["acknowledgements_waiting_for_journal"] == 2
    driver.write()
    driver.settle()
    assert [action.packet.routing_home_address for action in driver.sent] == [HOME, OTHER_HOME]


def test_acknowledgement_that_comes_too_late_is_not_sent() -> None:
    driver = Driver()
    driver.writes = False
    driver.update(1, 1)
    driver.pass_time(30)
    driver.write()
    driver.settle()
    assert driver.sent == []


def test_refusals_do_not_wait_for_the_journal() -> None:
    driver = Driver()
    driver.writes = False
    assert status_of(driver.update(1, key=SecurityAssociation(256, b"wrong"))) == BindingStatus.MIPV6_AUTH_FAIL


def test_journal_that_fails_leaves_the_update_unanswered() -> None:
    driver = Driver()
    driver.writes = False
    assert driver.update(1) is None
    driver.engine.handle(ActionFailed(driver.unwritten[0], "disk full"), driver.now)
    driver.unwritten.clear()
    driver.writes = True
    driver.pass_time(1)
    answer = driver.update(2)
    assert answer is not None and (answer.status, answer.sequence) == (0, 2)
    assert len(driver.sent) == 1
    assert "journal_failed" in driver.notice_names()


def test_row_that_cannot_be_installed_refuses_the_binding() -> None:
    driver = Driver()
    driver.writes = False
    driver.update(1)
    accept = next(action for action in driver.log if isinstance(action, Accept))
    driver.engine.handle(ActionFailed(accept, "map full"), driver.now)
    driver.writes = True
    driver.settle()
    assert [type(a.packet.payload) for a in driver.sent] == [BindingAcknowledgement]
    assert driver.sent[0].packet.payload.status == BindingStatus.INSUFFICIENT_RESOURCES  # type: ignore[union-attr]
    assert driver.tunnel_peer() is None and driver.accepted_from() == set()
    driver.pass_time(1)
    assert status_of(driver.update(2)) == 0


def test_failed_tunnel_is_found_by_its_number() -> None:
    driver = Driver()
    driver.update(1)
    driver.engine.handle(ActionFailed(SetTunnel(Tunnel(1, HOME_AGENT, CARE_OF)), "no"), driver.now)
    driver.settle()
    assert driver.tunnel_peer() is None
    driver.engine.handle(ActionFailed(SetTunnel(Tunnel(99, HOME_AGENT, CARE_OF)), "no"), driver.now)
    driver.engine.handle(ActionFailed(RemoveTunnel(1), "no"), driver.now)
    driver.engine.handle(ActionFailed(Send(driver.packet(1)), "no way to there"), driver.now)
    driver.settle()
    assert driver.engine.counters["actions_failed"] == 4
    assert driver.notices[-1].level is Level.DEBUG, "anybody may cause it"


def test_acknowledge_bit_does_not_matter() -> None:
    """Regardless of the A bit a home registration is acknowledged (RFC 6275 section 10.3.1)."""
    driver = Driver(KEYLESS, insecure=True)
    update = BindingUpdate(1, 60, acknowledge=False, home_registration=True)
    assert len(driver.receive(Packet(CARE_OF, HOME_AGENT, update, home_address=HOME))) == 1


def test_acknowledgement_goes_to_the_source_and_the_tunnel_to_the_alternate_care_of_address() -> None:
    driver = Driver()
    sent = driver.receive(driver.packet(1, care_of=CARE_OF_2, source=CARE_OF))
    assert (sent[0].destination, sent[0].routing_home_address) == (CARE_OF, HOME)
    assert driver.tunnel_peer() == CARE_OF_2


def test_care_of_address_is_the_source_without_the_option() -> None:
    driver = Driver()
    assert status_of(driver.update(1, alternate=False)) == 0
    assert driver.tunnel_peer() == CARE_OF


def test_refresh_advice_is_less_than_the_lifetime_and_off_by_default() -> None:
    answer = Driver().update(1)
    assert answer is not None and answer.option(BindingRefreshAdvice) is None
    answer = Driver(refresh_advice_s=100).update(1, 60)
    assert answer is not None and answer.option(BindingRefreshAdvice) == BindingRefreshAdvice(25)
    assert isinstance(answer.options[-1], MobilityMessageAuthentication)
    answer = Driver(refresh_advice_s=100).update(1, 25)
    assert answer is not None and answer.option(BindingRefreshAdvice) is None


# --- moving ---


def test_move_turns_the_tunnel_and_accepts_the_previous_address_for_a_while() -> None:
    driver = Driver(previous_care_of_address_grace_s=3.0)
    driver.update(1)
    driver.pass_time(10)
    driver.log.clear()
    assert status_of(driver.update(2, care_of=CARE_OF_2)) == 0
    kinds = [type(action) for action in driver.log]
    assert kinds.index(Accept) < kinds.index(SetTunnel) < kinds.index(Send)
    assert driver.tunnel_peer() == CARE_OF_2
    assert driver.accepted_from() == {CARE_OF, CARE_OF_2}
    assert {row.number for row in driver.table.rows().tunnels} == {1}
    driver.pass_time(2.9)
    assert driver.accepted_from() == {CARE_OF, CARE_OF_2}
    driver.pass_time(0.2)
    assert driver.accepted_from() == {CARE_OF_2}
    assert "binding_updated" in driver.notice_names()


def test_moving_back_within_the_grace_keeps_the_address() -> None:
    driver = Driver()
    for sequence, care_of in enumerate((CARE_OF, CARE_OF_2, CARE_OF, CARE_OF_2, CARE_OF)):
        assert status_of(driver.update(sequence, care_of=care_of)) == 0
        driver.pass_time(1)
    driver.pass_time(1.5)
    assert driver.accepted_from() == {CARE_OF, CARE_OF_2}
    driver.pass_time(10)
    assert driver.accepted_from() == {CARE_OF}


def test_previous_addresses_are_bounded() -> None:
    driver = Driver()
    for number in range(20):
        driver.update(number, care_of=CARE_OF[:-1] + bytes((number,)))
        driver.pass_time(0.01)
    assert len(driver.accepted_from()) == 5
    driver.pass_time(5)
    assert len(driver.accepted_from()) == 1


def test_no_grace() -> None:
    driver = Driver(previous_care_of_address_grace_s=0.0)
    driver.update(1)
    driver.pass_time(1)
    driver.update(2, care_of=CARE_OF_2)
    assert driver.accepted_from() == {CARE_OF_2}
    driver.pass_time(1)
    driver.update(3, 0, care_of=CARE_OF_2)
    assert driver.accepted_from() == set()
    assert driver.table.rows().tunnels == ()


# --- the end ---


def test_deregistration_from_home() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    sent = driver.receive(driver.packet(2, 0, from_home=True), interface=5)
    answer = sent[0].payload
    assert isinstance(answer, BindingAcknowledgement)
    assert (answer.status, answer.sequence, answer.lifetime_units) == (0, 2, 0)
    # To the home address, without routing header, and out by the link it came from (RFC 6275 section 10.3.2).
    assert (sent[0].destination, sent[0].routing_home_address) == (HOME, None)
    assert driver.sent[-1].interface == 5
    assert driver.tunnel_peer() is None
    assert driver.accepted_from() == {CARE_OF}
    driver.pass_time(5)
    assert driver.accepted_from() == set() and driver.table.rows().tunnels == ()
    assert "binding_removed" in driver.notice_names()


def test_deregistration_while_away() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    sent = driver.receive(driver.packet(2, 0))
    assert (sent[0].destination, sent[0].routing_home_address) == (CARE_OF, HOME)
    assert driver.tunnel_peer() is None


def test_deregistration_without_binding_is_133() -> None:
    assert status_of(Driver().update(1, 0)) == BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE


def test_delayed_update_after_deregistration_is_out_of_window() -> None:
    """RFC 6275 section 10.3.2: the entry stays for MAX_DELETE_BCE_TIMEOUT, so that this is 135."""
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    driver.update(10, 0, from_home=True)
    driver.pass_time(1)
    answer = driver.update(9)
    assert answer is not None
    assert (answer.status, answer.sequence) == (BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, 10)
    assert driver.tunnel_peer() is None
    driver.pass_time(20)
    assert len(driver.cache) == 0 and driver.journal == {}
    assert status_of(driver.update(9)) == 0


def test_deregistration_whose_acknowledgement_was_lost_is_acknowledged_again() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    assert status_of(driver.update(2, 0, from_home=True)) == 0
    driver.pass_time(1)
    assert status_of(driver.update(3, 0, from_home=True)) == 0
    driver.pass_time(9.5)
    assert len(driver.cache) == 1
    driver.pass_time(10)
    assert len(driver.cache) == 0


def test_registration_right_after_deregistration_keeps_the_tunnel_number() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    driver.update(2, 0, from_home=True)
    driver.pass_time(1)
    assert status_of(driver.update(3)) == 0
    driver.pass_time(60)
    assert driver.tunnel_peer() == CARE_OF and driver.accepted_from() == {CARE_OF}


def test_binding_expires() -> None:
    driver = Driver()
    driver.update(1, 25)
    driver.pass_time(99.5)
    assert driver.tunnel_peer() == CARE_OF
    driver.pass_time(1.5)
    assert driver.tunnel_peer() is None and driver.accepted_from() == set()
    assert driver.table.rows().tunnels == ()
    assert "binding_expired" in driver.notice_names()
    assert len(driver.cache) == 0 and driver.journal == {}


def test_shorter_lifetime_ends_earlier() -> None:
    driver = Driver()
    driver.update(1, 100)
    driver.pass_time(1)
    driver.update(2, 5)
    driver.pass_time(22)
    assert driver.tunnel_peer() is None
    driver.pass_time(400)
    assert driver.engine.deadline() is None


def test_refresh_requests_before_expiry() -> None:
    driver = Driver()
    driver.update(1, 50)
    driver.sent.clear()
    driver.pass_time(179)
    assert driver.sent == []
    driver.pass_time(2)
    driver.pass_time(10)
    packets = [action.packet for action in driver.sent]
    assert [type(packet.payload) for packet in packets] == [BindingRefreshRequest] * 2
    assert (packets[0].destination, packets[0].routing_home_address) == (CARE_OF, HOME)
    assert status_of(driver.update(2, 50)) == 0
    driver.sent.clear()
    driver.pass_time(170)
    assert driver.sent == [] and driver.tunnel_peer() == CARE_OF


# --- sequence numbers ---


@pytest.mark.parametrize(("sequence", "newer"), [(15, False), (0, False), (32783, False), (65535, False), (16, True)])
def test_the_rfcs_example_of_the_window(sequence: int, newer: bool) -> None:
    assert is_newer(sequence, 15) is newer


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_window_is_the_last_number_and_the_32768_before_it(sequence: int, last: int) -> None:
    not_greater = {(last - back) % 65536 for back in (0, (last - sequence) % 65536) if back <= 32768}
    assert is_newer(sequence, last) is (sequence not in not_greater)


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=12))
def test_engine_accepts_exactly_newer_sequences_and_tells_the_last(sequences: list[int]) -> None:
    driver = Driver()
    last = None
    for sequence in sequences:
        driver.pass_time(0.5)
        answer = driver.update(sequence)
        assert answer is not None
        if last is None or is_newer(sequence, last):
            assert (answer.status, answer.sequence) == (0, sequence)
            last = sequence
        else:
            assert (answer.status, answer.sequence) == (135, last)


# --- what is said ---


def test_status_bindings_and_explain() -> None:
    import json

    driver = Driver()
    engine = driver.engine
    driver.update(1)
    driver.pass_time(10)
    driver.update(2, care_of=CARE_OF_2)
    status = engine.status()
    assert status["bindings"] == 1 and status["counters"]["bindings_moved"] == 1
    binding = engine.bindings()[0]
    assert json.loads(json.dumps([status, binding]))[1]["care_of_address"] == "2001:db8:b::1"
    assert binding["identifier"] == "mn@example.org"
    assert binding["ends_at"] == driver.now.wall + 240
    assert binding["previous_care_of_addresses"] == ["2001:db8:a::1"]
    assert "bound to care-of address 2001:db8:b::1" in engine.explain(HOME)[0]
    assert "previous care-of address 2001:db8:a::1" in " ".join(engine.explain(HOME))
    assert "care-of address of 2001:db8:100::1000" in engine.explain(CARE_OF_2)[0]
    assert "not registered" in engine.explain(OTHER_HOME)[0]
    assert "own address" in engine.explain(HOME_AGENT)[0]
    assert "anycast" in engine.explain(parse_address("2001:db8:100::fdff:ffff:ffff:fffe"))[0]
    assert "none of the home prefixes" in engine.explain(CORRESPONDENT)[0]
    assert "no subscriber" in engine.explain(parse_address("2001:db8:100::77"))[0]
    driver.pass_time(1)
    driver.update(3, 0)
    assert "de-registered" in engine.explain(HOME)[0]
    driver = Driver()
    driver.update(1, 1, timestamp=ntp_timestamp(driver.now.wall + 6))
    driver.pass_time(5)
    assert "no binding" in driver.engine.explain(HOME)[0]


def test_acknowledgements_decode_to_what_they_say() -> None:
    """The bytes that are sent and the message beside them agree."""
    driver = Driver()
    driver.update(1)
    action = next(action for action in driver.log if isinstance(action, Send))
    assert isinstance(action.packet.payload, MobilityMessage)
    assert decode_mobility(action.packet.data) == action.packet.payload
    assert encode_packet(action.packet)


def test_subscribers_share_nothing() -> None:
    from unwired.core.subscribers import Subscribers

    with pytest.raises(ValueError, match="shares"):
        Subscribers((*SUBSCRIBERS, Subscriber(NAME, CARE_OF)))
    with pytest.raises(ValueError, match="shares"):
        Subscribers((*SUBSCRIBERS, Subscriber(b"new@example.org", HOME)))
    assert len(Subscribers(SUBSCRIBERS)) == 2
