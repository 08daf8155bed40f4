"""Whole runs through the command: judged, side by side, interrupted, killed, left up and taken down."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_lab import SMALL, UNWIRED, needs_root, wait_for

from unwired.lab import ledger
from unwired.lab.ledger import ProcessId, Run

pytestmark = [pytest.mark.root, pytest.mark.lab, needs_root]


def _run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*UNWIRED, "lab", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def _start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [*UNWIRED, "lab", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _run_of(process: subprocess.Popen[str]) -> Run | None:
    return next((run for run in ledger.runs() if run.owner is not None and run.owner.pid == process.pid), None)


def _has_traffic(process: subprocess.Popen[str]) -> bool:
    run = _run_of(process)
    return run is not None and len(list((run.directory / "traffic").glob("*.source.log"))) == 4


def _nothing_is_left_of(run: Run) -> None:
    assert not run.directory.exists()
    assert not any(process.is_alive() for process in run.processes)
    assert str(run.directory) not in Path("/proc/self/mountinfo").read_text()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(run.directory) not in path.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_two_runs_side_by_side(write: Callable[[str], Path], tmp_path: Path) -> None:
    path = write(SMALL.format(duration_s=3, shape="delay_ms = 5"))
    captures = tmp_path / "captures"
    running = [_start("run", path, "--json"), _start("run", path, "--json", "--pcap", captures)]
    for process in running:
        output, messages = process.communicate(timeout=60)
        assert process.returncode == 0, messages
        result = json.loads(output)
        assert result["passed"]
        assert result["scenario"] == "small"
        assert {(stream["from"], stream["to"]) for stream in result["streams"]} == {
            ("left", "right"),
            ("right", "left"),
        }
        assert all(stream["bytes"] > 100_000 for stream in result["streams"])
        assert all(probe["lost"] == 0 and probe["delay_median_ms"] >= 5 for probe in result["probes"])
        assert f"small-{process.pid}" not in {run.name for run in ledger.runs()}
    # Both directions of both kinds of traffic are in the capture of the router's interface.
    assert {path.name for path in captures.iterdir()} >= {"left-eth0.pcap", "middle-eth1.pcap"}
    assert (captures / "middle-eth1.pcap").stat().st_size > 100_000


def test_a_failed_expectation_is_status_1(write: Callable[[str], Path]) -> None:
    text = SMALL.format(duration_s=1, shape="") + '\n[[expect]]\nmetric = "tcp_resets"\nat_least = 1\n'
    done = _run("run", write(text))
    assert done.returncode == 1
    assert "fails" in done.stdout


def test_a_bad_scenario_is_status_2_with_every_mistake(write: Callable[[str], Path]) -> None:
    done = _run("run", write('name = "x"\nduration_s = "long"\nnodes = 1\n'))
    assert done.returncode == 2
    assert done.stdout == ""
    for key in ("duration_s", "nodes", "node"):
        assert key in done.stderr
    assert "fix:" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_cleans_up(write: Callable[[str], Path], number: int) -> None:
    process = _start("run", write(SMALL.format(duration_s=60, shape="delay_ms = 5")))
    wait_for(lambda: _has_traffic(process))
    run = _run_of(process)
    assert run is not None
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    _nothing_is_left_of(run)


def test_down_removes_what_a_killed_run_left_and_only_that(write: Callable[[str], Path]) -> None:
    path = write(SMALL.format(duration_s=60, shape="delay_ms = 5"))
    killed, other = _start("run", path), _start("run", path)
    try:
        wait_for(lambda: _has_traffic(killed) and _has_traffic(other))
        run, other_run = _run_of(killed), _run_of(other)
        assert run is not None
        assert other_run is not None
        pins = Path("/sys/fs/bpf/unwired-lab-test")  # stands for what a daemon pins
        killed.kill()
        killed.communicate(timeout=30)
        assert all(process.is_alive() for process in run.processes)
        assert Run.read(run.directory).state == "killed"
        with (run.directory / "ledger.jsonl").open("a") as file:
            file.write('{"kind": "pins", "path": "' + str(pins) + '"}\n{"kind": "proc')  # and a line cut off
        if Path("/sys/fs/bpf").is_mount():
            pins.mkdir()
        done = _run("down", "--killed", "--json")
        assert done.returncode == 0, done.stderr
        assert run.name in json.loads(done.stdout)["removed"]
        _nothing_is_left_of(run)
        assert not pins.exists()
        assert all(process.is_alive() for process in other_run.processes)
        refused = _run("down", other_run.name)
        assert refused.returncode == 2
        assert "under way" in refused.stderr
    finally:
        other.send_signal(signal.SIGTERM)
        other.communicate(timeout=30)
    _nothing_is_left_of(other_run)


def test_a_killed_run_with_daemons_leaves_nothing_in_the_kernel() -> None:
    killed = _start("run", "two-links")
    wait_for(lambda: _has_traffic(killed), 40)
    run = _run_of(killed)
    assert run is not None
    killed.kill()
    killed.communicate(timeout=30)
    run = Run.read(run.directory)
    assert len(run.pins) == 2
    assert all(path.is_dir() for path in run.pins)  # the data plane goes on without anybody
    assert _run("down", run.name).returncode == 0
    assert not any(path.exists() for path in run.pins)
    _nothing_is_left_of(run)


def test_up_exec_down(write: Callable[[str], Path]) -> None:
    done = _run("up", write(SMALL.format(duration_s=1, shape="delay_ms = 5")), "--json")
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["run"]
    try:
        run = next(run for run in ledger.runs() if run.name == name)
        assert run.state == "up"
        ping = _run("exec", "--run", name, "left", "--", "ping", "-c", "2", "-i", "0.1", "2001:db8:2::2")
        assert ping.returncode == 0, ping.stdout + ping.stderr
        assert _run("exec", "--run", name, "left", "--", "false").returncode == 1
        unknown = _run("exec", "--run", name, "nobody", "--", "true")
        assert unknown.returncode == 2
        assert "left" in unknown.stderr
    finally:
        assert _run("down", name).returncode == 0
    _nothing_is_left_of(run)


MOVABLE = """
name = "movable"
duration_s = 1

