"""``unwired run``: the daemon, in the foreground."""

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from unwired.cli.daemon_client import EXIT_NO_ROOT, EXIT_USAGE, fail


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
) -> None:
    """Run the daemon that a configuration file describes, until SIGTERM; SIGHUP applies the changed file."""
    from unwired.host.config import ConfigError, load
    from unwired.host.start_clock import StartClock

    gc.disable()  # until the daemon has started
    clock = StartClock()
    clock.end("python")
    try:
        settings = load(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
    clock.end("configuration")
    if os.geteuid() != 0:
        raise fail("the daemon needs root: it makes devices, routes and BPF programs", EXIT_NO_ROOT)
    from unwired.host.daemon import serve
    from unwired.host.runtime import DaemonError

    try:
        asyncio.run(serve(settings, clock))
    except DaemonError as error:
        raise fail(str(error)) from None
