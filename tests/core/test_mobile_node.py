"""The mobile node's registration: what it sends, how it takes each answer, return home, restart, stop."""

import json
from dataclasses import replace
from typing import Any

import pytest
from mobile_node_driver import (
    ASSOCIATION,
    HOME_ADDRESS,
    HOME_AGENT,
    INSECURE,
    MAC,
    ROUTER,
    SETTINGS,
    WALL,
    Driver,
    care_of,
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
    Tunnel,
    Unaccept,
    Unforward,
    Unlisten,
)
from unwired.core.mobile_node import MobileNode
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.core.settings import SecurityAssociation
from unwired.wire.address import ALL_NODES, home_agents_anycast, parse_address, solicited_node
from unwired.wire.icmpv6 import (
    HomeAgentAddressDiscoveryReply,
    HomeAgentAddressDiscoveryRequest,
    MobilePrefixAdvertisement,
    MobilePrefixSolicitation,
    NeighborAdvertisement,
    NeighborSolicitation,
    PacketTooBig,
    ParameterProblem,
)
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_packet, encode_packet
from unwired.wire.mobility import UnknownMessage
from unwired.wire.nd_options import PrefixInformation, TargetLinkLayerAddress
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, ntp_timestamp
from unwired.wire.rfc6275 import (
    AlternateCareOfAddress,
    BindingError,
    BindingRefreshAdvice,
    BindingRefreshRequest,
    BindingStatus,
    BindingUpdate,
)

OTHER_AGENT = parse_address("2001:db8:100::2")


def times(driver: Driver) -> list[float]:
    first = driver.updates()[0][0]
    return [round(time - first, 3) for time, _, _ in driver.updates()]


# --- what is sent ---


def test_binding_update_on_the_wire() -> None:
    driver = Driver()
    driver.visit(1)
    [(_, packet, update)] = driver.updates()
    assert (packet.source, packet.destination, packet.home_address) == (care_of(1), HOME_AGENT, HOME_ADDRESS)
    assert packet.checksum_ok
    assert update.acknowledge and update.home_registration
    assert not update.key_management and not update.link_local_compatible
    assert update.lifetime_s == 420
    assert [type(option) for option in update.options] == [
        AlternateCareOfAddress,
        MobileNodeIdentifier,
        MessageId,
        MobilityMessageAuthentication,
    ]
    assert update.option(AlternateCareOfAddress) == AlternateCareOfAddress(care_of(1))
    message_id = update.option(MessageId)
    assert message_id is not None
    assert abs(message_id.timestamp - ntp_timestamp(WALL + 100)) < 1 << 10


def test_first_registration_in_order() -> None:
    driver = Driver()
    assert driver.of(HoldHomeAddress) == [HoldHomeAddress(HOME_ADDRESS)]
    assert driver.of(Listen) == [Listen(0, HOME_ADDRESS)]
    driver.clear()
    driver.visit(1)
    kinds = (UseCareOfAddress, Listen, Send, GoAway, SetTunnel, Accept, Forward)
    order = [type(action) for action in driver.actions if isinstance(action, kinds)]
    assert order == [Send, UseCareOfAddress, Listen, Send, GoAway, SetTunnel, Accept, Forward]
    assert driver.of(SetTunnel) == [SetTunnel(Tunnel(1, care_of(1), HOME_AGENT, interface=2))]
    assert driver.of(Accept) == [Accept(0, Direction.TO_HOME_ADDRESS, HOME_ADDRESS, HOME_AGENT, 1)]
    assert driver.of(Forward) == [Forward(0, Direction.FROM_HOME_ADDRESS, HOME_ADDRESS, 1)]
    driver.time += 0.043
    driver.acknowledge(units=15)
    [registered] = driver.notices("registered")
    assert registered["signalling_ms"] == registered["round_trip_ms"] == 43.0
    assert registered["lifetime_s"] == 60 and registered["interface"] == "wlan0" and not registered["refresh"]


def test_retransmission_backs_off_to_the_maximum_and_goes_on() -> None:
    driver = Driver()
    driver.visit(1)
    driver.run(130)
    assert times(driver) == [0, 1.5, 4.5, 10.5, 22.5, 46.5, 78.5, 110.5]
    sequences = [update.sequence for _, _, update in driver.updates()]
    assert sequences == [(sequences[0] + step) & 0xFFFF for step in range(8)]
    stamps = [update.option(MessageId).timestamp for _, _, update in driver.updates()]  # type: ignore[union-attr]
    assert stamps == sorted(set(stamps))
    assert len(driver.notices("home_agent_silent")) == 1


