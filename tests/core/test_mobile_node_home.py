"""The mobile node at home, home agent discovery, restart and stop."""

import json
from dataclasses import replace

import pytest
from mobile_node_driver import (
    HOME_ADDRESS,
    HOME_AGENT,
    INSECURE,
    MAC,
    ROUTER,
    SETTINGS,
    WALL,
    Driver,
    care_of,
    tunnel,
)

from unwired.core.door import (
    ActionFailed,
    DropHomeAddress,
    ForgetCareOfAddress,
    GoAway,
    GoHome,
    HoldHomeAddress,
    JoinGroup,
    LeaveGroup,
    Now,
    Send,
    UseCareOfAddress,
)
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    Listen,
    RemoveTunnel,
    SetTunnel,
    Unaccept,
    Unforward,
    Unlisten,
)
from unwired.core.mobile_node import MobileNode
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.wire.address import ALL_NODES, home_agents_anycast, parse_address, solicited_node
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    NeighborSolicitation,
)
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import PrefixInformation, TargetLinkLayerAddress
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingRefreshRequest,
    BindingStatus,
)

OTHER_AGENT = parse_address("2001:db8:100::2")


def times(driver: Driver) -> list[float]:
    first = driver.updates()[0][0]
    return [round(time - first, 3) for time, _, _ in driver.updates()]


# --- home ---


def test_starts_at_home_without_a_word() -> None:
    driver = Driver()
    driver.home()
    assert driver.state is State.HOME
    assert driver.of(GoHome) == [GoHome(HOME_ADDRESS, 64, 2, ROUTER)]
    assert not driver.updates() and not driver.of(SetTunnel)
    driver.run(1000)
    assert not driver.updates()


def test_returns_home() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.down()
    driver.home()
    [(_, packet, update)] = driver.updates()
    assert packet.source == HOME_ADDRESS and packet.home_address is None and packet.destination == HOME_AGENT
    assert update.lifetime_units == 0 and update.acknowledge and update.home_registration
    assert update.option(AlternateCareOfAddress) == AlternateCareOfAddress(HOME_ADDRESS)
    assert next(interface for _, sent, interface in driver.sent if sent.payload == update) == 2
    assert driver.of(JoinGroup) == [JoinGroup(2, solicited_node(HOME_ADDRESS))]
    assert not driver.of(GoHome) and not driver.of(Unforward) and not driver.of(RemoveTunnel)

    # The home agent looks for us to send the acknowledgement.
    asker = parse_address("fe80::100")
    driver.receives(Packet(asker, HOME_ADDRESS, NeighborSolicitation(HOME_ADDRESS), hop_limit=255))
    driver.receives(Packet(asker, HOME_ADDRESS, NeighborSolicitation(HOME_ADDRESS), hop_limit=64))
    driver.receives(Packet(bytes(16), ALL_NODES, NeighborSolicitation(HOME_ADDRESS), hop_limit=255))
    [(_, answer)] = driver.payloads(NeighborAdvertisement)
    assert answer.destination == asker and answer.hop_limit == 255
    assert answer.payload == NeighborAdvertisement(HOME_ADDRESS, False, True, True, (TargetLinkLayerAddress(MAC),))

    driver.clear()
    driver.time += 0.01
    driver.sent.append((driver.time, packet, 2))
    driver.acknowledge()
    assert driver.state is State.HOME
    wanted = (GoHome, Unforward, LeaveGroup)
    assert [type(action) for action in driver.actions if isinstance(action, wanted)] == [LeaveGroup, GoHome, Unforward]
    [returned] = driver.notices("returned_home")
    assert returned["signalling_ms"] == 10.0
    driver.run(10)
    told = driver.payloads(NeighborAdvertisement)
    assert [round(time - 100.01, 3) for time, _ in told] == [0, 1, 2]
    assert all(
        (packet.source, packet.destination, packet.hop_limit) == (HOME_ADDRESS, ALL_NODES, 255)
        and packet.payload == NeighborAdvertisement(HOME_ADDRESS, False, False, True, (TargetLinkLayerAddress(MAC),))
        for _, packet in told
    )
    # What was in the tunnel could still come out for a while.
    assert driver.of(Unaccept) == [Unaccept(0, Direction.TO_HOME_ADDRESS, HOME_ADDRESS, HOME_AGENT)]
    assert driver.of(RemoveTunnel) == [RemoveTunnel(1)]
    assert driver.of(Unlisten) == [Unlisten(0, care_of(1))]
    assert not driver.node.bindings()


