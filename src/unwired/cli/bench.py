"""``unwired bench``: measure on this machine, beside baselines."""

import importlib
import os
from enum import StrEnum
from typing import Annotated

import typer

from unwired.cli.daemon_client import EXIT_NO_ROOT, EXIT_USAGE, JsonOption, fail
from unwired.cli.output import print_json, print_table


class Bench(StrEnum):
    FORWARDING = "forwarding"
    FLOOD = "flood"
    SIGNALLING = "signalling"
    MEMORY = "memory"
    SYNC = "sync"
    FAILURE = "failure"
    RESTART = "restart"
    CODEC = "codec"


_NO_BINDINGS = (Bench.FORWARDING, Bench.CODEC)
_NO_ROOT = (Bench.SYNC, Bench.CODEC)


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    name: Annotated[Bench, typer.Argument(metavar="NAME", help="What to measure.", show_default=False)],
    bindings: Annotated[
        int | None, typer.Option(min=1, help="How many bindings (not for forwarding and codec).", show_default=False)
    ] = None,
    kills: Annotated[
        int | None, typer.Option(min=1, help="How often (failure and restart).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure in namespaces of its own: medians of interleaved repeats, beside the baselines of the same run."""
    if os.geteuid() != 0 and name not in _NO_ROOT:
        raise fail("measuring needs root: it makes network namespaces", EXIT_NO_ROOT)
    if bindings is not None and name in _NO_BINDINGS:
        raise fail(f"{name.value} has no bindings to count: leave --bindings out", EXIT_USAGE)
    if kills is not None and name not in (Bench.FAILURE, Bench.RESTART):
        raise fail(f"{name.value} kills nothing: leave --kills out", EXIT_USAGE)
    size = {key: value for key, value in (("bindings", bindings), ("kills", kills)) if value is not None}
    try:
        result = importlib.import_module(f"unwired.bench.{name.value}").run(**size)
    except RuntimeError as error:
        raise fail(f"the measurement failed: {error}") from None
    if as_json:
        print_json(result)
        return
    units = result.get("units", {})
    rows = [[what, value, units.get(what, "")] for what, value in result["medians"].items()]
    rows += [[f"{what} (baseline)", value, units.get(what, "")] for what, value in result["baselines"].items()]
    rows += [[f"{what} (ratio)", value, ""] for what, value in result["ratios"].items()]
    print_table(["measured", "median", "unit"], rows)
