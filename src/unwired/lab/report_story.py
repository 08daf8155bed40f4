"""What happened in a run, one plain sentence for each thing with its figures."""

from collections.abc import Sequence

from unwired.lab import analysis, report_compare, report_failures, report_switches
from unwired.lab.record import RunRecord
from unwired.lab.report_svg import milliseconds, number
from unwired.lab.report_switches import Switch
from unwired.lab.report_view import look
from unwired.lab.result import LINK_LOST, Failure, Handover, Result


def tell(result: Result, record: RunRecord, baseline: Result | None = None) -> list[tuple[float | None, str]]:
    """(seconds from the start, sentence) in the order of time; what is of the whole run comes last, with None."""
    switches = report_switches.find(record, analysis.read_traffic(record).probes)
    happened = [
        *((move.at_s, _move(move)) for move in result.handovers),
        *((switch.at_s, _switch(switch)) for switch in switches),
        *((failure.at_s, _failure(failure)) for failure in result.failures),
    ]
    rows = report_compare.rows(look(record), result, baseline)
    return [*sorted(happened), *((None, sentence) for sentence in _paths(rows, baseline))]


def _packets(count: int) -> str:
    return "no packet lost" if count == 0 else f"{number(count)} packet{'s' if count != 1 else ''} lost"


def _move(move: Handover) -> str:
    ends = f"from {move.source or 'nowhere'} to {move.destination or 'nowhere'}"
    if move.kind == LINK_LOST:
        return f"{move.node} leaves {move.source or 'its network'} and has no link: {_packets(move.packets_lost)}"
    if not move.directions:  # no probe to or from it
        return f"{move.node} moves {ends}: registered {milliseconds(move.registered_ms)} after the link was up"
    silence = f"first packet {milliseconds(move.interruption_ms)} after the link was up"
    return (
        f"{move.node} moves {ends}: {silence if move.interruption_ms is not None else 'no packet after it'}, "
        f"{_packets(move.packets_lost)}"
    )


def _switch(switch: Switch) -> str:
    return (
        f"{switch.node} changes its home agent from {switch.source or 'one'} to {switch.destination or 'another'}: "
        f"{milliseconds(switch.signalling_ms)} of signalling, {_packets(switch.packets_lost)}"
    )


def _failure(failure: Failure) -> str:
    outage = f"silence of {milliseconds(failure.outage_ms)}, " if failure.outage_ms is not None else ""
    kept = f"{number(failure.bindings_after)} of {number(failure.bindings_before)} bindings still held"
    resets = f", {number(failure.resets)} TCP resets" if failure.resets else ""
    return f"{report_failures.words(failure)}: {outage}{_packets(failure.packets_lost)}, {kept}{resets}"


def _paths(rows: Sequence[report_compare.Row], baseline: Result | None) -> list[str]:
    told = []
    for near, which in ((False, "10 ms or more"), (True, "less than 10 ms")):
        by_set, by_one = report_compare.both(report_compare.unbroken(rows, near))
        if by_set is None:
            continue
        beside = f"; {baseline.scenario}: {_stretches(by_one)}" if baseline is not None and by_one is not None else ""
        pairs = f"{by_set.pairs} pair{'s' if by_set.pairs != 1 else ''}"
        told.append(f"stretch of the {pairs} whose direct round trip is {which}: {_stretches(by_set)}{beside}")
    return told


def _stretches(summary: report_compare.Summary) -> str:
    return f"{summary.stretch:.2f} on median, {summary.largest_stretch:.2f} at most"
