"""A mobile node and its home agent, joined by the simulator: a walk, what it costs, and what goes wrong on the way."""

from dataclasses import replace

from roaming_world import HOME_ADDRESS, MOBILE_NODE, REAL, VIRTUAL, World

from unwired.core.door import UseCareOfAddress
from unwired.core.mobile_node_states import State
from unwired.sim.network import Impairment


def test_walk_from_home_through_three_links_and_back() -> None:
    world = World()
    world.move(world.home)
    world.run(10)
    assert world.state is State.HOME
    assert world.mobile.home_interface is not None
    world.assert_agreement()
    for link in world.access:
        world.move(link)
        world.run(20)
        assert world.care_of_address_at_home_agent() is not None
        assert link.covers(world.care_of_address_at_home_agent() or b"")
        world.assert_agreement()
        assert world.mobile.home_interface is None
    world.move(world.home)
    world.run(20)
    assert world.state is State.HOME
    world.assert_agreement()
    assert world.mobile.home_interface is not None
    assert "returned_home" in world.names()


def test_virtual_home_link_registers_at_once() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(0.06)
    [(_, notice)] = world.mobile.named("registered")
    signalling_ms = notice.fields["signalling_ms"]
    assert isinstance(signalling_ms, float) and 40 <= signalling_ms < 45
    world.run(10)
    world.assert_agreement()


def test_handover_interruption_is_one_round_trip() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    world.probe(10)
    world.run(5)
    moved_at = world.time
    world.move(world.access[1])
    world.run(10)
    # To the mobile node: those on their way to the old link (30 ms from the correspondent) and those until the home
    # agent knows the new one. From it: only those sent before the new link has an address.
    for arrived, lost_s in ((world.mobile.arrived, 0.05), (world.correspondent.arrived, 0.01)):
        numbers = [datagram.number for datagram in arrived]
        assert len(numbers) == len(set(numbers))
        missing = sorted(set(range(1001)) - set(numbers))
        assert len(missing) * 0.01 <= lost_s, missing
        assert all(abs(number * 0.01 - 5) < 0.1 for number in missing)
    assert world.mobile.named("registered")[-1][0] - moved_at < 0.05


def test_make_before_break_loses_nothing() -> None:
    world = World(
        home_agent=VIRTUAL,
        interfaces=("wlan0", "wwan0"),
        mobile_node=replace(MOBILE_NODE, interfaces=("wlan0", "wwan0")),
    )
    world.move(world.access[0], "wwan0")
    world.run(10)
    world.probe(30)
    world.run(5)
    world.move(world.access[1], "wlan0")  # the preferred one comes
    world.run(10)
    world.assert_agreement()
    assert world.access[1].covers(world.care_of_address_at_home_agent() or b"")
    world.run(20)
    assert sorted(datagram.number for datagram in world.mobile.arrived) == list(range(3001))
    assert sorted(datagram.number for datagram in world.correspondent.arrived) == list(range(3001))


def test_link_that_comes_back_with_the_same_prefix_moves_nothing() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    sent = len(world.mobile.named("binding_update_sent"))
    world.move(None)
    world.run(1)
    assert world.state is State.STRANDED
    world.move(world.access[0])
    world.run(1)
    assert world.state is State.REGISTERED
    assert len(world.mobile.named("binding_update_sent")) == sent
    world.assert_agreement()


def test_unnoticed_change_of_link_is_found_by_an_advertisement() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    world.mobile.interfaces["wlan0"].slip(world.access[1])
    world.run(12)
    world.assert_agreement()
    assert world.access[1].covers(world.care_of_address_at_home_agent() or b"")


def test_silent_router_means_the_other_interface() -> None:
    settings = replace(MOBILE_NODE, interfaces=("wlan0", "wwan0"))
    world = World(home_agent=VIRTUAL, interfaces=("wlan0", "wwan0"), mobile_node=settings)
    world.move(world.access[0], "wlan0")
    world.move(world.access[1], "wwan0")
    world.run(10)
    assert world.access[0].covers(world.care_of_address_at_home_agent() or b"")
    world.access[0].silent = True
    world.run(12)
    assert world.access[1].covers(world.care_of_address_at_home_agent() or b"")
    world.assert_agreement()
    world.access[0].silent = False
    world.run(40)
    assert world.access[0].covers(world.care_of_address_at_home_agent() or b"")
    world.assert_agreement()


def test_binding_outlives_many_lifetimes() -> None:
    world = World(home_agent=VIRTUAL, path=Impairment(0.02, loss=0.1))
    world.move(world.access[0])
    for _ in range(20):
        world.run(60)
        assert world.care_of_address_at_home_agent() is not None
    assert not world.mobile.named("binding_expired")


