"""A real home link: duplicate address detection, defence, router advertisements."""

from itertools import pairwise
from typing import Any

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_2,
    HOME,
    HOME_AGENT,
    HOME_LINK,
    KEY,
    LINK_LOCAL,
    MAC,
    OTHER_HOME,
    OTHER_KEY,
    PREFIX,
    REAL_LINK,
    Driver,
    acknowledgement,
)

from unwired.core import admission
from unwired.core.door import ActionFailed, AddressAdded, AddressRemoved, DefendAddress, LinkUp, ReleaseAddress, Send
from unwired.core.forwarding import Unforward
from unwired.core.home_link import link_local_of
from unwired.core.notices import Drop
from unwired.core.settings import HomePrefix, Subscriber
from unwired.wire.address import ALL_NODES, ALL_ROUTERS, UNSPECIFIED, Address, parse_address, solicited_node
from unwired.wire.icmpv6 import (
    IcmpMessage,
    NeighborAdvertisement,
    NeighborSolicitation,
    RouterAdvertisement,
    RouterSolicitation,
)
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import (
    AdvertisementInterval,
    HomeAgentInformation,
    PrefixInformation,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
)
from unwired.wire.rfc4285 import ntp_timestamp
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingStatus

NEIGHBOUR = parse_address("fe80::99")


def real_driver(**settings: Any) -> Driver:
    """Without periodic advertisements in the way."""
    options = REAL_LINK | {"advertisement_interval_min_s": 1e6, "advertisement_interval_max_s": 1e6} | settings
    return Driver(**options)


def sent_of(driver: Driver, kind: type[IcmpMessage]) -> list[Packet]:
    return [action.packet for action in driver.sent if type(action.packet.payload) is kind]


def neighbour_says(
    driver: Driver, message: IcmpMessage, source: Address = NEIGHBOUR, hop_limit: int = 255, interface: int = HOME_LINK
) -> list[Packet]:
    return driver.receive(Packet(source, ALL_NODES, message, hop_limit=hop_limit), interface)


# --- duplicate address detection ---


def test_first_registration_waits_a_second_for_detection() -> None:
    driver = real_driver()
    sent = driver.receive(driver.packet(1))
    assert [type(packet.payload) for packet in sent] == [NeighborSolicitation]
    solicitation = sent[0].payload
    assert isinstance(solicitation, NeighborSolicitation)
    assert (sent[0].source, sent[0].destination, sent[0].hop_limit) == (UNSPECIFIED, solicited_node(HOME), 255)
    assert solicitation.target == HOME
    assert not any(isinstance(option, SourceLinkLayerAddress) for option in solicitation.options)
    assert driver.sent[-1].interface == HOME_LINK
    assert solicited_node(HOME) in driver.groups
    assert driver.tunnel_peer() is None and driver.defended == set()
    assert driver.engine.status()["duplicate_address_detections"] == 1
    assert "tested on the home link" in driver.engine.explain(HOME)[0]
    driver.sent.clear()
    driver.pass_time(0.99)
    assert driver.sent == []
    driver.pass_time(0.02)
    answer = acknowledgement([action.packet for action in driver.sent])
    assert answer is not None and (answer.status, answer.sequence) == (0, 1)
    assert driver.tunnel_peer() == CARE_OF and driver.defended == {HOME}
    assert solicited_node(HOME) not in driver.groups


def test_defence_is_told_to_all_nodes_three_times() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(5)
    advertisements = sent_of(driver, NeighborAdvertisement)
    assert len(advertisements) == 3
    for packet in advertisements:
        message = packet.payload
        assert isinstance(message, NeighborAdvertisement)
        assert (packet.source, packet.destination, packet.hop_limit) == (HOME_AGENT, ALL_NODES, 255)
        assert (message.target, message.router, message.solicited, message.override) == (HOME, False, False, True)
        assert message.options == (TargetLinkLayerAddress(MAC),)


