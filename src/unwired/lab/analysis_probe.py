"""One direction of a UDP probe as arrays, and what a move did to it.

Times are CLOCK_MONOTONIC seconds.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy
from numpy.typing import NDArray

from unwired.lab.record import FlowRecord
from unwired.lab.result import DirectionOfMove, Probe
from unwired.lab.traffic.log import read_log

Floats: TypeAlias = NDArray[numpy.float64]
Flags: TypeAlias = NDArray[numpy.bool_]

BEFORE_S = 0.25
"""Packets sent this long before a move may still be lost by it: they are on their way."""
_AFTER_S = 1.0
"""How long after the first packet through the new path a loss still counts as the move's."""
_SETTLED_S = 1.0
"""How much of the time before and after a move tells a path's usual delay."""


@dataclass(frozen=True, slots=True)
class ProbeSeries:
    """Every packet by its sequence number: ``sent_at``, ``received_at`` (NaN: never arrived), ``refused`` (the sender's
    own host had no way to send it). Packets sent while the sink was not there are left out."""

    source: str
    destination: str
    interval_s: float
    sent_at: Floats
    received_at: Floats
    refused: Flags
    duplicated: int
    family: str

    @property
    def lost(self) -> Flags:
        return numpy.isnan(self.received_at)

    @property
    def delay_s(self) -> Floats:
        return self.received_at - self.sent_at


def read_series(flow: FlowRecord) -> ProbeSeries:
    """Raises ValueError or OSError when the logs are not there or no logs."""
    source_log, sink_log = read_log(flow.source_log), read_log(flow.sink_log)
    sent = numpy.array(source_log.rows, dtype=numpy.int64).reshape(-1, 3)
    received = numpy.array(sink_log.rows, dtype=numpy.int64).reshape(-1, 3)
    received_at = numpy.full(len(sent), numpy.nan)
    known = received[received[:, 0] < len(sent)]
    numbers, first = numpy.unique(known[:, 0], return_index=True)
    received_at[numbers] = known[first, 2] / 1e9
    sent_at = sent[:, 1] / 1e9
    judged = sent_at >= sink_log.ready_at_ns / 1e9
    if sink_log.ended_at_ns is not None:
        judged &= (sent_at < sink_log.ended_at_ns / 1e9 - BEFORE_S) | ~numpy.isnan(received_at)
    interval_s = flow.interval_ms / 1e3 if flow.interval_ms else float(source_log.about["interval_s"])
    return ProbeSeries(
        source=flow.source,
        destination=flow.destination,
        interval_s=interval_s,
        sent_at=sent_at[judged],
        received_at=received_at[judged],
        refused=(sent[:, 2] != 0)[judged],
        duplicated=len(known) - len(numbers),
        family=flow.family,
    )


def summarize(series: ProbeSeries) -> Probe:
    delays_ms = series.delay_s[~series.lost] * 1e3
    return Probe(
        source=series.source,
        destination=series.destination,
        interval_ms=series.interval_s * 1e3,
        sent=int((~series.refused).sum()),
        send_errors=int(series.refused.sum()),
        received=int((~series.lost).sum()),
        lost=int(series.lost.sum()),
        duplicated=series.duplicated,
        delay_median_ms=float(numpy.median(delays_ms)) if len(delays_ms) else None,
        delay_p99_ms=float(numpy.percentile(delays_ms, 99)) if len(delays_ms) else None,
        family=series.family,
    )


@dataclass(frozen=True, slots=True)
class Window:
    """The time that belongs to one move: it ``began_at``, the new link was ``usable_at``, that node's next move
    (or the end of the run) is at ``ends_at``. ``breaks`` says that packets had no link in between."""

    began_at: float
    usable_at: float
    ends_at: float
    breaks: bool


def measure(series: ProbeSeries, mover: str, window: Window) -> DirectionOfMove:
    """What the move of node ``mover``, one of the two ends, did to this direction."""
    silence_s = _longest_silence(series, window)
    interruption_s = None
    if not window.breaks:
        interruption_s = None if silence_s is None else max(0.0, silence_s - series.interval_s)
    elif (first := first_through(series, mover, window)) is not None:
        interruption_s = float(series.received_at[first]) - window.usable_at
    before_s, after_s = _usual_delays(series, mover, window)
    return DirectionOfMove(
        source=series.source,
        destination=series.destination,
        interruption_ms=_ms(interruption_s),
        silence_ms=_ms(silence_s),
        packets_lost=int((_near(series, mover, window) & series.lost).sum()),
        packets_late=int(late(series, mover, window).sum()),
        delay_before_ms=_ms(before_s),
        delay_after_ms=_ms(after_s),
        family=series.family,
    )


def first_through(series: ProbeSeries, mover: str, window: Window) -> int | None:
    """Which packet was the first to arrive by the new link, of those that could only come by it."""
    passes = series.sent_at if mover == series.source else series.received_at
    through = numpy.flatnonzero(~series.lost & (passes >= window.usable_at) & (passes < window.ends_at))
    return int(through[numpy.argmin(series.received_at[through])]) if len(through) else None


def late(series: ProbeSeries, mover: str, window: Window) -> Flags:
    """The packets around the move that came more than one interval later than is usual before or after it."""
    usual_s = max((value for value in _usual_delays(series, mover, window) if value is not None), default=None)
    if usual_s is None:
        return numpy.zeros(len(series.sent_at), dtype=numpy.bool_)
    flags: Flags = _near(series, mover, window) & ~series.lost & (series.delay_s > usual_s + series.interval_s)
    return flags


def _near(series: ProbeSeries, mover: str, window: Window) -> Flags:
    """The packets whose fate is the move's."""
    until = min(window.ends_at - BEFORE_S, max(_through_at(series, mover, window), window.usable_at) + _AFTER_S)
    flags: Flags = (series.sent_at >= window.began_at - BEFORE_S) & (series.sent_at < until)
    return flags


def _through_at(series: ProbeSeries, mover: str, window: Window) -> float:
    if not window.breaks:
        return window.usable_at
    first = first_through(series, mover, window)
    return window.ends_at if first is None else float(series.sent_at[first])


def _usual_delays(series: ProbeSeries, mover: str, window: Window) -> tuple[float | None, float | None]:
    """Before and after the move."""
    after = _through_at(series, mover, window) + _SETTLED_S / 2
    return (
        _median_delay(series, window.began_at - _SETTLED_S, window.began_at),
        _median_delay(series, after, min(after + 2 * _SETTLED_S, window.ends_at)),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _median_delay(series: ProbeSeries, since: float, until: float) -> float | None:
    wanted = ~series.lost & (series.sent_at >= since) & (series.sent_at < until)
    return float(numpy.median(series.delay_s[wanted])) if wanted.any() else None


def _longest_silence(series: ProbeSeries, window: Window) -> float | None:
    """The longest time without an arrival that ends in the window, or has not ended when it does."""
    arrivals = numpy.sort(series.received_at[~series.lost])
    first = max(0, int(numpy.searchsorted(arrivals, window.began_at)) - 1)
    last = int(numpy.searchsorted(arrivals, window.ends_at))
    gaps = numpy.diff(numpy.append(arrivals[first:last], window.ends_at))
    return float(gaps.max()) if len(gaps) else None
