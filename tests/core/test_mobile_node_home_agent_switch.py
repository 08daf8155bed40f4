"""The mobile node and the Home Agent Switch message (RFC 5142): whom it believes, and that nothing is lost on the way
from one home agent to another."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mobile_node_driver import (
    ASSOCIATION,
    HOME_ADDRESS,
    HOME_AGENT,
    INSECURE,
    WALL,
    Driver,
    care_of,
    prefix,
    tunnel,
)
from switching_node import (
    FOURTH,
    NEAR,
    THIRD,
    UNPROTECTED,
    accept,
    destinations,
    refuse,
    restarted,
    switched,
    unchanged,
)

from unwired.core.binding_update_list import SEQUENCES_MAX, BindingUpdateListEntry, SequenceNumbers
from unwired.core.door import Send
from unwired.core.flow_label import flow_label
from unwired.core.forwarding import Accept, SetTunnel, Unaccept
from unwired.core.mobile_node_states import State
from unwired.core.mobile_node_switch import AGENTS_MAX, SWITCH_WINDOW_S, Wish, agents_to_try
from unwired.core.notices import Drop
from unwired.core.settings import SecurityAssociation
from unwired.core.tunnel_rows import GRACE_S, PEERS_MAX
from unwired.wire.address import Address, parse_address
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, HomeAgentAddressDiscoveryRequest
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.mobility import UnknownMessage
from unwired.wire.rfc4285 import AuthenticationSubtype, MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import BindingError, BindingRefreshAdvice, BindingRefreshRequest, BindingStatus

# --- the change ---


def test_it_registers_with_the_other_and_nothing_is_lost() -> None:
    driver = Driver().registered()
    driver.run(3)
    driver.clear()
    driver.switch(NEAR)
    assert driver.state is State.SWITCHING
    [(_, packet, update)] = driver.updates()
    assert (packet.source, packet.destination, packet.home_address) == (care_of(1), NEAR, HOME_ADDRESS)
    assert update.lifetime_s == 420 and update.home_registration
    # Before anybody may send from there, its tunnel is opened; our own still leads to the present home agent.
    order = [action for action in driver.actions if isinstance(action, Accept | Unaccept | Send | SetTunnel)]
    assert order[0] == accept(NEAR) and isinstance(order[1], Send) and len(order) == 2
    status: Any = driver.node.status()
    assert (status["home_agent"], status["home_agent_asked"]) == ("2001:db8:100::1", "2001:db8:100::2")
    assert [row["home_agent"] for row in driver.node.bindings()] == ["2001:db8:100::1", "2001:db8:100::2"]
    assert driver.node.explain(NEAR)[0] == "2001:db8:100::2 is a home agent that is asked to serve us from now on."
    driver.actions.clear()
    driver.time += 0.05
    driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(1), NEAR, 2))]
    assert not driver.of(Unaccept) and destinations(driver) == [NEAR]
    [registered] = driver.notices("registered")
    assert registered["home_agent"] == "2001:db8:100::2" and registered["refresh"]
    assert registered["signalling_ms"] == 50.0
    assert driver.notices("home_agent_switched") == [{"from": "2001:db8:100::1", "to": "2001:db8:100::2"}]
    driver.run(GRACE_S - 0.1)
    assert not driver.of(Unaccept)
    driver.run(0.2)
    assert driver.of(Unaccept) == [refuse(HOME_AGENT)]
    driver.run(310.3)
    assert destinations(driver) == [NEAR, NEAR]  # the refresh
    assert driver.node.drops == {}


def test_an_advice_to_wait_is_no_order() -> None:
    driver = Driver().registered()
    driver.switch(NEAR, options=(BindingRefreshAdvice(10),))
    assert driver.state is State.SWITCHING and driver.updates()[-1][1].destination == NEAR


@pytest.mark.parametrize("source", [HOME_AGENT, NEAR, parse_address("2001:db8:999::9")])
def test_whoever_proves_to_have_the_key_may_ask(source: Address) -> None:
    """RFC 5142 section 5.1: "The sending node does not need to be the current home agent"."""
    driver = Driver().registered()
    driver.switch(NEAR, source=source)
    assert driver.state is State.SWITCHING


def test_each_home_agent_has_its_own_sequence_numbers_and_the_timestamps_grow_over_all() -> None:
    driver = Driver().registered()
    first = driver.updates()[-1][2].sequence
    driver.switch(NEAR)
    driver.acknowledge(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=7000)
    driver.acknowledge()
    driver.run(2)
    driver.switch(HOME_AGENT)
    assert driver.updates()[-1][2].sequence == first + 1
    driver.acknowledge()
    driver.run(2)
    driver.switch(NEAR)
    assert driver.updates()[-1][2].sequence == 7002
    stamps = [update.option(MessageId).timestamp for _, _, update in driver.updates()]  # type: ignore[union-attr]
    assert stamps == sorted(set(stamps)) and len(stamps) == 5


def test_sequence_numbers_of_a_few_home_agents_are_remembered() -> None:
    numbers = SequenceNumbers(lambda size: bytes(size))
    agents = [prefix(number) for number in range(SEQUENCES_MAX + 1)]
    for number, agent in enumerate(agents):
        numbers.keep(BindingUpdateListEntry(agent, 100 + number))
    assert numbers.take(agents[0]) == 0 and numbers.take(agents[1]) == 101 and numbers.take(agents[1]) == 0


def test_one_flow_label_for_everything_to_home_agents() -> None:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.acknowledge()
    driver.from_home_agent(UnknownMessage(99, bytes(10)))
    labels = {packet.flow_label for _, packet, _ in driver.sent if packet.source == care_of(1)}
    labels |= {action.tunnel.flow_label for action in driver.of(SetTunnel)}
    assert labels == {flow_label(care_of(1), HOME_ADDRESS)} and driver.payloads(BindingError)
    assert flow_label(care_of(1), HOME_ADDRESS) != flow_label(care_of(2), HOME_ADDRESS)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_flow_labels_fit_and_are_never_zero(source: bytes, home_address: bytes) -> None:
    assert 0 < flow_label(source, home_address) < 1 << 20


# --- the other does not serve us ---


def test_silence_of_the_other_leaves_us_with_ours() -> None:
    driver = Driver().registered()
    driver.run(3)
    driver.clear()
    driver.switch(NEAR)
    driver.run(6.9)
    assert [time - 103 for time, _, _ in driver.updates()] == [0, 1, 3]
    assert driver.state is State.SWITCHING and not driver.of(SetTunnel)
    driver.run(0.2)
    # The other may have taken us up without our knowing: ours is asked once more.
    assert driver.state is State.REFRESHING and destinations(driver) == [NEAR, NEAR, NEAR, HOME_AGENT]
    assert driver.notices("home_agent_silent") == [{"home_agent": "2001:db8:100::2"}]
    assert len(driver.notices("home_agent_switch_failed")) == 1
    driver.run(0.1)
    assert not driver.of(Unaccept)
    driver.acknowledge()
    assert driver.state is State.REGISTERED and not driver.of(SetTunnel)
    driver.run(GRACE_S + 0.1)
    assert driver.of(Unaccept) == [refuse(NEAR)]


@pytest.mark.parametrize(
    "status",
    [
        BindingStatus.INSUFFICIENT_RESOURCES,
        BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE,
        BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED,
    ],
)
def test_refusal_by_the_other_leaves_us_with_ours(status: BindingStatus) -> None:
    driver = Driver().registered()
    driver.clear()
    driver.switch(NEAR)
    driver.acknowledge(status)
    [failed] = driver.notices("registration_failed")
    assert failed["home_agent"] == "2001:db8:100::2" and failed["status"] == status
    assert driver.state is State.REFRESHING and destinations(driver) == [NEAR, HOME_AGENT]
    driver.acknowledge()
    assert driver.state is State.REGISTERED and not driver.of(SetTunnel)
    driver.run(400)
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_the_next_one_of_the_list_is_tried() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.switch(NEAR, THIRD, FOURTH)
    driver.acknowledge(BindingStatus.ADMINISTRATIVELY_PROHIBITED)
    assert driver.state is State.SWITCHING and destinations(driver) == [NEAR, THIRD]
    driver.run(7.1)
    assert destinations(driver) == [NEAR, THIRD, THIRD, THIRD, FOURTH]
    driver.acknowledge()
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == FOURTH
    driver.run(GRACE_S + 0.1)
    assert set(driver.of(Unaccept)) == {refuse(HOME_AGENT), refuse(NEAR), refuse(THIRD)}


def test_clock_and_sequence_are_corrected_by_the_other() -> None:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.acknowledge(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=77)
    assert driver.state is State.SWITCHING and driver.updates()[-1][2].sequence == 78
    driver.acknowledge()
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == NEAR


def test_lifetime_that_ends_during_the_change() -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(units=2)
    driver.run(5.5)
    driver.switch(NEAR)
    driver.run(6)
    assert driver.notices("binding_expired") and driver.state is State.SWITCHING
    driver.run(2)
    assert driver.state is State.REGISTERING and driver.updates()[-1][1].destination == HOME_AGENT
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_a_home_agent_that_falls_silent_after_the_change_is_left_for_the_configured_one() -> None:
    driver = switched()
    driver.run(320)
    driver.clear()
    driver.run(300)
    assert destinations(driver)[0] == NEAR and HOME_AGENT in destinations(driver)
    driver.acknowledge()
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == HOME_AGENT


def test_a_home_agent_that_disowns_us_is_left_for_the_configured_one() -> None:
    driver = switched()
    driver.run(2)
    driver.from_home_agent(BindingRefreshRequest())
    driver.acknowledge(BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
    assert driver.updates()[-1][1].destination == HOME_AGENT
    driver.acknowledge()
    assert driver.state is State.REGISTERED


# --- said again, and too often ---


def test_what_is_said_again_does_nothing() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.switch(NEAR)
    driver.run(2)
    driver.switch(NEAR)
    driver.switch(NEAR, THIRD, timestamp=ntp_timestamp(driver.now.wall) + 1)
    assert destinations(driver) == [NEAR, NEAR] and driver.state is State.SWITCHING
    driver.acknowledge()
    driver.run(2)
    driver.switch(NEAR, source=HOME_AGENT)  # ours of before, which has not heard yet
    driver.run(2)
    driver.switch(THIRD, NEAR, source=HOME_AGENT)
    driver.run(2)
    driver.switch(NEAR)  # ours names itself
    assert driver.state is State.REGISTERED and destinations(driver) == [NEAR, NEAR]
    assert driver.node.counters["home_agent_switches_repeated"] == 5 and driver.node.drops == {}


def test_our_own_address_in_the_list_is_passed_over() -> None:
    driver = Driver().registered()
    driver.switch(HOME_AGENT, NEAR)
    assert driver.updates()[-1][1].destination == NEAR


def test_a_home_agent_gone_mad_does_not_make_us_flap() -> None:
    driver = Driver().registered()
    driver.run(2)
    driver.clear()
    for step in range(200):
        driver.run(0.05)
        driver.switch((NEAR, THIRD)[step % 2])
        if driver.state is State.SWITCHING:
            driver.acknowledge()
    assert len(driver.notices("home_agent_switched")) <= 11
    assert len(driver.updates()) <= 11
    assert driver.node.drops[Drop.RATE_LIMITED] > 50
    assert len(driver.node.machine.rows._peers) <= 3


def test_made_up_home_agents_fill_no_table() -> None:
    driver = Driver().registered()
    for number in range(100):
        driver.run(1.01)
        driver.switch(*(parse_address(f"2001:db8:100::{number:x}:{index}") for index in range(1, 100)))
        rows = driver.node.machine.rows
        assert len(rows._peers) <= PEERS_MAX and (HOME_AGENT, 0) in rows._peers
    assert driver.state is State.SWITCHING
    driver.run(7 * AGENTS_MAX + 1)
    assert driver.state is State.REFRESHING and driver.updates()[-1][1].destination == HOME_AGENT


def test_addresses_that_no_home_agent_has_are_passed_over() -> None:
    driver = Driver().registered()
    driver.switch(bytes(16), parse_address("ff02::1"), parse_address("fe80::1"), bytes(15) + b"\1", NEAR)
    assert driver.updates()[-1][1].destination == NEAR


# --- what is not believed ---


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corrupt": True}, Drop.BAD_AUTHENTICATOR),
        ({"association": None}, Drop.NO_AUTHENTICATION),
        ({"timestamp": None}, Drop.NO_AUTHENTICATION),
        ({"association": SecurityAssociation(256, b"another key")}, Drop.BAD_AUTHENTICATOR),
        ({"association": replace(ASSOCIATION, spi=257)}, Drop.NO_SECURITY_ASSOCIATION),
        ({"authenticated_care_of_address": care_of(2)}, Drop.BAD_AUTHENTICATOR),
        ({"home_address": None, "care_of_address": HOME_ADDRESS}, Drop.FORGED_SOURCE),
        ({"home_address": None}, Drop.FORGED_SOURCE),
        ({"home_address": NEAR}, Drop.NOT_OUR_ADDRESS),
        ({"care_of_address": care_of(7)}, Drop.UNWANTED_SWITCH),
        ({"timestamp": ntp_timestamp(WALL + 100 - SWITCH_WINDOW_S - 1)}, Drop.REPLAYED),
        ({"timestamp": ntp_timestamp(WALL + 100 + SWITCH_WINDOW_S + 1)}, Drop.REPLAYED),
        ({"timestamp": 0}, Drop.REPLAYED),
    ],
)
def test_switches_that_are_dropped(changes: dict[str, Any], reason: Drop) -> None:
    driver = Driver().registered()
    driver.clear()
    driver.switch(NEAR, **changes)
    assert unchanged(driver) and driver.node.drops == {reason: 1}
    driver.run(2)
    driver.switch(NEAR)
    assert driver.state is State.SWITCHING


def test_authentication_must_be_the_last_option_and_of_the_home_agent() -> None:
    driver = Driver().registered()
    driver.clear()
    packet = driver.switch(NEAR, corrupt=True)
    assert isinstance(packet.payload, HomeAgentSwitch)
    good = packet.payload
    for options in (
        (*good.options, BindingRefreshAdvice(1)),
        (MessageId(1), MobilityMessageAuthentication(256, bytes(12), AuthenticationSubtype.MN_AAA)),
        (MobilityMessageAuthentication(256, bytes(12)), MessageId(1)),
    ):
        driver.receives(replace(packet, payload=replace(good, options=options), data=b""))
    assert unchanged(driver)
    assert driver.node.drops == {Drop.BAD_AUTHENTICATOR: 1, Drop.NO_AUTHENTICATION: 3}


def test_replay_is_refused_also_of_another_home_agents_and_after_a_restart() -> None:
    driver = Driver().registered()
    old = driver.switch(NEAR)
    driver.acknowledge()
    driver.run(2)
    driver.receives(old)
    assert driver.node.drops == {Drop.REPLAYED: 1}
    driver.switch(HOME_AGENT, timestamp=ntp_timestamp(driver.now.wall - 3))  # from before the last one
    assert driver.node.drops == {Drop.REPLAYED: 2} and driver.state is State.REGISTERED
    again = restarted(driver, seconds=1)
    again.visit(1)
    again.acknowledge()
    again.clear()
    again.receives(old)
    assert again.node.drops == {Drop.REPLAYED: 1} and not again.updates()


def test_the_clock_that_the_home_agent_corrected_counts() -> None:
    driver = Driver()
    driver.visit(1)
    sent = driver.updates()[-1][2].option(MessageId)
    assert sent is not None
    theirs = WALL + 100_000
    answer = ntp_timestamp(theirs) & ~0xFFFF_FFFF | sent.timestamp & 0xFFFF_FFFF
    driver.acknowledge(BindingStatus.MIPV6_ID_MISMATCH, timestamp=answer)
    driver.acknowledge()
    driver.switch(NEAR)
    assert driver.node.drops == {Drop.REPLAYED: 1}
    driver.switch(NEAR, timestamp=ntp_timestamp(theirs + 1))
    assert driver.state is State.SWITCHING


def test_without_a_key_only_our_home_agent_is_believed() -> None:
    driver = Driver(UNPROTECTED)
    driver.visit(1)
    driver.acknowledge(association=None)
    driver.clear()
    driver.switch(NEAR, association=None, source=THIRD)
    driver.switch(NEAR, association=None, care_of_address=care_of(2))
    assert driver.node.drops == {Drop.FORGED_SOURCE: 2} and not driver.updates()
    driver.switch(NEAR, association=None)
    driver.acknowledge(association=None)
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == NEAR


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(at=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_a_changed_message_changes_nothing(at: int, value: int, cut: int) -> None:
    """However it is changed, a message that is not the one that was sent is not followed."""
    driver = Driver().registered()
    other = Driver().registered()
    good = other.switch(NEAR)
    data = good.data
    at %= len(data)
    changed = data[:at] + bytes((value,)) + data[at + 1 :]
    changed = changed[: len(changed) - cut]
    if changed[:4] + changed[6:] == data[:4] + data[6:]:
        return  # the checksum alone
    whole = encode_packet(replace(good, data=data + b""))
    header = whole[: len(whole) - len(data)]
    raw = header[:4] + (len(changed) + 24).to_bytes(2) + header[6:] + changed
    driver.clear()
    try:
        packet = decode_packet(raw)
    except ValueError:
        return
    driver.node.receive(replace(packet, checksum_ok=True), 2, driver.now)
    driver.collect()
    assert unchanged(driver)


# --- no address at all ---


def test_no_address_and_no_discovery_keeps_ours() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.switch()
    assert unchanged(driver) and len(driver.notices("home_agent_switch_failed")) == 1


def discovered() -> Driver:
    driver = Driver(INSECURE)
    driver.visit(1)
    driver.receives(Packet(HOME_AGENT, care_of(1), HomeAgentAddressDiscoveryReply(0x0102, (HOME_AGENT,))))
    driver.acknowledge(association=None)
    assert driver.state is State.REGISTERED
    driver.clear()
    return driver


def test_no_address_with_discovery_finds_another() -> None:
    driver = discovered()
    driver.switch(association=None)
    [(_, request)] = driver.payloads(HomeAgentAddressDiscoveryRequest)
    assert request.flow_label == flow_label(care_of(1), HOME_ADDRESS)
    assert driver.state is State.REGISTERED and not driver.updates()
    driver.receives(Packet(THIRD, care_of(1), HomeAgentAddressDiscoveryReply(0x0102, (HOME_AGENT, NEAR))))
    assert driver.state is State.SWITCHING and destinations(driver) == [NEAR]
    driver.acknowledge(association=None)
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == NEAR


def test_no_address_and_discovery_finds_nobody_else() -> None:
    driver = discovered()
    driver.switch(association=None)
    driver.receives(Packet(HOME_AGENT, care_of(1), HomeAgentAddressDiscoveryReply(0x0102, (HOME_AGENT,))))
    assert driver.state is State.REGISTERED and not driver.updates()
    assert len(driver.notices("home_agent_switch_failed")) == 1
    driver.receives(Packet(HOME_AGENT, care_of(1), HomeAgentAddressDiscoveryReply(0x0102, (NEAR,))))
    assert driver.node.drops == {Drop.NOT_FOR_THIS_ROLE: 1} and not driver.updates()


# --- the choice ---

agent_lists = st.lists(st.sampled_from([HOME_AGENT, NEAR, THIRD, FOURTH]), max_size=6).map(tuple)
agents = st.sampled_from([HOME_AGENT, NEAR, THIRD, FOURTH])


@given(agent_lists, agents, agents, st.none() | agents)
def test_the_choice(named: tuple[Address, ...], source: Address, present: Address, candidate: Address | None) -> None:
    chosen = agents_to_try(Wish(named), source, present, candidate)
    if chosen is None:
        assert candidate in named or present in named
        return
    assert present not in chosen and candidate not in chosen
    assert len(chosen) == len(set(chosen)) <= AGENTS_MAX
    assert (chosen == ()) == (named == ())
    assert list(chosen) == sorted(chosen, key=named.index)
