"""The mobile node's registration: what it sends, how it takes each answer, return home, restart, stop."""

from dataclasses import replace
from typing import Any

import pytest
from mobile_node_driver import (
    ASSOCIATION,
    HOME_ADDRESS,
    HOME_AGENT,
    INSECURE,
    SETTINGS,
    WALL,
    Driver,
    care_of,
    tunnel,
)

from unwired.core.door import (
    ForgetCareOfAddress,
    GoAway,
    HoldHomeAddress,
    Send,
    UseCareOfAddress,
)
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    Listen,
    SetTunnel,
    Unlisten,
)
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.core.settings import SecurityAssociation
from unwired.wire.address import parse_address
from unwired.wire.icmpv6 import (
    PacketTooBig,
    ParameterProblem,
)
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_packet, encode_packet
from unwired.wire.mobility import MobilityMessage, UnknownMessage
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
from unwired.wire.rfc7109 import FlowBindingIndication

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
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(1), HOME_AGENT, 2))]
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
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(2), HOME_AGENT, 2))]
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
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(2, 2), HOME_AGENT, 2))]


def test_old_link_breaks_before_the_acknowledgement() -> None:
    driver = Driver(replace(SETTINGS, interfaces=("wlan0", "wwan0")))
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.visit(2, 2, "wlan0")
    driver.clear()
    driver.down(3)
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(2, 2), HOME_AGENT, 2))]


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


@pytest.mark.parametrize("message", [UnknownMessage(99, bytes(10)), FlowBindingIndication(1)])
def test_unknown_message_is_answered_a_few_times(message: MobilityMessage) -> None:
    driver = Driver().registered()
    for _ in range(5):
        driver.from_home_agent(message)
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
    assert mtus == [1360, 1260]
    assert driver.node.drops == {Drop.UNRELATED_ERROR: 1}
    driver.down()
    driver.visit(2)
    assert driver.of(SetTunnel)[-1].tunnel.mtu == 0
