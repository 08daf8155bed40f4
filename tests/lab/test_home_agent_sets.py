"""The shipped scenarios of a home agent set, as a user runs them. What they expect of themselves is in their files."""

import json
import subprocess
from typing import Any

import pytest
from small_lab import UNWIRED, needs_root

pytestmark = [pytest.mark.root, pytest.mark.lab, needs_root]


def _run(name: str) -> dict[str, Any]:
    done = subprocess.run([*UNWIRED, "lab", "run", name, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    result: dict[str, Any] = json.loads(done.stdout)
    assert not result["problems"]
    return result


def _figure(result: dict[str, Any], metric: str) -> float:
    return float(result["metrics"][metric]["measured"])


def test_the_nearest_agent_serves_on_every_leg() -> None:
    result = _run("global-2007")
    served = {(path["network"], path["primary_agent"]) for path in result["paths"] if path["at_s"] < 36}
    assert served == {("tokyo-access", "tokyo"), ("seoul-access", "korea"), ("la-access", "los-angeles")}
    entered = {(path["correspondent"], path["entry_agent"]) for path in result["paths"] if path["at_s"] < 36}
    assert {("tokyo-server", "tokyo"), ("fujisawa-server", "tokyo-sfc"), ("seoul-server", "korea")} <= entered
    assert {("la-server", "los-angeles"), ("amsterdam-server", "los-angeles")} <= entered
    broken = [path for path in result["paths"] if 36 < path["at_s"] < 44]
    assert broken, "paths are measured while the site is gone"
    assert not any("los-angeles" in path["hops_to_node"] + path["hops_from_node"] for path in broken)
    assert [failure["what"] for failure in result["failures"]] == ["site", "heal", "site", "heal"]
    # In a network that has IPv4 alone and a NAT: the nearest again, and another one when that dies.
    hotel = {path["primary_agent"] for path in result["paths"] if path["network"] == "tokyo-hotel"}
    assert {"tokyo", "tokyo-sfc"} <= hotel
    assert _figure(result, "home_agent_switches") >= 3


def test_one_home_agent_alone_is_the_baseline() -> None:
    result = _run("single-ha")
    assert {path["entry_agent"] for path in result["paths"]} == {"tokyo"}
    assert _figure(result, "home_agent_switches") == 0


def test_equally_near_agents_do_not_pass_a_node_to_and_fro() -> None:
    result = _run("ecmp")
    assert _figure(result, "switches_per_care_of_address_max") <= 1


def test_both_halves_agree_after_a_partition() -> None:
    result = _run("partition")
    assert _figure(result, "bindings_agree") == 1
    assert [failure["what"] for failure in result["failures"]] == ["partition", "heal"]


def test_every_site_may_fail_once() -> None:
    result = _run("failures")
    assert [failure["what"] for failure in result["failures"]].count("site") == 5
    assert _figure(result, "bindings_lost") == 0
