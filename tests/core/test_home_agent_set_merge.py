"""What a member takes from another, and what it does not believe: each record alone, every state with every input."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from set_world import ALL, HOMES, Site, World, address_of, care_of, locator_of

from unwired.core.binding_states import TABLE, Input, State, Step
from unwired.core.door import ActionFailed, BindingsReceived
from unwired.core.forwarding import Forward
from unwired.core.global_binding import GlobalBinding
from unwired.core.merge import CLOCK_AHEAD_MAX_S, Refused
from unwired.core.notices import Level
from unwired.core.replica import BUCKETS, bucket_of, memory_s
from unwired.wire.address import parse_address
from unwired.wire.rfc4285 import ntp_timestamp

HOME = HOMES[0]


def alone(**settings: Any) -> Site:
    """A member that hears of the others only what the test says."""
    world = World(3, **settings)
    for site in world.sites[1:]:
        site.kill()
    return world.site(1)


def binding(site: Site, home: bytes = HOME, **changes: Any) -> GlobalBinding:
    version = ntp_timestamp(site.now().wall)
    record = GlobalBinding(home, care_of(1), locator_of(2), version, version, site.now().wall + 400.0, 9, 100)
    return replace(record, **changes)


def tell(site: Site, *records: GlobalBinding) -> None:
    site.handle(BindingsReceived(2, 1, records))


def refusals(site: Site) -> dict[str, int]:
    prefix = "global_bindings_refused_"
    counters = site.running.counters
    return {name.removeprefix(prefix): count for name, count in counters.items() if name.startswith(prefix)}


# --- the table ---


def in_state(state: State) -> Site:
    site = alone()
    if state == State.BOUND:
        tell(site, binding(site))
    elif state == State.DELETED:
        tell(site, binding(site, deleted=True, lifetime_units=0))
    elif state == State.REMEMBERED:
        tell(site, binding(site, ends_at=site.now().wall - 1.0, lifetime_units=1))
    found = site.binding(HOME)
    assert (State.ABSENT if found is None else found.state) == state
    return site


@pytest.mark.parametrize("event", [event for event in Input if event >= Input.DEREGISTER_ELSEWHERE])
@pytest.mark.parametrize("state", [state for state in State if state != State.DETECTING])
def test_every_state_meets_what_other_members_say(state: State, event: Input) -> None:
    site = in_state(state)
    later = ntp_timestamp(site.now().wall + 2.0)
    newer = binding(site, version=later, timestamp=later, care_of_address=care_of(2), primary=locator_of(3))
    if event == Input.DEREGISTER_ELSEWHERE:
        site.world.run(1)
        site.receive(site.world.packet(HOME, 0, 1, care_of(1)))
    elif event == Input.LEARN:
        tell(site, newer)
    elif event == Input.LEARN_OVER:
        tell(site, replace(newer, ends_at=site.now().wall))
    else:
        tell(site, replace(newer, deleted=True, lifetime_units=0))
    step, following = TABLE[state][event]
    found = site.binding(HOME)
    assert (State.ABSENT if found is None else found.state) == following
    assert site.route(HOME) == (
        None
        if following != State.BOUND
        else (address_of(2), care_of(1))
        if step == Step.ACKNOWLEDGE_ONLY
        else (address_of(3), care_of(2))
    )
    assert site.running.cache.in_use == (following == State.BOUND)
    assert len(site.journal) == (following != State.ABSENT)
    # And whatever happened, the mobile node can register afterwards, and all of it is forgotten in the end.
    site.world.run(3)
    site.receive(site.world.packet(HOME, 100, 1, care_of(3)))
    assert site.route(HOME) == (address_of(1), care_of(3))
    site.world.run(2 * memory_s(site.running.settings))
    assert site.binding(HOME) is None and site.journal == {} and site.table.rows().accepts == ()


# --- what is not believed ---


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"primary": locator_of(9)}, Refused.UNKNOWN_PRIMARY),
        ({"primary": bytes(16)}, Refused.UNKNOWN_PRIMARY),
        ({"home_address": parse_address("2001:db8:200::1")}, Refused.NOT_A_HOME_ADDRESS),
        ({"home_address": address_of(1)}, Refused.NOT_A_HOME_ADDRESS),
        ({"home_address": address_of(3)}, Refused.NOT_A_HOME_ADDRESS),
        ({"care_of_address": address_of(2)}, Refused.BAD_CARE_OF_ADDRESS),
        ({"care_of_address": locator_of(1)}, Refused.BAD_CARE_OF_ADDRESS),
        ({"care_of_address": HOMES[1]}, Refused.BAD_CARE_OF_ADDRESS),
        ({"care_of_address": parse_address("ff02::1")}, Refused.BAD_CARE_OF_ADDRESS),
        ({"care_of_address": parse_address("::ffff:192.0.2.1")}, Refused.BAD_CARE_OF_ADDRESS),
        ({"version": ntp_timestamp(1_800_000_000.0 + CLOCK_AHEAD_MAX_S + 100)}, Refused.IN_THE_FUTURE),
        ({"timestamp": ntp_timestamp(1_800_000_000.0 + CLOCK_AHEAD_MAX_S + 100)}, Refused.IN_THE_FUTURE),
        ({"version": (1 << 64) - 1}, Refused.IN_THE_FUTURE),
        ({"version": 1 << 64}, Refused.OUT_OF_RANGE),
        ({"version": -1}, Refused.OUT_OF_RANGE),
        ({"timestamp": 1 << 64}, Refused.OUT_OF_RANGE),
        ({"sequence": 1 << 16}, Refused.OUT_OF_RANGE),
        ({"lifetime_units": 1 << 16}, Refused.OUT_OF_RANGE),
        ({"ends_at": 1_800_000_000.0 + 440}, Refused.LASTS_TOO_LONG),
        ({"ends_at": float("inf")}, Refused.LASTS_TOO_LONG),
        ({"ends_at": float("nan")}, Refused.LASTS_TOO_LONG),
        ({"ends_at": 1_800_000_000.0 + 1000, "deleted": True}, Refused.LASTS_TOO_LONG),
    ],
)
def test_a_broken_member_breaks_nothing(changes: dict[str, Any], reason: Refused) -> None:
    site = alone()
    good = binding(site, HOMES[1])
    tell(site, binding(site, **changes), good)
    assert refusals(site) == {reason.value: 1}
    [notice] = [notice for notice in site.notices if notice.name == "global_binding_refused"]
    assert (notice.fields["reason"], notice.fields["member"]) == (reason.value, "site2")
    assert site.binding(HOME) is None and site.record(HOMES[1]) is not None
    assert len(site.running.cache) == 1


def test_a_full_member_counts_what_does_not_fit_and_refuses_its_own() -> None:
    site = alone(bindings_max=2)
    tell(site, *(binding(site, home) for home in HOMES))
    assert refusals(site) == {"no_room": 1} and site.running.cache.in_use == 2
    tell(site, binding(site, version=ntp_timestamp(site.now().wall + 1)))
    assert refusals(site) == {"no_room": 1}, "what is there already may change"
    site.receive(site.world.packet(HOMES[2], 100, 1, care_of(1)))
    assert site.world.acknowledged[-1].status == 130


def test_tombstones_of_nobody_do_not_fill_the_memory() -> None:
    site = alone(bindings_max=10)
    for number in range(50):
        home = HOME[:8] + (1 << 32 | number).to_bytes(8)
        tell(site, binding(site, home, deleted=True, lifetime_units=0))
    assert len(site.running.cache) == 20 and refusals(site) == {"no_room": 30}


def test_home_addresses_of_no_subscriber_are_taken_and_counted() -> None:
    site = alone()
    stranger = HOME[:8] + (1 << 32).to_bytes(8)
    tell(site, binding(site, stranger))
    assert site.route(stranger) == (address_of(2), care_of(1))
    assert site.running.counters["global_bindings_of_no_subscriber"] == 1


def test_news_of_other_members_is_told_and_refreshes_are_not() -> None:
    site = alone()
    first = binding(site)

    def later(record: GlobalBinding, **changes: Any) -> GlobalBinding:
        return replace(record, version=record.version + 1, **changes)

    refreshed = later(first, sequence=10)
    moved = later(refreshed, care_of_address=care_of(2))
    switched = later(moved, primary=locator_of(3))
    site.notices.clear()
    tell(site, first, refreshed, moved, moved, first, switched)
    assert [(notice.name, notice.level, notice.home_address) for notice in site.notices] == [
        ("global_binding_stored", Level.DEBUG, HOME)
    ] * 3
    assert [(notice.fields["care_of_address"], notice.fields["primary"]) for notice in site.notices] == [
        (care_of(1), "site2"),
        (care_of(2), "site2"),
        (care_of(2), "site3"),
    ]


def test_a_member_that_joins_does_not_tell_all_that_it_takes_over() -> None:
    world = World(3)
    world.update(to=1)
    world.run(1)
    assert [notice.name for notice in world.site(3).notices].count("global_binding_stored") == 1
    world.site(3).destroy()
    world.site(3).notices.clear()
    world.site(3).start()
    world.run(3)
    names = [notice.name for notice in world.site(3).notices]
    assert world.records()[2] is not None and "set_current" in names
    assert "global_binding_stored" not in names


def test_the_timestamp_never_goes_back_whichever_record_wins() -> None:
    site = alone()
    record = binding(site)
    tell(site, record)
    tell(site, replace(record, version=record.version - 5, timestamp=record.timestamp + 7, care_of_address=care_of(2)))
    found = site.record(HOME)
    assert found is not None
    assert (found.version, found.timestamp, found.care_of_address) == (record.version, record.timestamp + 7, care_of(1))
    tell(site, replace(record, version=record.version + 5, timestamp=record.timestamp - 5))
    found = site.record(HOME)
    assert found is not None
    assert (found.version, found.timestamp) == (record.version + 5, record.timestamp + 7)


def test_another_members_binding_that_the_host_could_not_make_true_is_not_ended() -> None:
    site = alone()
    tell(site, binding(site))
    [forward] = [row for row in site.table.rows().forwards if isinstance(row, Forward)]
    site.handle(ActionFailed(forward, "map full"))
    assert site.record(HOME) is not None and site.running.counters["actions_failed"] == 1


def test_ntp_seconds_begin_again_in_2036() -> None:
    site = alone()
    site.offset_s = 2_085_978_400.0 - site.world.wall  # shortly before
    before = binding(site)
    assert before.version >> 60 == 0xF
    tell(site, before)
    site.world.run(200)
    after = binding(site, HOMES[1])
    assert after.version >> 60 == 0
    tell(site, after, replace(before, version=before.version + 1))
    assert refusals(site) == {} and site.record(HOMES[1]) is not None


# --- any order, any number of times ---

records = st.builds(
    lambda version, primary, care, deleted, sequence, over: (version, primary, care, deleted, sequence, over),
    st.integers(0, 3), st.integers(1, 3), st.integers(1, 2), st.booleans(), st.integers(1, 2), st.booleans(),
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(told=st.lists(records, min_size=1, max_size=6), data=st.data())
def test_the_same_whatever_the_order(told: list[tuple[int, int, int, bool, int, bool]], data: st.DataObject) -> None:
    site, other = _two()
    base = binding(site, version=ntp_timestamp(site.now().wall))
    all_of_them = [
        replace(
            base,
            version=base.version + version,
            timestamp=base.timestamp + version,
            primary=locator_of(primary),
            care_of_address=care_of(care),
            deleted=deleted,
            sequence=sequence,
            lifetime_units=0 if deleted else 100,
            ends_at=site.now().wall + (-5.0 if over and not deleted else 300.0 + version),
        )
        for version, primary, care, deleted, sequence, over in told
    ]
    for record in all_of_them:
        tell(site, record)
    for record in data.draw(st.permutations(all_of_them * 2)):
        tell(other, record)
    one, two = site.record(HOME), other.record(HOME)
    assert one is not None and two is not None
    assert (
        (one.order, one.timestamp)
        == (two.order, two.timestamp)
        == (
            max(record.order for record in all_of_them),
            max(record.timestamp for record in all_of_them),
        )
    )
    assert site.running.binding_store.digests() == other.running.binding_store.digests()  # type: ignore[union-attr]


def _two() -> tuple[Site, Site]:
    world = World(3)
    world.partition((1,), (2,), (3,))
    return world.site(1), world.site(3)


# --- the store ---


def test_digests_find_what_differs_and_nothing_else() -> None:
    site, other = _two()
    one, two = site.running.binding_store, other.running.binding_store
    assert one is not None and two is not None
    assert one.digests() == two.digests() == [0] * BUCKETS
    same, differs = binding(site, HOMES[1]), binding(site)
    for each in (site, other):
        tell(each, same)
    tell(site, differs)
    found = [number for number, (a, b) in enumerate(zip(one.digests(), two.digests(), strict=True)) if a != b]
    assert found == [bucket_of(HOME)]
    assert one.in_buckets(frozenset(found)) == [HOME] and two.in_buckets(frozenset(found)) == []
    assert one.record(HOME) is not None and two.record(HOME) is None
    tell(other, replace(differs, switched=True, ends_at=differs.ends_at - 1))
    assert one.digests() == two.digests()
    assert len({bucket_of(subscriber.home_address) for subscriber in ALL}) == len(ALL)
    site.world.run(2 * memory_s(site.running.settings))
    assert one.digests() == [0] * BUCKETS and one.in_buckets(frozenset(range(BUCKETS))) == []
