"""Which binding updates a home agent believes and takes: authentication, its own tests, and without keys."""

from typing import Any

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
    REAL_LINK,
    Driver,
    status_of,
)

from unwired.core.notices import Drop
from unwired.core.settings import HomePrefix, SecurityAssociation, Subscriber
from unwired.wire.address import ALL_NODES, UNSPECIFIED, parse_address
from unwired.wire.mobility import UnknownOption
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingAcknowledgement,
    BindingStatus,
    NonceIndices,
)

# --- authentication (RFC 4285 sections 5 and 6) ---


def drops_of(driver: Driver) -> dict[Drop, int]:
    return dict(driver.engine.drops)


def test_update_without_authentication_is_dropped() -> None:
    driver = Driver()
    assert driver.receive(driver.packet(1, key=None)) == []
    assert drops_of(driver) == {Drop.NO_AUTHENTICATION: 1}
    assert len(driver.cache) == 0


def test_aaa_authentication_alone_is_none() -> None:
    driver = Driver()
    extra = (MobilityMessageAuthentication(3, bytes(20), subtype=2),)
    assert driver.receive(driver.packet(1, key=None, extra=extra)) == []
    assert drops_of(driver) == {Drop.NO_AUTHENTICATION: 1}


def test_aaa_before_home_agent_authentication_is_discarded() -> None:
    driver = Driver()
    extra = (MobilityMessageAuthentication(3, bytes(20), subtype=2),)
    assert driver.receive(driver.packet(1, extra=extra)) == []
    assert drops_of(driver) == {Drop.AMBIGUOUS_OPTIONS: 1}


@pytest.mark.parametrize(
    "change", [{"key": SecurityAssociation(999, KEY.key)}, {"name": b"stranger@example.org"}, {"home": CORRESPONDENT,
    "name": None}]
)  # fmt: skip
def test_no_shared_key_is_dropped(change: dict[str, Any]) -> None:
    driver = Driver()
    assert driver.update(1, **change) is None
    assert drops_of(driver) == {Drop.NO_SECURITY_ASSOCIATION: 1}


def test_home_address_names_the_key_without_identifier() -> None:
    assert status_of(Driver().update(1, name=None)) == 0


def test_wrong_authenticator_is_146() -> None:
    driver = Driver()
    answer = driver.update(5, key=SecurityAssociation(256, b"x" * 16))
    assert answer is not None
    assert (answer.status, answer.sequence) == (BindingStatus.MIPV6_AUTH_FAIL, 5)
    option = answer.option(MobilityMessageAuthentication)
    assert option is not None and option.spi == 256
    assert len(driver.cache) == 0


def test_missing_message_identification_is_145() -> None:
    answer = Driver().update(5, timestamp=None)
    assert answer is not None
    assert answer.status == BindingStatus.MIPV6_MESG_ID_REQD
    assert isinstance(answer.options[-1], MobilityMessageAuthentication)
    assert answer.option(MessageId) is None


@pytest.mark.parametrize("ahead_s", [-100.0, -8.0, 8.0, 1e6])
def test_timestamp_that_is_not_close_is_144_with_our_time(ahead_s: float) -> None:
    driver = Driver()
    timestamp = ntp_timestamp(driver.now.wall + ahead_s + 0.25)
    answer = driver.update(5, timestamp=timestamp)
    assert answer is not None and answer.status == BindingStatus.MIPV6_ID_MISMATCH
    told = answer.option(MessageId)
    assert told is not None
    assert told.timestamp >> 32 == ntp_timestamp(driver.now.wall) >> 32
    assert told.timestamp & 0xFFFF_FFFF == timestamp & 0xFFFF_FFFF
    assert len(driver.cache) == 0


def test_replay_is_144() -> None:
    driver = Driver()
    packet = driver.packet(1)
    assert len(driver.receive(packet)) == 1
    answer = driver.receive(packet)[0].payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == BindingStatus.MIPV6_ID_MISMATCH