def test_de_registration_is_repeated_until_acknowledged() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.down()
    driver.home()
    driver.run(10)
    assert times(driver) == [0, 1, 3, 7]
    driver.acknowledge(BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
    assert driver.state is State.HOME


def test_de_registration_that_nobody_answers_ends_with_the_lifetime() -> None:
    driver = Driver().registered()
    driver.down()
    driver.home()
    driver.run(421)
    assert driver.state is State.HOME


def test_leaves_home_again_before_the_acknowledgement() -> None:
    driver = Driver().registered()
    driver.down()
    driver.home()
    driver.clear()
    driver.down()
    driver.visit(2)
    assert driver.of(LeaveGroup) and driver.state is State.HANDOVER
    [(_, packet, update)] = driver.updates()
    assert packet.source == care_of(2) and update.lifetime_units
    driver.acknowledge()
    assert driver.state is State.REGISTERED and not driver.of(GoHome)


def test_leaves_home() -> None:
    driver = Driver()
    driver.home()
    driver.clear()
    driver.down()
    driver.visit(1)
    assert driver.of(GoAway) == [GoAway(HOME_ADDRESS)]
    assert driver.state is State.REGISTERING


# --- discovery ---


def test_home_agent_is_discovered_and_the_next_one_tried() -> None:
    driver = Driver(INSECURE)
    driver.visit(1)
    assert driver.state is State.DISCOVERING
    [(_, request)] = driver.payloads(HomeAgentAddressDiscoveryRequest)
    assert request.destination == home_agents_anycast(HOME_ADDRESS, 64) and request.source == care_of(1)
    identifier = request.payload.identifier  # type: ignore[union-attr]
    driver.receives(Packet(HOME_AGENT, care_of(1), HomeAgentAddressDiscoveryReply(identifier ^ 1, (OTHER_AGENT,))))
    assert driver.state is State.DISCOVERING
    reply = HomeAgentAddressDiscoveryReply(identifier, (HOME_AGENT, OTHER_AGENT))
    driver.receives(Packet(HOME_AGENT, care_of(1), reply))
    assert driver.notices("home_agent_discovered") == [{"home_agents": "2001:db8:100::1 2001:db8:100::2"}]
    assert driver.updates()[-1][1].destination == HOME_AGENT
    driver.acknowledge(BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE)
    assert driver.updates()[-1][1].destination == OTHER_AGENT
    driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert driver.node.machine.rows.tunnel == tunnel(care_of(1), OTHER_AGENT, 2)


def test_discovery_is_repeated_and_pauses() -> None:
    driver = Driver(INSECURE)
    driver.visit(1)
    driver.run(93 + 60 + 1)
    asked = [round(time - 100, 3) for time, _ in driver.payloads(HomeAgentAddressDiscoveryRequest)]
    assert asked == [0, 3, 9, 21, 45, 153]
    assert len(driver.notices("home_agent_discovery_failed")) == 1


def test_silent_discovered_agent_means_discovery_again() -> None:
    driver = Driver(INSECURE)
    driver.visit(1)
    identifier = driver.payloads(HomeAgentAddressDiscoveryRequest)[0][1].payload.identifier  # type: ignore[union-attr]
    driver.receives(Packet(HOME_AGENT, care_of(1), HomeAgentAddressDiscoveryReply(identifier, (HOME_AGENT,))))
    driver.acknowledge()
    driver.clear()
    driver.down()
    driver.visit(2)
    driver.run(70)
    assert driver.state is State.DISCOVERING
    assert driver.payloads(HomeAgentAddressDiscoveryRequest)


def test_discovery_and_missing_key_need_insecure() -> None:
    for settings in (replace(SETTINGS, home_agent=None), replace(SETTINGS, association=None)):
        with pytest.raises(ValueError, match="insecure"):
            MobileNode(settings, bytes)


def test_prefix_discovery_without_authentication() -> None:
    driver = Driver(replace(INSECURE, home_agent=HOME_AGENT))
    driver.visit(1)
    driver.acknowledge(1)
    [(_, solicitation)] = driver.payloads(MobilePrefixSolicitation)
    assert solicitation.home_address == HOME_ADDRESS and solicitation.destination == HOME_AGENT
    driver.run(400)
    assert not driver.updates()[1:]  # no refresh before the prefixes are known
    assert len(driver.payloads(MobilePrefixSolicitation)) > 5
    identifier = driver.payloads(MobilePrefixSolicitation)[-1][1].payload.identifier  # type: ignore[union-attr]
    option = PrefixInformation(HOME_ADDRESS[:8] + bytes(8), 64, True, True, False, 200, 100)
    driver.from_home_agent(MobilePrefixAdvertisement(identifier, options=(option,)))
    assert driver.notices("home_prefix_learned") == [{"valid_s": 200.0}]
    driver.run(1)
    assert driver.updates()[-1][2].lifetime_s in (196, 200)
    driver.acknowledge()
    # Unsolicited: discarded, but it makes us ask.
    asked = len(driver.payloads(MobilePrefixSolicitation))
    driver.from_home_agent(MobilePrefixAdvertisement(1, options=(option,)))
    assert driver.node.drops[Drop.STALE_SEQUENCE] == 1
    assert len(driver.payloads(MobilePrefixSolicitation)) == asked + 1


def test_prefix_discovery_is_off_under_authentication() -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(1)
    assert driver.state is State.REGISTERED and driver.notices("home_prefix_changes")
    driver.from_home_agent(MobilePrefixAdvertisement(1))
    assert not driver.payloads(MobilePrefixSolicitation)
    assert driver.node.drops == {Drop.PREFIX_DISCOVERY_OFF: 1}


# --- restart, stop, failures, people ---


def test_restart_takes_up_the_tunnel_and_the_sequence_number() -> None:
    before = Driver().registered()
    after = Driver(start=False)
    after.time = before.time + 10
    after.node.restore([(b"other", b"key"), *before.journal()], after.now)
    after.node.start(after.now)
    after.collect()
    assert after.state is State.STRANDED
    assert after.of(SetTunnel) == [SetTunnel(tunnel(care_of(1), HOME_AGENT, 2))]
    assert {action.address for action in after.of(Listen)} == {HOME_ADDRESS, care_of(1)}
    assert after.of(Forward) and after.of(Accept) and after.of(UseCareOfAddress) and after.of(GoAway)
    assert after.node.deadline() == pytest.approx(520)
    after.visit(1)
    assert after.updates()[-1][2].sequence == before.updates()[-1][2].sequence + 1
    assert not after.of(RemoveTunnel)


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b'{"version":1}', b"\xff"])
def test_unreadable_record_is_told_and_ignored(record: bytes) -> None:
    driver = Driver(start=False)
    driver.node.restore([(b"mobile-node/" + HOME_ADDRESS, record)], driver.now)
    driver.node.start(driver.now)
    driver.collect()
    assert driver.state is State.DETACHED and driver.notices("journal_record_ignored")


