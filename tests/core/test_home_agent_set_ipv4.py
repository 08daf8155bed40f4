"""A home agent set and IPv4: one address for all, bindings behind NATs everywhere, addresses out of shares."""

from dataclasses import replace
from typing import Any

import pytest
from home_agent_driver import CORRESPONDENT, DUAL_STACK, HOME_AGENT_IPV4, NAT, PRIVATE_CARE_OF
from set_world import HOMES, Site, World, address_of, care_of, care_of_ipv4, locator_of
from test_home_agent_set_merge import alone, binding, refusals, tell

from unwired.core.authentication import is_authentic
from unwired.core.binding_states import State
from unwired.core.forwarding import Encapsulation, Listen
from unwired.core.settings import Durability
from unwired.wire.address import UNSPECIFIED_IPV4, Address, parse_address
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.rfc4285 import MobilityMessageAuthentication
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc5555 import Ipv4HomeAddress, NatDetection
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingRefreshRequest
from unwired.wire.state_synchronization import DualStack

HOME, OTHER_HOME, THIRD_HOME = HOMES
MAPPING = (NAT, 40_000)
ASK = Ipv4HomeAddress()
ASK_PREFIX = Ipv4HomeAddress(prefix_length=24, request_prefix=True)


def world(members: int = 3, **settings: Any) -> World:
    return World(members, **(DUAL_STACK | {"insecure": True} | settings))


def register(
    here: World, home: Address = HOME, to: int = 1, at: int | None = None, *options: Ipv4HomeAddress, **how: Any
) -> list[Packet]:
    """From behind the NAT; what was sent on account of it."""
    before = {site.number: len(site.sent) for site in here.sites}
    how = {"nat": MAPPING, "care_of_address": PRIVATE_CARE_OF} | how
    here.update(home, to, at, extra=options, **how)
    here.run(0.2)
    return [packet for site in here.sites for packet in site.sent[before[site.number] :]]


def address_at(site: Site, home: Address = HOME) -> Address | None:
    found = site.binding(home)
    return None if found is None or found.state != State.BOUND else found.home_address_ipv4


# --- one address, many members ---


def test_all_listen_at_the_one_address() -> None:
    here = world()
    assert all(Listen(0, HOME_AGENT_IPV4) in site.table.rows().listens for site in here.sites)


def test_everybody_can_serve_a_mobile_node_behind_a_nat() -> None:
    here = world()
    register(here, HOME, 1, 1, ASK, ASK_PREFIX)
    address = address_at(here.site(1))
    assert address is not None
    for site in here.sites:
        tunnel = site.table.tunnel_of(0, 0, HOME)  # type: ignore[arg-type]
        assert tunnel is not None and tunnel == site.table.tunnel_of(0, 0, address)  # type: ignore[arg-type]
        assert (tunnel.local, tunnel.peer, tunnel.peer_port) == (HOME_AGENT_IPV4, *MAPPING)
        assert tunnel.encapsulation is Encapsulation.UDP
        assert site.member_of(address) == site.member_of(HOME) == (0 if site.number == 1 else 1)
        assert site.table.accepts(0, address, CORRESPONDENT, *MAPPING)
        assert site.table.rows().mobile_prefixes == here.site(1).table.rows().mobile_prefixes != ()
    assert len({here.records()[0], *here.records()}) == 1


def test_a_dead_members_mobile_node_is_answered_in_udp_and_sent_elsewhere() -> None:
    here = world()
    register(here, HOME, 1)
    here.site(1).kill()
    here.run(3)
    sent = register(here, HOME, 1, 2)
    answers = [packet for packet in sent if isinstance(packet.payload, BindingAcknowledgement)]
    switches = [packet for packet in sent if isinstance(packet.payload, HomeAgentSwitch)]
    assert [packet.source for packet in answers] == [address_of(1)]
    assert isinstance(answers[0].payload, BindingAcknowledgement)
    assert answers[0].payload.option(NatDetection) == NatDetection(110)
    assert {packet.outer for packet in (*answers, *switches)} == {Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)}
    (switch,) = switches
    assert (switch.source, switch.destination, switch.routing_home_address) == (address_of(1), HOME, None)
    assert isinstance(switch.payload, HomeAgentSwitch) and switch.payload.addresses == (address_of(2),)
    subscriber = here.subscribers.by_home_address(HOME)
    option = switch.payload.options[-1]
    assert subscriber is not None and isinstance(option, MobilityMessageAuthentication)
    assert is_authentic(option, switch.data, subscriber.associations[0], PRIVATE_CARE_OF, HOME)
    register(here, HOME, 2)
    found = here.site(3).binding(HOME)
    assert found is not None and found.primary == 2 and found.care_of_port == 40_000