def test_replay_after_deregistration_and_after_expiry_is_refused() -> None:
    driver = Driver()
    first = driver.packet(1, 1)
    driver.receive(first)
    driver.pass_time(1)
    driver.update(2, 0)
    driver.pass_time(2)
    answer = driver.receive(first)[0].payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == BindingStatus.MIPV6_ID_MISMATCH
    driver = Driver()
    ahead = driver.packet(1, 1, timestamp=ntp_timestamp(driver.now.wall + 6))
    driver.receive(ahead)
    driver.pass_time(5.5)
    assert driver.tunnel_peer() is None and len(driver.cache) == 1
    answer = driver.receive(ahead)[0].payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == BindingStatus.MIPV6_ID_MISMATCH
    driver.pass_time(20)
    assert len(driver.cache) == 0 and driver.journal == {}


def test_replay_is_refused_for_as_long_as_its_timestamp_is_close() -> None:
    """Longer than the entry is kept for the sequence number's sake, when the clocks differ."""
    driver = Driver()
    packet = driver.packet(1, timestamp=ntp_timestamp(driver.now.wall + 6.8))
    driver.receive(packet)
    driver.update(2, 0, timestamp=ntp_timestamp(driver.now.wall + 6.9))
    driver.pass_time(12)
    answer = driver.receive(packet)[0].payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == BindingStatus.MIPV6_ID_MISMATCH
    assert driver.tunnel_peer() is None


def test_one_subscriber_cannot_touch_anothers_binding() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    for lifetime in (60, 0):
        answer = driver.update(2, lifetime, care_of=CARE_OF_2, key=OTHER_KEY, name=b"other@example.org")
        assert status_of(answer) == BindingStatus.ADMINISTRATIVELY_PROHIBITED
    assert driver.tunnel_peer() == CARE_OF


# --- the home agent's own tests ---


def test_home_address_of_another_prefix_is_132() -> None:
    elsewhere = parse_address("2001:db8:200::5")
    driver = Driver((Subscriber(NAME, elsewhere, (KEY,)),))
    assert status_of(driver.update(1, home=elsewhere)) == BindingStatus.NOT_HOME_SUBNET
    driver = Driver()
    assert status_of(driver.update(1, home=elsewhere)) == BindingStatus.NOT_HOME_SUBNET
    driver = Driver(home_prefixes=(HomePrefix(PREFIX.prefix, 64, 0, 0),))
    assert status_of(driver.update(1)) == BindingStatus.NOT_HOME_SUBNET


def test_home_address_that_the_subscriber_does_not_own_is_129() -> None:
    driver = Driver()
    mine = parse_address("2001:db8:100::77")
    assert status_of(driver.update(1, home=mine)) == BindingStatus.ADMINISTRATIVELY_PROHIBITED


def test_home_agents_own_address_is_refused() -> None:
    driver = Driver((Subscriber(NAME, HOME_AGENT, (KEY,)),))
    assert status_of(driver.update(1, home=HOME_AGENT)) == BindingStatus.ADMINISTRATIVELY_PROHIBITED
    assert driver.tunnel_peer(HOME_AGENT) is None


def test_registration_without_home_address_option_is_refused() -> None:
    assert status_of(Driver().update(1, 60, from_home=True)) == BindingStatus.REASON_UNSPECIFIED


def test_full_cache_is_130() -> None:
    driver = Driver(bindings_max=1)
    assert status_of(driver.update(1)) == 0
    other: dict[str, Any] = {"home": OTHER_HOME, "key": OTHER_KEY, "name": b"other@example.org"}
    assert status_of(driver.update(1, **other)) == BindingStatus.INSUFFICIENT_RESOURCES
    driver.pass_time(1)
    assert status_of(driver.update(2)) == 0, "who has a binding keeps it"
    driver.pass_time(1)
    driver.update(3, 0)
    assert status_of(driver.update(2, **other)) == 0


@pytest.mark.parametrize("care_of", [HOME, HOME_AGENT])
def test_care_of_address_that_leads_back_is_174(care_of: bytes) -> None:
    assert status_of(Driver().update(1, care_of=care_of)) == BindingStatus.INVALID_CARE_OF_ADDRESS


@pytest.mark.parametrize("link", [{}, REAL_LINK], ids=["virtual", "real"])
def test_no_tunnel_ends_at_a_home_address(link: dict[str, Any]) -> None:
    """Whether that home address is bound already or will be: packets would need a tunnel in a tunnel, or go round."""
    driver = Driver(**link)
    assert status_of(driver.update(1, care_of=OTHER_HOME)) == BindingStatus.INVALID_CARE_OF_ADDRESS


