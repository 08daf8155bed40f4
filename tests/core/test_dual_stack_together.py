"""Both engines on networks of both families, with NATs that time out and rebind, and families that die."""

from dataclasses import replace

import pytest
from dual_stack_world import AGENT, CORRESPONDENT_IPV4, HOME_AGENT_IPV4, NODE, World
from hypothesis import given, settings
from hypothesis import strategies as st

from unwired.core.forwarding import Encapsulation
from unwired.core.mobile_node_states import State
from unwired.core.settings import Family
from unwired.sim.network import Datagram, Impairment
from unwired.wire.address import parse_address

PLACES = ("ipv6", "public", "nat", "two_nats", "dual", "other_ipv6")


def encapsulations(world: World) -> set[Encapsulation]:
    """At both ends."""
    tables = (world.agent.table, world.mobile.table)
    return {tunnel.encapsulation for table in tables for tunnel in table.rows().tunnels}


@pytest.mark.parametrize(
    ("link", "encapsulation"),
    [
        ("ipv6", Encapsulation.IPV6),
        ("public", Encapsulation.IPV4),
        ("nat", Encapsulation.UDP),
        ("two_nats", Encapsulation.UDP),
        ("dual", Encapsulation.IPV6),
    ],
)
def test_each_kind_of_network(link: str, encapsulation: Encapsulation) -> None:
    world = World()
    world.move(link)
    world.run(5)
    world.assert_agreement()
    assert encapsulations(world) == {encapsulation}


def test_forced_udp() -> None:
    for agent, node in ((replace(AGENT, force_udp=True), NODE), (AGENT, replace(NODE, force_udp=True))):
        world = World(home_agent=agent, mobile_node=node)
        world.move("public")
        world.run(5)
        world.assert_agreement()
        assert encapsulations(world) == {Encapsulation.UDP}


def test_forced_udp_that_the_home_agent_does_not_allow() -> None:
    world = World(home_agent=replace(AGENT, allow_forced_udp=False), mobile_node=replace(NODE, force_udp=True))
    world.move("public")
    world.run(5)
    world.assert_agreement()
    assert encapsulations(world) == {Encapsulation.IPV4}


def test_a_round_through_all_of_them_costs_a_round_trip_each() -> None:
    world = World()
    world.move("ipv6")
    world.run(5)
    world.probe(60)
    for link in PLACES[1:]:
        world.run(10)
        moved_at = world.time
        world.move(link)
        world.run(5)
        assert world.state is State.REGISTERED, world.describe()
        registered_at = world.mobile.named("registered")[-1][0]
        # Router advertisement or lease, and the round trip of the binding update: 4 x 10 ms.
        assert registered_at - moved_at < 0.1
    world.run(10)
    missing = world.missing(3000)
    for name, numbers in missing.items():
        assert len(numbers) <= 5 * 5, (name, numbers)


def test_make_before_break_loses_nothing_between_families() -> None:
    world = World(interfaces=("wlan0", "wwan0"), mobile_node=replace(NODE, interfaces=("wlan0", "wwan0")))
    world.move("ipv6", "wwan0")
    world.run(5)
    world.probe(40)
    world.run(5)
    for link in ("public", "nat", "two_nats"):
        world.move(link, "wlan0")  # the preferred one comes
        world.run(5)
        assert encapsulations(world) == {Encapsulation.IPV4 if link == "public" else Encapsulation.UDP}
        world.move(None, "wlan0")
        world.run(5)
    world.run(10)
    # Only what was on its way to a link that was taken away is lost.
    for numbers in world.missing(2000).values():
        assert len(numbers) <= 3 * 4


def test_rebinding_is_repaired_at_once_when_the_mobile_node_sends() -> None:
    world = World()
    world.move("nat")
    world.run(5)
    world.probe(10)
    world.run(5)
    world.nat.forget()
    world.run(6)
    world.assert_agreement()
    assert world.agent.home_agent.counters["unknown_nat_mappings_asked"] >= 1


def test_rebinding_of_an_idle_mobile_node_is_repaired_within_one_keepalive() -> None:
    for forgetful in ("near", "far"):
        world = World()
        world.move("two_nats")
        world.run(300)
        interval_s = world.mobile.mobile_node.machine.watch.keepalive.interval_s or 0
        assert interval_s == pytest.approx(99)
        getattr(world, forgetful).forget()
        world.run(interval_s + 3)
        world.correspondents[0].sends(1, world.mobile.settings.home_address)
        world.run(1)
        assert [one.number for one in world.mobile.arrived] == [1], world.describe()


@pytest.mark.parametrize("timeout_s", [25, 35, 65, 115, 1000])
def test_the_nats_time_out_is_found_with_few_packets_and_never_missed(timeout_s: float) -> None:
    world = World(mobile_node=replace(NODE, lifetime_s=3600))
    world.nat.timeout_s = timeout_s
    world.move("nat")
    world.run(5)
    for number in range(200):
        world.run(17)
        world.correspondents[0].sends(number, world.mobile.settings.home_address)
    world.run(1)
    assert len(world.mobile.arrived) == 200  # it was reachable all the time
    keepalive = world.mobile.mobile_node.machine.watch.keepalive
    assert keepalive.interval_s is not None and 0.6 * min(timeout_s, 110) < keepalive.interval_s < timeout_s
    counters = world.mobile.mobile_node.counters
    assert counters["nat_probes"] <= 7
    assert counters["tunnel_echo_requests"] < 3400 / keepalive.interval_s + 30


def test_nat_that_is_worse_than_anybody_expects() -> None:
    world = World(mobile_node=replace(NODE, lifetime_s=3600))
    world.nat.timeout_s = 8
    world.move("nat")
    world.run(120)
    world.mobile.arrived.clear()
    for number in range(50):
        world.run(3.3)
        world.correspondents[0].sends(number, world.mobile.settings.home_address)
    world.run(1)
    assert len(world.mobile.arrived) == 50


