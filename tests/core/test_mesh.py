"""The mesh by example: what is delivered, what is reported as held and when, what is refused."""

import pytest
from mesh_members import Participant, Streams, binding, frames_of, settings_of

from unwired.core import mesh as mesh_module
from unwired.core.door import BindingsHeld, KeyShared, SetCurrent
from unwired.core.mesh import PROTOCOL_VERSION, RECONCILE_INTERVAL_S, SETTLING_S, SILENCE_MAX_S, Mesh, Transmit
from unwired.core.mesh_link import BATCH_MAX, REFUSALS_MAX, UNHEARD_MAX, UNKEPT_MAX, WINDOW, Refusal
from unwired.wire.state_synchronization import (
    Kind,
    StateSynchronization,
    StateSynchronizationStatus,
    Status,
    StreamOpening,
    decode_frame,
    encode_frame,
)


def world(count: int = 2, commit_at_once: bool = True) -> Streams:
    members = [Participant(number, settings_of(number, count)) for number in range(1, count + 1)]
    return Streams(*members, commit_at_once=commit_at_once)


def all_joined(count: int = 2, commit_at_once: bool = True) -> Streams:
    streams = world(count, commit_at_once)
    for one in range(1, count + 1):
        for other in range(one + 1, count + 1):
            streams.join(one, other)
    streams.settle()
    return streams


def alone(count: int = 2, group_id: int = 7) -> tuple[Mesh, Participant]:
    """A mesh with a stream to member 2 that has not said anything yet."""
    participant = Participant(1, settings_of(1, count, group_id))
    participant.mesh.connected(2, 0.0)
    participant.mesh.wake(0.0)
    participant.mesh.outputs()
    return participant.mesh, participant


def opening(version: int = PROTOCOL_VERSION, group_id: int = 7, member: int = 2) -> bytes:
    locator = settings_of(1).members[member - 1].locator
    return encode_frame(Kind.LINK, 0, StreamOpening(version, group_id, locator))[4:]


def frames_to(outputs: list[object], member: int = 2) -> list[bytes]:
    return [
        frame
        for output in outputs
        if isinstance(output, Transmit) and output.member == member
        for frame in frames_of(output.data)
    ]


# --- records ---


def test_a_record_reaches_every_member_and_is_held() -> None:
    streams = all_joined(3)
    token = streams.members[1].publish(binding(1, 5), streams.now)
    streams.settle()
    assert streams.members[2].store.records == streams.members[3].store.records == streams.members[1].store.records
    assert streams.members[1].held == {2: token, 3: token}


def test_nothing_is_held_before_it_is_durable_there() -> None:
    streams = all_joined(commit_at_once=False)
    for number in (1, 2):
        streams.members[number].commit(streams.now)
    streams.settle()
    one, other = streams.members[1], streams.members[2]
    token = one.publish(binding(1, 5), streams.now)
    streams.settle()
    assert other.store.records and one.held == {}
    other.commit(streams.now)
    streams.settle()
    assert one.held == {2: token}


def test_records_of_one_turn_go_in_one_frame_and_the_next_gather() -> None:
    streams = all_joined()
    streams.now += 1
    streams.sent.clear()
    for number in range(10):
        streams.members[1].publish(binding(number, 5), streams.now)
    streams.turn(1)
    streams.members[1].publish(binding(11, 5), streams.now)
    streams.members[1].publish(binding(12, 5), streams.now + 0.001)
    streams.turn(1)
    assert [len(decode_frame(frames_of(data)[0]).bindings) for _, _, data in streams.sent] == [10]
    streams.settle()
    batches = [decode_frame(frames_of(data)[0]) for sender, _, data in streams.sent if sender == 1]
    assert [len(batch.bindings) for batch in batches if batch.bindings] == [10, 2]


def test_a_record_that_was_replaced_while_it_waited_is_not_sent_and_counts_as_held() -> None:
    streams = all_joined()
    streams.members[1].mesh.writable(2, False)
    for version in range(1, 100):
        streams.members[1].publish(binding(1, version), streams.now)
    assert streams.members[1].mesh.waiting(2, streams.now)[0] == 1
    streams.settle()
    streams.members[1].mesh.writable(2, True)
    streams.settle()
    assert [len(event.records) for event in streams.members[2].received if event.records] == [1]
    assert streams.members[1].held == {2: 99}


