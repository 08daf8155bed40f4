"""When silence of a tunnel is strange."""

from itertools import pairwise

from unwired.core.liveness import BUSY_POLL_S, IDLE_POLL_S, SILENCE_MAX_S, SILENCE_S, Liveness


class Tunnel:
    """Counts ``sent`` and ``received`` each time it is time."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sent = self.received = 0
        self.liveness = Liveness()
        self.liveness.begin(0.0)

    def run(self, seconds: float, sends: int = 0, receives: int = 0) -> float | None:
        """So many packets between two counts. When silence became strange, if it did."""
        until = self.time + seconds
        while self.liveness.count_at is not None and self.liveness.count_at <= until:
            self.time = self.liveness.count_at
            self.sent += sends
            self.received += receives
            self.liveness.asked(self.time)
            self.liveness.counted(self.sent, self.received, self.time)
            if self.liveness.is_strange(self.time):
                return self.time
        self.time = until
        return None


def test_idle_is_counted_seldom_and_never_strange() -> None:
    tunnel = Tunnel()
    assert tunnel.run(100) is None
    assert tunnel.liveness.count_at is not None and tunnel.liveness.count_at - tunnel.time <= IDLE_POLL_S


def test_traffic_both_ways_is_counted_often_and_never_strange() -> None:
    tunnel = Tunnel()
    assert tunnel.run(100, 10, 10) is None
    assert tunnel.liveness.count_at is not None and tunnel.liveness.count_at - tunnel.time <= BUSY_POLL_S


def test_nothing_comes_back() -> None:
    tunnel = Tunnel()
    tunnel.run(10, 10, 10)
    began = tunnel.time
    strange_at = tunnel.run(100, 10)
    assert strange_at is not None and SILENCE_S <= strange_at - began <= SILENCE_S + 2 * BUSY_POLL_S


def test_one_way_traffic_is_asked_about_less_and_less() -> None:
    tunnel = Tunnel()
    asked = []
    while tunnel.time < 1000:
        strange_at = tunnel.run(1000 - tunnel.time, 10)
        if strange_at is None:
            break
        asked.append(strange_at)
        tunnel.liveness.heard()
        tunnel.received += 1
    gaps = [after - before for before, after in pairwise(asked)]
    assert gaps == sorted(gaps) and len(asked) < 1000 / SILENCE_MAX_S + 10
    tunnel.run(5, 10, 10)  # both ways again: from the beginning
    began = tunnel.time
    strange_at = tunnel.run(100, 10)
    assert strange_at is not None and strange_at - began <= SILENCE_S + 2 * BUSY_POLL_S


def test_when_packets_were_sent_is_known_as_well_as_it_is_counted() -> None:
    liveness = Liveness()
    liveness.begin(0.0)
    assert liveness.counted(5, 5, 1.0) is None  # before it began
    assert liveness.counted(6, 5, 2.0) == 1.0
    assert liveness.counted(6, 9, 3.0) is None


def test_stopped_it_counts_nothing() -> None:
    liveness = Liveness()
    assert liveness.counted(5, 5, 1.0) is None and liveness.count_at is None and not liveness.is_strange(100.0)
