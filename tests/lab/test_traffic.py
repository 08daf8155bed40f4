"""The traffic processes over the loopback: evenly paced, every packet and byte accounted for."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

from unwired.lab.traffic.log import Log, read_log
from unwired.lab.traffic.pattern import Checker, pattern

Start = Callable[..., subprocess.Popen[bytes]]


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET6, kind) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def is_ready(path: Path) -> bool:
    return path.exists() and path.read_text().startswith("# ")


def rows(path: Path) -> int:
    return len(read_log(path).rows) if is_ready(path) else 0


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes = []

    def run(kind: str, log: str, **options: object) -> subprocess.Popen[bytes]:
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "unwired.lab.traffic", kind, "--bind=::1", f"--log={tmp_path / log}", *arguments]
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_probe_is_evenly_paced_and_complete(start: Start, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sink = start("udp-probe-sink", "sink", port=port)
    wait_for(lambda: is_ready(tmp_path / "sink"))
    source = start("udp-probe-source", "source", to="::1", to_port=port, interval_ms=10, duration_s=1)
    assert source.wait(10) == 0
    stop(sink)
    sent = numpy.array(read_log(tmp_path / "source").rows, dtype=numpy.int64)
    received = numpy.array(read_log(tmp_path / "sink").rows, dtype=numpy.int64)
    assert 99 <= len(sent) <= 101
    assert sent[:, 0].tolist() == received[:, 0].tolist() == list(range(len(sent)))
    assert not sent[:, 2].any()
    assert (received[:, 2] >= received[:, 1]).all()
    drift_ns = (sent[:, 1] - sent[0, 1]) - sent[:, 0] * 10_000_000
    assert abs(float(numpy.median(drift_ns))) < 5e6
    assert read_log(tmp_path / "sink").ended_at_ns


def test_probe_goes_on_while_the_host_refuses_to_send(start: Start, tmp_path: Path) -> None:
    source = start("udp-probe-source", "source", to="::1", to_port=9, size=70_000, interval_ms=5, duration_s=0.3)
    assert source.wait(10) == 0
    sent = read_log(tmp_path / "source").rows
    assert len(sent) > 30
    assert all(int(error) > 0 for _, _, error in sent)


def test_killed_sink_leaves_its_log(start: Start, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    sink = start("udp-probe-sink", "sink", port=port)
    wait_for(lambda: is_ready(tmp_path / "sink"))
    source = start("udp-probe-source", "source", to="::1", to_port=port)
    wait_for(lambda: rows(tmp_path / "sink") > 20)
    sink.kill()
    sink.wait()
    stop(source)
    log = read_log(tmp_path / "sink")
    assert len(log.rows) > 20
    assert log.ended_at_ns is None


def stream_logs(tmp_path: Path) -> tuple[Log, Log]:
    return read_log(tmp_path / "source"), read_log(tmp_path / "sink")


def events(log: Log, name: str) -> list[int]:
    return [int(value) for _, event, value in log.rows if event == name]


def test_stream_keeps_its_rate_and_every_byte(start: Start, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    sink = start("tcp-sink", "sink", port=port)
    wait_for(lambda: is_ready(tmp_path / "sink"))
    started = time.monotonic()
    source = start("tcp-source", "source", to="::1", to_port=port, rate_bps=2e6)
    wait_for(lambda: rows(tmp_path / "source") > 100)
    stop(source)
    took_s = time.monotonic() - started
    stop(sink)
    sent, received = stream_logs(tmp_path)
    total = events(sent, "delivered")[0]
    assert events(sent, "sent")[-1] == total == events(received, "received")[-1] == events(received, "finished")[0]
    assert not {"lost", "duplicated", "corrupted", "reset"} & {row[1] for row in received.rows}
    assert 200_000 < total <= 2e6 / 8 * took_s


def test_stream_goes_on_after_a_reset_and_says_so(start: Start, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    sink = start("tcp-sink", "killed", port=port)
    wait_for(lambda: is_ready(tmp_path / "killed"))
    source = start("tcp-source", "source", to="::1", to_port=port)
    wait_for(lambda: rows(tmp_path / "killed") > 10)
    sink.kill()
    sink.wait()
    sink = start("tcp-sink", "sink", port=port)
    wait_for(lambda: rows(tmp_path / "sink") > 10)
    stop(source)
    stop(sink)
    sent, received = stream_logs(tmp_path)
    assert len(events(sent, "reset")) == 1
    assert len(events(sent, "connected")) == 2
    assert events(received, "accepted")[0] > 0
    assert events(received, "lost") == events(received, "accepted")
    assert events(received, "finished") == events(sent, "delivered")


@pytest.mark.parametrize("chunk", [1, 7, 100, 4000])
def test_checker_tells_loss_duplication_and_corruption_apart(chunk: int) -> None:
    def check(data: bytes) -> Checker:
        checker = Checker()
        for start in range(0, len(data), chunk):
            checker.take(data[start : start + chunk])
        checker.finish()
        return checker

    stream = pattern(0, 20_000)
    whole = check(stream)
    assert (whole.good, whole.lost, whole.duplicated, whole.corrupted) == (20_000, 0, 0, 0)
    gap = check(stream[:1003] + stream[3008:])
    assert gap.position == 20_000
    assert abs(gap.lost - 2005) <= 16
    assert gap.duplicated == 0
    again = check(stream[:5000] + stream[4000:])
    assert again.position == 20_000
    assert again.lost == 0
    assert abs(again.duplicated - 1000) <= 16
    broken = check(stream[:5000] + b"\xff" * 50 + stream[5050:])
    assert broken.position == 20_000
    assert 40 <= broken.corrupted <= 80
    assert (broken.lost, broken.duplicated) == (0, 0)
