"""A change of the home agent while other things go on: movement, loss, restart (RFC 5142)."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mobile_node_driver import (
    HOME_ADDRESS,
    HOME_AGENT,
    SETTINGS,
    Driver,
    care_of,
    prefix,
    tunnel,
)
from switching_node import (
    NEAR,
    THIRD,
    destinations,
    refuse,
    restarted,
    switched,
)

from unwired.core.forwarding import SetTunnel, Unaccept
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.wire.rfc4285 import MessageId
from unwired.wire.rfc6275 import BindingRefreshRequest, BindingStatus

# --- while other things go on ---


def test_movement_during_the_change_goes_to_the_home_agent_that_we_have() -> None:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.clear()
    driver.down()
    driver.visit(2)
    assert driver.state is State.HANDOVER and destinations(driver) == [HOME_AGENT]
    assert driver.node.machine.candidate is None
    driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert driver.node.machine.rows.tunnel == tunnel(care_of(2), HOME_AGENT, 2)


def test_late_answer_of_the_other_after_movement_is_nothing() -> None:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.down()
    driver.visit(2)
    driver.acknowledge(back=2)
    assert driver.node.drops == {Drop.FORGED_SOURCE: 1} and driver.state is State.HANDOVER


def test_a_link_that_comes_back_during_the_change_registers_again() -> None:
    """The other may have taken us up: the present home agent has to hear of us to be ours again."""
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.clear()
    driver.down()
    assert driver.state is State.STRANDED
    driver.up()
    driver.advertisement(prefix(1))
    assert driver.state is State.HANDOVER and destinations(driver) == [HOME_AGENT]


def test_switch_before_the_acknowledgement_of_a_move() -> None:
    """The one came past the other, or the present home agent is dead and another speaks."""
    driver = Driver().registered()
    driver.down()
    driver.visit(2)
    driver.clear_actions()
    driver.switch(NEAR)
    assert driver.state is State.SWITCHING and driver.updates()[-1][1].destination == NEAR
    driver.acknowledge(back=2)
    assert driver.state is State.SWITCHING
    bound = driver.node.machine.entry.bound
    assert bound is not None and bound.care_of_address == care_of(2)
    driver.acknowledge()
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == NEAR
    assert driver.node.machine.rows.tunnel == tunnel(care_of(2), NEAR, 2)


def test_switch_before_the_first_acknowledgement() -> None:
    driver = Driver()
    driver.visit(1)
    driver.switch(NEAR)
    assert driver.state is State.SWITCHING
    driver.run(7.1)
    assert driver.state is State.REGISTERING and driver.updates()[-1][1].destination == HOME_AGENT
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_switch_before_the_acknowledgement_with_two_links() -> None:
    """Make before break: the tunnel stays on the old link until either home agent has acknowledged."""
    driver = Driver(replace(SETTINGS, interfaces=("wlan0", "wwan0")))
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.visit(2, 2, "wlan0")
    driver.clear_actions()
    driver.switch(NEAR)
    assert not driver.of(SetTunnel)
    driver.acknowledge()
    assert driver.of(SetTunnel) == [SetTunnel(tunnel(care_of(2, 2), NEAR, 2))]


def test_refused_by_a_home_agent_that_is_leaving() -> None:
    """RFC 5142 section 5.3: status 129, while the message says where to go."""
    driver = Driver().registered()
    driver.from_home_agent(BindingRefreshRequest())
    driver.acknowledge(BindingStatus.ADMINISTRATIVELY_PROHIBITED)
    assert driver.state is State.REFUSED
    driver.switch(NEAR)
    driver.acknowledge()
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == NEAR


def test_at_home_and_on_the_way_there_no_home_agent_is_changed() -> None:
    driver = Driver().registered()
    driver.home()
    assert driver.state is State.RETURNING
    driver.switch(NEAR, care_of_address=care_of(1))
    assert driver.state is State.RETURNING
    driver.acknowledge()
    assert driver.state is State.HOME
    driver.run(2)
    driver.switch(NEAR, care_of_address=HOME_ADDRESS)
    driver.run(2)
    driver.switch(NEAR, care_of_address=HOME_ADDRESS, home_address=None)
    assert driver.state is State.HOME and driver.node.machine.candidate is None
    assert driver.node.drops == {Drop.UNWANTED_SWITCH: 2, Drop.FORGED_SOURCE: 1}


def test_returning_home_during_the_change_tells_both() -> None:
    driver = Driver().registered()
    driver.run(2)
    driver.switch(NEAR)
    driver.clear()
    driver.home()
    assert driver.state is State.RETURNING
    assert [(packet.destination, update.lifetime_s) for _, packet, update in driver.updates()] == [
        (NEAR, 0),
        (HOME_AGENT, 0),
    ]
    driver.acknowledge()
    assert driver.state is State.HOME


def test_stop_during_the_change_tells_both() -> None:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.clear()
    driver.node.stop(driver.now)
    driver.collect()
    assert {(packet.destination, update.lifetime_s) for _, packet, update in driver.updates()} == {
        (NEAR, 0),
        (HOME_AGENT, 0),
    }
    assert set(driver.of(Unaccept)) == {refuse(HOME_AGENT), refuse(NEAR)}


# --- restart ---


def test_restart_stays_with_the_home_agent_that_we_were_sent_to() -> None:
    after = restarted(switched())
    assert after.state is State.STRANDED
    assert after.of(SetTunnel) == [SetTunnel(tunnel(care_of(1), NEAR, 2))]
    after.visit(1)
    assert destinations(after) == [NEAR]
    after.acknowledge()
    assert after.state is State.REGISTERED


def test_restart_with_another_home_agent_configured_goes_there() -> None:
    after = restarted(switched(), replace(SETTINGS, home_agent=THIRD))
    after.visit(1)
    assert destinations(after) == [THIRD]


def test_restart_with_the_one_configured_that_we_were_sent_to() -> None:
    after = restarted(switched(), replace(SETTINGS, home_agent=NEAR))
    assert after.state is State.STRANDED
    after.visit(1)
    assert destinations(after) == [NEAR]


def test_restart_after_the_lifetime_begins_with_the_configured_one() -> None:
    after = restarted(switched(), seconds=500)
    after.visit(1)
    assert destinations(after) == [HOME_AGENT]


def test_restart_in_the_middle_of_a_change_begins_with_the_home_agent_that_we_had() -> None:
    before = Driver().registered()
    before.switch(NEAR)
    after = restarted(before, seconds=0.5)
    after.visit(1)
    assert after.state is State.HANDOVER and destinations(after) == [HOME_AGENT]
    after.acknowledge()
    assert after.state is State.REGISTERED
    after.run(2)
    after.switch(NEAR)
    after.acknowledge()
    assert after.state is State.REGISTERED and after.node.machine.entry.home_agent == NEAR


# --- whatever is lost ---

set_events = st.one_of(
    st.tuples(st.just("switch"), st.sampled_from([HOME_AGENT, NEAR, THIRD]), st.sampled_from([HOME_AGENT, NEAR])),
    st.tuples(st.just("taken"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("answered"), st.sampled_from([0, 0, 0, 129, 133, 135]), st.integers(1, 3)),
    st.tuples(st.just("run"), st.sampled_from([0.01, 0.5, 1.1, 4.0, 8.0, 60.0])),
    st.tuples(st.just("move"), st.integers(1, 2)),
    st.tuples(st.just("blink")),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(set_events, max_size=20))
def test_the_home_agent_that_has_us_is_always_heard(schedule: list[tuple[Any, ...]]) -> None:
    """A set has one binding, which whoever took the latest binding update sends by. Whatever the mobile node has heard
    of it, it opens that home agent's tunnels."""
    driver = Driver().registered()
    primary, latest, care_of_address = HOME_AGENT, 0, care_of(1)
    place = 1
    for name, *arguments in schedule:
        match name:
            case "switch":
                driver.switch(arguments[0], source=arguments[1])
            case "taken":
                back, answers = arguments
                if len(driver.updates()) < back:
                    continue
                _, packet, update = driver.updates()[-back]
                message_id = update.option(MessageId)
                assert message_id is not None
                if message_id.timestamp > latest:
                    primary, latest, care_of_address = packet.destination, message_id.timestamp, packet.source
                    if answers:
                        driver.acknowledge(back=back)
            case "answered":
                status, back = arguments
                if status and len(driver.updates()) >= back:
                    driver.acknowledge(status, back=back)
            case "run":
                driver.run(*arguments)
            case "move":
                place = arguments[0]
                driver.down()
                driver.visit(place)
            case _:
                driver.down()
                driver.visit(place)
        machine = driver.node.machine
        tunnel_row = machine.rows.tunnel
        assert tunnel_row is not None and (tunnel_row.peer, 0) in machine.rows._peers
        if machine.candidate is not None:
            assert driver.state is State.SWITCHING and (machine.candidate.home_agent, 0) in machine.rows._peers
        else:
            assert driver.state is not State.SWITCHING
        if care_of_address == care_of(place):
            assert (primary, 0) in machine.rows._peers
        if driver.state is State.REGISTERED:
            assert (tunnel_row.local, tunnel_row.peer) == (care_of(place), machine.entry.home_agent)
