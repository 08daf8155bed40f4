"""Members of a home agent set: who is up, what that does, what is told."""

import math

import pytest
from set_driver import DEAD_AFTER_S, GROUP, INTERVAL_S, World, member

from unwired.core.door import (
    Announce,
    Health,
    HelloReceived,
    KeyShared,
    SendHello,
    SetCurrent,
)
from unwired.core.forwarding import (
    SetMember,
)
from unwired.core.hello import OwnKeys
from unwired.core.member_states import (
    STUTTER_S,
    TRANSITIONS,
    UP,
    Input,
    Revival,
    State,
    Step,
    revival,
    transition,
)
from unwired.core.member_watch import REVIVAL_S
from unwired.core.notices import Drop, Level
from unwired.wire.home_agent_hello import (
    HomeAgentHello,
    MemberState,
    MemberStateOption,
    TimeEcho,
    body,
    decode_hello,
    encode_hello,
)

# --- the table ---


def test_every_state_and_step_is_there() -> None:
    reached = {State.UNKNOWN}
    while more := {transition(state, given)[1] for state in reached for given in Input} - reached:
        reached |= more
    assert reached == set(State)
    assert {step for step, _ in TRANSITIONS.values()} == set(Step) - {Step.STAY}
    assert {Input(state) for state in MemberState} == set(Input) - {Input.SILENCE}


HELLOS_TO_REVIVE = round(REVIVAL_S / INTERVAL_S) + 2
"""One begins it, and one may come a hair too early."""


def hello(state: int = 2, boot: bytes = b"bootboot", **fields: object) -> HomeAgentHello:
    given = {
        "group_id": GROUP,
        "sequence": 1,
        "active": True,
        "request": False,
        "lifetime_s": 0 if state == MemberState.LEAVING else 1,
        "interval_ms": 50,
        "options": (MemberStateOption(state, 3, 4, 5, boot),),
        **fields,
    }
    return HomeAgentHello(**given)  # type: ignore[arg-type]


class Puppet:
    """Member 2, played by the test, in front of member 1."""

    def __init__(self, **settings: object) -> None:
        self.world = World(2, **settings)
        self.world.carrier = False
        self.node = self.world.start(1)
        self.keys = OwnKeys(self.world._entropy)
        self.world.give(self.node, KeyShared(2, *self.keys.newest))

    def datagram(self, message: HomeAgentHello) -> bytes:
        one, two = member(1).locator, member(2).locator
        return self.keys.seal(self.keys.next_sequence(), encode_hello(message), None, two, one)

    def says(self, message: HomeAgentHello) -> None:
        self.receives(self.datagram(message))

    def receives(self, data: bytes, source: int = 2) -> None:
        self.world.give(self.node, HelloReceived(member(source).locator, data))

    def state(self) -> State:
        return State[self.node.state_of(2).upper()]

    def bring_to(self, state: State) -> None:
        if state is State.DEAD:
            self.says(hello(MemberState.SERVING))
            self.world.run(DEAD_AFTER_S)
        elif state is State.LEFT:
            self.says(hello(MemberState.LEAVING))
        elif state is not State.UNKNOWN:
            self.says(hello(MemberState[state.name]))
        assert self.state() is state
        for list_ in (self.node.notices, self.node.changes, self.node.log):
            list_.clear()


