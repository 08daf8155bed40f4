"""A home agent as a member of a set: whose primary it becomes, what it answers for others, and where it sends nodes."""

import pytest
from home_agent_driver import KEY
from set_world import ALL, HOMES, THIRD_HOME, World, address_of, care_of, locator_of

from unwired.core.authentication import sign
from unwired.core.binding_states import State
from unwired.core.door import Drain
from unwired.core.home_agent_switch import TRANSMISSIONS
from unwired.core.notices import Drop
from unwired.core.replica import memory_s
from unwired.core.settings import Subscriber
from unwired.core.subscribers import Subscribers
from unwired.wire.address import format_address
from unwired.wire.icmpv6 import HomeAgentAddressDiscoveryReply, HomeAgentAddressDiscoveryRequest
from unwired.wire.ipv6 import Packet
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingRefreshRequest, BindingStatus, BindingUpdate

HOME, OTHER_HOME = HOMES[0], HOMES[1]
ACCEPTED = BindingStatus.BINDING_UPDATE_ACCEPTED


def last_status(world: World) -> tuple[int, int]:
    """Of the last acknowledgement: which member sent it, and the status."""
    answer = world.acknowledged[-1]
    return answer.site, answer.status


# --- a binding at all members ---


def test_every_member_holds_the_binding_and_its_rows() -> None:
    world = World()
    world.update(to=1)
    world.run(0.1)
    assert last_status(world) == (1, ACCEPTED)
    assert len(set(world.records())) == 1 and None not in world.records()
    for site in world.sites:
        assert site.route(HOME) == (address_of(1), care_of(1))
        assert site.member_of(HOME) == (0 if site.number == 1 else 1)
        assert site.accepted_from(HOME) == {care_of(1)}


def test_a_move_keeps_the_previous_care_of_address_everywhere_for_a_while() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.update(to=1, care_of_address=care_of(2))
    world.run(0.1)
    for site in world.sites:
        assert site.route(HOME) == (address_of(1), care_of(2))
        assert site.accepted_from(HOME) == {care_of(1), care_of(2)}
    world.run(4)
    assert all(site.accepted_from(HOME) == {care_of(2)} for site in world.sites)


def test_refresh_changes_no_row_at_others() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    before = world.site(2).table.rows()
    version = world.records()[1].version  # type: ignore[union-attr]
    world.update(to=1)
    world.run(0.1)
    assert world.site(2).table.rows() == before
    assert world.records()[1].version > version  # type: ignore[union-attr]


def test_expiry_is_the_same_moment_everywhere_and_says_nothing() -> None:
    world = World()
    world.update(to=1, lifetime_units=5)
    world.run(19)
    received = [site.running.counters["global_bindings_received"] for site in world.sites]
    assert all(site.route(HOME) is not None for site in world.sites)
    world.run(2)
    assert all(site.route(HOME) is None for site in world.sites)
    assert [site.running.counters["global_bindings_received"] for site in world.sites] == received
    world.run(memory_s(world.settings_of(1)))
    assert world.records() == [None, None, None]
    assert all(site.journal == {} for site in world.sites)


def test_only_the_primary_asks_for_a_refresh() -> None:
    world = World()
    world.update(to=2)
    world.run(399)
    asked = [sum(isinstance(one.payload, BindingRefreshRequest) for one in site.sent) for site in world.sites]
    assert asked == [0, 2, 0]


def test_one_member_asks_for_a_refresh_in_place_of_a_primary_that_is_down() -> None:
    world = World()
    world.update(to=3)
    world.run(1)
    world.site(3).kill()
    world.run(375)
    for site in world.sites:
        site.sent.clear()
    world.run(23)
    asked = [one for one in world.site(1).sent if isinstance(one.payload, BindingRefreshRequest)]
    assert [(one.source, one.destination, one.routing_home_address) for one in asked] == [
        (address_of(3), care_of(1), HOME)
    ] * 2
    assert world.site(2).sent == []


# --- becoming the primary ---


def test_an_update_to_another_member_makes_it_the_primary() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.update(to=2)
    world.run(0.1)
    assert last_status(world) == (2, ACCEPTED)
    for site in world.sites:
        assert site.route(HOME) == (address_of(2), care_of(1))
        assert site.member_of(HOME) == (0 if site.number == 2 else 2)
    assert [site.running.cache.primaries[2] for site in world.sites] == [1, 1, 1]
    binding = world.site(2).binding(HOME)
    assert binding is not None and binding.switched, "it has changed its home agent at this care-of address"
    world.update(to=2, care_of_address=care_of(2))
    world.run(0.1)
    assert not binding.switched


