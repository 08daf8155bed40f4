"""The shipped scenarios, as a user runs them: daemons, data plane, moves and traffic together."""

import statistics
from pathlib import Path

import pytest
from small_lab import needs_root, run_shipped

pytestmark = [pytest.mark.root, pytest.mark.lab, needs_root]


def test_roaming(tmp_path: Path) -> None:
    result = run_shipped("roaming", "--report", tmp_path)
    assert result["scenario"] == "roaming"
    assert [(move["from"], move["to"]) for move in result["handovers"]] == [
        ("home", "cafe"),
        ("cafe", "office"),
        ("office", "train"),
        ("train", "home"),
    ]
    for move in result["handovers"]:
        assert {"at_s", "node", "from", "to", "interruption_ms", "packets_lost", "signalling_ms"} <= set(move)
        assert move["signalling_ms"] is not None
    assert len(result["streams"]) == 2
    for stream in result["streams"]:
        assert {"from", "to", "bytes", "bytes_lost", "bytes_duplicated", "resets", "longest_stall_ms"} <= set(stream)
        assert stream["bytes"] > 1_000_000
        assert stream["bytes_lost"] == stream["bytes_duplicated"] == stream["resets"] == 0
    for expectation in result["expectations"]:
        assert {"name", "passed", "measured", "unit", "limit"} <= set(expectation)
    page = (tmp_path / "index.html").read_text()
    assert "home-agent" in page


def test_a_dozen_moves() -> None:
    result = run_shipped("roaming-ten")
    between = [move["interruption_ms"] for move in result["handovers"] if move["kind"] == "handover"]
    assert len(between) >= 10
    assert statistics.median(between) <= 70  # a round trip to the home agent, 40 ms, and 30 ms


def test_make_before_break_loses_nothing() -> None:
    result = run_shipped("two-links")
    together = [move for move in result["handovers"] if move["make_before_break"] and move["kind"] == "handover"]
    assert len(together) == 2
    assert sum(move["packets_lost"] for move in together) == 0
