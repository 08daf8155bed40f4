"""The documentation's drawing of a state machine that is data."""

from collections.abc import Mapping
from enum import Enum


def mermaid(start: Enum, table: Mapping[tuple[Enum, Enum], tuple[Enum, Enum]]) -> str:
    """A table (state, input) -> (what to do, next state), as Mermaid text; ``start`` is the state it begins in."""
    lines = ["stateDiagram-v2", f"    [*] --> {_name(start)}"]
    for (state, given), (do, after) in table.items():
        lines.append(f"    {_name(state)} --> {_name(after)}: {_name(given)} / {_name(do)}")
    return "\n".join(lines) + "\n"


def _name(member: Enum) -> str:
    return member.name.lower()