@pytest.mark.parametrize("given", Input)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("same_boot", [True, False])
def test_table_walked_in_full(state: State, given: Input, same_boot: bool) -> None:
    puppet = Puppet()
    puppet.bring_to(state)
    if given is Input.SILENCE:
        puppet.world.run(DEAD_AFTER_S)
    else:
        for _ in range(HELLOS_TO_REVIVE if state is State.DEAD and same_boot else 1):
            puppet.world.run(INTERVAL_S)
            puppet.says(hello(MemberState(given), b"bootboot" if same_boot else b"another!"))
    step, after = transition(state, given)
    node = puppet.node
    assert puppet.state() is after
    assert node.members.is_up(2) is (after in UP)
    assert node.members.serves(member(2).address) is (after not in UP)
    assert node.changes == ([(2, after in UP)] if (state in UP) is not (after in UP) else [])
    assert [row.up for row in node.done(SetMember)] == [up for _, up in node.changes]
    assert node.rows[2].up is (after in UP)
    told = [notice.name for notice in node.notices if notice.name != "member_restarted"]
    expected = {
        Step.STAY: [],
        Step.LOSE: ["member_down"],
        Step.REVIVE: ["member_false_detection"] if same_boot else [f"member_{_name(after)}"],
    }.get(step, [f"member_{_name(after)}"])
    assert told == expected
    false = step is Step.REVIVE and same_boot
    assert node.members.members_report(puppet.world.now)[1]["false_detections"] == false
    assert node.outbox.counters["false_detections"] == false
    assert bool(node.told("member_restarted")) is (
        given is not Input.SILENCE and not same_boot and state is not State.UNKNOWN
    )


@pytest.mark.parametrize("says", [MemberState.SERVING, MemberState.DRAINING])
def test_a_member_that_was_dead_by_mistake_is_up_when_it_was_heard_for_a_second(says: MemberState) -> None:
    puppet = Puppet()
    puppet.bring_to(State.DEAD)
    for _ in range(10):  # a path that comes and goes
        for _ in range(HELLOS_TO_REVIVE - 1):
            puppet.says(hello(says))
            puppet.world.run(INTERVAL_S)
        puppet.world.run(DEAD_AFTER_S)
    assert puppet.state() is State.DEAD
    assert not puppet.node.notices and not puppet.node.changes
    for _ in range(HELLOS_TO_REVIVE):
        puppet.says(hello(says))
        puppet.world.run(INTERVAL_S)
    assert puppet.state() is State[says.name]
    (notice,) = puppet.node.told("member_false_detection")
    assert notice.fields["silent_ms"] == round(1000 * (INTERVAL_S + DEAD_AFTER_S), 1)


def test_it_waits_for_what_it_announces_and_not_for_another_interval() -> None:
    puppet = Puppet()
    puppet.bring_to(State.DEAD)
    puppet.says(hello(interval_ms=10_000))
    assert puppet.state() is State.DEAD
    puppet.world.run(10)
    puppet.says(hello(interval_ms=10_000))
    assert puppet.state() is State.SERVING


@pytest.mark.parametrize("says", [MemberState.JOINING, MemberState.LEAVING])
def test_a_member_that_is_not_up_anyway_need_not_wait(says: MemberState) -> None:
    puppet = Puppet()
    puppet.bring_to(State.DEAD)
    puppet.says(hello(says))
    assert puppet.state() is transition(State.DEAD, Input(says))[1]


def _name(state: State) -> str:
    return {State.SERVING: "up"}.get(state, state.name.lower())


# --- what is received ---


def test_what_a_hello_says_is_in_the_report() -> None:
    puppet = Puppet()
    puppet.says(hello())
    entry = puppet.node.members.members_report(puppet.world.now)[1]
    assert (entry["primaries"], entry["waiting"], entry["room"]) == (3, 4, 5)
    assert (entry["name"], entry["number"], entry["up"], entry["state"]) == ("los-angeles", 2, True, "serving")
    assert entry["locator"] == "2001:db8:2::10"
    assert entry["hello_interval_ms"] == 50
    assert puppet.node.members.room(2) == 5


