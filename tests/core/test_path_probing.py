"""Path MTU probing: a path that carries so much and loses so many of the probes."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unwired.core.path_probing import PRECISION, RAISE_S, PathProber

LARGEST, BASE = 1472, 1252


class Path:
    """Answers what fits, 50 ms later."""

    def __init__(self, carries: int, loss: float = 0.0, seed: int = 0) -> None:
        self.carries = carries
        self.loss = loss
        self.chance = random.Random(seed)
        self.time = 0.0
        self.prober = PathProber()
        self.sent: list[tuple[float, int]] = []
        self._answers: list[tuple[float, int]] = []

    def begin(self) -> "Path":
        self.prober.begin(LARGEST, BASE, self.time)
        self._send()
        return self

    def _send(self) -> None:
        for size in self.prober.probes():
            self.sent.append((self.time, size))
            if size <= self.carries and self.chance.random() >= self.loss:
                self._answers.append((self.time + 0.05, size))

    def run(self, seconds: float) -> "Path":
        until = self.time + seconds
        for _ in range(10_000):
            deadline = self.prober.deadline()
            answer = min(self._answers, default=None)
            times = [time for time in (deadline, answer and answer[0]) if time is not None and time <= until]
            if not times:
                self.time = until
                return self
            self.time = max(self.time, min(times))
            if answer is not None and answer[0] <= self.time:
                self._answers.remove(answer)
                self.prober.answered(answer[1], self.time)
            else:
                self.prober.wake(self.time)
            self._send()
        raise AssertionError("the prober is stuck")


def test_a_good_path_costs_two_packets() -> None:
    path = Path(LARGEST).begin().run(RAISE_S - 1)
    assert [size for _, size in path.sent] == [LARGEST, BASE]
    assert (path.prober.mtu, path.prober.confirmed) == (0, LARGEST)


def test_a_narrow_path_is_limited_after_a_moment_and_then_found_out() -> None:
    path = Path(1380).begin().run(0.16)
    assert path.prober.mtu == BASE
    path.run(60)
    assert 1380 - PRECISION < path.prober.mtu <= 1380
    assert path.prober.confirmed == path.prober.mtu


def test_what_was_known_of_a_path_limits_it_at_once() -> None:
    for carries, expected in ((1300, 1300), (1280, BASE), (LARGEST, 0)):
        path = Path(carries)
        path.prober.begin(LARGEST, BASE, 0.0, 1300)
        assert path.prober.mtu == 1300
        path._send()
        path.run(1.1)
        assert path.prober.mtu == expected
    path.prober.begin(LARGEST, BASE, path.time, 9000)
    assert path.prober.mtu == 0


def test_a_dead_path_limits_nothing_and_is_asked_less_and_less() -> None:
    path = Path(0).begin().run(3600)
    assert path.prober.mtu == path.prober.confirmed == 0
    assert len(path.sent) < 100
    path.carries = 1300
    path.run(1000)
    assert 1300 - PRECISION < path.prober.mtu <= 1300


def test_a_large_probe_that_is_only_late_limits_nothing_for_long() -> None:
    prober = PathProber()
    prober.begin(LARGEST, BASE, 0.0)
    prober.answered(BASE, 0.4)
    assert prober.deadline() == pytest.approx(0.6)  # half a round trip later
    prober.wake(0.601)
    assert prober.mtu == BASE
    prober.answered(LARGEST, 0.7)
    assert (prober.mtu, prober.confirmed) == (0, LARGEST)
    assert prober.deadline() == pytest.approx(0.7 + RAISE_S)


def test_a_path_that_gets_wider_is_noticed() -> None:
    path = Path(1300).begin().run(60)
    path.carries = LARGEST
    path.run(RAISE_S)
    assert (path.prober.mtu, path.prober.confirmed) == (0, LARGEST)


def test_a_path_that_gets_narrower_is_noticed_upon_doubt() -> None:
    path = Path(LARGEST).begin().run(60)
    path.carries = 1280
    path.prober.doubt(path.time)
    path._send()
    path.run(1.1)
    assert path.prober.mtu == BASE
    path.run(60)
    assert 1280 - PRECISION < path.prober.mtu <= 1280


def test_doubt_while_searching_changes_nothing() -> None:
    path = Path(1300).begin().run(0.5)
    path.prober.doubt(path.time)
    assert path.prober.probes() == []


def test_an_error_is_believed_down_to_the_base_and_a_forged_one_is_undone() -> None:
    path = Path(LARGEST).begin().run(5)
    path.prober.lower(68, path.time)
    assert path.prober.mtu == BASE
    path._send()
    path.run(1)
    assert path.prober.mtu == 0


def test_a_flood_of_forged_errors_costs_one_search_in_five_seconds() -> None:
    path = Path(LARGEST).begin().run(5)
    path.sent.clear()
    for _ in range(1000):
        path.prober.lower(68, path.time)
        path._send()
        path.run(0.01)
    assert len(path.sent) <= 9


def test_an_error_that_says_nothing_new_asks_nothing() -> None:
    path = Path(1300).begin().run(60)
    path.prober.lower(1400, path.time)
    path.prober.lower(LARGEST, path.time)
    assert path.prober.probes() == []


def test_what_was_never_asked_for_is_no_answer() -> None:
    path = Path(1300).begin()
    path.prober.answered(9000, 0.1)
    path.prober.answered(10, 0.1)
    assert path.prober.confirmed == 0


def test_stopped_it_wants_nothing() -> None:
    path = Path(1300).begin().run(60)
    path.prober.stop()
    path.prober.answered(LARGEST, path.time)
    path.prober.lower(1260, path.time)
    path.prober.doubt(path.time)
    assert path.prober.deadline() is None and path.prober.probes() == [] and path.prober.mtu == 0


@settings(max_examples=200, deadline=None)
@given(
    carries=st.lists(st.integers(1100, 1600), min_size=1, max_size=5),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)
def test_it_settles_on_what_the_path_carries_and_never_asks_much(carries: list[int], loss: float, seed: int) -> None:
    path = Path(carries[0], loss, seed).begin()
    for now in carries:
        path.carries = now
        path.prober.doubt(path.time)
        path._send()
        path.run(200)
    # The last word without loss: whatever luck had it before.
    path.loss = 0.0
    path.run(2 * RAISE_S)
    expected = min(carries[-1], LARGEST)
    if expected >= BASE:
        assert expected - PRECISION < (path.prober.mtu or LARGEST) <= expected
    assert len(path.sent) <= path.time / 5 + 200
