"""Under any order of publications, cuts, restarts and slow disks: nothing is reported as held that is not durable
there (``Streams.check_held`` asserts it at every report), and in the end everybody has the newest of each."""

from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_members import Participant, Streams, binding, settings_of

MEMBERS = 3
pairs = st.sampled_from([(1, 2), (1, 3), (2, 3)])
members = st.integers(1, MEMBERS)
steps = st.one_of(
    st.tuples(st.just("publish"), members, st.integers(0, 5), st.booleans()),
    st.tuples(st.just("publish"), members, st.integers(0, 5), st.booleans()),
    st.tuples(st.just("rounds"), st.integers(1, 6)),
    st.tuples(st.just("rounds"), st.integers(1, 6)),
    st.tuples(st.just("commit"), members),
    st.tuples(st.just("turn"), members),
    st.tuples(st.just("deliver"), pairs, st.booleans(), st.integers(1, 3)),
    st.tuples(st.just("commit"), members),
    st.tuples(st.just("commit"), members),
    st.tuples(st.just("join"), pairs),
    st.tuples(st.just("join"), pairs),
    st.tuples(st.just("cut"), pairs),
    st.tuples(st.just("restart"), members),
    st.tuples(st.just("block"), pairs, st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.005, 0.5, 5.0, 40.0])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, min_size=20, max_size=80), st.lists(pairs, min_size=1, max_size=3))
def test_random_walk(walk: list[tuple], beginning: list[tuple[int, int]]) -> None:  # type: ignore[type-arg]
    streams = Streams(
        *(Participant(number, settings_of(number, MEMBERS)) for number in range(1, MEMBERS + 1)), commit_at_once=False
    )
    version = 0
    for pair in beginning:
        streams.join(*pair)
    for what, *arguments in walk:
        if what == "publish":
            number, home, deleted = arguments
            version += 1
            streams.members[number].publish(binding(home, version, number, deleted), streams.now)
        elif what == "rounds":
            for _ in range(arguments[0]):
                for number in streams.members:
                    streams.turn(number)
                for wire in list(streams.wires):
                    streams.deliver(*wire)
                streams.now += 0.01
        elif what == "turn":
            streams.turn(arguments[0])
        elif what == "deliver":
            (one, other), back, count = arguments
            streams.deliver(*((other, one) if back else (one, other)), count)
        elif what == "commit":
            streams.members[arguments[0]].commit(streams.now)
        elif what == "join":
            streams.join(*arguments[0])
        elif what == "cut":
            streams.cut(*arguments[0])
        elif what == "restart":
            streams.restart(arguments[0])
        elif what == "block":
            (one, other), blocked = arguments
            streams.members[one].mesh.writable(other, not blocked)
        else:
            streams.now += arguments[0]
    _everything_comes_to_rest(streams)


def _everything_comes_to_rest(streams: Streams) -> None:
    streams.commit_at_once = True
    for one, other in ((1, 2), (1, 3), (2, 3)):
        streams.join(one, other)
    for member in streams.members.values():
        member.commit(streams.now)
    streams.settle(streams.now + 3)
    for member in streams.members.values():
        member.commit(streams.now)
    streams.settle(streams.now + 3)
    first = streams.members[1].store.records
    for member in streams.members.values():
        assert member.store.records == first
        if member.token:
            assert all(held == member.token for held in member.held.values()) and len(member.held) == MEMBERS - 1
        assert len(member.current) == 1
        assert not member.closed or all(close.refusal == "silent" for close in member.closed)
