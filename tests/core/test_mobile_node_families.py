"""Which family a mobile node uses: the race where nothing is known, and what it does when one is silent (RFC 5555
section 4.4.1)."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from mobile_node_driver import DUAL_STACK, Driver, care_of, care_of_ipv4, prefix

from unwired.core.mobile_node_states import State
from unwired.core.networks import AVOID_S
from unwired.core.settings import Family
from unwired.wire.rfc5555 import NatDetection
from unwired.wire.rfc6275 import BindingStatus, BindingUpdate

NAT = (NatDetection(110),)


def dual_stack(driver: Driver, number: int = 1) -> None:
    """A link that gives both, the lease first."""
    driver.up()
    driver.lease(number)
    driver.advertisement(prefix(number), mac=bytes((2, 0, 0, 0, 1, number)))
    driver.address(care_of(number))


def families(driver: Driver) -> str:
    """Of the binding updates so far."""
    return "".join("6" if packet.outer is None else "4" for _, packet, _ in driver.updates())


def local(driver: Driver) -> bytes | None:
    tunnel = driver.node.machine.rows.tunnel
    return None if tunnel is None else tunnel.local


def raced() -> Driver:
    """Both families are asked, the preferred one last."""
    driver = Driver(DUAL_STACK)
    driver.visit(1)
    driver.lease(1)
    return driver


def test_race_asks_both_and_the_preferred_one_last() -> None:
    driver = raced()
    assert families(driver) == "646"  # the first one was on its way before there was a rival
    updates = [update for _, _, update in driver.updates()]
    assert updates[-1].sequence == max(update.sequence for update in updates)
    assert local(driver) == care_of(1)


def test_rival_that_was_first_is_not_asked_twice() -> None:
    driver = Driver(DUAL_STACK)
    dual_stack(driver)
    assert families(driver) == "46"


def test_preferred_one_acknowledged_first_ends_the_race() -> None:
    driver = raced()
    driver.acknowledge()
    assert driver.state is State.REGISTERED and local(driver) == care_of(1)
    sent = len(driver.updates())
    driver.acknowledge(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, back=2, options=NAT)
    driver.run(30)
    assert driver.state is State.REGISTERED and len(driver.updates()) == sent


def test_other_one_acknowledged_first_is_used_until_the_preferred_one_is() -> None:
    driver = raced()
    driver.acknowledge(back=2, options=NAT)
    assert driver.state is State.HANDOVER and local(driver) == care_of_ipv4(1)
    driver.acknowledge()
    assert driver.state is State.REGISTERED and local(driver) == care_of(1)
    assert families(driver) == "646"


def test_dead_preferred_family_costs_no_interruption() -> None:
    driver = raced()
    driver.acknowledge(back=2, options=NAT)
    driver.run(5)
    assert local(driver) == care_of_ipv4(1)
    # Given up after two tries, because the other is answered; that one is registered once more.
    assert families(driver) == "64664"
    assert driver.state is State.HANDOVER
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED
    assert [fields["care_of_address"] for fields in driver.notices("care_of_address_silent")] == ["2001:db8:1::c2"]


def test_late_answer_to_a_family_that_was_given_up_is_nothing_new() -> None:
    driver = raced()
    driver.acknowledge(back=2, options=NAT)
    driver.run(10)
    driver.acknowledge(back=2)  # of IPv6
    assert local(driver) == care_of_ipv4(1)


def test_silent_family_is_tried_again_after_a_while_and_later_each_time() -> None:
    driver = raced()
    driver.acknowledge(back=2, options=NAT)
    driver.run(10)
    driver.acknowledge(options=NAT)
    driver.clear_actions()
    tried = []
    for _ in range(3):
        driver.sent.clear()
        start = driver.time
        while "6" not in families(driver):
            driver.run(1)
            if driver.state is State.REFRESHING:
                driver.acknowledge(options=NAT)
        tried.append(driver.time - start)
        assert local(driver) == care_of_ipv4(1)
        while families(driver)[-1] != "4":
            driver.run(1)
        driver.acknowledge(options=NAT)
        assert driver.state is State.REGISTERED
    assert AVOID_S - 15 < tried[0] < AVOID_S + 15
    assert tried[1] > 1.5 * tried[0] and tried[2] > 1.5 * tried[1]


def test_what_works_is_not_raced_again() -> None:
    driver = raced()
    driver.acknowledge()
    driver.down()
    driver.run(5)
    driver.sent.clear()
    dual_stack(driver, 2)
    driver.acknowledge()
    driver.down()
    driver.run(5)
    driver.sent.clear()
    driver.visit(1)
    assert families(driver) == "6"


def test_family_that_dies_while_the_link_stays_up() -> None:
    driver = raced()
    driver.acknowledge()
    driver.run(20)
    refresh_at = driver.node.machine.entry.bound.refresh_at  # type: ignore[union-attr]
    driver.sent.clear()
    driver.run(refresh_at - driver.time + 0.5)
    assert families(driver) == "6"
    driver.run(1)
    assert families(driver) == "646"  # the second try asks both
    driver.acknowledge(back=2, options=NAT)
    assert driver.state is State.HANDOVER and local(driver) == care_of_ipv4(1)
    driver.run(10)
    assert families(driver)[-1] == "4"
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED


def test_refusal_by_the_rival_is_not_the_last_word() -> None:
    driver = raced()
    driver.acknowledge(BindingStatus.ADMINISTRATIVELY_PROHIBITED, back=2, options=NAT)
    assert driver.state is State.REGISTERING
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_wrong_clock_is_corrected_by_whichever_answers() -> None:
    driver = raced()
    update = driver.updates()[-2][2]
    stamp = next(option.timestamp for option in update.options if hasattr(option, "timestamp"))
    driver.acknowledge(BindingStatus.MIPV6_ID_MISMATCH, back=2, options=NAT, timestamp=stamp + (1000 << 32))
    driver.run(1)
    driver.acknowledge()
    assert driver.state is State.REGISTERED


def test_preferences_are_followed() -> None:
    driver = Driver(replace(DUAL_STACK, families=(Family.IPV4, Family.IPV6)))
    driver.visit(1)
    driver.lease(1)
    assert families(driver) == "64"
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED and local(driver) == care_of_ipv4(1)


def test_preferred_interface_comes_before_the_preferred_family() -> None:
    driver = Driver(replace(DUAL_STACK, interfaces=("wlan0", "wwan0")))
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.run(5)
    driver.visit_ipv4(2, 2, "wlan0")
    assert families(driver)[-1] == "4"
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED and local(driver) == care_of_ipv4(2)


def test_silent_home_agent_is_not_asked_more_often_by_two_families() -> None:
    driver = raced()
    driver.run(3600)
    assert len(driver.updates()) < 3600 / 32 * 2 * 1.5


events = st.one_of(
    st.tuples(st.just("visit"), st.integers(1, 2), st.sampled_from([2, 3])),
    st.tuples(st.just("visit_ipv4"), st.integers(1, 2), st.sampled_from([2, 3])),
    st.tuples(st.just("lease"), st.integers(1, 2), st.sampled_from([2, 3])),
    st.tuples(st.just("no_lease"), st.integers(1, 2), st.sampled_from([2, 3])),
    st.tuples(st.just("home"), st.sampled_from([2, 3])),
    st.tuples(st.just("down"), st.sampled_from([2, 3])),
    st.tuples(st.just("acknowledge"), st.sampled_from([0, 0, 0, *BindingStatus]), st.integers(1, 4)),
    st.tuples(st.just("run"), st.sampled_from([0.0, 0.05, 1.0, 5.0, 100.0, 1000.0])),
    st.tuples(st.just("restart")),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(schedule=st.lists(events, max_size=25), udp=st.booleans())
def test_whatever_happens_the_tunnel_is_where_the_home_agent_was_last_told(
    schedule: list[tuple[object, ...]], udp: bool
) -> None:
    driver = Driver(replace(DUAL_STACK, force_udp=udp))
    for name, *arguments in schedule:
        match name:
            case "visit" | "visit_ipv4":
                getattr(driver, name)(*arguments, f"if{arguments[1]}")
            case "acknowledge":
                status, back = arguments
                if len(driver.updates()) >= back:  # type: ignore[operator]
                    driver.acknowledge(status, back=back, options=NAT)  # type: ignore[arg-type]
            case "restart":
                records, time = driver.journal(), driver.time
                driver = Driver(replace(DUAL_STACK, force_udp=udp), start=False)
                driver.time = time
                driver.node.restore(records, driver.now)
                driver.node.start(driver.now)
                driver.collect()
            case _:
                getattr(driver, str(name))(*arguments)
        machine = driver.node.machine
        if driver.state is State.REGISTERED:
            bound, tunnel = machine.entry.bound, machine.rows.tunnel
            assert bound is not None and tunnel is not None
            assert (tunnel.local, tunnel.encapsulation) == (bound.care_of_address, bound.encapsulation)
            assert machine.entry.care_of_address == bound.care_of_address
        assert len(machine.entry.outstanding) <= 32
    if driver.node.machine.refusals.forbidden:
        return
    for interface in (2, 3):
        driver.down(interface)
    driver.run(1000)
    driver.clear()
    driver.visit_ipv4(1)
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED
    assert isinstance(driver.updates()[-1][2], BindingUpdate)
    assert local(driver) == care_of_ipv4(1)