def test_handover_retransmits_after_one_second() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.down()
    driver.visit(2)
    driver.run(20)
    assert times(driver) == [0, 1, 3, 7, 15]


def test_at_most_three_updates_a_second() -> None:
    driver = Driver()
    for number in range(1, 8):
        driver.down()
        driver.visit(number)
        driver.run(0.01)
    assert len(driver.updates()) == 3
    driver.run(1)
    assert times(driver) == [0, 0.01, 0.02, 1.0]
    assert driver.updates()[-1][1].source == care_of(7)


def test_refresh_well_before_the_end_or_as_advised() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.run(420 * 0.75 + 0.1)
    [(time, _, _)] = driver.updates()
    assert time - 100 == 315
    driver.acknowledge(options=(BindingRefreshAdvice(25),))
    driver.clear()
    driver.run(100.1)
    [(time, _, _)] = driver.updates()
    assert time - 415 == 100
    assert driver.state is State.REFRESHING


def test_lifetime_counts_from_the_update() -> None:
    driver = Driver()
    driver.visit(1)
    driver.time += 1.0
    driver.acknowledge(units=5)
    [binding] = driver.node.bindings()
    assert binding["lifetime_s"] == 20 and binding["remaining_s"] == 19
    driver.run(60)
    assert driver.notices("binding_expired")
    assert driver.state is State.REGISTERING


def test_answer_to_an_earlier_transmission_counts() -> None:
    driver = Driver()
    driver.visit(1)
    driver.run(2)
    driver.acknowledge(back=2)
    assert driver.state is State.REGISTERED
    driver.acknowledge()
    assert driver.node.drops[Drop.STALE_SEQUENCE] == 1


# --- make and break ---


def test_break_before_make_turns_the_tunnel_with_the_update() -> None:
    driver = Driver().registered(1)
    driver.clear()
    driver.down()
    driver.visit(2)
    assert driver.of(SetTunnel) == [SetTunnel(Tunnel(1, care_of(2), HOME_AGENT, interface=2))]
    assert not driver.of(Unlisten)
    driver.acknowledge()
    driver.run(4.9)
    assert not driver.of(Unlisten)
    driver.run(0.2)
    assert driver.of(Unlisten) == [Unlisten(0, care_of(1))]
    assert driver.of(ForgetCareOfAddress) == [ForgetCareOfAddress(care_of(1))]
    assert len(driver.of(SetTunnel)) == 1


def test_make_before_break_turns_the_tunnel_with_the_acknowledgement() -> None:
    driver = Driver(replace(SETTINGS, interfaces=("wlan0", "wwan0")))
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.clear()
    driver.visit(2, 2, "wlan0")
    assert driver.updates() and not driver.of(SetTunnel)
    driver.acknowledge()
    assert driver.of(SetTunnel) == [SetTunnel(Tunnel(1, care_of(2, 2), HOME_AGENT, interface=2))]


def test_old_link_breaks_before_the_acknowledgement() -> None:
    driver = Driver(replace(SETTINGS, interfaces=("wlan0", "wwan0")))
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.visit(2, 2, "wlan0")
    driver.clear()
    driver.down(3)
    assert driver.of(SetTunnel) == [SetTunnel(Tunnel(1, care_of(2, 2), HOME_AGENT, interface=2))]


# --- answers ---


@pytest.mark.parametrize(
    ("status", "wait_s"),
    [
        (BindingStatus.REASON_UNSPECIFIED, 5),
        (BindingStatus.ADMINISTRATIVELY_PROHIBITED, 30),
        (BindingStatus.INSUFFICIENT_RESOURCES, 5),
        (BindingStatus.HOME_REGISTRATION_NOT_SUPPORTED, 30),
        (BindingStatus.NOT_HOME_SUBNET, 30),
        (BindingStatus.NOT_HOME_AGENT_FOR_THIS_MOBILE_NODE, 10),
        (BindingStatus.EXPIRED_NONCES, 5),
        (BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED, 5),
        (BindingStatus.MIPV6_MESG_ID_REQD, 30),
        (BindingStatus.MIPV6_AUTH_FAIL, 30),
        (BindingStatus.INVALID_CARE_OF_ADDRESS, 30),
        (200, 5),
    ],
)
def test_refusals_are_told_and_tried_again_ever_later(status: int, wait_s: float) -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(status)
    assert driver.state is State.REFUSED
    [failed] = driver.notices("registration_failed")
    assert failed["status"] == status
    driver.run(wait_s + 0.1)
    assert driver.state is State.REGISTERING
    assert times(driver) == [0, wait_s]
    driver.acknowledge(status)
    driver.run(1.9 * wait_s)
    assert driver.state is State.REFUSED
    driver.run(0.2 * wait_s)
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_refusal_does_not_hold_at_a_new_care_of_address() -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(BindingStatus.INVALID_CARE_OF_ADDRESS)
    driver.down()
    driver.visit(2)
    assert len(driver.updates()) == 2


