"""Movement detection: solicitations, what verifies a care-of address, which one is chosen, and doubt about routers."""

from dataclasses import replace

import pytest
from mobile_node_driver import HOME_ADDRESS, HOME_PREFIX, MAC, ROUTER, SETTINGS, Driver, care_of, prefix

from unwired.core.door import GoHome, UseCareOfAddress
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.wire.address import ALL_NODES, ALL_ROUTERS, UNSPECIFIED, parse_address
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import PrefixInformation, SourceLinkLayerAddress, TargetLinkLayerAddress
from unwired.wire.rfc6275 import BindingRefreshRequest

OURS = parse_address("fe80::99")
OTHER = parse_address("fe80::2")
BOTH = replace(SETTINGS, interfaces=("wlan0", "wwan0"))


def solicitations(driver: Driver) -> list[float]:
    return [round(time - 100, 3) for time, _ in driver.payloads(RouterSolicitation)]


def test_solicits_at_once_and_quickly_again_then_ever_slower() -> None:
    driver = Driver()
    driver.up()
    driver.run(100)
    assert solicitations(driver) == [0, 0.1, 0.25, 0.5, 1.0, 5.0, 13.0, 29.0, 61.0]
    _, packet = driver.payloads(RouterSolicitation)[0]
    assert packet.source == UNSPECIFIED and packet.destination == ALL_ROUTERS and packet.hop_limit == 255
    assert packet.payload == RouterSolicitation(())


def test_solicits_with_its_link_layer_address_only_from_a_settled_address() -> None:
    driver = Driver()
    driver.address(OURS, optimistic=True)
    driver.up()
    driver.address(OURS, optimistic=False)
    driver.run(0.15)
    first, second = (packet for _, packet in driver.payloads(RouterSolicitation))
    assert first.source == second.source == OURS
    assert first.payload == RouterSolicitation(())
    assert second.payload == RouterSolicitation((SourceLinkLayerAddress(MAC),))


def test_an_advertisement_ends_the_solicitations() -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(prefix(1))
    driver.run(100)
    assert solicitations(driver) == [0]


@pytest.mark.parametrize("address_first", [True, False])
def test_address_and_advertisement_in_either_order(address_first: bool) -> None:
    driver = Driver()
    driver.up()
    if address_first:
        driver.address(care_of(1))
        assert driver.state is State.DETACHED
        driver.advertisement(prefix(1))
    else:
        driver.advertisement(prefix(1))
        assert driver.state is State.DETACHED
        driver.address(care_of(1))
    assert driver.state is State.REGISTERING
    assert driver.of(UseCareOfAddress) == [UseCareOfAddress(care_of(1), 2, ROUTER)]


def test_an_old_address_is_no_care_of_address_on_a_new_link() -> None:
    driver = Driver().registered()
    driver.down()
    assert driver.state is State.STRANDED
    driver.up()
    driver.advertisement(prefix(2), mac=b"\x02\0\0\0\1\2")
    assert driver.state is State.STRANDED
    driver.run(1)
    assert driver.state is State.STRANDED
    driver.address(care_of(2))
    assert driver.state is State.HANDOVER
    assert driver.updates()[-1][1].source == care_of(2)


def test_same_prefix_again_moves_nothing() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.down()
    driver.up()
    driver.advertisement(prefix(1))
    assert driver.state is State.REGISTERED
    assert not driver.updates()


def test_link_up_without_link_down_keeps_the_tunnel_until_a_router_speaks() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.up()
    assert driver.state is State.REGISTERED
    assert driver.payloads(RouterSolicitation)
    driver.address(care_of(2))
    driver.advertisement(prefix(2), router=OTHER, mac=b"\x02\0\0\0\1\2")
    assert driver.updates()[-1][1].source == care_of(2)


def test_managed_address_without_a_prefix() -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(managed=True)
    driver.address(care_of(7))
    assert driver.state is State.REGISTERING


@pytest.mark.parametrize(
    "invalid", [{"hop_limit": 64}, {"router": parse_address("2001:db8::1")}], ids=["forwarded", "global source"]
)
def test_invalid_advertisements_are_dropped(invalid: dict[str, int]) -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(prefix(1), **invalid)  # type: ignore[arg-type]
    driver.address(care_of(1))
    assert driver.state is State.DETACHED
    assert driver.node.drops[Drop.BEYOND_THE_LINK] == 1


def test_a_router_that_goes_out_of_service_is_no_default_router() -> None:
    driver = Driver().registered()
    driver.advertisement(prefix(1), lifetime_s=0)
    assert driver.state is State.STRANDED


def test_address_removed() -> None:
    driver = Driver().registered()
    driver.run(1)
    driver.no_address(care_of(1))
    assert driver.state is State.STRANDED