def test_update_that_came_by_way_of_another_member_is_answered_by_the_one_address() -> None:
    here = world()
    sent = register(here, HOME, 1, 2)
    assert here.site(1).sent and all(packet in here.site(1).sent for packet in sent)
    assert {packet.outer for packet in sent} == {Outer(HOME_AGENT_IPV4, NAT, 4191, 40_000)}
    assert [type(packet.payload) for packet in sent] == [BindingAcknowledgement, HomeAgentSwitch]


def test_any_member_asks_at_an_unknown_mapping_in_the_name_of_the_primary() -> None:
    here = world()
    register(here, HOME, 1)
    site = here.site(3)
    outer = Outer(NAT, HOME_AGENT_IPV4, 50_000, 4191)
    site.receive(Packet(HOME, CORRESPONDENT, UnknownPayload(17, bytes(20)), outer=outer))
    asked = site.sent[-1]
    assert asked.payload == BindingRefreshRequest()
    assert (asked.source, asked.outer) == (address_of(1), Outer(HOME_AGENT_IPV4, NAT, 4191, 50_000))


def test_only_the_primary_probes_the_path() -> None:
    here = world()
    register(here, HOME, 2)
    here.run(2)
    assert [site.probes > 0 for site in here.sites] == [False, True, False]


# --- shares ---


def test_members_give_out_of_their_own_shares() -> None:
    here = world()
    for home, to in zip(HOMES, (1, 2, 3), strict=True):
        register(here, home, to, to, ASK)
    addresses = [address_at(here.site(1), home) for home in HOMES]
    # 128 addresses in three parts: from .128 (the network's, which is not given), .170 and .213.
    assert addresses == [parse_address(f"203.0.113.{last}") for last in (129, 170, 213)]


@pytest.mark.parametrize("gone", [False, True])
def test_another_member_gives_what_the_first_has_given(gone: bool) -> None:
    here = world(durability=Durability.QUORUM)
    register(here, HOME, 1, 1, ASK, ASK_PREFIX)
    found = here.site(1).binding(HOME)
    assert found is not None
    address, prefix = found.home_address_ipv4, found.mobile_prefix
    register(here, HOME, 1, 1, lifetime_units=0)
    here.run(600)
    assert all(site.binding(HOME) is None for site in here.sites), "forgotten"
    if gone:
        here.site(1).destroy()
        here.run(5)
    else:
        here.site(2).restart()
        here.run(5)
    register(here, HOME, 2, 2, ASK, ASK_PREFIX)
    found = here.site(3).binding(HOME)
    assert found is not None and (found.home_address_ipv4, found.mobile_prefix) == (address, prefix) != (None, None)


def test_a_member_that_joins_learns_who_has_what() -> None:
    here = world()
    register(here, HOME, 1, 1, ASK)
    address = address_at(here.site(1))
    here.site(3).destroy()
    here.site(3).start()
    here.run(5)
    register(here, HOME, 3, 3, ASK)
    assert address_at(here.site(3)) == address


def test_exhaustion_takes_back_of_the_own_share_only() -> None:
    here = world(2, pool_ipv4=((parse_address("203.0.113.128"), 96 + 30),))  # .129 is of the first, .130 of the second
    register(here, HOME, 1, 1, ASK)
    register(here, OTHER_HOME, 1, 1, ASK)
    assert [address_at(here.site(1), home) for home in (HOME, OTHER_HOME)] == [parse_address("203.0.113.129"), None]
    register(here, HOME, 1, 1, lifetime_units=0)
    register(here, THIRD_HOME, 2, 2, ASK)
    assert address_at(here.site(2), THIRD_HOME) == parse_address("203.0.113.130")
    register(here, OTHER_HOME, 2, 2, ASK)
    assert address_at(here.site(2), OTHER_HOME) is None
    register(here, OTHER_HOME, 1, 1, ASK)
    assert address_at(here.site(2), OTHER_HOME) == parse_address("203.0.113.129")


