"""From what a run left behind to what it comes to: interruptions, losses, streams and the expectations on them.

A move is judged by every probe that one of its node's addresses takes part in, in the worse direction, from the time at
which the new link was usable. Moves that leave the home link pay for duplicate address detection at the home agent
(RFC 6275 section 10.3.1) and are counted apart.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from unwired.lab import analysis_failure, analysis_probe, analysis_set, analysis_stream
from unwired.lab.analysis_probe import ProbeSeries, Window
from unwired.lab.metric import Metric
from unwired.lab.record import FlowRecord, MoveRecord, NoticeRecord, RunRecord
from unwired.lab.result import (
    FIRST_REGISTRATION,
    HANDOVER,
    LINK_GAINED,
    LINK_LEFT,
    LINK_LOST,
    RETURN_HOME,
    Expectation,
    Handover,
    Probe,
    Result,
    Stream,
)
from unwired.lab.scenario import Expect

UPDATE_SENT = "binding_update_sent"
REGISTERED = frozenset({"registered", "returned_home"})
"""The notices of a mobile node that end a registration."""
SETTLED = REGISTERED | {"at_home"}
"""The notices after which its traffic goes by the ``interface`` that they name."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the traffic's logs say; ``problems`` are logs that could not be read."""

    probes: tuple[ProbeSeries, ...]
    streams: tuple[Stream, ...]
    problems: tuple[str, ...]


def analyse(record: RunRecord) -> Result:
    """Never raises for what a run left behind: a log that is missing is a problem of the result."""
    traffic = read_traffic(record)
    handovers = tuple(_handover(record, index, traffic.probes) for index in range(len(record.moves)))
    probes = tuple(analysis_probe.summarize(series) for series in traffic.probes)
    problems = record.problems + traffic.problems
    try:
        failures = analysis_failure.failures(record, traffic.probes)
    except (OSError, ValueError):  # a stream's log: told above
        failures = ()
    measured = measure(handovers, probes, traffic.streams)
    measured |= analysis_failure.measure(record, failures) | analysis_set.measure(record, traffic.probes)
    expectations = tuple(check(expect, measured[expect.metric]) for expect in record.scenario.expect)
    return Result(
        scenario=record.scenario.name,
        passed=not problems and all(expectation.passed for expectation in expectations),
        expectations=expectations,
        handovers=handovers,
        streams=traffic.streams,
        probes=probes,
        paths=record.paths,
        failures=failures,
        metrics=tuple((metric.value, value, unit(metric)) for metric, value in measured.items()),
        problems=problems,
    )


def read_traffic(record: RunRecord) -> Traffic:
    probes: list[ProbeSeries] = []
    streams: list[Stream] = []
    problems: list[str] = []
    for flow in record.flows:
        try:
            if flow.kind == "udp":
                probes.append(analysis_probe.read_series(flow))
            else:
                streams.append(analysis_stream.summarize(flow))
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"The log of the {flow.kind} traffic {_ends(flow)} cannot be used: {error}.")
    return Traffic(tuple(probes), tuple(streams), tuple(problems))


def _ends(flow: FlowRecord) -> str:
    return f"from {flow.source} to {flow.destination}"


def unit(metric: Metric) -> str:
    name = metric.value
    if name.endswith("_ms"):
        return "ms"
    if "bytes" in name:
        return "bytes"
    return "packets" if "packets" in name else ""


# --- moves -----------------------------------------------------------------------------------------------------------


def _handover(record: RunRecord, index: int, probes: Sequence[ProbeSeries]) -> Handover:
    move = record.moves[index]
    window = window_of(record, index)
    kind = _kind(record, index)
    own = [series for series in probes if move.node in (series.source, series.destination)]
    directions = tuple(
        analysis_probe.measure(series, move.node, window) for series in own if _has_packets(series, window)
    )
    if kind not in (FIRST_REGISTRATION, HANDOVER, RETURN_HOME):
        directions = tuple(replace(direction, interruption_ms=None) for direction in directions)
    started, registered = _signalling(record.notices, move, window)
    return Handover(
        at_s=window.began_at - record.started_at,
        usable_at_s=window.usable_at - record.started_at,
        node=move.node,
        source=move.source or next(iter(move.others.values()), None),
        destination=move.destination or next(iter(move.others.values()), None),
        kind=kind,
        make_before_break=not window.breaks,
        interruption_ms=_worst(direction.interruption_ms for direction in directions),
        packets_lost=sum(direction.packets_lost for direction in directions),
        packets_late=sum(direction.packets_late for direction in directions),
        signalling_ms=(registered - started) * 1e3 if started is not None and registered is not None else None,
        registered_ms=(registered - window.usable_at) * 1e3 if registered is not None else None,
        configuration_ms=_configuration_ms(record, move, window),
        directions=directions,
    )


def window_of(record: RunRecord, index: int) -> Window:
    """The time that belongs to the move with this index: up to the same node's next move."""
    move = record.moves[index]
    kind = _kind(record, index)
    return Window(
        began_at=move.began_at,
        usable_at=move.began_at if move.attached_at is None else move.attached_at,
        ends_at=_ends_at(record, index),
        breaks=not (move.make_before_break or kind == LINK_LEFT),
    )


def _ends_at(record: RunRecord, index: int) -> float:
    node = record.moves[index].node
    return next((other.began_at for other in record.moves[index + 1 :] if other.node == node), record.ended_at)


def _kind(record: RunRecord, index: int) -> str:
    """With another link up, only the node's binding update tells whether the move was one for it."""
    move = record.moves[index]
    if move.others and not any(
        notice.name == UPDATE_SENT and notice.node == move.node
        for notice in record.notices
        if move.began_at <= notice.at < _ends_at(record, index)
    ):
        return LINK_LEFT if move.destination is None else LINK_GAINED
    if move.destination is None:
        return HANDOVER if move.others else LINK_LOST
    if move.leaves_home:
        return FIRST_REGISTRATION
    return RETURN_HOME if move.returns_home else HANDOVER