def test_address_is_released_before_the_mobile_node_is_told() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(2)
    driver.log.clear()
    answer = driver.update(2, 0, from_home=True, interface=HOME_LINK)
    assert answer is not None and answer.status == 0
    kinds = [type(action) for action in driver.log]
    assert kinds.index(Unforward) < kinds.index(Send) and kinds.index(ReleaseAddress) < kinds.index(Send)
    assert driver.defended == set()
    driver.sent.clear()
    driver.pass_time(5)
    assert sent_of(driver, NeighborAdvertisement) == [], "no more claims to an address that is home"


def test_existing_binding_is_not_tested_again() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(2)
    answer = driver.update(2, care_of=CARE_OF_2)
    assert answer is not None and answer.status == 0
    assert len(sent_of(driver, NeighborSolicitation)) == 1


def test_leaving_home_again_is_tested_again() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(2)
    driver.update(2, 0, from_home=True)
    driver.pass_time(2)
    assert driver.update(3) is None
    driver.pass_time(1.1)
    assert driver.tunnel_peer() == CARE_OF


@pytest.mark.parametrize(
    "message", [NeighborAdvertisement(HOME, override=True), NeighborSolicitation(HOME)], ids=["in use", "tested too"]
)
def test_duplicate_is_134(message: IcmpMessage) -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(0.5)
    source = UNSPECIFIED if isinstance(message, NeighborSolicitation) else NEIGHBOUR
    answer = acknowledgement(neighbour_says(driver, message, source))
    assert answer is not None and answer.status == BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED
    assert driver.tunnel_peer() is None and driver.defended == set()
    assert solicited_node(HOME) not in driver.groups
    assert "duplicate_home_address" in driver.notice_names()
    driver.sent.clear()
    driver.pass_time(3)
    assert driver.sent == []
    assert driver.update(2) is None, "asked anew, tested anew"
    driver.pass_time(1.1)
    assert driver.tunnel_peer() == CARE_OF


def test_what_is_no_sign_of_a_duplicate() -> None:
    driver = real_driver()
    driver.update(1)
    own = sent_of(driver, NeighborSolicitation)[0]
    driver.engine.receive(own, HOME_LINK, driver.now)  # our own, looped back by the link
    neighbour_says(driver, NeighborSolicitation(HOME))  # somebody resolving the address
    neighbour_says(driver, NeighborAdvertisement(OTHER_HOME))
    neighbour_says(driver, NeighborAdvertisement(HOME), hop_limit=254)
    neighbour_says(driver, NeighborAdvertisement(HOME), interface=HOME_LINK + 1)
    assert driver.engine.drops == {Drop.BEYOND_THE_LINK: 2}
    driver.pass_time(1.1)
    assert driver.tunnel_peer() == CARE_OF


def test_newest_of_several_updates_is_answered() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(0.5)
    assert driver.update(2, care_of=CARE_OF_2) is None
    driver.pass_time(0.1)
    stale = driver.update(2)
    assert stale is not None and (stale.status, stale.sequence) == (135, 2)
    driver.sent.clear()
    driver.pass_time(0.5)
    answers = [a.packet.payload for a in driver.sent if isinstance(a.packet.payload, BindingAcknowledgement)]
    assert [(answer.status, answer.sequence) for answer in answers] == [(0, 2)]
    assert driver.tunnel_peer() == CARE_OF_2


def test_deregistration_during_detection_is_133() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(0.5)
    answer = driver.update(2, 0)
    assert answer is not None and answer.status == BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE
    driver.pass_time(3)
    assert driver.tunnel_peer() is None and driver.engine.status()["duplicate_address_detections"] == 0


def test_detection_begun_anew_takes_its_whole_second() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(0.5)
    driver.update(2, 0)
    driver.update(3, timestamp=ntp_timestamp(driver.now.wall + 0.1))
    driver.pass_time(0.9)
    assert driver.tunnel_peer() is None
    driver.pass_time(0.2)
    assert driver.tunnel_peer() == CARE_OF


