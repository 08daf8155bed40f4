"""The mobile node's engine among the engines of a home agent set: it is moved to the nearest one, and at no moment is
there a packet that would be lost."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from mobile_node_driver import HOME_ADDRESS, SETTINGS, Driver
from set_world import LATENCY_S, World, address_of, locator_of

from unwired.core.door import Drain
from unwired.core.mobile_node_states import State
from unwired.core.set_peer import MEMBER_TUNNEL
from unwired.core.set_resettle import AGAIN_FIRST_S, LEISURE_S
from unwired.core.settings import Durability
from unwired.wire.address import Address
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc5142 import HomeAgentSwitch
from unwired.wire.rfc6275 import BindingRefreshRequest, BindingUpdate

STEP_S = 0.002
CORRESPONDENT = bytes.fromhex("20010db8090000000000000000000005")


class Together:
    """``nearest()`` says which member the Internet takes the mobile node's next packet to. ``lost`` counts the steps in
    which a packet would have been, after the first registration."""

    def __init__(self, nearest: int = 1, **settings: object) -> None:
        self.world = World(**settings)  # type: ignore[arg-type]
        self.nearest: Callable[[], int] = lambda: nearest
        self.driver = Driver(replace(SETTINGS, home_agent=address_of(1)), start=False)
        self.driver.time = self.world.time - 1000.0
        self.driver.node.start(self.driver.now)
        self.driver.collect()
        self._sent = 0
        self._answered = [len(site.sent) for site in self.world.sites]
        self.loses: Callable[[Packet], bool] = lambda packet: False
        self.delay_s = LATENCY_S
        self.lost: list[str] = []

    def run(self, seconds: float, watched: bool = True) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.world.run(STEP_S)
            self.driver.run(self.world.time - 1000.0 - self.driver.time)
            self._carry()
            if watched:
                self._look()

    def _carry(self) -> None:
        for _, packet, _ in self.driver.sent[self._sent :]:
            if isinstance(packet.payload, BindingUpdate) and not self.loses(packet):
                self._later(packet)
        self._sent = len(self.driver.sent)
        for index, site in enumerate(self.world.sites):
            for packet in site.sent[self._answered[index] :]:
                if not self.loses(packet):
                    self.world.at(self.world.time + self.delay_s, lambda packet=packet: self._arrives(packet))
            self._answered[index] = len(site.sent)

    def _later(self, packet: Packet) -> None:
        self.world.at(self.world.time + self.delay_s, lambda: self.world.deliver(packet, self.nearest()))

    def _arrives(self, packet: Packet) -> None:
        if packet.destination in self.driver.node.machine.rows.used:
            self.driver.receives(packet)

    def _look(self) -> None:
        """Send a packet each way by the tables as they are, from and to everywhere."""
        rows, tunnel = self.driver.node.machine.rows, self.driver.node.machine.rows.tunnel
        if tunnel is None:
            self.lost.append("no tunnel")
            return
        for site in self.world.alive:
            sent = site.table.forward_for(0, CORRESPONDENT, HOME_ADDRESS)
            if sent is not None and sent.number >= MEMBER_TUNNEL:
                primary = next(one for one in self.world.sites if locator_of(one.number) == sent.peer)
                if primary.engine is None:
                    continue  # dead, and not missed yet
                sent = primary.table.forward_for(0, CORRESPONDENT, HOME_ADDRESS, from_member=True)
            if sent is None or (sent.local, 0) not in rows._peers or sent.peer not in rows.used:
                self.lost.append(f"{self.world.time:.3f}: to the mobile node, from {site.number}: {sent}")
        entry = self.world.site(self.nearest())
        if entry.engine is not None and not entry.table.accepts(0, HOME_ADDRESS, CORRESPONDENT, tunnel.local):
            self.lost.append(f"{self.world.time:.3f}: from the mobile node, at {entry.number}")

    # --- what can be seen ---

    @property
    def home_agent(self) -> Address | None:
        return self.driver.node.machine.entry.home_agent

    def primaries(self) -> set[int]:
        found = {site.binding(HOME_ADDRESS) for site in self.world.alive}
        return {0 if binding is None else binding.primary for binding in found}

    def switches(self) -> int:
        return sum(isinstance(packet.payload, HomeAgentSwitch) for site in self.world.sites for packet in site.sent)

    def requests(self) -> dict[int, list[Address]]:
        """The binding refresh requests: by whom, in whose name."""
        return {
            site.number: sources
            for site in self.world.sites
            if (sources := [one.source for one in site.sent if isinstance(one.payload, BindingRefreshRequest)])
        }

    def visit(self, number: int) -> None:
        self.driver.down()
        self.driver.visit(number)


def registered(nearest: int = 1, **settings: object) -> Together:
    together = Together(nearest, **settings)
    together.visit(1)
    together.run(0.1, watched=False)
    assert together.driver.state in (State.REGISTERED, State.SWITCHING)
    return together


@pytest.mark.parametrize("durability", list(Durability))
def test_moved_to_the_nearest_without_losing_a_packet(durability: Durability) -> None:
    together = registered(2, durability=durability)
    together.run(7)
    assert together.driver.state is State.REGISTERED and together.home_agent == address_of(2)
    assert together.switches() == 1 and together.primaries() == {2}
    assert together.lost == []
    assert together.driver.node.drops == {}


def test_a_journey_past_all_members() -> None:
    together = registered(1)
    for place in (2, 3, 1, 3):
        together.nearest = lambda place=place: place  # type: ignore[misc]
        together.run(1)
        together.visit(10 + place)
        together.run(0.06, watched=False)  # the handover itself breaks before it makes
        together.run(2)
        assert together.home_agent == address_of(place) and together.primaries() == {place}
    assert together.switches() == 4
    assert together.lost == []


def test_equally_good_paths_change_the_home_agent_once_at_a_place() -> None:
    together = registered(1)
    turns = iter(range(1_000_000))
    together.nearest = lambda: next(turns) % 3 + 1
    for number in range(1, 6):
        before = together.switches()
        together.visit(number)
        together.run(0.06, watched=False)
        for _ in range(4):
            together.run(1)
            together.driver.from_home_agent(BindingRefreshRequest())
        assert together.switches() - before <= 1
    assert together.lost == []


@pytest.mark.parametrize("which", range(8))
def test_whatever_control_packet_is_lost(which: int) -> None:
    """One control packet after another is lost; data never."""
    together = registered(1)
    together.nearest = lambda: 2
    together.visit(2)
    together.run(0.06, watched=False)
    count = iter(range(1_000_000))
    together.loses = lambda packet: next(count) == which
    together.run(20)
    assert together.driver.state is State.REGISTERED
    assert {address_of(primary) for primary in together.primaries()} == {together.home_agent}
    assert together.lost == []


def test_the_answers_of_the_new_one_are_all_lost() -> None:
    """It has us and sends to us; we do not know it, and take what it sends."""
    together = registered(1)
    together.nearest = lambda: 2
    together.visit(2)
    together.run(0.06, watched=False)
    together.loses = lambda packet: packet.source == address_of(2)
    together.run(30)
    assert together.driver.state is State.REGISTERED and together.home_agent == address_of(1)
    assert together.primaries() == {1}
    assert together.lost == []


def test_a_dead_members_mobile_node_goes_on_and_is_moved_with_its_next_update() -> None:
    together = registered(1)
    together.run(2)
    together.world.site(1).kill()
    together.nearest = lambda: 2
    together.run(3, watched=False)
    together.run(3)
    assert together.home_agent == address_of(1)  # it noticed nothing
    together.visit(2)
    together.run(0.06, watched=False)
    together.run(3)
    assert together.home_agent == address_of(2) and together.primaries() == {2}
    assert together.lost == []


def killed(together: Together, number: int, nearest: int) -> None:
    """A member is gone, and noticed; its mobile node's packets come to another one now."""
    together.world.site(number).kill()
    together.nearest = lambda: nearest
    together.run(3, watched=False)