def test_a_replaced_record_keeps_its_place_so_that_no_later_token_is_held_before_it() -> None:
    streams = all_joined(commit_at_once=False)
    for number in (1, 2):
        streams.members[number].commit(streams.now)
    streams.settle()
    one, other = streams.members[1], streams.members[2]
    one.mesh.writable(2, False)
    for number in range(BATCH_MAX + 10):
        one.publish(binding(number, 1), streams.now)
    one.publish(binding(0, 2), streams.now)  # the first in the row, with the last token
    one.mesh.writable(2, True)
    streams.turn(1)
    streams.deliver(1, 2)
    other.commit(streams.now)
    streams.turn(2)
    streams.deliver(2, 1)
    assert one.held == {2: BATCH_MAX}  # the token of the last of the first batch: the others are to come
    streams.settle()
    other.commit(streams.now)
    streams.settle()
    assert one.held == {2: BATCH_MAX + 11}


def test_a_member_is_given_no_more_than_a_window_until_it_answers() -> None:
    streams = all_joined(commit_at_once=False)
    for number in (1, 2):
        streams.members[number].commit(streams.now)
    streams.settle()
    for number in range(WINDOW + 500):
        streams.members[1].publish(binding(number, 1), streams.now)
    streams.settle()
    assert sum(len(event.records) for event in streams.members[2].received) == WINDOW
    assert streams.members[1].mesh.waiting(2, streams.now)[0] == WINDOW + 500
    streams.members[2].commit(streams.now)
    streams.settle()
    streams.members[2].commit(streams.now)
    streams.settle()
    assert streams.members[1].held == {2: WINDOW + 500}


def test_nothing_more_is_read_while_too_much_waits_for_the_journal() -> None:
    streams = all_joined(commit_at_once=False)
    other = streams.members[2]
    for number in range(UNKEPT_MAX + BATCH_MAX):
        streams.members[1].store.merge(binding(number, 1))
    streams.cut(1, 2)
    streams.join(1, 2)
    for _ in range(200):
        streams.turn(1)
        streams.turn(2)
        streams.deliver(2, 1)
        while other.mesh.accepting(1) and streams.wires[1, 2]:
            streams.deliver(1, 2, 1)
    assert UNKEPT_MAX <= sum(len(event.records) for event in other.unkept) < UNKEPT_MAX + BATCH_MAX
    streams.now += 10 * SILENCE_MAX_S
    other.mesh.wake(streams.now)  # not deaf: not listening
    assert other.mesh.is_open(1)
    other.commit(streams.now)
    assert other.mesh.accepting(1) and other.mesh.is_open(1)


def test_nothing_is_kept_for_a_member_that_is_away() -> None:
    streams = all_joined()
    streams.cut(1, 2)
    for number in range(50):
        streams.members[1].publish(binding(number, 1), streams.now)
    assert streams.members[1].mesh.waiting(2, streams.now) == (0, 0.0)
    streams.join(1, 2)
    streams.settle()
    assert len(streams.members[2].store.records) == 50
    assert streams.members[1].held == {2: 50}


def test_tokens_of_before_a_stream_are_held_only_when_the_member_has_compared_with_us() -> None:
    streams = world(commit_at_once=False)
    one, other = streams.members[1], streams.members[2]
    before = one.publish(binding(1, 1), streams.now)
    streams.join(1, 2)
    streams.settle()
    after = one.publish(binding(2, 1), streams.now)
    streams.settle()
    assert len(other.store.records) == 2 and one.held == {}
    other.commit(streams.now)
    streams.settle()
    assert one.held == {2: after} and before < after


def test_digests_that_agree_prove_nothing_before_the_other_journal_has_turned() -> None:
    """A record that the member has from elsewhere and not yet in its journal."""
    streams = world(commit_at_once=False)
    one, other = streams.members[1], streams.members[2]
    one.publish(binding(1, 1), streams.now)
    other.store.merge(binding(1, 1))
    streams.join(1, 2)
    streams.settle()
    assert one.held == {}
    other.commit(streams.now)
    streams.settle()
    assert one.held == {2: 1}


def test_a_member_that_lost_its_journal_gets_everything_again() -> None:
    streams = all_joined()
    for number in range(600):
        streams.members[1].publish(binding(number, 1), streams.now)
    streams.settle()
    streams.members[2].store.durable.clear()
    streams.restart(2)
    assert not streams.members[2].store.records
    streams.join(1, 2)
    streams.settle()
    assert streams.members[2].store.records == streams.members[1].store.records


def test_tombstones_travel_like_bindings() -> None:
    streams = all_joined()
    streams.members[1].publish(binding(1, 5), streams.now)
    streams.members[1].publish(binding(1, 5, deleted=True), streams.now)
    streams.settle()
    assert [record.deleted for record in streams.members[2].store.records.values()] == [True]


