"""Which acknowledgements may go, and what is confirmed to other members."""

from dataclasses import replace
from typing import Any

import pytest
from set_carrier import CarrierMaker, MemoryCarrier, MeshCarrier
from set_world import HOMES, THIRD_HOME, World, address_of, care_of

from unwired.core.binding_cache import decode_record, record_key
from unwired.core.binding_states import State
from unwired.core.door import ActionFailed, BindingsHeld, BindingsReceived, Persist
from unwired.core.durability import peers_needed
from unwired.core.settings import Durability
from unwired.wire.address import UNSPECIFIED
from unwired.wire.rfc4285 import wall_time

HOME = HOMES[0]


def world_with(durability: Durability, alive: int, members: int = 4) -> World:
    """A set of which so many members are alive, ``site(1)`` among them."""
    world = World(members, durability)
    for site in world.sites[alive:]:
        site.kill()
    return world


@pytest.mark.parametrize(
    ("durability", "needed"), [(Durability.LOCAL, 1), (Durability.ONE_PEER, 2), (Durability.QUORUM, 3)]
)
def test_acknowledged_when_enough_members_have_it_and_not_before(durability: Durability, needed: int) -> None:
    assert peers_needed(durability, 4) == needed - 1
    for alive in range(1, 5):
        world = world_with(durability, alive)
        world.update(to=1)
        world.run(2)
        assert bool(world.acknowledged) is (alive >= needed), alive
        # The rows are there in any case: the mobile node's packets need not wait.
        assert world.site(1).route(HOME) == (address_of(1), care_of(1))


@pytest.mark.parametrize("slow", [1, 2])
def test_journals_and_not_memories_count(slow: int) -> None:
    world = World(2)
    world.site(slow).writes = False
    world.update(to=1)
    world.run(2)
    assert world.acknowledged == []
    assert world.site(2).route(HOME) is not None
    world.site(slow).write()
    world.run(0.1)
    assert [answer.status for answer in world.acknowledged] == [0]


def test_an_acknowledged_binding_outlives_the_machine_and_its_journal() -> None:
    world = World()
    world.update(to=1)
    while not world.acknowledged:
        world.run(0.001)
    world.site(1).destroy()
    world.run(5)
    assert {site.route(HOME) for site in world.alive} == {(address_of(1), care_of(1))}
    world.site(1).start()
    world.run(5)
    assert world.site(1).route(HOME) == (address_of(1), care_of(1))
    assert world.site(1).running.cache.primaries[1] == 1


def restart_with_room(world: World, number: int, bindings_max: int) -> None:
    world.differing[number] = {"bindings_max": bindings_max}
    world.site(number).kill()
    world.site(number).start()


@pytest.mark.parametrize("carrier", [MemoryCarrier, MeshCarrier])
def test_who_refuses_a_record_does_not_count_for_it(carrier: CarrierMaker) -> None:
    world = World(3, carrier=carrier)
    for number in (2, 3):
        restart_with_room(world, number, 1)
    world.run(3)
    world.update(HOMES[0], to=1)
    world.update(HOMES[1], to=1)
    world.run(3)
    assert [answer.home_address for answer in world.acknowledged] == [HOMES[0]], "nobody else has room for the second"
    assert len(world.site(1).running.cache) == 2
    restart_with_room(world, 3, 10)
    world.run(3)
    world.update(HOMES[1], to=1)
    world.run(3)
    assert world.acknowledged[-1].home_address == HOMES[1], "one of the two others is enough"


def test_only_the_latest_update_of_a_mobile_node_waits() -> None:
    world = world_with(Durability.ONE_PEER, 1, 2)
    for _ in range(20):
        world.update(to=1)
        world.run(1)
    site = world.site(1)
    status = site.running.status()
    assert status["home_agent_set"]["acknowledgements_waiting_for_members"] == 1
    assert status["acknowledgements_waiting_for_journal"] == 0
    notices = [notice for notice in site.notices if notice.name == "acknowledgements_wait_for_members"]
    assert len(notices) == 1 and notices[0].fields["durability"] == "one-peer"
    world.site(2).start()
    world.run(5)
    assert [answer.status for answer in world.acknowledged] == [0]
    assert world.acknowledged[0].sequence == 27
    assert "acknowledgements_go_on" in [notice.name for notice in site.notices]


def test_an_acknowledgement_that_was_overtaken_elsewhere_is_not_sent() -> None:
    world = World()
    world.cut((1, 2), (1, 3))
    world.update(to=1)
    world.run(1)
    world.update(to=2, care_of_address=care_of(2))
    world.run(1)
    world.heal()
    world.run(5)
    assert [answer.site for answer in world.acknowledged] == [2]
    assert all(site.route(HOME) == (address_of(2), care_of(2)) for site in world.sites)


