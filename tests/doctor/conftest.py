"""The host to examine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from patient import Patient


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    made = Patient(tmp_path)
    yield made
    made.close()
