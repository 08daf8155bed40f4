"""docs/doctor.md lists the checks that there are."""

import re
from pathlib import Path

from unwired.doctor.checks import CHECKS, PEER_CHECKS

TEXT = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table below a line that starts like this."""
    table = TEXT.partition(f"\n{heading}")[2].partition("|---|")[2].partition("\n\n")[0]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[1:]]


def test_every_check_is_documented_and_no_other() -> None:
    assert rows("| code | role |") == [
        (
            f"`{check.code}`",
            check.role.value.replace("_", " ") if check.role else "both",
            "yes" if check.root_for else "",
            "yes" if check.configured else "",
            check.why,
        )
        for check in CHECKS
    ]


def test_what_is_tried_with_a_peer_is_documented() -> None:
    assert rows("| code | why") == [(f"`{code}`", why) for code, why in PEER_CHECKS.items()]


def test_codes_are_well_formed_and_differ() -> None:
    codes = [*(check.code for check in CHECKS), *PEER_CHECKS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code) for code in codes)
