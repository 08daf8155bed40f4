"""Whatever the network loses, repeats, delays and reorders and however the node moves: in the end both ends agree."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roaming_world import HOME_ADDRESS, MOBILE_NODE, REAL, VIRTUAL, World

from unwired.core.mobile_node_states import State
from unwired.sim.network import Impairment

PATHS = {
    "clean": Impairment(0.01),
    "loss": Impairment(0.01, loss=0.3),
    "duplication": Impairment(0.01, 0.005, duplicate=0.5),
    "reordering": Impairment(0.01, jitter_s=0.5),
    "long delay": Impairment(0.8, jitter_s=0.1),
    "stragglers": Impairment(0.02, straggler=0.2, straggler_s=4.0),
    "everything": Impairment(0.05, 0.2, loss=0.2, duplicate=0.2, straggler=0.1, straggler_s=6.0),
}
QUIET_S = 150.0
"""Longer than the longest back-off, the longest refusal that is met here and every grace period."""

moves = st.lists(
    st.tuples(
        st.sampled_from(
            ["access1", "access2", "access3", "home", "nowhere", "slip1", "slip2", "restart", "agent restart"]
        ),
        st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.3, 1.0, 3.0, 10.0, 40.0]),
    ),
    min_size=1,
    max_size=8,
)


def make(world: World, move: str, interface: str = "wlan0") -> None:
    match move:
        case "home":
            world.move(world.home, interface)
        case "nowhere":
            world.move(None, interface)
        case "restart":
            world.mobile.kill()
            world.mobile.restart()
        case "agent restart":
            world.agent.kill()
            world.agent.restart()
        case "slip1" | "slip2":
            if world.mobile.interfaces[interface].link is not None:
                world.mobile.interfaces[interface].slip(world.access[int(move[-1]) - 1])
        case _:
            world.move(world.access[int(move[-1]) - 1], interface)


def settle(world: World) -> None:
    """End somewhere, let the network behave again, and wait."""
    world.run(QUIET_S)
    if world.state is State.STRANDED:
        # Nowhere to go: both forget when the lifetime is over.
        world.run(QUIET_S)
    until = world.time + QUIET_S
    while world.state is not State.REGISTERED and world.time < until:
        if world.state in (State.HOME, State.DETACHED):
            break
        world.run(1.0)
    # A refresh may be on its way at this very moment.
    for _ in range(30):
        if world.state in (State.REGISTERED, State.HOME, State.DETACHED):
            break
        world.run(1.0)


@pytest.mark.parametrize("name", PATHS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(schedule=moves, seed=st.integers(0, 2**16), real=st.booleans())
def test_cache_and_list_agree_in_the_end(name: str, schedule: list[tuple[str, float]], seed: int, real: bool) -> None:
    world = World(seed, PATHS[name], REAL if real else VIRTUAL)
    for move, then_s in schedule:
        if move != "home" or real:
            make(world, move)
        world.run(then_s)
    for link in world.access:
        link.path = replace(link.path, loss=0.0, duplicate=0.0, straggler=0.0, jitter_s=0.0)
    settle(world)
    world.assert_agreement()
    reach(world)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    schedule=st.lists(
        st.tuples(
            st.sampled_from(["wlan0", "wwan0"]),
            st.sampled_from(["access1", "access2", "access3", "home", "nowhere", "restart"]),
            st.sampled_from([0.0, 0.01, 0.05, 1.0, 8.0]),
        ),
        min_size=2,
        max_size=10,
    ),
    seed=st.integers(0, 2**16),
)
def test_two_interfaces_agree_in_the_end(schedule: list[tuple[str, str, float]], seed: int) -> None:
    node = replace(MOBILE_NODE, interfaces=("wlan0", "wwan0"))
    world = World(seed, Impairment(0.02, 0.01, loss=0.1), REAL, node, ("wlan0", "wwan0"))
    for interface, move, then_s in schedule:
        make(world, move, interface)
        world.run(then_s)
    for link in world.access:
        link.path = Impairment(0.02)
    settle(world)
    world.assert_agreement()
    reach(world)
    links = [interface.link for interface in world.mobile.interfaces.values()]
    if world.home in links:
        assert world.state is State.HOME
    elif links[0] is not None:
        assert links[0].covers(world.care_of_address_at_home_agent() or b"")
    elif links[1] is not None:
        assert links[1].covers(world.care_of_address_at_home_agent() or b"")


def reach(world: World) -> None:
    """Data gets through both ways, or nowhere when there is no link."""
    world.probe(0.1, 0.02)
    world.mobile.arrived.clear()
    world.correspondent.arrived.clear()
    world.run(5)
    expected = 0 if world.state is State.DETACHED else 6
    assert len(world.mobile.arrived) == len(world.correspondent.arrived) == expected, (
        f"{world.state} {HOME_ADDRESS.hex()}\n{world.network.describe()}\n{world.network.counts}"
    )