@pytest.mark.parametrize("deregisters_first", [True, False])
def test_a_strict_node_of_rfc_5142_leaves_the_old_one_and_stays_bound(deregisters_first: bool) -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    first, second = (0, 100) if deregisters_first else (100, 0)
    world.update(to=1 if deregisters_first else 2, lifetime_units=first)
    world.run(0.1)
    world.update(to=2 if deregisters_first else 1, lifetime_units=second)
    world.run(0.1)
    assert [answer.status for answer in world.acknowledged] == [ACCEPTED] * 3
    assert all(site.route(HOME) == (address_of(2), care_of(1)) for site in world.sites)
    assert len(set(world.records())) == 1


def test_a_strict_node_that_is_quicker_than_the_members() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.update(to=2)
    world.run(0.001)
    world.update(to=1, lifetime_units=0)  # the former primary does not know yet that it is
    world.run(1)
    assert [answer.status for answer in world.acknowledged] == [ACCEPTED] * 3
    assert all(site.route(HOME) == (address_of(2), care_of(1)) for site in world.sites)


def test_a_late_deregistration_is_acknowledged_and_removes_nothing() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    late = world.packet(HOME, 0, 1, care_of(1))
    world.run(1)
    world.update(to=2)
    world.run(1)
    world.deliver(late, 1)
    world.run(0.1)
    assert last_status(world) == (1, BindingStatus.MIPV6_ID_MISMATCH), "older than what was accepted since"
    world.update(to=1, lifetime_units=0)
    world.run(0.1)
    answer = world.acknowledged[-1]
    assert (answer.site, answer.status, answer.lifetime_units) == (1, ACCEPTED, 0)
    assert all(site.route(HOME) == (address_of(2), care_of(1)) for site in world.sites)
    assert world.site(1).running.counters["deregistrations_elsewhere"] == 1
    # Its time is remembered everywhere all the same.
    assert len({site.binding(HOME).timestamp for site in world.sites if site.binding(HOME)}) == 1  # type: ignore[union-attr]


def test_deregistration_at_the_primary_ends_the_binding_everywhere() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.update(to=1, lifetime_units=0)
    world.run(0.1)
    assert last_status(world) == (1, ACCEPTED)
    assert all(site.route(HOME) is None for site in world.sites)
    assert all(site.binding(HOME).state == State.DELETED for site in world.sites)  # type: ignore[union-attr]
    world.run(memory_s(world.settings_of(1)) + 2)
    assert all(site.journal == {} for site in world.sites)


# --- replay, order, clocks ---


def test_replay_at_another_member_is_refused() -> None:
    world = World()
    packet = world.packet(HOME, 100, 1, care_of(1))
    world.deliver(packet, 1)
    world.run(1)
    replayed = Packet(packet.source, address_of(2), packet.payload, home_address=HOME, data=packet.data)
    world.deliver(replayed, 2)
    world.run(0.1)
    assert last_status(world) == (2, BindingStatus.MIPV6_ID_MISMATCH)
    assert all(site.route(HOME) == (address_of(1), care_of(1)) for site in world.sites)


def test_the_same_version_at_two_members_ends_at_one() -> None:
    world = World()
    world.partition((1,), (2,), (3,))
    packet = world.packet(HOME, 100, 1, care_of(1))
    for number in (2, 1, 3):
        sent = Packet(packet.source, address_of(number), packet.payload, home_address=HOME, data=packet.data)
        world.site(number).receive(sent)
    assert len({record.order for record in world.records() if record}) == 3
    assert len({record.version for record in world.records() if record}) == 1
    world.heal()
    world.run(5)
    assert all(site.route(HOME) == (address_of(3), care_of(1)) for site in world.sites), "the greatest locator"


def test_a_clock_that_was_set_back_gives_greater_versions_all_the_same() -> None:
    world = World()
    world.update(THIRD_HOME, to=1)
    world.run(1)
    version = world.records(THIRD_HOME)[0].version  # type: ignore[union-attr]
    for site in world.sites:
        site.offset_s = -600.0
    world.update(THIRD_HOME, to=1, care_of_address=care_of(2))
    world.run(1)
    world.update(THIRD_HOME, to=2, care_of_address=care_of(3))
    world.run(1)
    records = world.records(THIRD_HOME)
    assert len(set(records)) == 1 and records[0] is not None
    assert records[0].version == version + 2
    assert all(site.route(THIRD_HOME) == (address_of(2), care_of(3)) for site in world.sites)


