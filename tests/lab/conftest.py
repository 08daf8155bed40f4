"""Fixtures of the lab's tests."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a scenario file and returns its path."""

    def _write(text: str) -> Path:
        path = tmp_path / f"scenario{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(text)
        return path

    return _write