def test_nonsense_about_what_is_held() -> None:
    world = world_with(Durability.ONE_PEER, 1, 3)
    world.update(to=1)
    for event in (BindingsHeld(1, 9), BindingsHeld(7, 9), BindingsHeld(2, 10**9), BindingsHeld(0, 1)):
        world.site(1).handle(event)
    assert world.acknowledged == [], "nobody else can hold what was never published"
    world.site(1).handle(BindingsHeld(2, 1))
    assert [answer.status for answer in world.acknowledged] == [0]


class Kept:
    """Listens to what a member confirms."""

    def __init__(self, world: World, number: int) -> None:
        self.kept: list[tuple[int, int]] = []
        carrier: Any = world.site(number).carrier
        carrier.kept = lambda member, position, refused: self.kept.append((member, position))


def test_what_is_received_is_confirmed_when_it_is_written() -> None:
    world = World(2)
    world.update(to=1)
    world.run(1)
    site, record = world.site(2), world.site(1).record(HOME)
    assert record is not None
    kept = Kept(world, 2)
    site.handle(BindingsReceived(1, 100, (record,)))
    assert kept.kept == [(1, 100)], "nothing new, and all is written"
    site.writes = False
    site.handle(BindingsReceived(1, 101, (replace(record, version=record.version + 1),)))
    site.handle(BindingsReceived(1, 102, (record,)))  # older than what waits to be written in its place
    assert kept.kept == [(1, 100)]
    site.write()
    assert kept.kept == [(1, 100), (1, 101), (1, 102)]


def test_a_journal_that_fails_confirms_nothing_until_it_is_written_after_all() -> None:
    world = World(2)
    world.update(to=1)
    world.run(1)
    site, record = world.site(2), world.site(1).record(HOME)
    assert record is not None
    kept = Kept(world, 2)
    site.writes = False
    site.handle(BindingsReceived(1, 100, (replace(record, version=record.version + 1),)))
    [failed] = site.unwritten
    site.unwritten.clear()
    site.handle(ActionFailed(failed, "disk full"))
    assert kept.kept == [] and site.running.counters["journal_failures"] == 1
    world.run(0.5)
    assert kept.kept == [] and site.unwritten == []
    world.run(1)
    assert [type(action) for action in site.unwritten] == [Persist]
    site.write()
    assert kept.kept == [(1, 100)]
    binding, primary = decode_record(record_key(HOME), site.journal[record_key(HOME)], site.now())
    assert (binding.version, primary) == (record.version + 1, record.primary)


# --- the journal ---


def test_the_journal_brings_back_global_bindings_with_their_primary() -> None:
    world = World()
    world.update(to=1, at=2)  # and a switch is sent
    world.run(1)
    world.update(HOMES[1], to=2)
    world.run(1)
    before = [world.site(3).record(home) for home in HOMES]
    world.partition((1,), (2,), (3,))
    world.site(3).restart()
    assert [world.site(3).record(home) for home in HOMES] == before
    assert world.site(3).route(HOME) == (address_of(1), care_of(1)) and world.site(3).member_of(HOME) == 1
    assert world.site(3).running.cache.primaries == {1: 1, 2: 1}


def test_a_journal_from_before_there_were_sets_is_read() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    [key] = world.site(1).journal
    record = world.site(1).journal[key]
    for site in world.sites:
        site.destroy()
    old = b"\x01" + record[1:43]
    binding, primary = decode_record(key, old, world.site(1).now())
    assert primary == UNSPECIFIED and binding.version == binding.timestamp and binding.state == State.BOUND
    world.site(1).journal[key] = old
    for site in world.sites:
        site.start()
    world.run(5)
    assert all(site.route(HOME) == (address_of(1), care_of(1)) for site in world.sites)
    assert len(set(world.records())) == 1


def test_a_journal_from_before_without_timestamps_gives_versions_too() -> None:
    world = World()
    world.update(THIRD_HOME, to=1)
    world.run(1)
    [key] = world.site(1).journal
    record = world.site(1).journal[key]
    binding, _ = decode_record(key, b"\x01" + record[1:43], world.site(1).now())
    assert binding.timestamp == 0 and abs(wall_time(binding.version) - world.wall) < 2


def test_a_binding_whose_primary_is_no_member_any_more_is_forgotten() -> None:
    world = World()
    world.update(to=3)
    world.run(1)
    for site in world.sites:
        site.kill()
    world._set = replace(world._set, members=world._set.members[:2])
    for number in (1, 2):
        world.site(number).start()
        assert world.site(number).route(HOME) is None
        assert "binding_disowned" in [notice.name for notice in world.site(number).notices]
