"""Whatever happens to the members of a set: afterwards all agree on who is up, and nothing bad is believed."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from set_driver import GROUP, World, member

from unwired.core.door import Announce, Health, HelloReceived, KeyShared, SendHello, SetCurrent, Withdraw
from unwired.core.hello import OwnKeys, authenticator
from unwired.core.member_states import UP, State
from unwired.wire.home_agent_hello import HomeAgentHello, MemberStateOption, encode_hello, encode_text

SIZE = 3
numbers = st.integers(1, SIZE)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("kill"), numbers),
        st.tuples(st.just("start"), numbers),
        st.tuples(st.just("stop"), numbers),
        st.tuples(st.just("cut"), numbers),
        st.tuples(st.just("heal"), numbers),
        st.tuples(st.just("unhealthy"), numbers),
        st.tuples(st.just("healthy"), numbers),
        st.tuples(st.just("sleep"), numbers),
        st.tuples(st.just("replay"), numbers),
    ),
    max_size=15,
)


@given(happenings, st.lists(st.floats(0.0, 0.4), min_size=15, max_size=15))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_all_agree_after_whatever_happened(what: list[tuple[str, int]], pauses: list[float]) -> None:
    world = World(SIZE, join_timeout_s=1.0)
    world.start_all()
    whole = world.delay
    unhealthy: set[int] = set()
    for (name, number), pause in zip(what, pauses, strict=False):
        node = world.nodes.get(number)
        match name:
            case "kill" if node:
                world.kill(number)
            case "stop" if node:
                node.members.stop(world.now)
                world.settle(node)
                world.kill(number)
            case "start" if not node:
                unhealthy.discard(number)
                world.start(number)
            case "cut":
                world.cut((number,))
            case "heal":
                world.delay = whole
            case "unhealthy" if node:
                unhealthy.add(number)
                world.give(node, Health(False, "a test"))
            case "healthy" if node:
                unhealthy.discard(number)
                world.give(node, Health(True))
            case "sleep":
                world.sleep(pause)
            case "replay" if node:
                for hello in node.done(SendHello)[-200:]:
                    world.fly(number, hello.locator, hello.data)
        world.run(pause)
    world.delay = whole
    world.run(2.0)
    running = set(world.nodes)
    for number, node in world.nodes.items():
        for other in set(range(1, SIZE + 1)) - {number}:
            up = other in running and other not in unhealthy
            assert node.members.is_up(other) is up, (number, other)
            assert node.rows[other].up is up
            assert node.members.serves(member(other).address) is not up
        said = [action for action in node.log if isinstance(action, Announce | Withdraw)]
        announced = bool(said) and isinstance(said[-1], Announce)
        assert announced is (number not in unhealthy)
        for other in range(1, SIZE + 1):
            ups = [up for who, up in node.changes if who == other]
            assert ups == [index % 2 == 0 for index in range(len(ups))], "told each change once"


options = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda state, boot, rest: MemberStateOption(state, 0, 0, 0, boot).pack() + rest,
        st.integers(0, 255),
        st.sampled_from((b"bootboot", b"another!")),
        st.binary(max_size=60),
    ),
)
hellos = st.builds(
    HomeAgentHello,
    group_id=st.just(GROUP),
    sequence=st.just(0),
    active=st.booleans(),
    request=st.booleans(),
    lifetime_s=st.integers(0, 3),
    interval_ms=st.sampled_from((0, 1, 50, 10_000, 10_001, 65_535)),
    global_set=st.booleans(),
    harp_type=st.sampled_from((0, 3, 4, 4, 4, 4, 5)),
)


@given(st.lists(st.tuples(hellos, options, st.integers(0, 1 << 63), st.floats(0, 1)), max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_member_gone_mad_raises_nothing(said: list[tuple[HomeAgentHello, bytes, int, float]]) -> None:
    """Authentic and arbitrary: each is taken or counted, and what is shown stays consistent."""
    world = World(2)
    world.carrier = False
    node = world.start(1)
    keys = OwnKeys(world._entropy)
    world.give(node, KeyShared(2, *keys.newest))
    epoch, key = keys.newest
    two, one = member(2).locator, member(1).locator
    for hello, tail, sequence, pause in said:
        text = encode_text(epoch, sequence, encode_hello(replace(hello, options=())) + tail)
        world.give(node, HelloReceived(two, text + authenticator(key, two, one, text)))
        world.run(pause)
        (_, report) = node.members.members_report(world.now)
        up = State[report["state"].upper()] in UP
        assert node.members.is_up(2) is up is report["up"] is node.rows[2].up
        assert report["rtt_ms"] is None or 0 <= report["rtt_ms"] <= 60_000
    received = node.members.members_report(world.now)[1]["hellos_received"]
    assert node.outbox.drops.total() + received == len(said)


@given(st.lists(st.binary(max_size=120), max_size=30))
def test_random_bytes_are_counted_and_change_nothing(datagrams: list[bytes]) -> None:
    world = World(2)
    world.start_all()
    node = world.nodes[1]
    node.log.clear()
    for data in datagrams:
        node.members.handle(HelloReceived(member(2).locator, data), world.now)
    assert node.outbox.drops.total() == len(datagrams)
    assert node.outbox.take() == []
    assert node.members.is_up(2)


def test_what_was_recorded_before_a_restart_of_the_receiver_dies_with_the_next_key() -> None:
    """The receiver forgot its window; the sender renews its key as soon as it sees the new boot identifier."""
    world = World(2)
    world.start_all()
    world.run(20.0)
    recorded = [hello for hello in world.nodes[1].done(SendHello) if hello.locator == member(2).locator][-50:]
    world.kill(2)
    world.run(1.0)
    node = world.start(2, current=False)
    world.give(node, Health(True))
    world.give(node, SetCurrent())
    world.run(3.0)
    before = node.outbox.drops.total()
    for hello in recorded:
        world.give(node, HelloReceived(member(1).locator, hello.data))
    assert node.outbox.drops.total() == before + len(recorded)
