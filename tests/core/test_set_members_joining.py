"""A member that joins, is healthy or not, renews its key, and leaves."""

from set_driver import World, member

from unwired.core.door import (
    Announce,
    Drain,
    Health,
    HelloReceived,
    LeaveSet,
    Now,
    SendHello,
    SetCurrent,
    ShareKey,
    Withdraw,
)
from unwired.core.forwarding import (
    ListenToMembers,
    RemoveMember,
    RemoveTunnel,
    SetMember,
    SetTunnel,
    UnlistenToMembers,
)
from unwired.core.hello_exchange import KEY_LIFETIME_S, KEY_RENEWAL_LEAST_S
from unwired.core.home_agent_set import Load
from unwired.core.notices import Level
from unwired.wire.home_agent_hello import (
    MemberState,
    MemberStateOption,
    body,
    decode_hello,
)

# --- joining ---


def test_start_lists_all_others_as_down_and_shares_a_key() -> None:
    world = World(3)
    node = world.start(1, current=False)
    tunnels = {action.tunnel.number: action.tunnel for action in node.log if isinstance(action, SetTunnel)}
    assert node.log[0] == ListenToMembers(0, member(1).locator)
    assert set(tunnels) == {0x8000_0002, 0x8000_0003}
    assert tunnels[0x8000_0002].local == member(1).locator
    assert tunnels[0x8000_0002].peer == member(2).locator
    assert node.rows[3] == SetMember(0, 3, member(3).address, member(3).locator, 0x8000_0003, False)
    assert len(node.done(ShareKey)) == 1
    hellos = [decode_hello(body(action.data)) for action in node.log if isinstance(action, SendHello)]
    assert len(hellos) == 2
    assert all(hello.request and not hello.active and hello.global_set for hello in hellos)


def test_keys_and_boot_identifiers_are_new_at_each_start() -> None:
    world = World(2)
    first, second = world.start(1), world.start(1)
    assert first.key is not None and second.key is not None
    assert first.key.key != second.key.key
    boots = {_state_option(node.done(SendHello)[0]).boot for node in (first, second)}
    assert len(boots) == 2


def _state_option(action: SendHello) -> MemberStateOption:
    option = decode_hello(body(action.data)).option(MemberStateOption)
    assert option is not None
    return option


def test_nothing_is_announced_before_the_set_is_current_and_the_host_healthy() -> None:
    for first, second in ((Health(True), SetCurrent()), (SetCurrent(), Health(True))):
        world = World(2)
        node = world.start(1, current=False)
        world.give(node, first)
        assert not node.done(Announce)
        world.give(node, second)
        assert node.done(Announce) == [Announce()]
        world.give(node, Health(True))
        world.give(node, SetCurrent())
        assert node.done(Announce) == [Announce()]


def test_a_member_says_that_it_joins_until_it_is_current() -> None:
    world = World(2)
    world.start(1)
    joining = world.start(2, current=False)
    world.give(joining, Health(True))
    world.run(1.0)
    assert world.nodes[1].state_of(2) == "joining"
    assert joining.members.is_up(1)
    before = world.now
    world.give(joining, SetCurrent())
    assert world.now == before
    world.run(0.0011)
    assert world.nodes[1].members.is_up(2)


def test_who_hears_nobody_serves_alone_after_the_join_timeout() -> None:
    world = World(3, join_timeout_s=2.0)
    node = world.start(1, current=False)
    world.give(node, Health(True))
    world.run(1.999)
    assert not node.members.is_current
    world.run(0.002)
    assert node.members.is_current
    assert node.done(Announce)
    (notice,) = node.told("serving_alone")
    assert notice.level is Level.WARNING


def test_who_hears_somebody_waits_for_the_bindings_however_long() -> None:
    world = World(2, join_timeout_s=2.0)
    world.start(1)
    node = world.start(2, current=False)
    world.give(node, Health(True))
    world.run(60.0)
    assert not node.members.is_current
    world.kill(1)
    world.run(1.9)
    assert not node.members.is_current
    world.run(0.2)
    assert node.members.is_current
    assert node.told("serving_alone")


def test_the_carrier_may_know_that_nobody_is_there() -> None:
    world = World(2)
    node = world.start(1, current=False)
    world.give(node, SetCurrent(alone=True))
    assert node.members.is_current
    assert node.told("serving_alone")


# --- health ---


def test_failing_health_withdraws_at_once_and_tells_the_others() -> None:
    world = World(2)
    world.start_all()
    node = world.nodes[1]
    world.give(node, Health(False, "the punt device is gone"))
    assert node.done(Withdraw) == [Withdraw(False, "the punt device is gone")]
    world.run(0.0011)
    assert not world.nodes[2].members.is_up(1)
    assert node.told("withdrawn")[0].level is Level.WARNING
    world.give(node, Health(False, "still"))
    assert len(node.done(Withdraw)) == 1
    world.give(node, Health(True))
    assert len(node.done(Announce)) == 2
    world.run(0.0011)
    assert world.nodes[2].members.is_up(1)