# --- current ---


def test_a_member_is_current_when_it_has_what_the_others_have() -> None:
    streams = world(3)
    for number in range(1000):
        streams.members[2].store.merge(binding(number, 1))
    streams.members[3].store.merge(binding(5000, 1))
    streams.join(1, 2)
    streams.join(1, 3)
    streams.settle()
    assert streams.members[1].current == [SetCurrent()]
    assert len(streams.members[1].store.records) == 1001
    streams.settle(streams.now + 100)
    assert len(streams.members[1].current) == 1


def test_the_first_one_brings_all_and_the_others_what_is_missing() -> None:
    streams = world(4)
    for number in range(2000):
        for member in (2, 3, 4):
            streams.members[member].store.merge(binding(number, 1))
    for other in (2, 3, 4):
        streams.join(1, other)
    streams.settle()
    assert sum(len(event.records) for event in streams.members[1].received) == 2000


def test_a_member_that_cannot_be_reached_delays_nobody_for_long() -> None:
    streams = world(3)
    streams.join(1, 2)
    streams.settle()
    assert streams.members[1].current == []
    streams.settle(SETTLING_S + 0.1)
    assert streams.members[1].current == [SetCurrent()]


def test_a_member_lost_in_the_middle_of_its_answer_is_replaced_by_another() -> None:
    streams = world(3)
    for number in range(1000):
        for member in (2, 3):
            streams.members[member].store.merge(binding(number, 1))
    streams.join(1, 2)
    streams.join(1, 3)
    for _ in range(3):
        for number in (1, 2, 3):
            streams.turn(number)
        for wire in list(streams.wires):
            streams.deliver(*wire)
    assert streams.members[1].current == []
    streams.cut(1, 2)
    streams.settle(3.0)
    assert streams.members[1].current == [SetCurrent()]
    assert len(streams.members[1].store.records) == 1000


def test_a_member_that_does_not_answer_is_passed_over() -> None:
    """It lives: its pings come."""
    streams = world(3)
    for number in range(10):
        streams.members[3].store.merge(binding(number, 1))
    streams.join(1, 2)
    streams.deliver(2, 1)
    one = streams.members[1]
    streams.turn(2)
    streams.deliver(2, 1)
    streams.turn(1)
    streams.join(1, 3)
    for _ in range(20):
        streams.now += 1.0
        one.mesh.received(2, encode_frame(Kind.LINK)[4:], streams.now)
        streams.wires[2, 1].clear()
        for number in (1, 3):
            streams.turn(number)
        streams.deliver(1, 3)
        streams.deliver(3, 1)
    assert one.current == [SetCurrent()]
    assert len(one.store.records) == 10
    assert one.mesh.counters["answers_too_late"] == 1


def test_the_only_member_of_a_set_is_current_at_once() -> None:
    participant = Participant(1, settings_of(1, 1))
    assert participant.mesh.outputs() == [SetCurrent(alone=True)]
    assert participant.mesh.deadline() is None


# --- reconciliation ---


def test_what_one_member_alone_was_told_spreads_when_the_teller_is_lost() -> None:
    streams = all_joined(3)
    streams.cut(1, 3)
    streams.settle(streams.now + 3)
    streams.members[1].publish(binding(1, 9), streams.now)
    streams.settle()
    assert streams.members[2].store.records and not streams.members[3].store.records
    streams.cut(1, 2)
    streams.settle(streams.now + 3)
    assert streams.members[2].store.records  # 2 lost its teller, and 3 did long ago: the interval brings it
    streams.settle(streams.now + 2 * RECONCILE_INTERVAL_S)
    assert streams.members[3].store.records


def test_what_is_on_its_way_when_members_compare_is_not_answered_with_whole_buckets() -> None:
    streams = all_joined()
    for number in range(600):
        streams.members[1].publish(binding(number, 1), streams.now)
    streams.settle()
    before = answered(streams)
    for version in range(2, 400):
        streams.now += 0.5
        streams.members[1].publish(binding(version, version), streams.now)
        streams.turn(2)
        streams.deliver(2, 1)  # it may ask just now
        streams.settle(streams.now)
    assert sum(one.mesh.counters["reconciliations"] for one in streams.members.values()) > 10
    assert answered(streams) == before
    assert streams.members[2].store.records == streams.members[1].store.records


def test_what_differs_for_good_is_found_by_the_regular_comparison() -> None:
    streams = all_joined()
    streams.members[1].store.merge(binding(1, 1))
    streams.settle(streams.now + 6 * RECONCILE_INTERVAL_S)
    assert all(binding(1, 1).home_address in one.store.records for one in streams.members.values())