def test_a_tombstone_beats_an_old_record_after_healing() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.cut((1, 3), (2, 3))
    world.update(to=1, lifetime_units=0)
    world.run(30)
    assert world.site(3).route(HOME) is not None
    world.heal()
    world.run(5)
    assert all(site.route(HOME) is None for site in world.sites)
    assert len(set(world.records())) == 1


def test_a_tombstone_ends_nothing_that_was_registered_later() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.cut((1, 2), (1, 3))
    world.update(to=1, lifetime_units=0)
    world.run(10)
    world.update(to=2, care_of_address=care_of(2))
    world.run(1)
    world.heal()
    world.run(5)
    assert all(site.route(HOME) == (address_of(2), care_of(2)) for site in world.sites)


def test_what_expired_does_not_come_back_from_a_member_that_was_away() -> None:
    world = World()
    world.update(to=1, lifetime_units=100)
    world.run(1)
    world.cut((1, 3), (2, 3))
    world.update(to=1, lifetime_units=5)
    world.run(60)
    assert world.site(1).route(HOME) is None and world.site(3).route(HOME) is not None
    world.heal()
    world.run(5)
    assert all(site.route(HOME) is None for site in world.sites)


# --- in the place of a member that is dead ---


def test_an_update_for_a_dead_member_is_answered_from_its_address() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.site(1).destroy()
    world.run(5)
    world.update(to=1, at=2, care_of_address=care_of(2))
    world.run(0.1)
    answer = world.acknowledged[-1]
    assert (answer.site, answer.source, answer.status) == (2, address_of(1), ACCEPTED)
    for number in (2, 3):
        assert world.site(number).route(HOME) == (address_of(1), care_of(2)), "the tunnel that the node knows"
    [(source, switch)] = world.site(2).switches()
    assert (source, switch.addresses) == (address_of(1), (address_of(2),))
    # It follows, and another time it is asked again if it does not.
    world.update(to=2, care_of_address=care_of(2))
    world.run(0.1)
    assert world.site(3).route(HOME) == (address_of(2), care_of(2))


def test_deregistration_in_the_place_of_a_dead_primary_removes() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.site(1).kill()
    world.run(5)
    world.update(to=1, at=3, lifetime_units=0)
    world.run(0.1)
    assert last_status(world) == (3, ACCEPTED) and world.acknowledged[-1].source == address_of(1)
    assert world.site(2).route(HOME) is None and world.site(3).route(HOME) is None
    world.site(1).start()
    world.run(5)
    assert all(site.route(HOME) is None for site in world.sites)


def test_deregistration_at_ourselves_of_a_dead_primarys_binding_removes_nothing() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    world.site(1).kill()
    world.run(5)
    world.update(to=3, lifetime_units=0)
    world.run(0.1)
    assert last_status(world) == (3, ACCEPTED)
    assert world.site(2).route(HOME) == (address_of(1), care_of(1))


def test_what_is_meant_for_a_live_member_is_not_answered() -> None:
    world = World()
    world.site(2).receive(world.packet(HOME, 100, 1, care_of(1)))
    assert world.acknowledged == []
    assert world.site(2).running.drops[Drop.NOT_OUR_ADDRESS] == 1


# --- the nearer member ---


def test_an_update_that_came_by_a_nearer_member_is_followed_by_one_switch() -> None:
    world = World()
    world.update(to=1, at=2)
    world.run(0.1)
    assert last_status(world) == (1, ACCEPTED)
    sent = [type(one.payload).__name__ for one in world.site(1).sent]
    assert sent == ["BindingAcknowledgement", "HomeAgentSwitch"], "after the acknowledgement"
    [(source, switch)] = world.site(1).switches()
    assert (source, switch.addresses) == (address_of(1), (address_of(2),))
    assert world.site(3).binding(HOME).switched  # type: ignore[union-attr]
    # Equally good paths: the next refresh comes the same way, or another, and nothing more is said.
    world.update(to=1, at=3)
    world.run(0.1)
    assert last_status(world) == (1, ACCEPTED)
    assert len(world.site(1).switches()) == 1
    world.update(to=1, at=3, care_of_address=care_of(2))
    world.run(0.1)
    assert len(world.site(1).switches()) == 2


