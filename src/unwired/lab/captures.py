"""The captures of a run: the signalling always, everything where it was asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

from unwired.lab import capture
from unwired.lab.build import Lab
from unwired.lab.processes import Process, module
from unwired.lab.record import CaptureRecord
from unwired.lab.scenario import Role


class Captures:
    """``pcap`` is a directory for captures of every interface; None: only the signalling is captured."""

    def __init__(self, lab: Lab, pcap: Path | None) -> None:
        self._lab = lab
        self._pcap = pcap
        self._process: Process | None = None
        self.records: list[CaptureRecord] = []

    def start(self) -> None:
        wanted: list[dict[str, str | bool]] = []
        directory = self._lab.directory / "signalling"
        directory.mkdir(exist_ok=True)
        if self._pcap is not None:
            self._pcap.mkdir(parents=True, exist_ok=True)
        for node in self._lab.scenario.node:
            where = str(self._lab.namespaces[node.name].path)
            for interface in node.interfaces:
                name = f"{node.name}-{interface}.pcap"
                place: dict[str, str | bool] = {"namespace": where, "interface": interface}
                if node.role in (Role.MOBILE_NODE, Role.HOME_AGENT):
                    path = directory / name
                    self.records.append(CaptureRecord(node.name, interface, path))
                    wanted.append({"path": str(path), "only_signalling": True, **place})
                if self._pcap is not None:
                    wanted.append({"path": str(self._pcap.resolve() / name), "only_signalling": False, **place})
        if not wanted:
            return
        specification = self._lab.directory / "capture.json"
        specification.write_text(json.dumps({"captures": wanted}))
        namespace = next(iter(self._lab.namespaces.values()))
        self._process = self._lab.processes.start("capture", module("unwired.lab.capture", specification), namespace)
        self._lab.processes.wait_for_line(self._process, capture.READY)

    def stop(self) -> tuple[list[str], list[str]]:
        """What went wrong, and what is worth knowing, in sentences."""
        if self._process is None:
            return [], []
        self._process.end()
        try:
            counted = json.loads(self._process.log.read_text().splitlines()[-1])
        except (ValueError, IndexError):
            return [f"The captures are incomplete: {self._process.log_tail()}"], []
        return [], list(_losses(counted))


def _losses(counted: dict[str, dict[str, int]]) -> Iterator[str]:
    for path, counts in counted.items():
        if counts["dropped"]:
            yield f"{path}: {counts['dropped']} frames came too fast to be captured"
