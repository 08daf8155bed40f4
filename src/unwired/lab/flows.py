"""The traffic of a run: its processes, from their start to their end."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from unwired.lab.build import Lab
from unwired.lab.processes import LabError, Process, module
from unwired.lab.record import FlowRecord
from unwired.lab.scenario import Probe, Stream

_FIRST_PORT = 40_000
_START_TIMEOUT_S = 30.0
_DRAIN_S = 0.5
_STOP_SOURCES_S = 12.0


class Flows:
    """``at`` puts something on the run's agenda: seconds from its start, and what to do then."""

    def __init__(self, lab: Lab, at: Callable[[float, Callable[[], None]], None]) -> None:
        self._lab = lab
        self._at = at
        self.records: list[FlowRecord] = []
        self._sources: list[Process] = []
        self._source_logs: list[tuple[Process, Path]] = []
        self._sinks: list[Process] = []

    def plan(self) -> None:
        """Start the sinks, and put the sources on the agenda. Raises LabError."""
        directory = self._lab.directory / "traffic"
        directory.mkdir(exist_ok=True)
        port = itertools.count(_FIRST_PORT)
        nodes = {node.name: node for node in self._lab.scenario.node}
        pending: list[tuple[Process, Path]] = []
        for index, traffic in enumerate(self._lab.scenario.traffic):
            first, second = traffic.between
            addresses = traffic.ends(nodes)
            if addresses is None:  # refused when the file was read
                continue
            stop_s = self._lab.scenario.duration_s if traffic.stop_s is None else traffic.stop_s
            ways = ((first, second, *addresses), (second, first, addresses[1], addresses[0]))
            for source, sink, source_address, sink_address in ways:
                stem = f"{traffic.kind}-{index}-{source}-to-{sink}"
                flow = FlowRecord(
                    kind=traffic.kind,
                    source=source,
                    destination=sink,
                    source_address=source_address,
                    destination_address=sink_address,
                    source_log=directory / f"{stem}.source.log",
                    sink_log=directory / f"{stem}.sink.log",
                    interval_ms=traffic.interval_ms if isinstance(traffic, Probe) else None,
                )
                self.records.append(flow)
                number = next(port)
                sink_process = self._start_sink(flow, number, stem)
                pending.append((sink_process, flow.sink_log))
                self._at(
                    traffic.start_s,
                    lambda t=traffic, f=flow, n=number, s=stem, e=stop_s: self._start_source(t, f, n, s, e),  # type: ignore[misc]
                )
        for process, log in pending:
            self._wait_for_log(process, log)

    def wait_for_sources(self) -> None:
        """Until those that were started are ready. Raises LabError."""
        for process, log in self._source_logs:
            self._wait_for_log(process, log)

    def _start_sink(self, flow: FlowRecord, port: int, stem: str) -> Process:
        kind = "tcp-sink" if flow.kind == "tcp" else "udp-probe-sink"
        options = ["--bind", flow.destination_address, "--port", str(port)]
        command = module("unwired.lab.traffic", kind, *options, "--log", flow.sink_log)
        process = self._lab.processes.start(f"{stem}.sink", command, self._lab.namespaces[flow.destination])
        self._sinks.append(process)
        return process

    def _start_source(self, traffic: Probe | Stream, flow: FlowRecord, port: int, stem: str, stop_s: float) -> None:
        options: list[str | Path] = [
            "--bind",
            flow.source_address,
            "--to",
            flow.destination_address,
            "--to-port",
            str(port),
        ]
        if isinstance(traffic, Probe):
            kind = "udp-probe-source"
            options += ["--interval-ms", str(traffic.interval_ms), "--size", str(traffic.size_bytes)]
        else:
            kind = "tcp-source"
            options += ["--rate-bps", str(traffic.rate_mbit * 1e6)]
        command = module("unwired.lab.traffic", kind, *options, "--log", flow.source_log)
        process = self._lab.processes.start(f"{stem}.source", command, self._lab.namespaces[flow.source])
        self._sources.append(process)
        self._source_logs.append((process, flow.source_log))
        if stop_s < self._lab.scenario.duration_s:
            self._at(stop_s, lambda: self._ask_to_stop(process))

    def _wait_for_log(self, process: Process, log: Path) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not (log.exists() and log.read_bytes().count(b"\n")):
            if not process.is_running or time.monotonic() > deadline:
                raise LabError(f"{process.name} did not start: {process.log_tail(5) or 'it printed nothing'}")
            time.sleep(0.005)

    def _ask_to_stop(self, process: Process) -> None:
        process.expected_to_run = False
        if process.is_running:
            process.popen.terminate()

    def stop(self) -> list[str]:
        """Sources first; what is on its way gets the time to arrive; then sinks. What did not end by itself, in
        sentences."""
        problems = []
        for processes, patience_s in ((self._sources, _STOP_SOURCES_S), (self._sinks, 5.0)):
            for process in processes:
                self._ask_to_stop(process)
            for process in processes:
                if not process.end(patience_s):
                    problems.append(f"{process.name} had to be killed.")
            if processes is self._sources and processes:
                time.sleep(_DRAIN_S)
        return problems