def test_duplicate_home_address_is_never_tried_again() -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED)
    driver.run(10_000)
    driver.down()
    driver.visit(2)
    driver.run(10_000)
    assert len(driver.updates()) == 1


def test_sequence_out_of_window_is_corrected_at_once() -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=0xFFFF)
    assert [update.sequence for _, _, update in driver.updates()][1:] == [0]
    assert driver.state is State.REGISTERING
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_sequence_corrections_do_not_go_on_forever() -> None:
    driver = Driver()
    driver.visit(1)
    for sequence in range(4):
        assert driver.state is State.REGISTERING
        driver.acknowledge(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, sequence=sequence)
        driver.run(1)
    assert driver.state is State.REFUSED


def test_clock_is_corrected_once() -> None:
    driver = Driver()
    driver.visit(1)
    for step in range(2):
        sent = driver.updates()[-1][2].option(MessageId)
        assert sent is not None
        answer = ntp_timestamp(WALL + 100_000) & ~0xFFFF_FFFF | sent.timestamp & 0xFFFF_FFFF
        driver.acknowledge(BindingStatus.MIPV6_ID_MISMATCH, timestamp=answer)
        assert driver.state is (State.REFUSED if step else State.REGISTERING)
    assert len(driver.updates()) == 2
    corrected = driver.updates()[-1][2].option(MessageId)
    assert corrected is not None
    assert abs((corrected.timestamp >> 32) - (ntp_timestamp(WALL + 100_000) >> 32)) <= 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corrupt": True}, Drop.BAD_AUTHENTICATOR),
        ({"association": None}, Drop.NO_AUTHENTICATION),
        ({"association": SecurityAssociation(256, b"another key")}, Drop.BAD_AUTHENTICATOR),
        ({"association": replace(ASSOCIATION, spi=257)}, Drop.NO_SECURITY_ASSOCIATION),
        ({"sequence": 7}, Drop.STALE_SEQUENCE),
        ({"timestamp": 7}, Drop.STALE_SEQUENCE),
        ({"source": OTHER_AGENT}, Drop.FORGED_SOURCE),
        ({"status": 135, "timestamp": 7}, Drop.STALE_SEQUENCE),
        ({"status": 135, "corrupt": True}, Drop.BAD_AUTHENTICATOR),
    ],
)
def test_acknowledgements_that_are_ignored(changes: dict[str, Any], reason: Drop) -> None:
    driver = Driver()
    driver.visit(1)
    driver.acknowledge(**changes)
    assert driver.state is State.REGISTERING
    assert driver.node.drops == {reason: 1}


def test_bad_checksum_and_messages_for_other_roles() -> None:
    driver = Driver().registered()
    packet = driver.updates()[0][1]
    driver.node.receive(replace(packet, checksum_ok=False), 2, driver.now)
    driver.receives(Packet(HOME_AGENT, care_of(1), BindingUpdate(1, 1)))
    driver.receives(Packet(HOME_AGENT, care_of(1), UnknownPayload(99, b"abcd")))
    assert driver.node.drops == {Drop.BAD_CHECKSUM: 1, Drop.NOT_FOR_THIS_ROLE: 1, Drop.UNKNOWN_PAYLOAD: 1}


def test_unknown_message_is_answered_a_few_times() -> None:
    driver = Driver().registered()
    for _ in range(5):
        driver.from_home_agent(UnknownMessage(99, bytes(10)))
    errors = [packet.payload for _, packet in driver.payloads(BindingError)]
    assert errors == [BindingError(2, bytes(16))] * 3
    assert driver.node.drops[Drop.RATE_LIMITED] == 2


