"""docs/conformance.md says what the code says."""

import conformance


def test_the_page_is_not_stale() -> None:
    assert conformance.PAGE.read_text() == conformance.page(), "run: .venv/bin/python tests/wire/conformance.py"