def answered(streams: Streams) -> int:
    return sum(one.mesh.counters["buckets_answered"] for one in streams.members.values())


def test_a_lost_member_makes_the_others_compare_at_once() -> None:
    streams = all_joined(3)
    before = {number: streams.members[number].mesh.counters["reconciliations"] for number in (2, 3)}
    streams.cut(1, 2)
    streams.cut(1, 3)
    streams.settle(streams.now + 2)
    assert all(streams.members[number].mesh.counters["reconciliations"] == before[number] + 1 for number in (2, 3))


def test_an_answer_gives_way_to_flow_control() -> None:
    streams = world()
    for number in range(5000):
        streams.members[1].store.merge(binding(number, 1))
    streams.join(1, 2)
    for _ in range(3):
        streams.turn(1)
        streams.turn(2)
        streams.deliver(1, 2)
        streams.deliver(2, 1)
    streams.turn(1)
    streams.members[1].mesh.writable(2, False)
    streams.deliver(1, 2)
    before = len(streams.members[2].store.records)
    streams.settle()
    assert before < 5000 and len(streams.members[2].store.records) == before
    streams.members[1].mesh.writable(2, True)
    streams.settle()
    assert len(streams.members[2].store.records) == 5000


# --- keys, liveness ---


def test_keys_are_shared_with_whoever_is_there_or_comes() -> None:
    streams = world(3)
    streams.join(1, 2)
    streams.settle()
    streams.members[1].mesh.share_key(4, b"k" * 32)
    streams.settle()
    streams.join(1, 3)
    streams.settle()
    for number in (2, 3):
        assert streams.members[number].keys == [KeyShared(1, 4, b"k" * 32)]


def test_a_silent_member_is_given_up_and_one_that_pings_is_not() -> None:
    streams = all_joined()
    streams.settle(streams.now + 60)
    assert streams.members[1].mesh.is_open(2)
    streams.wires[2, 1].clear()
    streams.now += SILENCE_MAX_S
    streams.turn(1)
    assert [close.refusal for close in streams.members[1].closed] == [Refusal.SILENT]
    assert not streams.members[1].mesh.is_open(2)


def test_a_deadline_in_the_past_means_work_to_do() -> None:
    """No turn is asked for that does nothing: that would be a busy loop."""
    streams = all_joined(3)
    for number in streams.members:
        at = streams.members[number].mesh.deadline()
        assert at is not None and at > streams.now


# --- refusals ---


@pytest.mark.parametrize(
    ("frame", "refusal", "status"),
    [
        (opening(version=9), Refusal.OTHER_PROTOCOL_VERSION, Status.REASON_UNSPECIFIED),
        (opening(group_id=8), Refusal.OTHER_GROUP, Status.NOT_IN_SAME_GLOBAL_HOME_AGENT_SET),
        (opening(member=1), Refusal.OTHER_MEMBER, Status.NOT_IN_SAME_GLOBAL_HOME_AGENT_SET),
        (encode_frame(Kind.REPLY, 2, bindings=[binding(1, 1)])[4:], Refusal.MALFORMED, Status.MALFORMED_SS_REP),
        (b"\x00", Refusal.MALFORMED, Status.MALFORMED_SS_REP),
        (b"", Refusal.MALFORMED, Status.MALFORMED_SS_REP),
    ],
)
def test_a_stream_that_does_not_open_well_is_closed_by_name(frame: bytes, refusal: Refusal, status: Status) -> None:
    mesh, _ = alone()
    mesh.received(2, frame, 0.0)
    outputs = mesh.outputs()
    answer = decode_frame(frames_to(outputs)[0])
    assert answer.kind == Kind.ACKNOWLEDGEMENT
    assert answer.option(StateSynchronizationStatus) == StateSynchronizationStatus(status)
    assert [output.refusal for output in outputs if hasattr(output, "refusal")] == [refusal]
    assert mesh.counters[f"refused_{refusal}"] == 1
    assert not any(isinstance(output, BindingsHeld) for output in outputs)


