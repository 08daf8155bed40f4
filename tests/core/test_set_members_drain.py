"""Leaving a home agent set gracefully."""

import pytest
from set_driver import Node, World, member
from test_home_agent_switch import KEY, NAME, binding

from unwired.core.binding_cache import Binding
from unwired.core.door import Announce, Drain, Health, LeaveSet, Now, SendHello, Withdraw
from unwired.core.home_agent_set import Load
from unwired.core.notices import Level
from unwired.core.set_drain import AGAIN_S, DRAIN_MAX_S, NOBODY_MAX_S
from unwired.wire.home_agent_hello import MemberState, MemberStateOption, body, decode_hello
from unwired.wire.rfc5142 import HomeAgentSwitch


class Leaving:
    """Member 1 of three has bindings and leaves; member 3 is the nearest to it. Mobile nodes that are asked follow
    after ``delay_s``, but for the first ``deaf``."""

    def __init__(self, bindings: int = 50, deaf: int = 0, delay_s: float = 0.2) -> None:
        self.world = World(3)
        self.world.delay = lambda source, destination: 0.05 if 2 in (source, destination) else 0.002
        self.world.start_all()
        self.node: Node = self.world.nodes[1]
        self.bindings: dict[bytes, Binding] = {}
        for number in range(bindings):
            one = binding(number)
            self.bindings[one.home_address] = one
        self.deaf = frozenset(list(self.bindings)[:deaf])
        self.delay_s = delay_s
        self.answers: list[tuple[float, bytes, int]] = []
        members = self.node.members
        members.primaries = lambda: (one for one in self.bindings.values() if one.primary == 1)
        members.load = lambda: Load(primaries=sum(1 for _ in members.primaries()))
        members.hand_over = self._hand_over

    def _hand_over(self, one: Binding, target: int, now: Now) -> None:
        self.node.switches.request(one, KEY, NAME, self.node.members.member(1).address, target, now)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.world.run(0.05)
            now = self.world.now
            for packet in self.node.sent:
                assert isinstance(packet.payload, HomeAgentSwitch)
                assert packet.routing_home_address is not None
                numbers = [n for n in (1, 2, 3) if member(n).address == packet.payload.addresses[0]]
                if packet.routing_home_address not in self.deaf:
                    self.answers.append((now.monotonic + self.delay_s, packet.routing_home_address, numbers[0]))
            self.node.sent.clear()
            for _, home_address, number in [item for item in self.answers if item[0] <= now.monotonic]:
                self.bindings[home_address].primary = number
                self.node.switches.completed(home_address, now)
                self.world.settle(self.node)
            self.answers = [item for item in self.answers if item[0] > now.monotonic]

    @property
    def primaries(self) -> list[int]:
        return [one.primary for one in self.bindings.values()]

    def has_left(self) -> bool:
        return bool(self.node.done(LeaveSet))


def test_all_mobile_nodes_go_to_the_nearest_member_and_then_we_leave() -> None:
    leaving = Leaving()
    node = leaving.node
    node.log.clear()
    leaving.world.give(node, Drain())
    assert node.done(Withdraw) == [Withdraw(True, "the operator drains this member")]
    states = [decode_hello(body(hello.data)).option(MemberStateOption) for hello in node.done(SendHello)]
    assert [option.state for option in states if option] == [MemberState.DRAINING] * 2, "told at once"
    leaving.world.run(0.01)
    assert leaving.world.nodes[3].members.is_up(1), "it serves until the end"
    assert leaving.world.nodes[3].state_of(1) == "draining"
    assert member(1).address == leaving.world.nodes[3].members.addresses_nearest_first()[-1]
    assert member(1).address == node.members.addresses_nearest_first()[-1]
    leaving.run(10.0)
    assert leaving.primaries == [3] * 50
    assert leaving.has_left()
    assert leaving.world.nodes[3].state_of(1) == "left"
    (notice,) = node.told("drained")
    assert (notice.level, notice.fields["primaries_left"]) == (Level.INFO, 0)
    assert node.done(LeaveSet) == [LeaveSet()]
    assert not node.done(Announce)