def test_every_bad_hello_is_counted_under_its_name_and_changes_nothing() -> None:
    puppet = Puppet()
    puppet.says(hello())
    known = puppet.datagram(hello(MemberState.LEAVING))
    without_key = World(2)
    without_key.carrier = False
    node = without_key.start(1)
    without_key.give(node, HelloReceived(member(2).locator, known))
    assert node.outbox.drops == {Drop.HELLO_NO_KEY: 1}
    stranger = OwnKeys(lambda size: b"\x77" * size)
    forged = stranger.seal(99, encode_hello(hello(MemberState.LEAVING)), None, member(2).locator, member(1).locator)
    absurd = [
        hello(interval_ms=0),
        hello(interval_ms=10_001),
        hello(state=0),
        hello(state=5),
        hello(state=4, lifetime_s=1),
        hello(state=2, lifetime_s=0),
        hello(global_set=False),
        hello(options=()),
    ]
    puppet.says(hello())
    before = puppet.node.members.members_report(puppet.world.now)[1]
    drops = puppet.node.outbox.drops
    replayed = puppet.datagram(hello(MemberState.SERVING))
    puppet.receives(replayed)
    for data, reason in (
        (known[:-1], Drop.HELLO_TRUNCATED),
        (b"", Drop.HELLO_TRUNCATED),
        (known + b"\0", Drop.HELLO_TRAILING_BYTES),
        (b"\xff" + known[1:], Drop.HELLO_MALFORMED),
        (known[:-1] + bytes((known[-1] ^ 1,)), Drop.HELLO_BAD_AUTHENTICATOR),
        (forged, Drop.HELLO_OTHER_EPOCH),
        (replayed, Drop.HELLO_REPLAYED),
        (puppet.datagram(hello(MemberState.LEAVING, group_id=1)), Drop.HELLO_OTHER_GROUP),
        *((puppet.datagram(message), Drop.HELLO_ABSURD) for message in absurd),
    ):
        count = drops[reason]
        puppet.receives(data)
        assert drops[reason] == count + 1, reason
        entry = puppet.node.members.members_report(puppet.world.now)[1]
        assert entry["last_refusal"] == reason.value
    puppet.receives(known, source=1)
    puppet.world.give(puppet.node, HelloReceived(bytes(16), known))
    assert drops[Drop.HELLO_NOT_A_MEMBER] == 2
    entry = puppet.node.members.members_report(puppet.world.now)[1]
    changed = {key for key in entry if entry[key] != before[key]}
    assert changed == {"hellos_received", "hellos_refused", "last_refusal"}
    assert puppet.node.changes == [(2, True)]


def test_one_that_was_overtaken_does_not_bring_back_what_was() -> None:
    puppet = Puppet()
    puppet.says(hello())
    draining, leaving = (puppet.datagram(hello(state)) for state in (MemberState.DRAINING, MemberState.LEAVING))
    puppet.receives(leaving)
    puppet.receives(draining)
    assert puppet.state() is State.LEFT
    assert puppet.node.members.members_report(puppet.world.now)[1]["hellos_received"] == 3


def test_keys_of_nobody_and_of_ourselves_are_ignored() -> None:
    puppet = Puppet()
    for number in (0, 1, 9):
        puppet.world.give(puppet.node, KeyShared(number, 1, bytes(32)))
    puppet.says(hello())
    assert puppet.state() is State.SERVING


def test_a_request_is_answered_at_once() -> None:
    puppet = Puppet()
    puppet.says(hello())
    puppet.node.log.clear()
    puppet.says(hello(request=True))
    (answer,) = puppet.node.done(SendHello)
    assert answer.locator == member(2).locator
    assert not decode_hello(body(answer.data)).request


def test_a_key_that_is_none_is_counted_and_changes_nothing() -> None:
    puppet = Puppet()
    epoch, key = puppet.keys.newest
    for bad in ((1 << 32, key), (-1, key), (epoch, b""), (epoch, key + b"x")):
        puppet.world.give(puppet.node, KeyShared(2, *bad))
    assert puppet.node.outbox.drops == {Drop.MALFORMED: 4}
    puppet.says(hello())
    puppet.world.run(0.1)
    assert puppet.state() is State.SERVING


def test_a_set_of_one_is_a_set() -> None:
    world = World(1)
    node = world.start(1, current=False)
    world.give(node, Health(True))
    world.run(5.1)
    assert node.done(Announce)
    assert node.members.addresses_nearest_first() == [member(1).address]
    node.members.stop(world.now)
    world.settle(node)
    assert not node.done(SendHello)