def test_wrong_payload_protocol_is_answered_with_a_parameter_problem() -> None:
    driver = Driver().registered()
    data = bytearray(encode_packet(Packet(HOME_AGENT, care_of(1), BindingRefreshRequest())))
    data[40] = 58
    checksum_shift = (int.from_bytes(data[44:46]) + 256) % 65535  # 59 became 58: one less in the upper byte
    data[44:46] = checksum_shift.to_bytes(2)
    driver.node.receive(decode_packet(bytes(data)), 2, driver.now)
    driver.collect()
    assert driver.node.drops[Drop.MALFORMED] == 1
    assert driver.payloads(ParameterProblem)


def test_refresh_request_and_unknown_binding_are_answered_with_an_update() -> None:
    for message in (BindingRefreshRequest(), BindingError(1, HOME_ADDRESS)):
        driver = Driver().registered()
        driver.clear()
        driver.receives(Packet(OTHER_AGENT, care_of(1), message, routing_home_address=HOME_ADDRESS))
        assert driver.node.drops == {Drop.FORGED_SOURCE: 1} and not driver.updates()
        driver.from_home_agent(message)
        assert len(driver.updates()) == 1 and driver.state is State.REFRESHING


def test_unproven_error_does_not_keep_from_registering() -> None:
    driver = Driver()
    driver.visit(1)
    driver.from_home_agent(BindingError(2, HOME_ADDRESS))
    quoted = encode_packet(driver.updates()[0][1])
    driver.receives(Packet(HOME_AGENT, care_of(1), ParameterProblem(1, 6, quoted)))
    assert driver.state is State.REGISTERING and len(driver.notices("registration_failed")) == 2
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_agent_that_does_not_know_binding_updates_is_left_alone() -> None:
    driver = Driver(replace(INSECURE, home_agent=HOME_AGENT))
    driver.visit(1)
    driver.from_home_agent(BindingError(2, HOME_ADDRESS))
    assert driver.state is State.REFUSED
    driver.run(60)
    driver.acknowledge()
    driver.from_home_agent(BindingError(2, HOME_ADDRESS))
    assert driver.state is State.REGISTERED and driver.node.counters["binding_errors_ignored"] == 1


def test_agent_without_mobility_support_is_left_alone() -> None:
    driver = Driver(replace(INSECURE, home_agent=HOME_AGENT))
    driver.visit(1)
    quoted = encode_packet(driver.updates()[0][1])
    driver.receives(Packet(HOME_AGENT, care_of(1), ParameterProblem(1, 6, b"nonsense")))
    assert driver.node.drops == {Drop.UNRELATED_ERROR: 1}
    driver.receives(Packet(HOME_AGENT, care_of(1), ParameterProblem(2, 42, quoted)))
    assert driver.notices("home_agent_parameter_problem") and driver.state is State.REGISTERING
    driver.receives(Packet(HOME_AGENT, care_of(1), ParameterProblem(1, 6, quoted)))
    assert driver.state is State.REFUSED
    driver.run(59)
    assert len(driver.updates()) == 1
    driver.run(2)
    assert len(driver.updates()) == 2


def test_path_mtu_of_the_tunnel() -> None:
    driver = Driver().registered()
    inner = Packet(HOME_ADDRESS, OTHER_AGENT, UnknownPayload(17, bytes(1400)))
    quoted = encode_packet(Packet(care_of(1), HOME_AGENT, UnknownPayload(41, encode_packet(inner))))[:1200]
    driver.clear()
    driver.receives(Packet(OTHER_AGENT, care_of(1), PacketTooBig(1400, quoted[:40])))
    driver.receives(Packet(OTHER_AGENT, care_of(1), PacketTooBig(1300, quoted)))
    driver.receives(Packet(OTHER_AGENT, care_of(1), PacketTooBig(1400, quoted.replace(HOME_AGENT, OTHER_AGENT))))
    mtus = [action.tunnel.mtu for action in driver.of(SetTunnel)]
    assert mtus == [1360, 1280]
    assert driver.node.drops == {Drop.UNRELATED_ERROR: 1}
    driver.down()
    driver.visit(2)
    assert driver.of(SetTunnel)[-1].tunnel.mtu == 0


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
    assert driver.node.machine.rows.tunnel == Tunnel(1, care_of(1), OTHER_AGENT, interface=2)


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
    assert after.of(SetTunnel) == [SetTunnel(Tunnel(1, care_of(1), HOME_AGENT, interface=2))]
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
