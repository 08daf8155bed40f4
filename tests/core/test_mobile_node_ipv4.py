"""A mobile node in IPv4 networks (RFC 5555 sections 4.2 and 4.4): what it sends and believes, where its tunnel goes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from mobile_node_driver import (
    ASSOCIATION,
    DUAL_STACK,
    HOME_ADDRESS,
    HOME_AGENT,
    HOME_AGENT_IPV4,
    SETTINGS,
    Driver,
    care_of,
    care_of_ipv4,
    router_ipv4,
)

from unwired.core.authentication import is_authentic
from unwired.core.door import AddressAdded, RouterAdded, UseCareOfAddress
from unwired.core.forwarding import Accept, Encapsulation, Forward, Listen, SetTunnel, Tunnel, Unaccept
from unwired.core.mobile_node_states import State
from unwired.core.notices import Drop
from unwired.core.settings import Family
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, parse_address
from unwired.wire.datagram import PORT
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.rfc4285 import MobilityMessageAuthentication
from unwired.wire.rfc5555 import NO_KEEPALIVES, Ipv4CareOfAddress, NatDetection
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingRefreshRequest, BindingStatus, BindingUpdate

NAT = (NatDetection(110),)
NO_NAT = (NatDetection(NO_KEEPALIVES),)


def in_udp(number: int) -> Tunnel:
    return Tunnel(1, care_of_ipv4(number), HOME_AGENT_IPV4, Encapsulation.UDP, 2, local_port=PORT, peer_port=PORT)


def in_ipv4(number: int) -> Tunnel:
    return Tunnel(1, care_of_ipv4(number), HOME_AGENT_IPV4, Encapsulation.IPV4, 2)


def registered(number: int = 1, nat: tuple[NatDetection, ...] = NAT, **changes: Any) -> Driver:
    driver = Driver(replace(DUAL_STACK, **changes))
    driver.visit_ipv4(number)
    driver.acknowledge(options=nat)
    assert driver.state is State.REGISTERED
    return driver


# --- the binding update ----------------------------------------------------------------------------------------------


def test_binding_update_goes_in_udp_and_says_its_care_of_address() -> None:
    driver = Driver(DUAL_STACK)
    driver.visit_ipv4(1)
    [(time, packet, update)] = driver.updates()
    assert time == 100  # at once: there is nothing to wait for
    assert packet.outer == Outer(care_of_ipv4(1), HOME_AGENT_IPV4, PORT, PORT)
    assert (packet.source, packet.destination) == (HOME_ADDRESS, HOME_AGENT)
    assert packet.home_address is None and update.option(AlternateCareOfAddress) is None
    assert update.option(Ipv4CareOfAddress) == Ipv4CareOfAddress(care_of_ipv4(1))
    assert not update.force_udp_encapsulation
    option = update.option(MobilityMessageAuthentication)
    assert option is not None and is_authentic(option, packet.data, ASSOCIATION, care_of_ipv4(1), HOME_ADDRESS)


def test_data_goes_in_udp_until_it_is_known_that_there_is_no_nat() -> None:
    driver = Driver(DUAL_STACK)
    driver.visit_ipv4(1)
    assert driver.node.machine.rows.tunnel == in_udp(1)
    driver.acknowledge(options=NO_NAT)
    assert driver.node.machine.rows.tunnel == in_ipv4(1)
    assert UseCareOfAddress(care_of_ipv4(1), 2, router_ipv4(1)) in driver.actions
    assert Listen(0, care_of_ipv4(1)) in driver.actions
    assert {row.outer_port for row in driver.of(Accept) if row.outer_source == HOME_AGENT_IPV4} == {0, PORT}
    assert [row.address for row in driver.of(Forward)] == [HOME_ADDRESS]


@pytest.mark.parametrize(
    ("answer", "encapsulation", "keepalive_s"),
    [
        (NAT, Encapsulation.UDP, 110),
        (NO_NAT, Encapsulation.IPV4, None),
        ((), Encapsulation.IPV4, None),
        ((NatDetection(NO_KEEPALIVES, True),), Encapsulation.UDP, None),
        ((NatDetection(0),), Encapsulation.UDP, 110),
        ((NatDetection(1),), Encapsulation.UDP, 5),
        ((NatDetection(NO_KEEPALIVES - 1),), Encapsulation.UDP, 3600),
    ],
    ids=["nat", "no nat", "no option", "forced by the home agent", "no advice", "tiny advice", "huge advice"],
)
def test_what_the_acknowledgement_says_of_nats(
    answer: tuple[NatDetection, ...], encapsulation: Encapsulation, keepalive_s: int | None
) -> None:
    driver = registered(nat=answer)
    tunnel, bound = driver.node.machine.rows.tunnel, driver.node.machine.entry.bound
    assert tunnel is not None and tunnel.encapsulation is encapsulation
    assert bound is not None and bound.nat_keepalive_s == keepalive_s


def test_nat_detection_means_nothing_in_ipv6() -> None:
    driver = Driver(DUAL_STACK)
    driver.visit(1)
    driver.acknowledge(options=(NatDetection(110, True),))
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None and tunnel.encapsulation is Encapsulation.IPV6


# --- forced UDP ------------------------------------------------------------------------------------------------------


def test_forced_udp_stays_in_udp_without_a_nat() -> None:
    driver = registered(nat=NO_NAT, force_udp=True)
    assert driver.updates()[0][2].force_udp_encapsulation
    assert driver.node.machine.rows.tunnel == in_udp(1)


def test_forced_udp_that_is_refused_is_not_asked_for_again() -> None:
    driver = Driver(replace(DUAL_STACK, force_udp=True))
    driver.visit_ipv4(1)
    driver.acknowledge(BindingStatus.MIPV6_ID_MISMATCH)  # RFC 5555 has the same number for it
    assert not driver.updates()[-1][2].force_udp_encapsulation
    driver.acknowledge(options=NO_NAT)
    assert driver.state is State.REGISTERED
    assert driver.node.machine.rows.tunnel == in_ipv4(1)


def test_f_flag_is_never_set_in_ipv6() -> None:
    driver = Driver(replace(DUAL_STACK, force_udp=True))
    driver.visit(1)
    assert not driver.updates()[0][2].force_udp_encapsulation


# --- whose acknowledgement is believed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outer",
    [
        None,
        Outer(parse_address("203.0.113.66"), care_of_ipv4(1), PORT, PORT),
        Outer(HOME_AGENT_IPV4, care_of_ipv4(2), PORT, PORT),
        Outer(HOME_AGENT_IPV4, care_of_ipv4(1)),
        Outer(HOME_AGENT_IPV4, care_of_ipv4(1), 4000, PORT),
    ],
    ids=["in no tunnel", "from elsewhere", "to another address", "not in udp", "from another port"],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_acknowledgement_that_did_not_come_back_the_way_the_update_went(outer: Outer | None, insecure: bool) -> None:
    association = None if insecure else ASSOCIATION
    driver = Driver(replace(DUAL_STACK, association=association, insecure=insecure))
    driver.visit_ipv4(1)
    driver.acknowledge(options=NO_NAT, outer=outer, association=association)
    assert driver.state is State.REGISTERING
    assert driver.node.drops[Drop.FORGED_SOURCE] == 1


def test_acknowledgement_in_a_tunnel_to_an_update_from_ipv6() -> None:
    driver = Driver(DUAL_STACK)
    driver.visit(1)
    driver.acknowledge(outer=Outer(HOME_AGENT_IPV4, care_of_ipv4(1), PORT, PORT))
    assert driver.state is State.REGISTERING
    assert driver.node.drops[Drop.FORGED_SOURCE] == 1


def test_forged_nat_detection_has_no_authenticator() -> None:
    driver = Driver(DUAL_STACK)
    driver.visit_ipv4(1)
    driver.acknowledge(options=(NatDetection(1),), association=None)
    driver.acknowledge(options=(NatDetection(1),), corrupt=True)
    assert driver.state is State.REGISTERING
    assert driver.node.drops[Drop.NO_AUTHENTICATION] == driver.node.drops[Drop.BAD_AUTHENTICATOR] == 1


def test_refresh_request_in_a_tunnel_from_the_home_agent_only() -> None:
    driver = registered()
    sent = len(driver.updates())
    forged = Outer(parse_address("203.0.113.66"), care_of_ipv4(1), PORT, PORT)
    driver.receives(Packet(HOME_AGENT, HOME_ADDRESS, BindingRefreshRequest(), outer=forged))
    assert len(driver.updates()) == sent and driver.node.drops[Drop.FORGED_SOURCE] == 1
    driver.from_home_agent(BindingRefreshRequest())
    assert driver.state is State.REFRESHING and len(driver.updates()) == sent + 1
    assert driver.node.machine.rows.tunnel == in_udp(1)


# --- what the host says of its configuration -------------------------------------------------------------------------


def test_ipv4_is_of_no_use_without_the_home_agents_address() -> None:
    for settings in (SETTINGS, replace(DUAL_STACK, families=(Family.IPV6,))):
        driver = Driver(settings)
        driver.visit_ipv4(1)
        assert driver.state is State.DETACHED and not driver.updates()


def test_what_was_there_before_the_link_came_up_is_believed_when_the_host_says_so_again() -> None:
    for event in (AddressAdded(2, care_of_ipv4(1), IPV4_BITS + 24, False), RouterAdded(2, router_ipv4(1))):
        driver = registered()
        driver.down()
        assert driver.state is State.STRANDED
        driver.up()
        assert driver.state is State.STRANDED
        driver.happens(event)
        assert driver.state is State.HANDOVER  # registered anew: private networks look alike
        assert driver.node.machine.rows.tunnel == in_udp(1)


def test_what_a_person_configured_is_believed_after_a_second() -> None:
    driver = registered()
    driver.down()
    driver.up()
    driver.run(0.9)
    assert driver.state is State.STRANDED
    driver.run(0.2)
    assert driver.state is State.HANDOVER


def test_new_lease_at_once_even_while_the_old_one_is_still_there() -> None:
    driver = registered()
    driver.down()
    driver.up()
    driver.happens(AddressAdded(2, care_of_ipv4(2), IPV4_BITS + 24, False))
    assert driver.state is State.STRANDED  # the router is the old one's
    driver.happens(RouterAdded(2, router_ipv4(2)))
    assert driver.updates()[-1][1].outer == Outer(care_of_ipv4(2), HOME_AGENT_IPV4, PORT, PORT)
    driver.no_lease(1)
    assert len(driver.updates()) == 2


def test_link_that_came_up_again_unseen_is_registered_anew() -> None:
    driver = registered()
    driver.up()
    assert driver.state is State.HANDOVER and len(driver.updates()) == 2


def test_confirmed_lease_moves_nothing() -> None:
    driver = registered()
    driver.lease(1)
    assert driver.state is State.REGISTERED and len(driver.updates()) == 1


def test_lost_router_or_address_is_a_lost_place() -> None:
    driver = registered()
    driver.no_lease(1)
    assert driver.state is State.STRANDED
    driver.lease(2)
    assert driver.state is State.HANDOVER


def test_addresses_that_are_no_care_of_addresses() -> None:
    driver = Driver(replace(DUAL_STACK, home_address_ipv4=parse_address("203.0.113.7")))
    driver.up()
    for text in ("169.254.3.4", "127.0.0.1", "203.0.113.7"):
        driver.happens(AddressAdded(2, parse_address(text), IPV4_BITS + 24, False))
    driver.happens(RouterAdded(2, parse_address("203.0.113.1")))
    driver.run(5)
    assert driver.state is State.DETACHED


def test_point_to_point_link_has_no_router() -> None:
    driver = Driver(DUAL_STACK)
    driver.up()
    driver.happens(AddressAdded(2, care_of_ipv4(1), IPV4_BITS + 32, False), RouterAdded(2, UNSPECIFIED_IPV4))
    assert driver.state is State.REGISTERING


# --- moving ----------------------------------------------------------------------------------------------------------


def test_from_ipv6_to_ipv4_and_back() -> None:
    driver = Driver(DUAL_STACK).registered(1)
    driver.down()
    driver.visit_ipv4(2)
    assert driver.state is State.HANDOVER
    assert driver.node.machine.rows.tunnel == in_udp(2)  # the old link is gone: at once
    driver.acknowledge(options=NO_NAT)
    assert driver.node.machine.rows.tunnel == in_ipv4(2)
    driver.down()
    driver.run(2)
    driver.visit(3)
    driver.acknowledge()
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None and (tunnel.local, tunnel.peer) == (care_of(3), HOME_AGENT)
    driver.run(10)
    peers = {row.outer_source for row in driver.of(Accept)}
    assert peers == {HOME_AGENT, HOME_AGENT_IPV4}
    assert set(driver.node.machine.rows._peers) == {(HOME_AGENT, 0)}  # the others have been given up


def test_between_nats_that_give_the_same_address() -> None:
    driver = registered()
    driver.down()
    driver.run(5)
    driver.visit_ipv4(1)
    assert driver.state is State.HANDOVER
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED


def test_ipv6_that_comes_later_is_moved_up_to() -> None:
    driver = registered()
    driver.run(5)
    driver.visit(3)
    assert driver.state is State.HANDOVER
    assert driver.node.machine.rows.tunnel == in_udp(1)  # until the other is acknowledged
    driver.acknowledge()
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None and tunnel.local == care_of(3)


def test_home_link_wins_over_ipv4() -> None:
    driver = registered()
    driver.home(3)
    assert driver.state is State.RETURNING
    update = driver.updates()[-1]
    assert update[1].source == HOME_ADDRESS and update[1].outer is None and update[2].lifetime_units == 0


def test_restart_takes_up_the_tunnel_with_its_encapsulation() -> None:
    for nat, tunnel in ((NAT, in_udp(1)), (NO_NAT, in_ipv4(1))):
        before = registered(nat=nat)
        driver = Driver(DUAL_STACK, start=False)
        driver.time = before.time + 5
        driver.node.restore(before.journal(), driver.now)
        driver.node.start(driver.now)
        driver.collect()
        assert driver.of(SetTunnel) == [SetTunnel(tunnel)]
        driver.visit_ipv4(1)
        driver.acknowledge(options=nat)
        assert driver.state is State.REGISTERED and driver.node.machine.rows.tunnel == tunnel


def test_stop_removes_the_binding_by_udp() -> None:
    driver = registered()
    driver.node.stop(driver.now)
    driver.collect()
    _, packet, update = driver.updates()[-1]
    assert packet.outer == Outer(care_of_ipv4(1), HOME_AGENT_IPV4, PORT, PORT)
    assert isinstance(update, BindingUpdate) and update.lifetime_units == 0


# --- what it says of itself ------------------------------------------------------------------------------------------


def test_status_and_bindings_say_how_packets_travel() -> None:
    driver = registered()
    status: Any = driver.node.status()
    assert status["family"] == "ipv4" and status["care_of_address"] == "192.168.1.7"
    assert status["tunnel"] == {
        "local": "192.168.1.7",
        "peer": "198.51.100.1",
        "encapsulation": "udp",
        "mtu": None,
        "mtu_confirmed": None,
    }
    assert status["nat"] == {"keepalive_interval_s": 20.0, "granted_s": 110, "survives_s": None}
    assert status["interfaces"][0]["addresses"] == ["192.168.1.7"]
    assert status["interfaces"][0]["router_ipv4"] == "192.168.1.1"
    [binding] = driver.node.bindings()
    assert binding["encapsulation"] == "udp" and binding["nat"] is True
    json.dumps([status, binding])


def test_explain_says_why_packets_travel_as_they_do() -> None:
    other = parse_address("2001:db8:900::5")
    driver = Driver(replace(DUAL_STACK, home_address_ipv4=parse_address("203.0.113.7")))
    driver.visit_ipv4(1)
    assert any("until the home agent has said" in line for line in driver.node.explain(other))
    driver.acknowledge(options=NO_NAT)
    assert any("saw no NAT" in line for line in driver.node.explain(other))
    assert "has not bound" in driver.node.explain(parse_address("203.0.113.7"))[0]
    assert any("through a NAT" in line for line in registered().node.explain(other))
    assert any("forced" in line for line in registered(nat=NO_NAT, force_udp=True).node.explain(other))
    assert "no IPv4 home address" in registered().node.explain(parse_address("192.0.2.1"))[0]
    assert "from 203.0.113.7" in driver.node.explain(parse_address("192.0.2.1"))[0]
    assert registered().node.explain(care_of_ipv4(1)) == ["192.168.1.7 is the care-of address in use."]


# --- another home agent of a set: all have one IPv4 address ----------------------------------------------------------

OTHER_AGENT = parse_address("2001:db8:100::2")


def test_change_of_home_agent_in_an_ipv4_network_keeps_the_tunnel() -> None:
    driver = registered()
    tunnel = driver.node.machine.rows.tunnel
    driver.clear_actions()
    driver.switch(OTHER_AGENT)
    assert driver.state is State.SWITCHING
    _, packet, update = driver.updates()[-1]
    assert (packet.source, packet.destination) == (HOME_ADDRESS, OTHER_AGENT)
    assert packet.outer == Outer(care_of_ipv4(1), HOME_AGENT_IPV4, PORT, PORT)
    assert update.option(Ipv4CareOfAddress) == Ipv4CareOfAddress(care_of_ipv4(1))
    driver.acknowledge(options=NAT)
    assert driver.state is State.REGISTERED and driver.node.machine.entry.home_agent == OTHER_AGENT
    assert driver.node.machine.rows.tunnel == tunnel and driver.of(SetTunnel) == []
    driver.run(30)
    assert driver.of(Unaccept) == []  # it is the same address that serves us


def test_change_of_home_agent_asked_for_by_somebody_else() -> None:
    for changes in (
        {"outer": Outer(parse_address("203.0.113.66"), care_of_ipv4(1), PORT, PORT)},
        {"outer": Outer(HOME_AGENT_IPV4, care_of_ipv4(2), PORT, PORT)},
        {"corrupt": True},
        {"authenticated_care_of_address": care_of(1)},
    ):
        driver = registered()
        driver.switch(OTHER_AGENT, **changes)
        assert driver.state is State.REGISTERED and sum(driver.node.drops.values()) == 1