def test_restart_after_the_lifetime_or_with_another_agent_starts_anew() -> None:
    records = Driver().registered().journal()
    for settings, later_s in ((SETTINGS, 500.0), (replace(SETTINGS, home_agent=OTHER_AGENT), 1.0)):
        driver = Driver(settings, start=False)
        now = Now(driver.time, WALL + driver.time + later_s)
        driver.node.restore(records, now)
        driver.node.start(now)
        driver.collect()
        assert driver.state is State.DETACHED and not driver.of(SetTunnel)


@pytest.mark.parametrize(("interface", "name", "kept"), [(2, "wlan0", True), (3, "wlan0", False), (2, "eth0", False)])
def test_restart_at_home_keeps_the_home_address_on_its_link(interface: int, name: str, kept: bool) -> None:
    before = Driver()
    before.home()
    driver = Driver(start=False)
    driver.node.restore(before.journal(), driver.now)
    driver.node.start(driver.now)
    driver.collect()
    assert not driver.of(GoHome)
    driver.up(interface, name)
    assert bool(driver.of(GoHome)) is kept
    driver.visit(1, interface, name)
    assert len(driver.of(GoAway)) == 1


def test_stop_away_undoes_everything_and_says_goodbye() -> None:
    driver = Driver().registered()
    driver.down()
    driver.visit(2)
    driver.clear()
    driver.node.stop(driver.now)
    driver.collect()
    [(_, packet, update)] = driver.updates()
    assert update.lifetime_units == 0 and packet.source == care_of(2) and packet.home_address == HOME_ADDRESS
    assert driver.of(Unforward) and driver.of(Unaccept) and driver.of(RemoveTunnel)
    assert {action.address for action in driver.of(Unlisten)} == {HOME_ADDRESS, care_of(1), care_of(2)}
    assert len(driver.of(ForgetCareOfAddress)) == 2
    assert driver.of(DropHomeAddress) == [DropHomeAddress(HOME_ADDRESS)]
    driver.clear()
    driver.visit(3)
    driver.run(1000)
    driver.node.stop(driver.now)
    driver.collect()
    assert not driver.actions and driver.node.deadline() is None