def test_a_node_that_does_not_follow_is_not_asked_for_ever() -> None:
    world = World()
    for _ in range(20):
        world.update(to=1, at=2)
        world.run(10)
    assert all(answer.status == ACCEPTED for answer in world.acknowledged) and len(world.acknowledged) == 20
    assert len(world.site(1).switches()) == TRANSMISSIONS


def test_after_a_switch_no_other_follows_at_this_care_of_address() -> None:
    world = World()
    world.update(to=1, at=2)
    world.run(0.1)
    world.update(to=2)
    world.run(0.1)
    world.update(to=2, at=1)
    world.run(0.1)
    assert last_status(world) == (2, ACCEPTED)
    assert world.site(2).switches() == []


def test_no_switch_towards_nobody_and_none_for_a_deregistration() -> None:
    world = World()
    world.site(1).receive(world.packet(HOME, 100, 1, care_of(1)), via=locator_of(9))
    world.run(0.1)
    world.site(1).receive(world.packet(HOME, 0, 1, care_of(1)), via=locator_of(2))
    world.run(0.1)
    assert [answer.status for answer in world.acknowledged] == [ACCEPTED, ACCEPTED]
    assert world.site(1).switches() == []


# --- admission ---


@pytest.mark.parametrize("where", [address_of(2), locator_of(2), locator_of(1), address_of(1), OTHER_HOME])
def test_care_of_addresses_that_lead_back_are_refused(where: bytes) -> None:
    world = World()
    world.update(to=1, care_of_address=where)
    world.run(0.1)
    assert last_status(world) == (1, BindingStatus.INVALID_CARE_OF_ADDRESS)


def test_no_mobile_node_has_a_members_address() -> None:
    world = World()
    own = Subscriber(b"greedy@example.org", address_of(2), (KEY,))
    world.subscribers = Subscribers((*ALL, own))
    world.site(1).restart()
    world.run(5)
    options = (AlternateCareOfAddress(care_of(1)), MobileNodeIdentifier(own.identifier))
    update = BindingUpdate(1, 100, True, True, options=(*options, MessageId(ntp_timestamp(world.wall))))
    update, data = sign(update, KEY, care_of(1), own.home_address)
    world.site(1).receive(Packet(care_of(1), address_of(1), update, home_address=own.home_address, data=data))
    world.run(0.1)
    assert last_status(world) == (1, BindingStatus.ADMINISTRATIVELY_PROHIBITED)


# --- discovery, report ---


def test_discovery_answers_with_the_nearest_first() -> None:
    world = World()
    anycast = Packet(care_of(1), address_of(2), HomeAgentAddressDiscoveryRequest(7))
    world.site(2).receive(anycast)
    reply = world.site(2).sent[-1].payload
    assert isinstance(reply, HomeAgentAddressDiscoveryReply)
    assert reply.addresses[0] == address_of(2) and set(reply.addresses) == {address_of(n) for n in (1, 2, 3)}


def test_reports_tell_of_the_set() -> None:
    world = World()
    world.update(to=1)
    world.run(1)
    engine = world.site(2).running
    [row] = engine.bindings()
    assert (row["primary"], row["primary_address"]) == ("site1", format_address(address_of(1)))
    assert row["version"] == world.records()[0].version  # type: ignore[union-attr]
    status = engine.status()["home_agent_set"]
    assert status["member"] == "site2" and status["durability"] == "one-peer" and status["current"]
    assert status["acknowledgements_waiting_for_members"] == 0
    assert any("site1" in line for line in engine.explain(HOME))
    assert "locator" in engine.explain(locator_of(1))[0] and "site1" in engine.explain(locator_of(1))[0]
    assert "own address" in engine.explain(address_of(2))[0]
    world.site(1).kill()
    world.run(5)
    assert any("we take its place" in line for line in engine.explain(HOME))
    assert "handled here" in engine.explain(address_of(1))[1]


def test_a_drained_member_hands_its_mobile_nodes_over() -> None:
    world = World()
    world.update(to=1)
    world.update(OTHER_HOME, to=1)
    world.run(1)
    world.site(1).handle(Drain())
    world.run(3)
    assert {switch.addresses for _, switch in world.site(1).switches()} <= {(address_of(2),), (address_of(3),)}
    assert len(world.site(1).switches()) == 2
    target = 2 if world.site(1).switches()[0][1].addresses == (address_of(2),) else 3
    for home in (HOME, OTHER_HOME):
        world.update(home, to=target)
    world.run(30)
    assert world.site(1).left and world.site(1).running.cache.primaries[1] == 0
