"""Mobile nodes of a member that stays away are asked to register by one member for all, and not all at once."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from set_driver import Node, World, member

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.door import Drain, Health
from unwired.core.set_resettle import AGAIN_FIRST_S, ASKED_PER_S, BEAT_S, LEISURE_S, Resettling
from unwired.wire.address import parse_address

INTERVAL_S = 0.5
NOTICED_S = 3 * INTERVAL_S + 0.1
SOON_S = 1.2
"""Until a member looks next that had nothing to do."""


class Resettled(World):
    """Four members that share one cache; ``asked`` has who asked whom, and when."""

    def __init__(self, of_member_4: int, of_others: int = 0) -> None:
        super().__init__(4, hello_interval_s=INTERVAL_S)
        self.cache = BindingCache()
        self.asked: list[tuple[int, float, Binding]] = []
        for index in range(of_others + of_member_4):
            binding = Binding(parse_address("2001:200:a000:1::")[:12] + index.to_bytes(4, "big"))
            binding.primary = 2 if index < of_others else 4
            self.cache.add(binding)
            self.cache.move(binding, State.BOUND)
        self.start_all()

    def make(self, number: int, **settings: Any) -> Node:
        node = super().make(number, **settings)

        def ask(binding: Binding) -> None:
            self.asked.append((number, self.now.monotonic, binding))

        resettling = Resettling(node.members, self.cache, ask, node.outbox, node.agenda)
        node.members.on_change = resettling.changed
        resettling.start(self.now)
        return node

    def who(self) -> set[int]:
        return {number for number, _, _ in self.asked}


def test_each_is_asked_once_by_the_first_member_and_nobody_before_its_time() -> None:
    world = Resettled(500, of_others=500)
    world.run(20)
    world.kill(4)
    world.run(LEISURE_S)
    assert world.asked == []
    world.run(NOTICED_S + SOON_S + 500 / ASKED_PER_S)
    assert world.who() == {1}
    assert Counter(binding.primary for _, _, binding in world.asked) == {4: 500}
    assert len({binding.home_address for _, _, binding in world.asked}) == 500
    (notice,) = world.nodes[1].told("resettling")
    assert notice.fields == {"member": member(4).name, "primaries": 500}
    assert not any(world.nodes[number].told("resettling") for number in (2, 3))


def test_never_many_at_once() -> None:
    world = Resettled(5_000, of_others=30_000)
    world.kill(4)
    world.run(NOTICED_S + LEISURE_S + SOON_S + 10)
    assert len(world.asked) > 9 * ASKED_PER_S
    times = [when for _, when, _ in world.asked]
    assert max(Counter(times).values()) <= ASKED_PER_S * BEAT_S
    assert all(later - earlier >= 0.99 for earlier, later in zip(times, times[ASKED_PER_S:], strict=False))


def test_a_member_that_comes_back_stops_it() -> None:
    world = Resettled(5_000)
    world.kill(4)
    world.run(NOTICED_S + LEISURE_S + SOON_S)
    assert world.asked
    world.start(4)
    world.run(INTERVAL_S)
    before = len(world.asked)
    world.run(60)
    assert len(world.asked) == before < 1_000


def test_one_that_is_back_in_time_is_left_alone() -> None:
    world = Resettled(10)
    for _ in range(3):
        world.kill(4)
        world.run(LEISURE_S - 1)
        world.start(4)
        world.run(2)
    world.run(20)
    assert world.asked == []


@pytest.mark.parametrize("how", ["dies", "can't serve", "drains"])
def test_the_next_member_goes_on(how: str) -> None:
    world = Resettled(1_000)
    world.kill(4)
    world.run(NOTICED_S + LEISURE_S + SOON_S)
    assert world.who() == {1}
    world.asked.clear()
    if how == "dies":
        world.kill(1)
    else:
        world.give(world.nodes[1], Drain() if how == "drains" else Health(False, "a test"))
    world.run(NOTICED_S + SOON_S + 1_000 / ASKED_PER_S)
    assert world.who() == {2}
    assert len(world.asked) == 1_000


def test_who_does_not_answer_is_asked_again_less_and_less_often() -> None:
    world = Resettled(3)
    silent, *others = world.cache
    world.kill(4)
    world.run(NOTICED_S + LEISURE_S + SOON_S)
    assert len(world.asked) == 3
    for binding in others:
        world.cache.set_primary(binding, 1)
    world.asked.clear()
    world.run(16 * AGAIN_FIRST_S)
    times = [when for _, when, binding in world.asked if binding is silent]
    assert len(times) == len(world.asked) == 4
    assert [round((b - a) / AGAIN_FIRST_S) for a, b in pairwise(times)] == [2, 4, 8]
    world.cache.set_primary(silent, 1)
    world.run(32 * AGAIN_FIRST_S)
    assert len(world.asked) == 4


def test_two_members_that_are_gone() -> None:
    world = Resettled(200, of_others=200)
    world.kill(4)
    world.run(NOTICED_S + LEISURE_S + SOON_S + 1)
    world.kill(2)
    world.run(NOTICED_S + LEISURE_S + SOON_S + 1)
    asked = Counter(binding.primary for _, _, binding in world.asked)
    assert world.who() == {1} and asked[2] >= 200 and asked[4] >= 200
    assert [notice.fields["primaries"] for notice in world.nodes[1].told("resettling")] == [200, 200]