[[node]]
name = "host"
role = "host"
interfaces = { eth0 = [] }
attached = { eth0 = "one" }

[[node]]
name = "router"
role = "router"
interfaces = { lan0 = ["2001:db8:1::1/64"], lan1 = ["2001:db8:2::1/64"] }

[[network]]
name = "one"
members = ["router.lan0"]

[[network]]
name = "two"
members = ["router.lan1"]
"""


def test_what_is_up_can_be_moved_by_hand(write: Callable[[str], Path]) -> None:
    name = json.loads(_run("up", write(MOVABLE), "--json").stdout)["run"]
    try:

        def addresses() -> str:
            return _run("exec", "--run", name, "host", "--", "ip", "-6", "addr", "show", "dev", "eth0").stdout

        wait_for(lambda: "2001:db8:1:" in addresses())
        assert "2001:db8:2:" not in addresses()
        assert _run("move", "--run", name, "host.eth0", "two").returncode == 0
        wait_for(lambda: "2001:db8:2:" in addresses())
        assert _run("move", "--run", name, "host.eth0").returncode == 0
        wait_for(lambda: "NO-CARRIER" in addresses())
        for wrong in (("router.lan0", "two"), ("host.eth0", "three")):
            refused = _run("move", "--run", name, *wrong)
            assert refused.returncode == 2
            assert "host.eth0" in refused.stderr or "one, two" in refused.stderr
    finally:
        assert _run("down", name).returncode == 0


def test_soon_back_in_a_network_and_what_a_node_s_own_daemon_says() -> None:
    name = json.loads(_run("up", "two-links", "--json").stdout)["run"]

    def registered_in(prefix: str) -> bool:
        asked = _run("exec", "--run", name, "mobile", "--", *UNWIRED, "status", "--json")
        engine = json.loads(asked.stdout)["engine"]
        return bool(engine["registered"] and engine["care_of_address"].startswith(prefix))

    try:
        assert _run("move", "--run", name, "mobile.wwan0").returncode == 0
        for network, prefix in (("cafe", "2001:db8:b:"), ("cellular", "2001:db8:a:"), ("cafe", "2001:db8:b:")):
            _run("move", "--run", name, "mobile.wlan0", network)
            wait_for(partial(registered_in, prefix))
        assert _run("exec", "--run", name, "mobile", "--", "ping", "-c", "1", "2001:db8:100::1").returncode == 0
        elsewhere = _run("exec", "--run", name, "correspondent", "--", "sh", "-c", "echo ${UNWIRED_CONFIG-none}")
        assert elsewhere.stdout == "none\n"
    finally:
        assert _run("down", name).returncode == 0


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    own = ProcessId.of(os.getpid())
    assert own is not None
    assert own.is_alive()
    assert not ProcessId(own.pid, own.started - 1).is_alive()


def test_a_run_killed_before_its_ledger_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "early-1").mkdir()
    run = ledger.runs(tmp_path)[0]
    assert run.state == "killed"
    run.clean_up()
    assert ledger.runs(tmp_path) == []
