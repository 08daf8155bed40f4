"""Commands when there is nobody to ask, or no right to."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from host_network import AS_NOBODY, PYTHON, home_agent_file

pytestmark = pytest.mark.root


def test_commands_without_a_daemon(tmp_path: Path) -> None:
    def unwired(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(PYTHON), "-m", "unwired", *words], capture_output=True, text=True, cwd="/")

    missing = unwired("status", "--socket", str(tmp_path / "none.sock"))
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "no daemon is running" in missing.stderr
    agent_file = home_agent_file(tmp_path)
    assert unwired("bindings", "-c", str(agent_file)).returncode == 3
    with tempfile.TemporaryDirectory() as readable:
        Path(readable).chmod(0o755)
        words = ["run", "-c", str(home_agent_file(Path(readable)))]
        command = [*AS_NOBODY, str(PYTHON), "-m", "unwired", *words]
        refused = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert refused.returncode == 4
    assert "root" in refused.stderr