def _has_packets(series: ProbeSeries, window: Window) -> bool:
    inside = (series.sent_at >= window.began_at - analysis_probe.BEFORE_S) & (series.sent_at < window.ends_at)
    return bool(inside.any())


def _worst(values: Iterable[float | None]) -> float | None:
    """The largest; None where one of them is None (nothing came through) or where there is none."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    return max(numbers) if numbers and len(numbers) == len(known) else None


def _signalling(notices: Sequence[NoticeRecord], move: MoveRecord, window: Window) -> tuple[float | None, float | None]:
    """When the first binding update after the move was sent and when its registration was done."""
    own = [notice for notice in notices if notice.node == move.node and window.began_at <= notice.at < window.ends_at]
    started = next((notice.at for notice in own if notice.name == UPDATE_SENT), None)
    if started is None:
        return None, None
    return started, next((notice.at for notice in own if notice.name in REGISTERED and notice.at >= started), None)


def _configuration_ms(record: RunRecord, move: MoveRecord, window: Window) -> float | None:
    """Until the IPv4 address was ready with which the node registered first after the move."""
    registered = next(
        (
            notice
            for notice in record.notices
            if notice.node == move.node and window.began_at <= notice.at < window.ends_at and notice.name in REGISTERED
        ),
        None,
    )
    if registered is None:
        return None
    ready = (
        configuration.at
        for configuration in record.configurations
        if configuration.node == move.node
        and configuration.address == registered.fields.get("care_of_address")
        and window.usable_at <= configuration.at < registered.at
    )
    return next(((at - window.usable_at) * 1e3 for at in ready), None)


# --- metrics and expectations ----------------------------------------------------------------------------------------


def measure(
    handovers: Sequence[Handover], probes: Sequence[Probe], streams: Sequence[Stream]
) -> dict[Metric, float | None]:
    """Every metric that a scenario may expect something of; None where there was nothing to measure."""
    judged = [handover for handover in handovers if handover.kind in (HANDOVER, RETURN_HOME)]
    leaving = [handover for handover in handovers if handover.kind == FIRST_REGISTRATION]
    together = [handover for handover in handovers if handover.make_before_break]
    signalling = [handover.signalling_ms for handover in judged if handover.signalling_ms is not None]
    interruptions = [_number(handover.interruption_ms) for handover in judged if handover.directions]
    configuration = [handover.configuration_ms for handover in judged if handover.configuration_ms is not None]
    configured = [
        _number(handover.interruption_ms) - (handover.configuration_ms or 0.0)
        for handover in judged
        if handover.directions
    ]
    first = [_number(handover.interruption_ms) for handover in leaving if handover.directions]
    return {
        Metric.INTERRUPTION_MEDIAN_MS: _finite(statistics.median, interruptions),
        Metric.INTERRUPTION_MAX_MS: _finite(max, interruptions),
        Metric.LEAVING_HOME_INTERRUPTION_MAX_MS: _finite(max, first),
        Metric.SIGNALLING_MEDIAN_MS: _finite(statistics.median, signalling),
        Metric.CONFIGURATION_MEDIAN_MS: _finite(statistics.median, configuration),
        Metric.CONFIGURED_INTERRUPTION_MEDIAN_MS: _finite(statistics.median, configured),
        Metric.MOVES_DONE: float(sum(handover.interruption_ms is not None for handover in (*judged, *leaving))),
        Metric.PROBE_PACKETS_LOST: _finite(sum, [probe.lost for probe in probes]),
        Metric.PROBE_PACKETS_DUPLICATED: _finite(sum, [probe.duplicated for probe in probes]),
        Metric.MAKE_BEFORE_BREAK_PACKETS_LOST: _finite(sum, [handover.packets_lost for handover in together]),
        Metric.TCP_BYTES: _finite(sum, [stream.bytes for stream in streams]),
        Metric.TCP_BYTES_LOST: _finite(sum, [stream.bytes_lost for stream in streams]),
        Metric.TCP_BYTES_DUPLICATED: _finite(sum, [stream.bytes_duplicated for stream in streams]),
        Metric.TCP_BYTES_CORRUPTED: _finite(sum, [stream.bytes_corrupted for stream in streams]),
        Metric.TCP_RESETS: _finite(sum, [stream.resets for stream in streams]),
        Metric.TCP_LONGEST_STALL_MS: _finite(max, [stream.longest_stall_ms for stream in streams]),
    }


def _number(value: float | None) -> float:
    return math.inf if value is None else value


def _finite(how: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    """None where there are no values, or where so many are infinite that the figure is."""
    figure = float(how(values)) if values else math.inf
    return figure if math.isfinite(figure) else None


def check(expect: Expect, measured: float | None) -> Expectation:
    limit, comparison, holds = _limit(expect)
    return Expectation(
        name=expect.name or expect.metric.value,
        passed=measured is not None and holds(measured),
        measured=measured,
        unit=unit(expect.metric),
        limit=limit,
        comparison=comparison,
    )


def _limit(expect: Expect) -> tuple[float, str, Callable[[float], bool]]:
    if expect.at_most is not None:
        limit = expect.at_most
        return limit, "at most", lambda measured: measured <= limit
    if expect.at_least is not None:
        limit = expect.at_least
        return limit, "at least", lambda measured: measured >= limit
    limit = expect.exactly if expect.exactly is not None else 0.0
    return limit, "exactly", lambda measured: measured == limit
