"""What people read about the members of a home agent set is what the code says."""

import re
from pathlib import Path

from unwired.core.member_states import TRANSITIONS, State
from unwired.core.notices import Drop
from unwired.core.state_diagram import mermaid

ROOT = Path(__file__).parents[2]
EVENTS = (ROOT / "docs" / "events.md").read_text()


def test_the_diagram_is_drawn_from_the_table() -> None:
    diagram = mermaid(State.UNKNOWN, TRANSITIONS)
    assert diagram.count("-->") == len(TRANSITIONS) + 1
    document = (ROOT / "docs" / "ha-ha.md").read_text()
    assert f"```mermaid\n{diagram}```" in document, "draw it again: state_diagram.mermaid(State.UNKNOWN, TRANSITIONS)"


def test_every_notice_and_drop_reason_is_documented() -> None:
    told = set()
    for name in ("home_agent_set.py", "member_watch.py", "set_drain.py", "set_resettle.py", "merge.py"):
        source = (ROOT / "src" / "unwired" / "core" / name).read_text()
        told |= set(re.findall(r"(?:notify\(\s*|State\.[A-Z]+: )\"(\w+)\"", source))
    assert len(told) > 12
    told |= {drop.value for drop in Drop if drop.name.startswith("HELLO")}
    assert {name for name in told if f"`{name}`" not in EVENTS} == set()
