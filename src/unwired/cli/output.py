"""Printing: JSON for programs, tables for people; colours and widths only on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(answer: Any) -> None:
    print(json.dumps(answer, indent=2))


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """A name and a value a line; values that are None are left out."""
    shown = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name:<{width}}  {value}")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """With lines and bold heads on a terminal, else aligned columns that a screen reader and awk like."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*heads)
        for row in cells:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(row[column]) for row in [list(heads), *cells]) for column in range(len(heads))]
    for row in [list(heads), *cells]:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def duration(seconds: float) -> str:
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])