def test_on_a_virtual_home_link_are_no_care_of_addresses() -> None:
    """The whole home prefix is routed into the tunnel device: a tunnel to there would swallow what it is given."""
    nobody = parse_address("2001:db8:100::77")
    assert status_of(Driver().update(1, care_of=nobody)) == BindingStatus.INVALID_CARE_OF_ADDRESS
    driver = Driver(**REAL_LINK)
    driver.update(1, care_of=nobody)
    driver.pass_time(2)
    assert [binding["care_of_address"] for binding in driver.engine.bindings()] == ["2001:db8:100::77"]


@pytest.mark.parametrize("text", ["ff02::1", "fe80::1", "::", "::1", "::ffff:192.0.2.1"])
def test_care_of_address_that_is_not_unicast_routable_is_dropped(text: str) -> None:
    driver = Driver()
    assert driver.update(1, care_of=parse_address(text), source=CARE_OF) is None
    assert drops_of(driver) == {Drop.FORGED_SOURCE: 1}


@pytest.mark.parametrize("home", [ALL_NODES, UNSPECIFIED, parse_address("fe80::9")])
def test_home_address_that_is_not_unicast_routable_is_dropped(home: bytes) -> None:
    driver = Driver()
    assert driver.update(1, home=home) is None
    assert drops_of(driver) == {Drop.FORGED_SOURCE: 1}


@pytest.mark.parametrize("source", [ALL_NODES, UNSPECIFIED])
def test_update_from_no_unicast_source_is_dropped(source: bytes) -> None:
    driver = Driver()
    assert driver.update(1, source=source) is None
    driver.update(1)
    driver.pass_time(1)
    assert driver.update(2, source=source) is None
    assert drops_of(driver) == {Drop.FORGED_SOURCE: 2}


@pytest.mark.parametrize(
    "extra",
    [
        (NonceIndices(1, 2),),
        (MobileNodeIdentifier(b"another@example.org"),),
        (MessageId(1),),
        (AlternateCareOfAddress(CARE_OF_2),),
        (MobilityMessageAuthentication(256, bytes(12)),),
    ],
)
def test_options_that_must_not_be_there(extra: tuple[Any, ...]) -> None:
    driver = Driver()
    assert driver.update(1, extra=extra) is None
    assert drops_of(driver) == {Drop.AMBIGUOUS_OPTIONS: 1}


def test_unknown_options_are_skipped() -> None:
    assert status_of(Driver().update(1, extra=(UnknownOption(200, b"future"),))) == 0


def test_correspondent_registration_is_not_for_a_home_agent() -> None:
    driver = Driver()
    assert driver.update(1, home_registration=False) is None
    assert drops_of(driver) == {Drop.NOT_FOR_THIS_ROLE: 1}


def test_registration_type_change_is_139() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    answer = driver.update(2, home_registration=False)
    assert status_of(answer) == BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED
    assert driver.tunnel_peer() == CARE_OF


# --- insecure, as a classic peer ---


def test_insecure_accepts_a_classic_peer() -> None:
    driver = Driver(KEYLESS, insecure=True)
    sent = driver.receive(driver.packet(9221, 21599, key=None, name=None, timestamp=None))
    answer = sent[0].payload
    assert isinstance(answer, BindingAcknowledgement) and answer.status == 0
    assert answer.options == ()
    sent = driver.receive(driver.packet(9222, 0, key=None, name=None, timestamp=None, from_home=True))
    assert status_of(sent[0].payload) == 0  # type: ignore[arg-type]
    driver.pass_time(11)
    assert len(driver.cache) == 0


def test_insecure_still_checks_what_is_authenticated_and_whose_address_it_is() -> None:
    driver = Driver(insecure=True)
    assert status_of(driver.update(1, key=SecurityAssociation(256, b"x"))) == BindingStatus.MIPV6_AUTH_FAIL
    stranger = parse_address("2001:db8:100::99")
    answer = driver.update(1, home=stranger, key=None, name=None)
    assert status_of(answer) == BindingStatus.ADMINISTRATIVELY_PROHIBITED
    # Who has a key must use it (RFC 4285 section 5).
    assert driver.update(1, key=None) is None and driver.update(1, key=None, name=None) is None
    assert drops_of(driver) == {Drop.NO_AUTHENTICATION: 2}
