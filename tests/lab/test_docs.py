"""What docs/lab.md says is true: its example runs, its keys and metrics are those of the format."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from small_lab import UNWIRED, needs_root

from unwired.lab import scenario_file
from unwired.lab.metric import Metric

DOCUMENT = (Path(__file__).parents[2] / "docs" / "lab.md").read_text()


@pytest.mark.root
@pytest.mark.lab
@needs_root
def test_the_example_runs_and_passes(write: Callable[[str], Path]) -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example is not None
    command = [*UNWIRED, "lab", "run", str(write(example[1])), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {move["to"] for move in json.loads(done.stdout)["handovers"]} == {"cafe", "office"}


def test_every_key_is_documented() -> None:
    schema = scenario_file.schema()
    keys = set(schema["properties"]) - {"node", "link", "network", "move", "tour", "fail", "traffic", "expect"}
    for name, definition in schema["$defs"].items():
        sections = ("Node", "Link", "Network", "Move", "Tour", "Fail", "Expect")
        assert f"[[{name.lower()}]]" in DOCUMENT or name not in sections
        keys |= set(definition.get("properties", {}))
    assert {key for key in keys if f"`{key}`" not in DOCUMENT} == set()


def test_every_metric_and_shipped_scenario_is_documented() -> None:
    assert {metric.value for metric in Metric if f"`{metric.value}`" not in DOCUMENT} == set()
    assert {name for name in scenario_file.shipped() if f"`{name}`" not in DOCUMENT} == set()