def test_stop_at_home_sends_nothing() -> None:
    driver = Driver()
    driver.home()
    driver.clear()
    driver.node.stop(driver.now)
    driver.collect()
    assert not driver.updates() and driver.of(DropHomeAddress)


def test_failed_actions_are_asked_for_again() -> None:
    driver = Driver().registered()
    [tunnel] = driver.of(SetTunnel)
    driver.clear()
    driver.happens(ActionFailed(tunnel, "no room"))
    assert driver.notices("action_failed") == [{"action": "SetTunnel", "reason": "no room"}]
    driver.run(0.9)
    assert not driver.of(SetTunnel)
    driver.run(0.2)
    assert driver.of(SetTunnel) == [tunnel]
    assert driver.of(Accept) and driver.of(Forward) and driver.of(GoAway) and driver.of(HoldHomeAddress)
    driver.clear()
    driver.happens(ActionFailed(Send(Packet(HOME_AGENT, HOME_AGENT, BindingRefreshRequest())), "down"))
    driver.run(100)
    assert not driver.of(SetTunnel)


def test_says_what_it_knows_in_every_state() -> None:
    drivers = [Driver(), Driver().registered(), Driver(), Driver(INSECURE), Driver().registered()]
    drivers[2].home()
    drivers[3].visit(1)
    drivers[4].down()
    for driver in drivers:
        status = json.loads(json.dumps(driver.node.status()))
        assert status["state"] == driver.state.value
        json.dumps(driver.node.bindings())
        for address in (HOME_ADDRESS, HOME_AGENT, care_of(1), care_of(2), OTHER_AGENT):
            lines = driver.node.explain(address)
            assert lines and all(line.endswith(".") for line in lines)
    [binding] = drivers[1].node.bindings()
    assert binding["acknowledged"] and binding["care_of_address"] == "2001:db8:1::c2"
    assert "into the tunnel from 2001:db8:1::c2" in drivers[1].node.explain(care_of(2))[0]
    assert drivers[2].node.explain(care_of(2))[0].startswith("We are at home")
