"""Home agent sets with everything around them played by the test: clock, network with delays and losses, and a carrier
that shares keys."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from unwired.core.door import (
    Action,
    Event,
    Health,
    HelloReceived,
    KeyShared,
    Notify,
    Now,
    Send,
    SendHello,
    SetCurrent,
    ShareKey,
)
from unwired.core.forwarding import SetMember
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.home_agent_switch import SwitchSender
from unwired.core.notices import Notice
from unwired.core.outbox import Outbox
from unwired.core.settings import HomeAgentSetSettings, HomeAgentSettings, HomePrefix, Member
from unwired.core.timers import Agenda
from unwired.wire.address import Address, parse_address
from unwired.wire.ipv6 import Packet

PREFIX = HomePrefix(parse_address("2001:200:a000::"), 35)
NAMES = ("tokyo", "los-angeles", "sfc", "seoul")
GROUP = 4690
INTERVAL_S = 0.05
DEAD_AFTER_S = 0.15
A = TypeVar("A")


def member(number: int) -> Member:
    return Member(
        NAMES[number - 1] if number <= len(NAMES) else f"member-{number}",
        parse_address(f"2001:200:a000::{number}"),
        parse_address(f"2001:db8:{number}::10"),
    )


@dataclass
class Node:
    """One member; ``log`` has all its actions, ``sent`` the packets to mobile nodes."""

    number: int
    outbox: Outbox
    agenda: Agenda
    members: HomeAgentSet
    switches: SwitchSender
    log: list[Action] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    sent: list[Packet] = field(default_factory=list)
    changes: list[tuple[int, bool]] = field(default_factory=list)
    rows: dict[int, SetMember] = field(default_factory=dict)
    key: ShareKey | None = None

    def told(self, name: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.name == name]

    def done(self, kind: type[A]) -> list[A]:
        return [action for action in self.log if isinstance(action, kind)]

    def state_of(self, number: int) -> str:
        return str(self.members.members_report(Now(0.0, 0.0))[number - 1]["state"])


class World:
    """``delay(source, destination)`` in seconds, None loses the datagram; both are member numbers."""

    def __init__(self, size: int = 4, **settings: Any) -> None:
        self.size = size
        self.settings = settings
        self.now = Now(1000.0, 1_800_000_000.0)
        self.nodes: dict[int, Node] = {}
        self.delay: Callable[[int, int], float | None] = lambda source, destination: 0.001
        self.carrier = True
        self._flying: list[tuple[float, int, int, Event]] = []
        self._count = count()
        self._random = count(1)

    def _entropy(self, size: int) -> bytes:
        return (next(self._random) * 0x9E3779B97F4A7C15 % (1 << 61)).to_bytes(size, "little") if size > 7 else b"\1" * 4

    def make(self, number: int, **settings: Any) -> Node:
        """A member that is not started."""
        given = {"group_id": GROUP, "hello_interval_s": INTERVAL_S, **self.settings, **settings}
        everybody = tuple(member(other) for other in range(1, self.size + 1))
        of_set = HomeAgentSetSettings(own=number, members=everybody, **given)
        home = HomeAgentSettings(member(number).address, (PREFIX,), home_agent_set=of_set)
        outbox, agenda = Outbox(), Agenda()
        members = HomeAgentSet(of_set, home, outbox, agenda, self._entropy)
        node = Node(number, outbox, agenda, members, SwitchSender(outbox, agenda, members))
        members.on_change = lambda other, up, now: node.changes.append((other, up))
        return node

    def start(self, number: int, current: bool = True, **settings: Any) -> Node:
        node = self.nodes[number] = self.make(number, **settings)
        node.members.start(self.now)
        self.settle(node)
        if self.carrier:
            for other in self.nodes.values():
                if other is not node:
                    self._share(other, node)
        if current:
            self.give(node, Health(True))
            self.give(node, SetCurrent())
        return node

    def start_all(self) -> None:
        for number in range(1, self.size + 1):
            self.start(number)
        self.run(1.0)

    def kill(self, number: int) -> None:
        del self.nodes[number]

    def give(self, node: Node, event: Event) -> None:
        node.members.handle(event, self.now)
        self.settle(node)

    # --- what happens by itself ---

    def run(self, seconds: float) -> None:
        """Everything that is due, in order and in time."""
        end = self.now.monotonic + seconds
        while True:
            due = self._due()
            if due is None or due > end:
                break
            self._to(due)
            while self._flying and self._flying[0][0] <= due:
                _, _, number, event = heapq.heappop(self._flying)
                if number in self.nodes:
                    self.give(self.nodes[number], event)
            for node in list(self.nodes.values()):
                node.agenda.run(self.now)
                self.settle(node)
        self._to(end)

    def sleep(self, seconds: float) -> None:
        """Time passes and nobody is woken."""
        self._to(self.now.monotonic + seconds)

    def _due(self) -> float | None:
        times = [time for node in self.nodes.values() if (time := node.agenda.deadline()) is not None]
        return min(times + [item[0] for item in self._flying[:1]], default=None)

    def _to(self, monotonic: float) -> None:
        if monotonic > self.now.monotonic:
            self.now = Now(monotonic, self.now.wall + monotonic - self.now.monotonic)

    def settle(self, node: Node) -> None:
        while actions := node.outbox.take():
            for action in actions:
                self._do(node, action)

    def _do(self, node: Node, action: Action) -> None:
        node.log.append(action)
        if isinstance(action, SendHello):
            self.fly(node.number, action.locator, action.data)
        elif isinstance(action, ShareKey):
            node.key = action
            if self.carrier:
                for other in self.nodes.values():
                    if other is not node:
                        self._share(node, other)
        elif isinstance(action, Notify):
            node.notices.append(action.notice)
        elif isinstance(action, Send):
            node.sent.append(action.packet)
        elif isinstance(action, SetMember):
            node.rows[action.number] = action

    def _share(self, node: Node, other: Node) -> None:
        if node.key is not None:
            self.give(other, KeyShared(node.number, node.key.epoch, node.key.key))

    def fly(self, source: int, locator: Address, data: bytes) -> None:
        for number in range(1, self.size + 1):
            if member(number).locator == locator:
                delay = self.delay(source, number)
                if delay is not None:
                    event = HelloReceived(member(source).locator, data)
                    heapq.heappush(self._flying, (self.now.monotonic + delay, next(self._count), number, event))

    def cut(self, numbers: Iterable[int]) -> None:
        """These members and the others hear nothing of each other any more."""
        before, apart = self.delay, frozenset(numbers)
        self.delay = lambda source, destination: (
            None if (source in apart) is not (destination in apart) else before(source, destination)
        )