# --- silence ---


def test_silence_is_measured_by_the_interval_that_the_member_announces() -> None:
    puppet = Puppet()
    puppet.says(hello(interval_ms=1000))
    puppet.world.run(2.999)
    assert puppet.state() is State.SERVING
    puppet.world.run(0.002)
    assert puppet.state() is State.DEAD


def test_detection_is_exact_and_counted_from_the_last_hello() -> None:
    puppet = Puppet()
    for _ in range(10):
        puppet.says(hello())
        puppet.world.run(0.149)
    puppet.says(hello())
    heard = puppet.world.now.monotonic
    puppet.world.run(DEAD_AFTER_S - 0.0001)
    assert puppet.state() is State.SERVING
    deadline = puppet.node.agenda.deadline()
    assert deadline is not None
    assert abs(min(deadline, heard + DEAD_AFTER_S) - (heard + DEAD_AFTER_S)) < INTERVAL_S
    puppet.world.run(0.0002)
    assert puppet.state() is State.DEAD
    (notice,) = puppet.node.told("member_down")
    assert notice.level is Level.WARNING
    assert notice.fields["silent_ms"] == 150.0


def test_timers_do_not_pile_up() -> None:
    world = World(4)
    world.start_all()
    world.run(30.0)
    assert all(len(node.agenda) < 10 for node in world.nodes.values())


def test_when_we_slept_ourselves_the_others_get_one_more_interval() -> None:
    """What they sent meanwhile waits in the socket: it comes before the second look."""
    puppet = Puppet()
    puppet.says(hello())
    waiting = puppet.datagram(hello())
    puppet.world.sleep(1.0)
    puppet.node.agenda.run(puppet.world.now)
    puppet.world.settle(puppet.node)
    assert puppet.state() is State.SERVING
    puppet.receives(waiting)
    puppet.world.run(DEAD_AFTER_S - 0.001)
    assert puppet.state() is State.SERVING
    assert puppet.node.outbox.counters["member_silences_excused"] == 1
    assert not puppet.node.told("member_down")


def test_sleeping_is_no_excuse_twice() -> None:
    puppet = Puppet()
    puppet.says(hello())
    for expected in (State.SERVING, State.DEAD):
        puppet.world.sleep(1.0)
        puppet.node.agenda.run(puppet.world.now)
        puppet.world.settle(puppet.node)
        assert puppet.state() is expected


# --- several members ---


def test_all_members_hear_each_other() -> None:
    world = World(4)
    world.start_all()
    for node in world.nodes.values():
        assert [node.members.is_up(number) for number in range(6)] == [False, True, True, True, True, False]
        assert node.done(Announce) == [Announce()]
        assert all(row.up for row in node.rows.values())
        assert not node.outbox.drops
        assert node.members.is_current
        assert node.told("member_down") == []
    assert world.nodes[1].members.number_of(member(3).locator) == 3
    assert world.nodes[1].members.number_of(member(1).locator) == 1
    assert world.nodes[1].members.number_of(bytes(16)) == 0
    assert world.nodes[1].members.member(2).name == "los-angeles"
    assert not world.nodes[1].members.serves(member(2).address)
    assert world.nodes[1].members.serves(member(1).address)
    assert not world.nodes[1].members.serves(bytes(16))


def test_round_trip_times_need_no_common_clock() -> None:
    world = World(4)
    delays = {frozenset((1, 2)): 0.047, frozenset((1, 3)): 0.0005, frozenset((1, 4)): 0.009}
    world.delay = lambda source, destination: delays.get(frozenset((source, destination)), 0.03)
    world.start_all()
    world.run(5.0)
    report = world.nodes[1].members.members_report(world.now)
    assert [entry["rtt_ms"] for entry in report] == pytest.approx([0.0, 94.0, 1.0, 18.0], abs=0.2)
    nearest = [member(number).address for number in (1, 3, 4, 2)]
    assert world.nodes[1].members.addresses_nearest_first() == nearest
    assert world.nodes[1].members.nearest() == 3
    world.kill(3)
    world.run(1.0)
    assert world.nodes[1].members.addresses_nearest_first() == [nearest[0], *nearest[2:]]


