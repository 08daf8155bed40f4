"""The search for a NAT's time-out: it ends near the truth, with few packets, and risks nothing meanwhile."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unwired.core.nat_keepalive import ANSWER_S, MIN_S, PRECISION, SAFE_S, SETTLE_S, NatKeepalive

GRANTED_S = 110


class Nat:
    """Forgets a mapping that was silent for ``timeout_s``. ``probes`` are the delays asked for."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.time = 0.0
        self.keepalive = NatKeepalive()
        self.probes: list[int] = []
        self.answers: list[tuple[float, int]] = []

    def run(self, seconds: float) -> "Nat":
        until = self.time + seconds
        for _ in range(10_000):
            deadline = self.keepalive.deadline()
            times = [time for time in (deadline, *(at for at, _ in self.answers)) if time is not None and time <= until]
            if not times:
                self.time = until
                return self
            self.time = max(self.time, min(times))
            for answer in [one for one in self.answers if one[0] <= self.time]:
                self.answers.remove(answer)
                self.keepalive.probed(answer[1], self.time)
            delay_s = self.keepalive.probe_due(self.time)
            if delay_s is not None:
                self.probes.append(delay_s)
                token = len(self.probes)
                self.keepalive.probing(token, delay_s, self.time)
                if delay_s < self.timeout_s:
                    self.answers.append((self.time + delay_s + 0.05, token))
        raise AssertionError("the search is stuck")


def begun(timeout_s: float, granted_s: int = GRANTED_S, remembered_s: int | None = None) -> Nat:
    nat = Nat(timeout_s)
    nat.keepalive.begin(granted_s, remembered_s, 0.0)
    return nat


def test_begins_safely_and_costs_one_probe_where_all_that_is_granted_is_survived() -> None:
    nat = begun(600)
    assert nat.keepalive.interval_s == SAFE_S
    nat.run(SETTLE_S - 0.1)
    assert nat.probes == []
    nat.run(1000)
    assert nat.probes == [GRANTED_S]
    assert nat.keepalive.interval_s == pytest.approx(GRANTED_S * 0.9)


def test_what_is_remembered_is_checked_by_one_probe() -> None:
    nat = begun(70, remembered_s=60)
    assert nat.keepalive.interval_s == SAFE_S
    nat.run(1000)
    assert nat.probes == [60] and nat.keepalive.proven_s == 60


def test_what_is_remembered_of_another_nat_is_searched_anew() -> None:
    nat = begun(35, remembered_s=60).run(1000)
    assert nat.probes[0] == 60
    assert 28 <= (nat.keepalive.proven_s or 0) < 35


def test_memory_that_is_no_use_is_ignored() -> None:
    for remembered_s in (3, 5000):
        assert begun(600, remembered_s=remembered_s).run(1000).probes == [GRANTED_S]


def test_short_advice_is_followed_without_any_probe() -> None:
    nat = begun(600, granted_s=8).run(1000)
    assert nat.probes == [] and nat.keepalive.interval_s == 8


def test_due_only_when_nothing_else_was_sent() -> None:
    nat = begun(600)
    assert nat.keepalive.due_at() == SAFE_S
    nat.keepalive.sent(7.0)
    nat.keepalive.sent(3.0)
    assert nat.keepalive.due_at() == 7 + SAFE_S


def test_lost_mapping_makes_it_careful_again() -> None:
    nat = begun(80).run(1000)
    assert (nat.keepalive.interval_s or 0) > 55
    nat.timeout_s = 40
    nat.keepalive.lost(nat.time)
    assert nat.keepalive.interval_s == SAFE_S
    nat.run(1000)
    assert 30 <= (nat.keepalive.proven_s or 0) < 40


def test_nat_that_does_not_even_keep_the_safe_interval() -> None:
    nat = begun(6)
    for expected in (10, 5, 5):
        nat.keepalive.lost(nat.time)
        assert nat.keepalive.interval_s == expected
    assert expected == MIN_S
    probes = list(nat.probes)
    nat.run(1000)
    assert nat.probes == probes


def test_no_nat_is_no_interval() -> None:
    keepalive = NatKeepalive()
    assert keepalive.interval_s is None and keepalive.due_at() is None and keepalive.deadline() is None
    keepalive.lost(0.0)
    keepalive.probed(1, 0.0)
    assert keepalive.interval_s is None


def test_answers_to_other_probes_are_none() -> None:
    nat = begun(600).run(SETTLE_S + 1)
    nat.answers.clear()
    nat.keepalive.probed(77, nat.time)
    assert nat.keepalive.proven_s is None
    nat.run(GRANTED_S + ANSWER_S)
    assert len(nat.probes) == 2  # the first one counts as not survived


@settings(max_examples=300, deadline=None)
@given(
    timeout_s=st.floats(SAFE_S + 1.0, 4000.0),
    granted_s=st.integers(SAFE_S + 1, 3600),
    remembered_s=st.none() | st.integers(1, 4000),
)
def test_interval_is_never_too_long_and_the_search_is_short(
    timeout_s: float, granted_s: int, remembered_s: int | None
) -> None:
    nat = begun(timeout_s, granted_s, remembered_s)
    for _ in range(200):
        nat.run(200)
        assert (nat.keepalive.interval_s or 0) < timeout_s
    assert nat.keepalive.deadline() is None
    assert len(nat.probes) <= 12
    if remembered_s is None:
        best = min(timeout_s - 1, granted_s)
        assert (nat.keepalive.proven_s or SAFE_S) >= best / (1 + 2 * PRECISION) - 2