def test_link_local_compatibility_tests_and_defends_both() -> None:
    driver = real_driver()
    both = {HOME, link_local_of(HOME)}
    driver.update(1, link_local=True)
    targets = {p.payload.target for p in sent_of(driver, NeighborSolicitation)}  # type: ignore[union-attr]
    assert targets == both
    driver.pass_time(2)
    assert driver.defended == both
    claims = {packet.payload.target: packet.source for packet in sent_of(driver, NeighborAdvertisement)}  # type: ignore[union-attr]
    assert claims == {HOME: HOME_AGENT, link_local_of(HOME): LINK_LOCAL}
    driver.update(2, link_local=False)
    assert driver.defended == {HOME}
    driver.pass_time(1)
    driver.update(3, link_local=True)
    assert driver.defended == both
    driver.pass_time(1)
    driver.update(4, 0)
    assert driver.defended == set()


def test_duplicate_of_the_link_local_address_is_134() -> None:
    driver = real_driver()
    driver.update(1, link_local=True)
    answer = acknowledgement(neighbour_says(driver, NeighborAdvertisement(link_local_of(HOME))))
    assert answer is not None and answer.status == BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED
    assert not any(group[:13] == solicited_node(HOME)[:13] for group in driver.groups)


def test_link_local_address_asked_for_during_detection_is_tested_too() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(0.5)
    assert driver.update(2, link_local=True) is None
    assert [p.payload.target for p in sent_of(driver, NeighborSolicitation)][-1] == link_local_of(HOME)  # type: ignore[union-attr]
    driver.pass_time(0.9)
    assert driver.defended == set()
    driver.pass_time(0.2)
    assert driver.defended == {HOME, link_local_of(HOME)}


def test_link_local_address_of_ours_or_of_another_mobile_node_is_a_duplicate() -> None:
    """Nobody on the link answers our own solicitation for it."""
    other_prefix = HomePrefix(parse_address("2001:db8:200::"), 64)
    alike = other_prefix.prefix[:8] + HOME[8:]
    subscribers = (Subscriber(b"mn@example.org", HOME, (KEY,)), Subscriber(b"alike@example.org", alike, (KEY,)))
    driver = real_driver(subscribers=subscribers, home_prefixes=(PREFIX, other_prefix))
    driver.update(1, link_local=True)
    driver.pass_time(0.5)
    for link_local in (False, True):  # another is being tested, then defended
        answer = driver.update(1, home=alike, name=b"alike@example.org", link_local=True)
        assert answer is not None and answer.status == BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED, link_local
        driver.pass_time(1)
    assert driver.defended == {HOME, link_local_of(HOME)}
    driver.update(2, 0, link_local=True)
    assert driver.defended == set()

    driver = real_driver(home_interface_link_local_address=link_local_of(HOME))
    answer = driver.update(1, link_local=True)
    assert answer is not None and answer.status == BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED
    assert driver.update(2, timestamp=ntp_timestamp(driver.now.wall + 0.1)) is None
    driver.pass_time(1.1)
    assert driver.defended == {HOME}


def test_answer_to_the_home_address_leaves_by_the_home_link() -> None:
    """Also to an update that has a Home Address option: the route may still lead into the tunnel."""
    driver = real_driver()
    driver.update(1)
    driver.pass_time(2)
    for sequence, status in ((1, 135), (2, 0)):
        driver.sent.clear()
        driver.receive(driver.packet(sequence, 0, care_of=HOME, source=HOME), HOME_LINK)
        (sent,) = [action for action in driver.sent if isinstance(action.packet.payload, BindingAcknowledgement)]
        assert sent.interface == HOME_LINK and sent.packet.routing_home_address == HOME
        assert isinstance(sent.packet.payload, BindingAcknowledgement) and sent.packet.payload.status == status
        driver.pass_time(0.1)


