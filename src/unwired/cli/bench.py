"""``unwired bench``: measure on this machine, beside baselines."""

import importlib
from enum import StrEnum
from typing import Annotated

import typer

from unwired.cli.daemon_client import JsonOption


class Bench(StrEnum):
    FORWARDING = "forwarding"
    SIGNALLING = "signalling"
    MEMORY = "memory"


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    name: Annotated[Bench, typer.Argument(help="What to measure.", show_default=False)], as_json: JsonOption = False
) -> None:
    """Measure: medians of interleaved repeats, beside the baselines of the same run."""
    importlib.import_module(f"unwired.bench.{name.value}").run(as_json=as_json)
