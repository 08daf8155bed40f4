"""What every carrier must do, whatever it is made of. A carrier's own test file has a class that inherits these tests
and a fixture ``world`` that makes its carriers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from participant import Participant, binding, until

from unwired.core.settings import Member
from unwired.plane.carrier import Carrier

LIMIT_S = 60.0


class World(Protocol):
    """Makes carriers of one set; ``members`` are all that there may be."""

    members: tuple[Member, ...]

    def carrier(self, member: int) -> Carrier:
        """A new carrier for this member, not started; the one before it, if any, was stopped."""

    async def interrupt(self, one: Carrier, member: int) -> None:
        """Break the way from this carrier to another member once, without warning."""


class CarrierConformance:
    def run(self, world: World, test: Callable[["Set"], Awaitable[None]]) -> None:
        async def whole() -> None:
            members = Set(world)
            try:
                async with asyncio.timeout(LIMIT_S):
                    await test(members)
            finally:
                await members.stop()

        asyncio.run(whole())

    def test_a_record_reaches_every_member(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, *others = await members.start(1, 2, 3)
            await members.all_connected()
            token = one.publish(members.binding(1, 5))
            await until(lambda: all(other.records == one.records for other in others), "the record at all members")
            await until(lambda: one.held == {2: token, 3: token}, "both hold it")

        self.run(world, test)

    def test_a_set_of_one_is_current_alone(self, world: World) -> None:
        async def test(members: Set) -> None:
            (one,) = await members.start(1)
            await until(lambda: bool(one.current) and one.current[0].alone, "current alone")

        world.members = world.members[:1]
        self.run(world, test)

    def test_every_member_becomes_current_once(self, world: World) -> None:
        async def test(members: Set) -> None:
            everybody = await members.start(1, 2, 3)
            await until(lambda: all(member.current for member in everybody), "all current")
            one, other, _ = everybody
            await world.interrupt(one.carrier, 2)
            token = one.publish(members.binding(1, 1))
            await until(lambda: one.held.get(2, 0) >= token, "held after an interruption")
            assert [len(member.current) for member in everybody] == [1, 1, 1]
            assert not any(member.current[0].alone for member in everybody)
            assert other.records

        self.run(world, test)

    def test_a_late_joiner_gets_all_before_it_is_current(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            for number in range(3000):
                (one if number % 2 else other).publish(members.binding(number, 1, 1 + number % 2))
            late = members.new(3)
            seen: list[int] = []
            late.current = _OnAppend(lambda: seen.append(len(late.records)))
            await late.start()
            await until(lambda: bool(late.current), "current")
            assert seen == [3000]
            assert late.records == one.records

        self.run(world, test)

    def test_the_newest_of_each_wins_everywhere_whoever_sends_it(self, world: World) -> None:
        async def test(members: Set) -> None:
            everybody = await members.start(1, 2, 3)
            await members.all_connected()
            for version in range(1, 200):
                sender = everybody[version % 3]
                sender.publish(members.binding(version % 7, version, 1 + version % 3, deleted=version % 11 == 0))
            await until(
                lambda: (
                    all(member.records == everybody[0].records for member in everybody)
                    and all(record.version > 192 for record in everybody[0].records.values())
                ),
                "the same newest records everywhere",
            )

        self.run(world, test)

    def test_nothing_is_held_before_it_is_kept(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            first = one.publish(members.binding(1, 1))
            await until(lambda: one.held.get(2) == first, "the first is held")
            other.keeping = False
            second = one.publish(members.binding(2, 1))
            await until(lambda: len(other.records) == 2, "the second is delivered")
            await asyncio.sleep(0.2)  # nothing to wait for: it must not come
            assert one.held == {2: first}
            assert one.carrier.links()[2].waiting == 1 and one.carrier.links()[2].lag_ms > 0
            other.keeping = True
            other.keep()
            await until(lambda: one.held == {2: second}, "the second is held")
            assert one.carrier.links()[2].waiting == 0

        self.run(world, test)

    def test_held_is_cumulative_and_of_each_member(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other, third = await members.start(1, 2, 3)
            third.keeping = False
            last = 0
            for number in range(100):
                last = one.publish(members.binding(number, 1))
            await until(lambda: one.held.get(2) == last, "the second member holds all")
            assert one.held.get(3, 0) == 0
            third.keeping = True
            third.keep()
            await until(lambda: one.held.get(3) == last, "the third holds all")
            assert other.durable == third.durable == one.records

        self.run(world, test)

    def test_what_a_member_refuses_is_told_with_what_it_holds(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            await members.all_connected()
            refused = {members.binding(number, 1).home_address for number in range(0, 6000, 3)}
            other.refusing |= refused
            for number in range(6000):
                token = one.publish(members.binding(number, 1))
            await until(lambda: one.held.get(2) == token, "all the rest is held")
            assert one.refused[2] == refused
            assert len(other.durable) == 4000

        self.run(world, test)

    def test_a_member_restarted_with_its_store_goes_on(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            for number in range(500):
                one.publish(members.binding(number, 1))
            await until(lambda: len(other.durable) == 500, "all delivered")
            await other.carrier.stop()
            last = one.publish(members.binding(1000, 1))
            again = await members.restart(other)
            await until(lambda: again.records == one.records, "what was missed is there")
            await until(lambda: one.held.get(2) == last, "what was published meanwhile is held")
            assert again.received < 500, "only what was missing is sent"

        self.run(world, test)

    def test_a_member_that_lost_its_store_gets_everything(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            for number in range(500):
                one.publish(members.binding(number, 1))
            await until(lambda: len(other.durable) == 500, "all delivered")
            again = await members.restart(other, keep_journal=False)
            await until(lambda: again.records == one.records and bool(again.current), "everything again")

        self.run(world, test)

    def test_what_a_member_published_before_it_died_is_not_lost(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            token = one.publish(members.binding(1, 7))
            await until(lambda: one.held.get(2) == token, "held")
            again = await members.restart(one, keep_journal=False)
            await until(lambda: again.records == other.records and bool(again.records), "it gets its own record back")

        self.run(world, test)

    def test_interruptions_under_load_lose_nothing(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            await members.all_connected()
            for version in range(1, 31):
                for number in range(100):
                    one.publish(members.binding(number, version))
                    other.publish(members.binding(1000 + number, version, 2))
                if version % 10 == 0:
                    await world.interrupt(one.carrier, 2)
                await asyncio.sleep(0)
            await until(lambda: one.held.get(2) == one.token and other.held.get(1) == other.token, "all held", 40)
            assert one.durable == other.durable and len(one.durable) == 200

        self.run(world, test)

    def test_keys_are_shared_now_and_with_who_comes(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            one.carrier.share_key(1, b"a" * 32)
            other.carrier.share_key(9, b"b" * 32)
            await until(lambda: other.keys == {1: (1, b"a" * 32)} and one.keys == {2: (9, b"b" * 32)}, "keys")
            one.carrier.share_key(2, b"c" * 32)
            await until(lambda: other.keys == {1: (2, b"c" * 32)}, "the new key")
            (third,) = await members.start(3)
            await until(lambda: third.keys == {1: (2, b"c" * 32), 2: (9, b"b" * 32)}, "keys for who comes")
            again = await members.restart(other)
            await until(lambda: again.keys.get(1) == (2, b"c" * 32), "keys for who comes again")

        self.run(world, test)

    def test_a_key_shared_before_the_start_counts(self, world: World) -> None:
        async def test(members: Set) -> None:
            (one,) = await members.start(1)
            other = members.new(2)
            other.carrier.share_key(3, b"k" * 32)
            await other.start()
            await until(lambda: one.keys == {2: (3, b"k" * 32)}, "the key")

        self.run(world, test)

    def test_ten_thousand_at_once(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other, third = await members.start(1, 2, 3)
            await members.all_connected()
            last = 0
            for number in range(10_000):
                last = one.publish(members.binding(number, 1))
            await until(lambda: one.held == {2: last, 3: last}, "all held", 40)
            assert len(other.records) == len(third.records) == 10_000

        self.run(world, test)

    def test_a_slow_receiver_is_not_drowned(self, world: World) -> None:
        """While its journal does not turn, updates of the same bindings are not piled up for it."""

        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            await members.all_connected()
            other.keeping = False
            for version in range(1, 41):
                for number in range(1000):
                    one.publish(members.binding(number, version))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert other.received <= 20_000, "flow control"
            assert one.carrier.links()[2].waiting <= 20_000, "bounded by bindings and the flow control's window"
            other.keeping = True
            other.keep()
            await until(lambda: one.held.get(2) == one.token, "all held")
            assert other.durable == one.records

        self.run(world, test)

    def test_positions_only_grow(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, other = await members.start(1, 2)
            await members.all_connected()
            for version in range(1, 20):
                one.publish(members.binding(1, version))
                await asyncio.sleep(0.01)
                if version == 10:
                    await world.interrupt(one.carrier, 2)
            await until(lambda: one.held.get(2) == one.token, "all held")
            positions = [position for member, position in other.deliveries if member == 1]
            assert positions == sorted(set(positions))

        self.run(world, test)

    def test_who_can_not_be_reached_is_said_and_others_go_on(self, world: World) -> None:
        async def test(members: Set) -> None:
            one, _ = await members.start(1, 2)
            await until(lambda: one.carrier.links()[2].connected, "connected")
            token = one.publish(members.binding(1, 1))
            await until(lambda: one.held.get(2) == token, "held by who is there")
            await until(lambda: not one.carrier.links()[3].connected and one.carrier.links()[3].problem != "", "said")
            assert set(one.carrier.links()) == {2, 3}

        self.run(world, test)


class _OnAppend(list):  # type: ignore[type-arg]
    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self.then = then

    def append(self, item: object) -> None:
        super().append(item)
        self.then()


class Set:
    """The participants of one test."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.participants: dict[int, Participant] = {}

    def new(self, member: int) -> Participant:
        participant = self.participants[member] = Participant(self.world.carrier(member))
        return participant

    async def start(self, *members: int) -> list[Participant]:
        started = [self.new(member) for member in members]
        for participant in started:
            await participant.start()
        return started

    async def restart(self, participant: Participant, keep_journal: bool = True) -> Participant:
        number = next(number for number, one in self.participants.items() if one is participant)
        again = await participant.restart(self.world.carrier(number), keep_journal)
        self.participants[number] = again
        return again

    async def all_connected(self) -> None:
        started = set(self.participants)
        await until(
            lambda: all(
                participant.carrier.links()[other].connected
                for number, participant in self.participants.items()
                for other in started - {number}
            ),
            "all connected",
        )

    def binding(self, number: int, version: int, primary: int = 1, deleted: bool = False):  # type: ignore[no-untyped-def]
        return binding(number, version, self.world.members[primary - 1].locator, deleted)

    async def stop(self) -> None:
        for participant in self.participants.values():
            await participant.carrier.stop()