def test_a_host_that_was_never_healthy_leaves_what_is_announced_to_the_supervisor() -> None:
    world = World(2)
    node = world.start(1, current=False)
    world.give(node, Health(False, "starting"))
    assert not node.done(Withdraw)


# --- our key ---


def test_keys_are_renewed_without_losing_a_member() -> None:
    world = World(3, hello_interval_s=1.0)
    world.start_all()
    keys = {number: node.key for number, node in world.nodes.items()}
    world.run(KEY_LIFETIME_S + 60.0)
    for number, node in world.nodes.items():
        assert node.key is not None and node.key != keys[number]
        assert not node.told("member_down")
        assert not node.outbox.drops
        assert node.outbox.counters["hello_keys_renewed"] == 1


def test_no_member_is_lost_when_the_carrier_fails_while_keys_are_renewed() -> None:
    world = World(2, hello_interval_s=1.0)
    world.start_all()
    world.carrier = False
    world.run(2 * KEY_LIFETIME_S + 60.0)
    for node in world.nodes.values():
        assert not node.told("member_down")
        assert node.outbox.counters["hello_keys_renewed"] == 1  # the next waits until this one has arrived
    world.carrier = True
    for node in world.nodes.values():
        for other in world.nodes.values():
            if other is not node:
                world._share(node, other)
    world.run(KEY_RENEWAL_LEAST_S + 1.0)
    for node in world.nodes.values():
        assert node.outbox.counters["hello_keys_renewed"] == 2
        assert not node.told("member_down")


def test_who_has_forgotten_what_it_heard_gets_a_new_key() -> None:
    world = World(2)
    world.start_all()
    world.kill(2)
    world.run(KEY_RENEWAL_LEAST_S)
    key = world.nodes[1].key
    world.start(2)
    world.run(1.0)
    assert world.nodes[1].key != key
    assert world.nodes[2].members.is_up(1)


def test_epoch_and_sequence_go_into_each_datagram_once() -> None:
    world = World(4)
    world.start_all()
    world.run(5.0)
    for node in world.nodes.values():
        heads = [action.data[4:16] for action in node.log if isinstance(action, SendHello)]
        assert len(heads) > 200
        assert len(set(heads)) == len(heads)


# --- leaving ---


def test_stop_leaves_nothing_behind_and_the_others_know_at_once() -> None:
    world = World(3)
    world.start_all()
    node = world.nodes[1]
    node.log.clear()
    node.members.stop(world.now)
    world.settle(node)
    assert node.log[0] == Withdraw(False, "the daemon stops")
    farewells = [_state_option(action).state for action in node.done(SendHello)]
    assert farewells == [MemberState.LEAVING] * 2
    assert {action.number for action in node.log if isinstance(action, RemoveMember)} == {2, 3}
    assert {action.number for action in node.log if isinstance(action, RemoveTunnel)} == {0x8000_0002, 0x8000_0003}
    assert node.log[-1] == UnlistenToMembers(0, member(1).locator)
    node.log.clear()
    world.run(1.0)
    assert node.log == []
    assert world.nodes[2].state_of(1) == "left"
    assert not world.nodes[2].told("member_down")


def test_events_before_the_start_and_after_the_end_do_no_harm() -> None:
    world = World(2)
    node = world.make(1)
    node.members.handle(HelloReceived(member(2).locator, b"x"), world.now)
    node.members.handle(Health(True), world.now)
    node.members.handle(SetCurrent(), world.now)
    assert not node.outbox.drops
    node.members.start(world.now)
    node.members.stop(world.now)
    node.outbox.take()
    for event in (SetCurrent(), Health(False), Health(True), Drain()):
        node.members.handle(event, world.now)
    node.agenda.run(Now(world.now.monotonic + 100, world.now.wall + 100))
    assert not [action for action in node.outbox.take() if isinstance(action, Announce | LeaveSet | SendHello)]


def test_own_load_is_told() -> None:
    world = World(2)
    world.start_all()
    world.nodes[1].members.load = lambda: Load(10, 20, 1 << 40)
    world.run(0.1)
    entry = world.nodes[2].members.members_report(world.now)[0]
    assert (entry["primaries"], entry["waiting"], entry["room"]) == (10, 20, 0xFFFF_FFFF)
    own = world.nodes[1].members.members_report(world.now)[0]
    assert (own["own"], own["primaries"], own["state"], own["announced"]) == (True, 10, "serving", True)