@pytest.mark.parametrize("nearest", [2, 3])
def test_a_dead_members_mobile_node_is_moved_at_leisure(nearest: int) -> None:
    """It need not move, and its next refresh is far away."""
    together = registered(1)
    together.run(2)
    killed(together, 1, nearest)
    assert together.requests() == {}
    together.run(LEISURE_S)
    assert together.home_agent == address_of(nearest) and together.primaries() == {nearest}
    assert together.requests() == {2: [address_of(1)]}, "one asks, in the name of the dead one"
    assert together.lost == []
    together.run(60)
    assert together.requests() == {2: [address_of(1)]} and together.switches() == 1


def test_it_goes_back_when_its_nearest_member_is_back() -> None:
    together = registered(1)
    killed(together, 1, 2)
    together.run(LEISURE_S)
    assert together.home_agent == address_of(2)
    together.world.site(1).start()
    together.nearest = lambda: 1
    together.run(5)
    assert together.home_agent == address_of(2)
    for _ in range(5):
        together.driver.from_home_agent(BindingRefreshRequest())
        together.run(2)
        assert together.home_agent == address_of(1) and together.primaries() == {1}
    assert together.switches() == 2
    assert together.lost == []


@pytest.mark.parametrize("which", range(6))
def test_moved_at_leisure_whatever_control_packet_is_lost(which: int) -> None:
    together = registered(1)
    killed(together, 1, 3)
    count = iter(range(1_000_000))
    together.loses = lambda packet: next(count) == which
    together.run(LEISURE_S + AGAIN_FIRST_S + 5)
    assert together.home_agent == address_of(3) and together.primaries() == {3}
    assert together.lost == []


def test_a_member_that_drains_hands_over() -> None:
    together = registered(1)
    together.run(2)
    together.world.site(1).handle(Drain())
    together.nearest = lambda: 2
    together.run(5)
    assert together.home_agent in (address_of(2), address_of(3)) and 1 not in together.primaries()
    assert together.world.site(1).left
    assert together.lost == []