def test_race_with_one_dead_family_is_won_by_the_other() -> None:
    for dead, encapsulation in ((Family.IPV6, Encapsulation.UDP), (Family.IPV4, Encapsulation.IPV6)):
        world = World()
        world.links["dual"].dead.add(dead)
        world.move("dual")
        world.run(0.3)
        world.correspondents[0].sends(1, world.mobile.settings.home_address)
        world.run(10)
        assert [one.number for one in world.mobile.arrived] == [1], world.describe()
        world.run(10)
        world.assert_agreement()
        assert encapsulations(world) == {encapsulation}


def test_family_that_dies_silently_while_the_link_is_up() -> None:
    world = World()
    world.move("dual")
    world.run(10)
    assert encapsulations(world) == {Encapsulation.IPV6}
    world.probe(30)
    world.run(5)
    world.links["dual"].dead.add(Family.IPV6)
    world.run(30)
    assert encapsulations(world) == {Encapsulation.UDP}
    for numbers in world.missing(1500).values():
        assert len(numbers) < 50 * 6  # of the six seconds until it was sure
    world.links["dual"].dead.clear()
    world.run(100)
    world.assert_agreement()
    assert encapsulations(world) == {Encapsulation.IPV6}  # and back, when it is tried again


def test_firewall_that_lets_only_udp_through() -> None:
    world = World()
    world.links["public"].only_udp = True
    world.move("public")
    world.run(5)
    world.assert_agreement()
    assert encapsulations(world) == {Encapsulation.UDP}
    world.move("nat")
    world.run(5)
    world.move("public")
    world.run(0.1)
    world.assert_agreement()  # remembered


def test_black_hole_is_found_and_limits_the_tunnel() -> None:
    for link, carries in (("nat", 1280), ("ipv6", 1380), ("public", 1400)):
        world = World()
        world.links[link].carries = carries
        world.move(link)
        world.run(1.2)
        [tunnel] = world.mobile.table.rows().tunnels
        assert tunnel.mtu == 1280 - tunnel.encapsulation.overhead
        world.run(40)
        [tunnel] = world.mobile.table.rows().tunnels
        assert carries - 8 < tunnel.mtu + tunnel.encapsulation.overhead <= carries


def test_restart_behind_a_nat_loses_nothing() -> None:
    world = World()
    world.move("nat")
    world.run(10)
    world.probe(10)
    world.run(2)
    world.mobile.kill()
    world.run(2)
    world.mobile.restart()
    world.run(7)
    assert world.missing(500) == {}
    world.assert_agreement()


def test_stop_behind_a_nat_leaves_nothing_behind() -> None:
    world = World()
    world.move("nat")
    world.run(10)
    world.mobile.stop()
    world.run(20)
    rows = world.mobile.table.rows()
    assert not (rows.tunnels or rows.forwards or rows.accepts or rows.listens)
    assert not world.mobile.held and not world.mobile.routes
    assert world.care_of_address() is None and not world.agent.table.rows().forwards


def test_dynamic_ipv4_home_address_stays_the_same() -> None:
    agent = replace(AGENT, pool_ipv4=((parse_address("203.0.113.128"), 96 + 25),))
    world = World(home_agent=agent, mobile_node=replace(NODE, home_address_ipv4=parse_address("0.0.0.0")))
    given = []
    for link in ("nat", "ipv6", "public"):
        world.move(link)
        world.run(5)
        given.append(world.mobile.mobile_node.machine.ipv4.address)
    assert given[0] is not None and given == given[:1] * 3
    assert HOME_AGENT_IPV4 not in given


def test_prefix_that_moves_along() -> None:
    pool = ((parse_address("10.64.0.0"), 96 + 16),)
    router = replace(NODE, mobile_prefix_length_ipv4=96 + 24)
    world = World(home_agent=replace(AGENT, mobile_prefix_pool_ipv4=pool), mobile_node=router)
    given = set()
    for number, link in enumerate(("nat", "ipv6", "public")):
        world.move(link)
        world.run(5)
        prefix = world.mobile.mobile_node.machine.ipv4.prefix
        assert prefix is not None and prefix[1] == 96 + 24
        given.add(prefix)
        host = prefix[0][:-1] + b"\x09"
        world.correspondents[1].sends(number, host)
        world.mobile.application_sends(Datagram(number, host, CORRESPONDENT_IPV4, world.time))
        world.run(1)
        assert [one.number for one in world.mobile.arrived] == list(range(number + 1))
        assert [one.number for one in world.correspondents[1].arrived] == list(range(number + 1))
    assert len(given) == 1


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    moves=st.lists(
        st.tuples(st.sampled_from([*PLACES, None]), st.sampled_from([0.0, 0.01, 0.05, 0.3, 2.0, 20.0])), max_size=8
    ),
    path=st.sampled_from(
        [
            Impairment(0.01),
            Impairment(0.02, 0.05, loss=0.2, duplicate=0.2),
            Impairment(0.1, loss=0.1, straggler=0.1, straggler_s=2.0),
        ]
    ),
    forgets=st.booleans(),
)
def test_in_the_end_both_ends_agree(
    seed: int, moves: list[tuple[str | None, float]], path: Impairment, forgets: bool
) -> None:
    world = World(seed, path)
    world.probe(20, 0.5)
    for link, seconds in moves:
        world.move(link)
        world.run(seconds)
        if forgets:
            world.nat.forget()
    world.move("nat")
    world.run(60)
    for link in world.links.values():
        link.path = Impairment(0.01)
    world.run(400)
    world.assert_agreement()