def test_one_address_given_twice_is_the_one_with_the_greater_home_address() -> None:
    here = world()
    wanted = Ipv4HomeAddress(parse_address("203.0.113.200"))
    here.partition((1,), (2, 3))
    here.run(3)
    # Acknowledged by nobody in a set of two, but the bindings are there.
    register(here, OTHER_HOME, 1, 1, wanted)
    register(here, HOME, 2, 2, wanted, nat=(NAT, 50_000))
    here.heal()
    here.run(10)
    loser, winner = sorted((HOME, OTHER_HOME))
    for site in here.sites:
        assert site.table.tunnel_of(0, 0, wanted.address) == site.table.tunnel_of(0, 0, winner)  # type: ignore[arg-type]
        assert site.running.counters["ipv4_conflicts"]
    register(here, loser, 1, 1, ASK, nat=(NAT, 50_000))
    assert address_at(here.site(3), loser) not in (None, wanted.address)
    register(here, winner, 1, 1, lifetime_units=0)
    assert all(site.table.tunnel_of(0, 0, wanted.address) is None for site in here.sites)  # type: ignore[arg-type]


def test_who_lost_an_address_has_it_when_the_other_ends() -> None:
    here = world()
    wanted = Ipv4HomeAddress(parse_address("203.0.113.200"))
    here.partition((1,), (2, 3))
    here.run(3)
    register(here, OTHER_HOME, 1, 1, wanted)
    register(here, HOME, 2, 2, wanted, nat=(NAT, 50_000))
    here.heal()
    here.run(10)
    loser, winner = sorted((HOME, OTHER_HOME))
    register(here, winner, 1, 1, lifetime_units=0)
    here.run(5)
    for site in here.sites:
        tunnel = site.table.tunnel_of(0, 0, wanted.address)  # type: ignore[arg-type]
        assert tunnel is not None and tunnel == site.table.tunnel_of(0, 0, loser)  # type: ignore[arg-type]
        assert site.accepted_from(wanted.address) == {NAT}


# --- what is not believed ---

GOOD = DualStack(40_000, PRIVATE_CARE_OF, parse_address("203.0.113.140"), parse_address("10.64.3.0"), 120)


@pytest.mark.parametrize(
    "bad",
    [
        GOOD._replace(private_care_of_address=parse_address("224.0.0.1")),
        GOOD._replace(home_address=parse_address("127.0.0.1")),
        GOOD._replace(mobile_prefix=parse_address("10.64.3.1")),
        GOOD._replace(mobile_prefix=parse_address("224.0.0.0")),
        GOOD._replace(mobile_prefix_length=0),
        GOOD._replace(mobile_prefix_length=129),
        GOOD._replace(mobile_prefix=UNSPECIFIED_IPV4),
    ],
)
def test_impossible_records_are_refused(bad: DualStack) -> None:
    site = alone(**DUAL_STACK)
    tell(site, binding(site, care_of_address=NAT, dual_stack=bad))
    assert refusals(site) == {"bad_ipv4": 1} and site.binding(HOME) is None
    tell(site, binding(site, care_of_address=NAT, dual_stack=GOOD))
    found = site.binding(HOME)
    assert found is not None and found.dual_stack == GOOD and site.record(HOME) is not None


def test_ipv4_care_of_addresses_that_can_be_none_are_refused() -> None:
    site = alone(**DUAL_STACK)
    for address in (HOME_AGENT_IPV4, parse_address("203.0.113.9"), parse_address("127.0.0.1")):
        tell(site, binding(site, care_of_address=address))
    assert refusals(site) == {"bad_care_of_address": 3}
    without = alone()
    tell(without, binding(without, care_of_address=NAT))
    assert refusals(without) == {"bad_care_of_address": 1}


def test_address_of_no_home_prefix_of_ours_is_kept_and_not_served() -> None:
    """The configuration is not changed at all members in the same moment."""
    site = alone(**(DUAL_STACK | {"home_prefixes_ipv4": (), "pool_ipv4": ()}))
    record = binding(site, dual_stack=DualStack(home_address=parse_address("203.0.113.140")))
    tell(site, record)
    kept = site.record(HOME)
    assert kept is not None and kept.dual_stack == record.dual_stack and kept.order == record.order
    assert [row.address for row in site.table.rows().forwards] == [HOME]


def test_records_without_anything_of_ipv4_are_as_before() -> None:
    site = alone(**DUAL_STACK)
    record = binding(site)
    tell(site, record, replace(record, home_address=OTHER_HOME, dual_stack=GOOD, care_of_address=care_of_ipv4(3)))
    kept = site.record(HOME)
    assert kept is not None and kept.dual_stack is None and kept.order[-1] == b""
    assert kept.primary == locator_of(2) and kept.care_of_address == care_of(1)
    sizes = {key[-16:]: len(value) for key, value in site.journal.items() if key.startswith(b"home_agent:")}
    assert sizes == {HOME: 67, OTHER_HOME: 82}