def test_detections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "DETECTIONS_MAX", 1)
    driver = real_driver()
    driver.update(1)
    answer = driver.update(1, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    assert answer is not None and answer.status == BindingStatus.INSUFFICIENT_RESOURCES


def test_group_that_two_addresses_share_is_left_with_the_last() -> None:
    alike = HOME[:12] + b"\x99" + HOME[13:]
    subscribers = (Subscriber(b"mn@example.org", HOME, (KEY,)), Subscriber(b"alike@example.org", alike, (KEY,)))
    driver = real_driver(subscribers=subscribers)
    driver.update(1)
    driver.pass_time(0.5)
    driver.update(1, home=alike, name=b"alike@example.org")
    driver.pass_time(0.6)
    assert driver.tunnel_peer() == CARE_OF and solicited_node(alike) in driver.groups
    answer = acknowledgement(neighbour_says(driver, NeighborAdvertisement(alike)))
    assert answer is not None and answer.status == 134
    assert solicited_node(alike) not in driver.groups


def test_restart_claims_each_address_once() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(5)
    driver.sent.clear()
    driver.restart(1)
    driver.pass_time(5)
    assert len(sent_of(driver, NeighborAdvertisement)) == 1


def test_expiry_releases_the_address() -> None:
    driver = real_driver()
    driver.update(1, 10)
    driver.pass_time(45)
    assert driver.defended == set() and driver.tunnel_peer() is None


def test_address_that_cannot_be_defended_ends_the_binding() -> None:
    driver = real_driver()
    driver.update(1)
    driver.pass_time(2)
    driver.engine.handle(ActionFailed(DefendAddress(HOME, HOME_LINK), "no such device"), driver.now)
    driver.settle()
    assert driver.tunnel_peer() is None


def test_virtual_link_has_no_neighbours() -> None:
    driver = Driver()
    neighbour_says(driver, NeighborAdvertisement(HOME))
    neighbour_says(driver, RouterSolicitation())
    assert driver.engine.drops == {Drop.BEYOND_THE_LINK: 2}
    assert driver.sent == []


# --- router advertisements ---


def test_advertisement_says_what_mobile_nodes_need() -> None:
    driver = Driver(**REAL_LINK, preference=9, start=False)
    driver.engine.start(driver.now)
    driver.settle()
    assert {ALL_ROUTERS, ALL_NODES} <= driver.groups
    packet = sent_of(driver, RouterAdvertisement)[0]
    message = packet.payload
    assert isinstance(message, RouterAdvertisement)
    assert (packet.source, packet.destination, packet.hop_limit) == (LINK_LOCAL, ALL_NODES, 255)
    assert message.home_agent and message.router_lifetime_s == 9
    options = {type(option): option for option in message.options}
    assert options[SourceLinkLayerAddress] == SourceLinkLayerAddress(MAC)
    assert options[AdvertisementInterval] == AdvertisementInterval(3000)
    assert options[HomeAgentInformation] == HomeAgentInformation(9, 1800)
    prefix = options[PrefixInformation]
    assert isinstance(prefix, PrefixInformation)
    assert prefix == PrefixInformation(HOME_AGENT, 64, True, True, True, 86_400, 14_400)


def test_home_agent_lifetime_outlives_the_longest_interval() -> None:
    driver = Driver(**REAL_LINK, advertisement_interval_min_s=1350.0, advertisement_interval_max_s=1800.0)
    message = driver.engine.home_link.advertisement()
    (information,) = [option for option in message.options if isinstance(option, HomeAgentInformation)]
    assert information.lifetime_s == message.router_lifetime_s == 5400


def test_advertisements_come_at_the_configured_interval() -> None:
    driver = Driver(**REAL_LINK)
    times = []
    for _ in range(4000):
        driver.pass_time(0.05)
        times += [driver.now.monotonic] * len(sent_of(driver, RouterAdvertisement))
        driver.sent.clear()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 0.94 <= min(gaps) < 1.5 and 2.5 < max(gaps) <= 3.06
    assert len(gaps) > 66


def test_solicitation_is_answered_at_once_and_alone() -> None:
    driver = real_driver()
    sent = neighbour_says(driver, RouterSolicitation())
    assert [(packet.destination, type(packet.payload)) for packet in sent] == [(NEIGHBOUR, RouterAdvertisement)]


def test_solicitations_without_source_are_answered_to_all_and_not_often() -> None:
    driver = real_driver(advertisement_interval_min_s=1.0)
    driver.pass_time(2)
    driver.sent.clear()
    for _ in range(10):
        neighbour_says(driver, RouterSolicitation(), UNSPECIFIED)
    assert [packet.destination for packet in sent_of(driver, RouterAdvertisement)] == [ALL_NODES]
    driver.pass_time(2)
    assert neighbour_says(driver, RouterSolicitation((SourceLinkLayerAddress(MAC),)), UNSPECIFIED) == []
    assert driver.engine.drops == {Drop.FORGED_SOURCE: 1}


def test_stopping_says_good_bye_and_leaves_nothing() -> None:
    driver = Driver(**REAL_LINK)
    driver.update(1, link_local=True)
    driver.pass_time(2)
    driver.update(1, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    driver.sent.clear()
    driver.engine.stop(driver.now)
    driver.settle()
    rows = driver.table.rows()
    assert (rows.tunnels, rows.forwards, rows.accepts, rows.listens) == ((), (), (), ())
    assert driver.defended == set() and driver.groups == set()
    message = sent_of(driver, RouterAdvertisement)[0].payload
    assert isinstance(message, RouterAdvertisement)
    assert not message.home_agent and message.router_lifetime_s == 0
    assert not any(isinstance(option, HomeAgentInformation) for option in message.options)
    assert HOME in {key[-16:] for key in driver.journal}, "the journal keeps the binding for the next start"
    driver.sent.clear()
    driver.pass_time(10)
    assert sent_of(driver, RouterAdvertisement) == []


def test_own_addresses_are_learned_when_they_come() -> None:
    driver = real_driver(
        home_interface_link_local_address=UNSPECIFIED, home_interface_link_layer_address=b"", start=False
    )
    driver.engine.start(driver.now)
    driver.settle()
    assert sent_of(driver, RouterAdvertisement) == []
    driver.engine.handle(LinkUp(HOME_LINK, "home0", MAC), driver.now)
    driver.engine.handle(AddressAdded(HOME_LINK, HOME_AGENT, 64), driver.now)
    driver.engine.handle(AddressAdded(HOME_LINK + 1, NEIGHBOUR, 64), driver.now)
    driver.settle()
    assert sent_of(driver, RouterAdvertisement) == []
    driver.engine.handle(AddressAdded(HOME_LINK, LINK_LOCAL, 64), driver.now)
    driver.settle()
    packet = sent_of(driver, RouterAdvertisement)[0]
    assert packet.source == LINK_LOCAL
    assert isinstance(packet.payload, RouterAdvertisement)
    assert SourceLinkLayerAddress(MAC) in packet.payload.options
    driver.sent.clear()
    driver.engine.handle(LinkUp(HOME_LINK, "home0", MAC[::-1]), driver.now)
    driver.settle()
    assert len(sent_of(driver, RouterAdvertisement)) == 1


def test_link_local_address_that_is_gone_is_no_source_any_more() -> None:
    driver = Driver(**REAL_LINK)
    driver.engine.handle(AddressRemoved(HOME_LINK, LINK_LOCAL), driver.now)
    driver.update(1, link_local=True)
    driver.pass_time(10)
    assert driver.tunnel_peer() == CARE_OF
    assert sent_of(driver, RouterAdvertisement) == []
    assert {packet.source for packet in sent_of(driver, NeighborAdvertisement)} == {HOME_AGENT}
    other = parse_address("fe80::2")
    driver.engine.handle(AddressAdded(HOME_LINK, other, 64), driver.now)
    driver.settle()
    assert [packet.source for packet in sent_of(driver, RouterAdvertisement)] == [other]
