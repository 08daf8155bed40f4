"""The daemons on the kernel that `make test-kernel` boots; time goes as it will there."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from unwired.lab import scenario_file, toml

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_short_roaming(tmp_path: Path) -> None:
    """The shipped scenario cut to two networks and home again: every byte of the streams arrives."""
    scenario = tomllib.loads(scenario_file.find("roaming").read_text())
    scenario["duration_s"] = 26
    scenario["tour"][0] |= {"networks": ["cafe", "train", "home"], "every_s": 7}
    timeless = [expected for expected in scenario["expect"] if not expected["metric"].endswith("_ms")]
    scenario["expect"] = [
        expected | {"exactly": 3} if expected["metric"] == "moves_done" else expected for expected in timeless
    ]
    path = tmp_path / "roaming.toml"
    path.write_text(toml.dumps(scenario))
    command = [sys.executable, "-m", "unwired", "lab", "run", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(done.stdout)
    assert result["passed"] and not result["problems"]