@pytest.mark.parametrize(
    ("frame", "refusal"),
    [
        (b"\x01\x80\x00\x02\xf0", Refusal.MALFORMED),
        (b"\x01\x80\x00\x02" + encode_frame(Kind.REPLY, 2, bindings=[binding(1, 1)])[8:], Refusal.MALFORMED),
        (encode_frame(Kind.REQUEST, 5)[4:], Refusal.MALFORMED),
        (b"\x07\x40\x00\x00", Refusal.MALFORMED),
    ],
)
def test_a_malformed_frame_closes_the_stream(frame: bytes, refusal: Refusal) -> None:
    mesh, participant = alone()
    mesh.received(2, opening(), 0.0)
    mesh.received(2, frame, 0.0)
    outputs = mesh.outputs()
    assert [output.refusal for output in outputs if hasattr(output, "refusal")] == [refusal]
    assert not mesh.is_open(2)
    assert not participant.store.records


def test_other_buckets_are_refused_by_name() -> None:
    from unwired.wire.state_synchronization import digest_options

    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    mesh.received(2, encode_frame(Kind.REQUEST, 0x8001, *digest_options([1, 2, 3]))[4:], 0.0)
    outputs = mesh.outputs()
    assert [output.refusal for output in outputs if hasattr(output, "refusal")] == [Refusal.OTHER_BUCKETS]


def refuse(mesh: Mesh, records: int) -> None:
    """The first frame of member 2 is durable here, but for so many records."""
    mesh.received(2, encode_frame(Kind.REPLY, 2, acknowledge=True, bindings=[binding(2, 1)])[4:], 0.0)
    mesh.kept(2, 1, tuple(number.to_bytes(16) for number in range(1, records + 1)), 0.0)


def test_refusals_are_said_little_by_little_and_before_the_rest_counts_as_held() -> None:
    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    refuse(mesh, 3 * REFUSALS_MAX - 1)
    said: list[StateSynchronization] = []
    while not said or said[-1].identifier != 2:
        assert mesh.deadline() == float("-inf")
        mesh.wake(0.0)
        frames = [decode_frame(frame) for frame in frames_to(mesh.outputs())]
        said += [frame for frame in frames if frame.kind == Kind.ACKNOWLEDGEMENT]
    assert [(one.identifier, len(one.options)) for one in said] == [
        (0, REFUSALS_MAX), (0, REFUSALS_MAX), (0, REFUSALS_MAX - 1), (2, 1)
    ]  # fmt: skip


def test_what_was_refused_is_told_at_once_and_not_gathered() -> None:
    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    mesh.outputs()
    refusal = StateSynchronizationStatus(Status.REASON_UNSPECIFIED, bytes(15) + b"\1")
    mesh.received(2, encode_frame(Kind.ACKNOWLEDGEMENT, 0, refusal)[4:], 0.0)
    assert mesh.outputs() == [BindingsHeld(2, 0, frozenset({refusal.home_address}))]


def test_who_does_not_read_what_is_refused_is_left() -> None:
    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    mesh.writable(2, False)
    refuse(mesh, UNHEARD_MAX)
    assert mesh.is_open(2)
    mesh.kept(2, 1, (b"\xff" * 16,), 0.0)
    assert not mesh.is_open(2)
    assert mesh.counters["refused_unheard"] == 1


def test_a_reply_without_options_is_answered_and_ignored() -> None:
    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    mesh.wake(0.0)
    mesh.outputs()
    mesh.received(2, encode_frame(Kind.REPLY, 9, acknowledge=True)[4:], 0.0)
    mesh.wake(0.0)
    answer = decode_frame(frames_to(mesh.outputs())[0])
    assert answer.identifier == 9
    assert answer.option(StateSynchronizationStatus) == StateSynchronizationStatus(Status.NO_MOBILITY_OPTION)
    assert mesh.is_open(2)


def test_acknowledgements_of_what_was_never_sent_hold_nothing() -> None:
    mesh, _ = alone()
    mesh.received(2, opening(), 0.0)
    mesh.publish(1, binding(1, 1), 0.0)
    mesh.wake(0.0)
    mesh.outputs()
    success = StateSynchronizationStatus(Status.SUCCESS)
    for identifier in (2, 77, 0x8000, 0x8001, 0xFFFF):
        mesh.received(2, encode_frame(Kind.ACKNOWLEDGEMENT, identifier, success)[4:], 0.0)
    assert mesh.outputs() == []


def test_identifiers_begin_anew_without_reaching_those_of_requests() -> None:
    streams = all_joined()
    link = streams.members[1].mesh._links[2]
    link.outgoing._identifier = 0x7FFD
    for version in range(1, 7):
        streams.members[1].publish(binding(1, version), streams.now)
        streams.settle()
        assert 2 <= link.outgoing._identifier < 0x8000
    assert streams.members[1].held == {2: 6}
    assert mesh_module.REQUEST_BIT == 0x8000
