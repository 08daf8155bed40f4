"""The shipped scenarios of IPv4 networks and IPv4 home addresses, as a user runs them."""

from pathlib import Path

import pytest
from small_lab import needs_root, run_shipped

pytestmark = [pytest.mark.root, pytest.mark.lab, needs_root]


def test_any_network_will_do(tmp_path: Path) -> None:
    result = run_shipped("dual-stack-access", "--report", tmp_path)
    configured = {(move["node"], move["to"]): move["configuration_ms"] is not None for move in result["handovers"]}
    assert configured == {
        ("phone", "hotel"): True,
        ("phone", "cafe"): True,
        ("phone", "flat"): True,
        ("phone", "office"): False,  # IPv6 only
        ("laptop", "campus"): True,  # by its CLAT
        ("laptop", "cafe"): True,
    }
    assert [failure["what"] for failure in result["failures"]] == ["nat"]
    assert {(stream["from"], stream["family"]) for stream in result["streams"]} >= {
        ("phone", "IPv6"),
        ("phone", "IPv4"),
        ("laptop", "IPv4"),
    }
    page = (tmp_path / "index.html").read_text()
    assert "binding update in UDP" in page
    assert "NAT64" in page
    assert "The NAT of cafe-router forgets its mappings" in page


def test_home_addresses_of_either_family_and_of_both() -> None:
    result = run_shipped("dual-stack-home")
    carried = {(stream["from"], stream["family"]) for stream in result["streams"]}
    assert carried == {
        ("six", "IPv6"),
        ("four", "IPv4"),
        ("both", "IPv6"),
        ("both", "IPv4"),
        ("correspondent", "IPv6"),
        ("correspondent", "IPv4"),
    }


def test_nothing_stalls_in_a_black_hole() -> None:
    result = run_shipped("black-hole-mtu")
    assert [move["to"] for move in result["handovers"]] == ["library", "cafe", "campus"]
    assert {stream["family"] for stream in result["streams"]} == {"IPv6", "IPv4"}
    for stream in result["streams"]:
        assert stream["bytes"] > 8_000_000  # of 15 million, had there been no moves and no search