def test_nobody_to_hand_over_means_no_waiting() -> None:
    leaving = Leaving(bindings=0)
    leaving.world.give(leaving.node, Drain())
    leaving.run(0.1)
    assert leaving.has_left()


def test_who_does_not_answer_does_not_hold_us_for_ever() -> None:
    leaving = Leaving(bindings=10, deaf=2)
    leaving.world.give(leaving.node, Drain())
    leaving.run(DRAIN_MAX_S - 1)
    assert not leaving.has_left()
    assert sorted(leaving.primaries) == [1] * 2 + [3] * 8
    leaving.run(2.0)
    assert leaving.has_left()
    (notice,) = leaving.node.told("drained")
    assert (notice.level, notice.fields["primaries_left"]) == (Level.WARNING, 2)


def test_when_the_target_dies_another_one_takes_them() -> None:
    leaving = Leaving(bindings=200, delay_s=0.5)
    leaving.world.give(leaving.node, Drain())
    leaving.run(1.0)
    leaving.world.kill(3)
    leaving.run(2 * AGAIN_S + 20.0)
    assert leaving.has_left()
    assert 1 not in leaving.primaries
    assert {2, 3} == set(leaving.primaries)


def test_with_nobody_left_in_the_set_we_do_not_wait_long() -> None:
    leaving = Leaving()
    leaving.world.kill(2)
    leaving.world.kill(3)
    leaving.run(1.0)
    leaving.world.give(leaving.node, Drain())
    leaving.run(NOBODY_MAX_S - 0.5)
    assert not leaving.has_left()
    leaving.run(1.0)
    assert leaving.has_left()
    assert leaving.primaries == [1] * 50


def test_a_member_that_comes_back_in_time_is_waited_for() -> None:
    leaving = Leaving(bindings=10)
    leaving.world.kill(2)
    leaving.world.kill(3)
    leaving.run(1.0)
    leaving.world.give(leaving.node, Drain())
    leaving.run(NOBODY_MAX_S - 1.0)
    leaving.world.start(2)
    leaving.world.nodes[2].members.load = lambda: Load(room=0)
    leaving.run(1.0)
    leaving.world.kill(2)
    leaving.run(NOBODY_MAX_S - 1.0)
    assert not leaving.has_left()
    leaving.run(1.5)
    assert leaving.has_left()


def test_a_pass_that_takes_long_is_finished_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unwired.core.set_drain._SLICE", 1)
    leaving = Leaving(bindings=500)
    leaving.world.give(leaving.node, Drain())
    leaving.run(15.0)
    assert leaving.has_left()
    assert set(leaving.primaries) == {3}


def test_a_second_order_to_drain_changes_nothing() -> None:
    leaving = Leaving()
    for _ in range(2):
        leaving.world.give(leaving.node, Drain())
    leaving.run(10.0)
    leaving.world.give(leaving.node, Drain())
    leaving.run(1.0)
    assert len(leaving.node.done(LeaveSet)) == 1
    assert len(leaving.node.told("draining")) == 1


def test_failing_health_withdraws_what_fades() -> None:
    leaving = Leaving(deaf=50)
    leaving.world.give(leaving.node, Drain())
    leaving.world.give(leaving.node, Health(False, "no maps"))
    assert leaving.node.done(Withdraw)[-1] == Withdraw(False, "no maps")
    leaving.world.give(leaving.node, Health(True))
    assert len(leaving.node.done(Announce)) == 1, "who drains does not announce any more"


def test_many_bindings_are_gone_through_in_slices() -> None:
    """HELLOs go on while the bindings are gone through."""
    leaving = Leaving(bindings=5000)
    leaving.world.nodes[3].members.load = lambda: Load(room=100_000)
    leaving.run(0.2)
    leaving.world.give(leaving.node, Drain())
    leaving.run(30.0)
    assert leaving.has_left()
    assert set(leaving.primaries) == {3}