# --- doubt ---


def test_silent_router_is_asked_and_answers() -> None:
    driver = Driver()
    driver.address(OURS, optimistic=False)
    driver.up()
    driver.advertisement(prefix(1), interval_ms=3000)
    driver.address(care_of(1))
    driver.acknowledge()
    driver.clear()
    driver.run(3.06)
    [(_, asked)] = driver.payloads(NeighborSolicitation)
    assert asked.payload == NeighborSolicitation(ROUTER, (SourceLinkLayerAddress(MAC),))
    assert asked.source == OURS and asked.destination == ROUTER
    answer = NeighborAdvertisement(ROUTER, True, True, True)
    driver.receives(Packet(ROUTER, OURS, answer, hop_limit=255))
    driver.run(2.5)
    assert driver.state is State.REGISTERED
    assert len(driver.payloads(NeighborSolicitation)) == 1


def test_silent_router_that_does_not_answer_is_gone() -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(prefix(1), interval_ms=3000)
    driver.address(care_of(1))
    driver.acknowledge()
    driver.run(4.6)
    assert driver.state is State.REGISTERED
    driver.run(0.2)
    assert driver.state is State.STRANDED
    driver.advertisement(prefix(1), interval_ms=3000)
    assert driver.state is State.REGISTERED


def test_another_router_beside_one_that_answers_moves_nothing() -> None:
    driver = Driver()
    driver.address(OURS, optimistic=False)
    driver.registered()
    driver.clear()
    driver.advertisement(prefix(2), router=OTHER, mac=b"\x02\0\0\0\1\2")
    driver.address(care_of(2))
    [(_, asked)] = driver.payloads(NeighborSolicitation)
    assert asked.destination == ROUTER
    options = (TargetLinkLayerAddress(b"\x02\0\0\0\1\1"),)
    driver.receives(Packet(ROUTER, OURS, NeighborAdvertisement(ROUTER, True, True, True, options), hop_limit=255))
    driver.run(1)
    assert driver.state is State.REGISTERED and not driver.updates()


def test_another_router_beside_one_that_is_gone_is_a_move() -> None:
    driver = Driver()
    driver.address(OURS, optimistic=False)
    driver.registered()
    driver.clear()
    driver.advertisement(prefix(2), router=OTHER, mac=b"\x02\0\0\0\1\2")
    driver.address(care_of(2))
    # Somebody with the same link-local address is no proof.
    options = (TargetLinkLayerAddress(b"\x02\0\0\0\1\x77"),)
    driver.receives(Packet(ROUTER, OURS, NeighborAdvertisement(ROUTER, True, True, True, options), hop_limit=255))
    driver.run(0.25)
    [(time, packet, _)] = driver.updates()
    assert packet.source == care_of(2) and round(time - 100, 3) == 0.2


def test_same_link_local_address_other_link_layer_address_is_another_router() -> None:
    driver = Driver().registered()
    driver.address(care_of(2))
    driver.advertisement(prefix(2), mac=b"\x02\0\0\0\1\2")
    assert driver.updates()[-1][1].source == care_of(2)


def test_same_router_without_link_layer_address_and_other_prefixes_is_another_router() -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(prefix(1), mac=b"")
    driver.address(care_of(1))
    driver.acknowledge()
    driver.address(care_of(2))
    driver.advertisement(prefix(2), mac=b"")
    assert driver.updates()[-1][1].source == care_of(2)


def test_second_router_of_the_same_prefix_takes_over_without_a_binding_update() -> None:
    driver = Driver().registered()
    driver.clear()
    driver.advertisement(prefix(1), router=OTHER, mac=b"\x02\0\0\0\1\2")
    driver.advertisement(prefix(1), lifetime_s=0)
    assert driver.state is State.REGISTERED and not driver.updates()
    assert driver.of(UseCareOfAddress) == [UseCareOfAddress(care_of(1), 2, OTHER)]


# --- several interfaces ---


def test_back_in_a_network_just_left_its_router_is_used_again() -> None:
    driver = Driver()
    for number, router in ((1, ROUTER), (2, OTHER), (1, ROUTER)):
        driver.clear()
        driver.up()
        driver.address(care_of(number))
        driver.advertisement(prefix(number), router=router, mac=bytes((2, 0, 0, 0, 1, number)))
        driver.acknowledge()
        driver.run(2)
        assert driver.of(UseCareOfAddress) == [UseCareOfAddress(care_of(number), 2, router)]
        driver.down()
    # What is said again after a failure: the router in use last, so that it stays.
    driver.clear()
    driver.node.machine.rows.say_again()
    driver.collect()
    assert driver.of(UseCareOfAddress)[-1] == UseCareOfAddress(care_of(1), 2, ROUTER)