def test_an_echo_of_what_was_not_sent_measures_nothing() -> None:
    puppet = Puppet()
    state = MemberStateOption(2, 0, 0, 0, b"bootboot")
    clock = round(puppet.world.now.monotonic * 1e6)
    for echo in (TimeEcho(clock + 1000, 0), TimeEcho(clock, 1000), TimeEcho(0, 0), TimeEcho((1 << 64) - 1, 0)):
        puppet.says(hello(options=(state, echo)))
        assert puppet.node.members.members_report(puppet.world.now)[1]["rtt_ms"] is None
    puppet.says(hello(options=(state, TimeEcho(clock - 30_000, 10_000))))
    assert puppet.node.members.members_report(puppet.world.now)[1]["rtt_ms"] == 20.0


def test_death_of_a_member_is_seen_by_all_in_time() -> None:
    world = World(4)
    world.start_all()
    world.kill(2)
    world.run(DEAD_AFTER_S + 0.002)
    for node in world.nodes.values():
        assert not node.members.is_up(2)
        assert not node.rows[2].up
        assert node.members.serves(member(2).address)
        assert node.changes[-1] == (2, False)
        assert [entry["state"] for entry in node.members.members_report(world.now)].count("serving") == 3
        assert node.members.members_report(world.now)[1]["false_detections"] == 0


def test_who_is_heard_again_soon_or_late_or_after_a_restart() -> None:
    assert revival(True, 0.0) is revival(True, STUTTER_S) is Revival.FALSE_DETECTION
    assert revival(True, STUTTER_S + 0.001) is revival(True, math.inf) is Revival.BACK
    assert revival(False, 0.0) is revival(False, math.inf) is Revival.RESTARTED


@pytest.mark.parametrize("cut_s", [0.5, 12.0])
def test_a_partition_is_a_false_detection_only_when_it_was_a_stutter(cut_s: float) -> None:
    world = World(4)
    world.start_all()
    whole = world.delay
    world.cut((1, 2))
    world.run(cut_s)
    assert [world.nodes[1].members.is_up(number) for number in (2, 3, 4)] == [True, False, False]
    assert [world.nodes[3].members.is_up(number) for number in (1, 2, 4)] == [False, False, True]
    world.delay = whole
    world.run(0.9)
    assert [world.nodes[1].members.is_up(number) for number in (2, 3, 4)] == [True, False, False]
    world.run(0.3)
    for node in world.nodes.values():
        assert all(node.members.is_up(number) for number in (1, 2, 3, 4))
        false, back = node.told("member_false_detection"), node.told("member_back")
        assert (len(false), len(back)) == ((2, 0) if cut_s < STUTTER_S else (0, 2))
        assert node.outbox.counters["false_detections"] == len(false)
        assert {notice.level for notice in false} <= {Level.WARNING}
        assert {notice.level for notice in back} <= {Level.INFO}


def test_a_member_that_is_killed_and_started_again_is_no_false_detection() -> None:
    world = World(3)
    world.start_all()
    world.kill(2)
    world.run(1.0)
    world.start(2, current=False)
    world.run(0.2)
    for number in (1, 3):
        node = world.nodes[number]
        assert node.state_of(2) == "joining"
        assert not node.members.is_up(2)
        assert not node.told("member_false_detection")
        assert len(node.told("member_restarted")) == 1
    world.give(world.nodes[2], Health(True))
    world.give(world.nodes[2], SetCurrent())
    world.run(0.002)
    assert all(world.nodes[number].members.is_up(2) for number in (1, 3))


def test_occasional_loss_is_no_death() -> None:
    world = World(3)
    lost = iter(range(10**9))
    world.delay = lambda source, destination: None if next(lost) % 7 < 2 else 0.01
    world.start_all()
    world.run(20.0)
    assert all(not node.told("member_down") for node in world.nodes.values())
