"""One direction of a TCP stream from the logs of its two ends."""

from dataclasses import dataclass

from unwired.lab.record import FlowRecord
from unwired.lab.result import Stream
from unwired.lab.traffic.log import Log, read_log


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When how many bytes had arrived whole: CLOCK_MONOTONIC seconds and bytes, one pair for each read."""

    source: str
    destination: str
    at: list[float]
    bytes: list[int]
    family: str


def read_arrivals(flow: FlowRecord) -> Arrivals:
    rows = [(int(at) / 1e9, int(value)) for at, event, value in read_log(flow.sink_log).rows if event == "received"]
    return Arrivals(flow.source, flow.destination, [at for at, _ in rows], [value for _, value in rows], flow.family)


def summarize(flow: FlowRecord) -> Stream:
    """Bytes that the source handed to its host and that never came are lost, whatever the reason. Raises ValueError or
    OSError when the logs are not there or no logs."""
    source, sink = read_log(flow.source_log), read_log(flow.sink_log)
    arrivals = read_arrivals(flow)
    sent = max((int(value) for _, event, value in source.rows if event in ("sent", "delivered")), default=0)
    received = arrivals.bytes[-1] if arrivals.bytes else 0
    lost_on_the_way = _last(sink, "lost")
    duplicated, corrupted = _last(sink, "duplicated"), _last(sink, "corrupted")
    missing_at_the_end = max(0, sent - received - lost_on_the_way - corrupted + duplicated)
    stalls = [later - earlier for earlier, later in zip(arrivals.at, arrivals.at[1:], strict=False)]
    if arrivals.at and missing_at_the_end:
        last_sent_at = max(int(at) / 1e9 for at, event, _ in source.rows if event == "sent")
        stalls.append(max(0.0, last_sent_at - arrivals.at[-1]))
    return Stream(
        source=flow.source,
        destination=flow.destination,
        bytes=received - duplicated,
        bytes_lost=lost_on_the_way + missing_at_the_end,
        bytes_duplicated=duplicated,
        bytes_corrupted=corrupted,
        resets=max(_count(source, "reset"), _count(sink, "reset")),
        longest_stall_ms=max(stalls, default=0.0) * 1e3,
        family=flow.family,
    )


def reset_times(flow: FlowRecord) -> list[float]:
    """When the connection was reset, as the end that saw more of it did. CLOCK_MONOTONIC seconds. Raises as
    ``summarize``."""
    ends = [
        [int(at) / 1e9 for at, event, _ in read_log(path).rows if event == "reset"]
        for path in (flow.source_log, flow.sink_log)
    ]
    return max(ends, key=len)


def _last(log: Log, name: str) -> int:
    return max((int(value) for _, event, value in log.rows if event == name), default=0)


def _count(log: Log, name: str) -> int:
    return sum(event == name for _, event, _ in log.rows)
