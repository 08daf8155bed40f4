"""Commands when there is nobody to ask, or no right to."""

import subprocess
import tempfile
from pathlib import Path

import pytest
from host_network import PYTHON, home_agent_file

pytestmark = pytest.mark.root


def test_commands_without_a_daemon(tmp_path: Path) -> None:
    def unwired(*words: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(PYTHON), "-m", "unwired", *words]
        return subprocess.run(command, capture_output=True, text=True, user=user, cwd="/")

    missing = unwired("status", "--socket", str(tmp_path / "none.sock"))
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "no daemon is running" in missing.stderr
    agent_file = home_agent_file(tmp_path)
    assert unwired("bindings", "-c", str(agent_file)).returncode == 3
    with tempfile.TemporaryDirectory() as readable:
        Path(readable).chmod(0o755)
        agent_file = home_agent_file(Path(readable))
        refused = unwired("run", "-c", str(agent_file), user=65534)
    assert refused.returncode == 4
    assert "root" in refused.stderr