def test_prefers_the_first_interface_and_returns_to_it() -> None:
    driver = Driver(BOTH)
    driver.visit(1, 3, "wwan0")
    driver.acknowledge()
    driver.visit(2, 2, "wlan0")
    assert driver.updates()[-1][1].source == care_of(2, 2)
    driver.acknowledge()
    driver.down(2)
    assert driver.updates()[-1][1].source == care_of(1, 3)
    driver.acknowledge()
    driver.run(1)
    driver.visit(2, 2, "wlan0")
    assert driver.updates()[-1][1].source == care_of(2, 2)


def test_stays_where_it_is_among_equals() -> None:
    driver = Driver().registered(1)
    driver.clear()
    driver.visit(2, 1, "eth0")
    assert not driver.updates()


def test_interfaces_that_are_not_named_are_left_alone() -> None:
    driver = Driver(replace(SETTINGS, interfaces=("wlan0",)))
    driver.visit(1, 3, "eth0")
    assert driver.state is State.DETACHED and not driver.sent


def test_home_link_wins_over_the_preferred_interface() -> None:
    driver = Driver(BOTH).registered(1)
    driver.up(3, "wwan0")
    driver.advertisement(HOME_PREFIX, interface=3, mac=b"\x02\0\0\0\1\xff")
    assert driver.state is State.RETURNING


def test_home_address_is_never_a_care_of_address() -> None:
    driver = Driver()
    driver.up()
    driver.address(HOME_ADDRESS)
    driver.advertisement(prefix(1))
    assert driver.state is State.DETACHED


def test_longer_prefix_is_not_the_home_link() -> None:
    driver = Driver(replace(SETTINGS, home_prefix_length=48))
    driver.up()
    driver.advertisement(HOME_PREFIX)
    assert driver.state is State.DETACHED


def test_waits_a_moment_for_the_address_before_it_goes_elsewhere() -> None:
    driver = Driver(BOTH)
    driver.visit(1, 3, "wwan0")
    driver.visit(2, 2, "wlan0")
    driver.acknowledge()
    for comes in (True, False):
        driver.clear()
        driver.up(2, "wlan0")
        driver.advertisement(prefix(4 + comes), interface=2, mac=bytes((2, 0, 0, 0, 1, 4 + comes)))
        driver.run(0.01)
        assert not driver.updates() and driver.state is State.REGISTERED
        if comes:
            driver.address(care_of(4 + comes), 2)
            assert driver.updates()[-1][1].source == care_of(4 + comes)
            driver.acknowledge()
        driver.run(2)
    assert driver.updates()[-1][1].source == care_of(1, 3)


def test_interface_that_was_made_anew() -> None:
    driver = Driver().registered()
    driver.down()
    driver.visit(1, 9, "wlan0")
    assert driver.updates()[-1][1].source == care_of(1, 9)
    assert [interface["index"] for interface in driver.node.status()["interfaces"]] == [9]  # type: ignore[attr-defined]


def test_at_home_the_default_router_is_used() -> None:
    driver = Driver()
    driver.up()
    driver.advertisement(HOME_PREFIX, lifetime_s=0)
    driver.advertisement(HOME_PREFIX, router=OTHER, mac=b"\x02\0\0\0\1\2")
    assert [action.router for action in driver.of(GoHome)] == [ROUTER, OTHER]
    driver.advertisement(HOME_PREFIX)
    driver.run(1)
    assert len(driver.of(GoHome)) == 2 and driver.state is State.HOME


def test_interfaces_that_come_and_go_are_forgotten() -> None:
    driver = Driver().registered(1)
    for number in range(100):
        interface = 100 + number
        driver.address(parse_address(f"fe80::1:{number}"), interface)
        driver.up(interface, f"veth{number}")
        driver.down(interface)
        driver.no_address(parse_address(f"fe80::1:{number}"), interface)
    assert set(driver.node.movement.links) == {2, 199}
    assert driver.state is State.REGISTERED


def test_binding_is_asked_for_no_longer_than_the_care_of_address_is_valid() -> None:
    """RFC 6275 section 11.7.1."""
    driver = Driver()
    driver.up()
    driver.address(care_of(1))
    for valid_s, lifetime_s in ((100, 100), (86_400, 420), (30, 28)):
        information = PrefixInformation(prefix(1), 64, True, True, False, valid_s, valid_s)
        message = RouterAdvertisement(router_lifetime_s=1800, options=(information,))
        driver.receives(Packet(ROUTER, ALL_NODES, message, hop_limit=255))
        if driver.state is State.REGISTERED:
            driver.from_home_agent(BindingRefreshRequest())
        assert driver.updates()[-1][2].lifetime_s == lifetime_s
        driver.acknowledge()
        driver.run(1)
