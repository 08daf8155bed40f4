"""Round trips and ways are measured as they are."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from small_lab import SMALL, UNWIRED, inside, lab_of, needs_root

from unwired.lab import echo, paths, scenario_file
from unwired.lab.echo import Pair
from unwired.lab.walk import Walker

pytestmark = [pytest.mark.root, needs_root]
LEFT, RIGHT = "2001:db8:1::2", "2001:db8:2::2"


def test_round_trips_and_ways_of_a_small_lab(write: Callable[[str], Path]) -> None:
    text = SMALL.format(duration_s=5, shape="delay_ms = 15")
    at = text.index('name = "right"')
    text = text[:at] + text[at:].replace('role = "host"', 'role = "correspondent"', 1)
    with lab_of(write(text)) as lab:
        paths.start_echo(lab)
        answered, silent = Pair(LEFT, RIGHT), Pair(LEFT, "2001:db8:2::1")
        found = echo.round_trips_ms(lab.namespaces["left"], [answered, silent])
        assert found.keys() == {answered}
        assert found[answered] >= 30
        nodes = {node.name: lab.namespaces[node.name] for node in lab.scenario.node}
        with Walker(nodes) as walker:
            assert walker.walk("left", RIGHT) == ("left", "middle", "right")
            assert walker.walk("left", RIGHT, ends=frozenset({"middle"})) == ("left", "middle")
            assert walker.walk("right", LEFT, RIGHT) == ("right", "middle", "left")
            assert walker.walk("left", "2001:db8:99::1") == ("left", "middle"), "as far as the routes lead"
        inside(lab, "middle", "ip", "-6", "route", "add", "unreachable", "2001:db8:1::2/128", "metric", "1")
        with Walker(nodes) as walker:
            assert walker.walk("right", LEFT) == ("right", "middle")


@pytest.mark.lab
def test_paths_lead_by_the_home_agent(write: Callable[[str], Path]) -> None:
    base = scenario_file.shipped()["two-links"]
    path = write(
        f'base = "{base}"\nname = "paths"\nduration_s = 7\nmeasure_paths = true\nmove = []\ntour = []\nexpect = []'
    )
    done = subprocess.run([*UNWIRED, "lab", "run", str(path), "--json"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    (measured,) = json.loads(done.stdout)["paths"]
    assert (measured["node"], measured["network"], measured["correspondent"]) == ("mobile", "cellular", "correspondent")
    assert (measured["entry_agent"], measured["primary_agent"]) == ("home-agent", "home-agent")
    assert measured["hops_to_node"] == ["correspondent", "core", "home-agent", "core", "cellular-router", "mobile"]
    assert measured["hops_from_node"] == ["mobile", "cellular-router", "core", "home-agent", "core", "correspondent"]
    assert measured["direct_hops"] == ["mobile", "cellular-router", "core", "correspondent"]
    assert measured["rtt_ms"] > measured["direct_rtt_ms"] > 0
    assert measured["stretch"] == pytest.approx(measured["rtt_ms"] / measured["direct_rtt_ms"], abs=0.01)