def test_wrong_clock_is_corrected_by_the_home_agent() -> None:
    for error_s in (-100_000.0, 3_600.0):
        world = World(home_agent=VIRTUAL, clock_error_s=error_s)
        world.move(world.access[0])
        world.run(2)
        world.assert_agreement()
        assert len(world.mobile.named("binding_update_sent")) == 2


def test_home_agent_that_comes_late_is_told_about_and_found() -> None:
    world = World(home_agent=VIRTUAL)
    world.agent.kill()
    world.move(world.access[0])
    world.run(120)
    assert len(world.mobile.named("home_agent_silent")) == 1
    assert world.state is State.REGISTERING
    world.agent.restart()
    world.run(40)
    world.assert_agreement()


def test_home_agent_that_forgot_everything_is_registered_with_again() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    world.agent.kill()
    world.agent.journal.clear()
    world.agent.table.__init__()  # type: ignore[misc]
    world.agent.restart()
    world.run(60)
    world.assert_agreement()


def test_killed_mobile_node_adopts_its_tunnel_and_refreshes() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    before = world.mobile.table.rows()
    sequence = world.mobile.mobile_node.machine.entry.sequence
    world.mobile.kill()
    world.run(5)
    world.probe(5)
    world.mobile.restart()
    assert world.mobile.table.rows().tunnels == before.tunnels
    world.run(10)
    world.assert_agreement()
    assert world.mobile.mobile_node.machine.entry.sequence == sequence + 1
    assert len(world.mobile.arrived) == len(world.correspondent.arrived) == 501


def test_mobile_node_killed_at_home_stays_there() -> None:
    world = World()
    world.move(world.home)
    world.run(5)
    world.move(world.access[0])
    world.run(10)
    world.move(world.home)
    world.run(10)
    world.mobile.kill()
    world.run(5)
    world.probe(5)
    world.mobile.restart()
    world.run(10)
    assert world.state is State.HOME
    assert len(world.mobile.arrived) == len(world.correspondent.arrived) == 501


def test_return_home_while_the_daemon_was_dead() -> None:
    world = World()
    world.move(world.access[0])
    world.run(10)
    world.mobile.kill()
    world.move(world.home)
    world.run(1)
    world.mobile.restart()
    world.run(10)
    assert world.state is State.HOME
    world.assert_agreement()


def test_leaving_home_again_midway() -> None:
    for after_s in (0.0003, 0.0005, 0.001, 0.002, 0.01, 0.1):
        world = World()
        world.move(world.access[0])
        world.run(10)
        world.move(world.home)
        world.run(after_s)
        world.move(world.access[1])
        world.run(20)
        assert world.access[1].covers(world.care_of_address_at_home_agent() or b""), after_s
        world.assert_agreement()


def test_stop_away_leaves_nothing_behind() -> None:
    world = World(home_agent=VIRTUAL)
    world.move(world.access[0])
    world.run(10)
    world.mobile.stop()
    world.run(20)
    rows = world.mobile.table.rows()
    assert not (rows.tunnels or rows.forwards or rows.accepts or rows.listens)
    assert not world.mobile.held and not world.mobile.routes
    assert world.care_of_address_at_home_agent() is None
    assert not world.agent.table.rows().forwards


def test_stop_and_start_again() -> None:
    world = World(home_agent=REAL)
    world.move(world.access[0])
    world.run(10)
    world.mobile.stop()
    world.run(3)
    world.mobile.restart()
    world.run(10)
    world.assert_agreement()


def test_data_home_goes_over_the_home_link_after_return() -> None:
    world = World()
    world.move(world.access[0])
    world.run(10)
    world.move(world.home)
    world.run(5)
    world.correspondent.sends(1, HOME_ADDRESS)
    world.run(1)
    [arrived] = world.mobile.arrived
    assert arrived.outer is None
    assert not any(isinstance(action, UseCareOfAddress) for action in world.mobile.mobile_node.actions())


def test_back_on_the_old_link_before_the_rate_limit_let_the_move_out() -> None:
    world = World(home_agent=VIRTUAL)
    for link, then_s in ((0, 0.01), (0, 0.05), (1, 0.01), (0, 100.0)):
        world.move(world.access[link])
        world.run(then_s)
    world.assert_agreement()
    assert not world.mobile.named("home_agent_silent")


def test_the_same_seed_is_the_same_run() -> None:
    runs = []
    for seed in (5, 5, 6):
        world = World(seed, Impairment(0.02, 0.05, loss=0.2, duplicate=0.2), REAL)
        for link in (*world.access, world.home):
            world.move(link)
            world.run(7)
        runs.append(world.network.describe())
    assert runs[0] == runs[1] != runs[2]
