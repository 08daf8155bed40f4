"""The mobile node's state machine as a table: complete, reachable, drawn; and walked in full by whatever may happen."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mobile_node_driver import (
    DUAL_STACK,
    HOME_ADDRESS,
    HOME_AGENT,
    INSECURE,
    ROUTER,
    SETTINGS,
    Driver,
    care_of,
    care_of_ipv4,
    router_ipv4,
)

from unwired.core.mobile_node_machine import MobileNodeMachine
from unwired.core.mobile_node_states import TABLE, Do, Input, State, transition
from unwired.core.places import AtHome, Attachment, Away
from unwired.core.settings import Family
from unwired.core.state_diagram import mermaid
from unwired.wire.address import parse_address
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, MobilePrefixAdvertisement, NeighborSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc6275 import BindingError, BindingRefreshRequest, BindingStatus

PLACES: tuple[Attachment | None, ...] = (
    None,
    Away(care_of(1), 2, ROUTER),
    Away(care_of_ipv4(1), 2, router_ipv4(1)),
    AtHome(2, ROUTER),
)


def test_every_state_is_reached_and_left() -> None:
    reached = {after for _, after in TABLE.values()} | {State.OFF}
    assert reached == set(State)
    assert {state for state, _ in TABLE} == set(State)
    assert {given for _, given in TABLE} == set(Input)
    assert {do for do, _ in TABLE.values()} | {Do.NOTHING} == set(Do)
    assert set(MobileNodeMachine._steps) == set(Do) - {Do.NOTHING}


def test_every_state_can_stop_and_off_does_nothing_else() -> None:
    for state in State:
        assert transition(state, Input.STOP)[1] is State.OFF
    assert {given for state, given in TABLE if state is State.OFF} == {Input.START, Input.RESTORED}


def test_diagram_has_a_line_for_each_row() -> None:
    assert len(mermaid(State.OFF, TABLE).splitlines()) == len(TABLE) + 2
    assert "    registered --> handover: away / register" in mermaid(State.OFF, TABLE)


def test_documentation_has_the_diagram_and_the_notices() -> None:
    root = Path(__file__).parents[2]
    diagram = (root / "docs" / "mobile-node.md").read_text()
    assert f"```mermaid\n{mermaid(State.OFF, TABLE)}```" in diagram, (
        "draw it again: unwired.core.state_diagram.mermaid(State.OFF, TABLE)"
    )
    told = set()
    core = root / "src" / "unwired" / "core"
    for path in (*core.glob("mobile_node*.py"), core / "ipv4_home_address.py"):
        told |= set(re.findall(r"(?:notify|tell)\(\s*\"(\w+)\"", path.read_text()))
    assert len(told) > 15
    events = (root / "docs" / "events.md").read_text()
    assert {name for name in told if f"`{name}`" not in events} == set()


@pytest.mark.parametrize("place", PLACES, ids=["nowhere", "away", "ipv4", "home"])
@pytest.mark.parametrize("given_input", Input)
@pytest.mark.parametrize("state", State)
def test_every_state_takes_every_input_anywhere(state: State, given_input: Input, place: Attachment | None) -> None:
    """Even pairs that never meet leave an engine that goes on."""
    in_ipv4 = isinstance(place, Away) and place.family is Family.IPV4
    for settings_ in (DUAL_STACK,) if in_ipv4 else (SETTINGS, INSECURE):
        for bound in (False, True):
            driver = Driver(settings_)
            if bound:
                driver.visit(1)
                if driver.updates():
                    driver.acknowledge()
            driver.node.machine.state = state
            driver.node.machine.attachment = place
            driver.node.machine.input(given_input)
            driver.collect()
            driver.run(200)
            json_ready: Any = driver.node.status()
            assert json_ready["state"] in set(State)
            deadline = driver.node.deadline()
            assert deadline is None or deadline > driver.time


AGENTS = [HOME_AGENT, parse_address("2001:db8:100::2"), parse_address("2001:db8:100::3")]
events = st.one_of(
    st.tuples(st.just("visit"), st.integers(1, 3), st.sampled_from([2, 3])),
    st.tuples(st.just("home"), st.sampled_from([2, 3])),
    st.tuples(st.just("down"), st.sampled_from([2, 3])),
    st.tuples(st.just("up"), st.sampled_from([2, 3])),
    st.tuples(st.just("no_address"), st.integers(1, 3), st.sampled_from([2, 3])),
    st.tuples(st.just("acknowledge"), st.sampled_from([0, 0, 0, 1, *BindingStatus, 77, 255]), st.integers(1, 3)),
    st.tuples(st.just("message"), st.integers(0, 4)),
    st.tuples(st.just("run"), st.sampled_from([0.0, 0.05, 1.0, 5.0, 100.0, 1000.0])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("switch"), st.lists(st.sampled_from(AGENTS), max_size=3)),
)
MESSAGES = (
    BindingRefreshRequest(),
    BindingError(1, HOME_ADDRESS),
    BindingError(2, HOME_ADDRESS),
    MobilePrefixAdvertisement(0x0102),
    HomeAgentAddressDiscoveryReply(0x0102, (HOME_AGENT, parse_address("2001:db8:100::2"))),
)


def test_first_registration_timeout_is_configurable() -> None:
    """ "mobile nodes MUST allow the last variable to be configured" (RFC 6275 section 13)."""
    driver = Driver(replace(SETTINGS, first_registration_timeout_s=4.0))
    driver.visit(1)
    driver.run(13)
    assert [time - 100 for time, _, _ in driver.updates()] == [0, 4, 12]


@pytest.mark.parametrize("configured", [SETTINGS, INSECURE], ids=["authenticated", "insecure"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(schedule=st.lists(events, max_size=25))
def test_whatever_happens_it_goes_on_and_ends_registered(configured: Any, schedule: list[tuple[Any, ...]]) -> None:
    driver = Driver(configured)
    for name, *arguments in schedule:
        match name:
            case "visit":
                number, interface = arguments
                driver.visit(number, interface, f"if{interface}")
            case "acknowledge":
                status, back = arguments
                if len(driver.updates()) >= back:
                    driver.acknowledge(status, back=back)
            case "switch":
                driver.switch(*arguments[0], association=configured.association)
            case "message":
                driver.from_home_agent(MESSAGES[arguments[0]])
                source = parse_address("fe80::77")
                driver.receives(Packet(source, HOME_ADDRESS, NeighborSolicitation(HOME_ADDRESS), hop_limit=255))
            case "no_address":
                driver.no_address(care_of(*arguments), arguments[1])
            case "up":
                driver.up(arguments[0], f"if{arguments[0]}")
            case "restart":
                records = driver.journal()
                time = driver.time
                driver = Driver(configured, start=False)
                driver.time = time
                driver.node.restore(records, driver.now)
                driver.node.start(driver.now)
                driver.collect()
            case _:
                getattr(driver, name)(*arguments)
        tunnel = driver.node.machine.rows.tunnel
        if driver.state is State.REGISTERED:
            bound = driver.node.machine.entry.bound
            assert bound is not None and tunnel is not None and tunnel.local == bound.care_of_address
            assert tunnel.peer == driver.node.machine.entry.home_agent
        assert (driver.state is State.SWITCHING) == (driver.node.machine.candidate is not None)
    if driver.node.machine.refusals.forbidden:
        return
    for interface in (2, 3):
        driver.down(interface)
    driver.run(1000)
    driver.clear()
    driver.visit(1)
    if driver.state is State.DISCOVERING:
        driver.from_home_agent(MESSAGES[4])
    driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert driver.node.machine.rows.tunnel is not None
    assert driver.node.machine.rows.tunnel.local == care_of(1)
