"""Timers: exact ones in order, and very many that are moved later before they are due."""

from hypothesis import given
from hypothesis import strategies as st

from unwired.core.door import Now
from unwired.core.rate_limit import TokenBucket
from unwired.core.timers import Agenda, Bucket, Wheel


class Entry:
    def __init__(self) -> None:
        self.bucket: Bucket[Entry] | None = None


def test_agenda_calls_what_is_due_in_order() -> None:
    agenda, called = Agenda(), []
    for when in (3.0, 1.0, 2.0, 1.0):
        agenda.at(when, lambda name, now: called.append((name, now.monotonic)), f"{when} #{len(agenda)}")
    assert agenda.deadline() == 1.0
    agenda.run(Now(2.0, 0.0))
    assert called == [("1.0 #1", 2.0), ("1.0 #3", 2.0), ("2.0 #2", 2.0)]
    assert agenda.deadline() == 3.0
    agenda.run(Now(3.0, 0.0))
    assert agenda.deadline() is None and len(agenda) == 0


def test_timer_set_by_a_timer_that_is_due_runs_too() -> None:
    agenda, called = Agenda(), []
    agenda.at(1.0, lambda now: agenda.at(now.monotonic, lambda now: called.append(now.monotonic)))
    agenda.run(Now(5.0, 0.0))
    assert called == [5.0]


def test_entry_moved_later_stays_and_one_moved_earlier_comes_once() -> None:
    wheel: Wheel[Entry] = Wheel()
    entry = Entry()
    wheel.schedule(entry, 10.2)
    wheel.schedule(entry, 400.0)
    assert wheel.deadline() == 11
    wheel.schedule(entry, 5.5)
    assert wheel.deadline() == 6
    assert wheel.due(5.9) == []
    assert wheel.due(6.0) == [entry]
    wheel.schedule(entry, 30.0)
    assert wheel.due(11.0) == [], "its former place is stale"
    assert wheel.deadline() == 30
    assert wheel.due(1000.0) == [entry]
    assert wheel.deadline() is None


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 50)), max_size=60))
def test_every_entry_comes_out_by_its_time_and_no_more_than_once(plan: list[tuple[int, float]]) -> None:
    wheel: Wheel[Entry] = Wheel()
    entries = [Entry() for _ in range(10)]
    earliest: dict[int, float] = {}
    for number, when in plan:
        wheel.schedule(entries[number], when)
        earliest[number] = min(when, earliest.get(number, when))
    found = [entries.index(entry) for second in range(52) for entry in wheel.due(second)]
    assert sorted(found) == sorted(earliest)


def test_token_bucket() -> None:
    bucket = TokenBucket(rate=2.0, burst=3)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.5) and not bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(50.0), "a clock that goes back gives nothing"
