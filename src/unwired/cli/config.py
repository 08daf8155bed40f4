"""``unwired config check``: whether a configuration file can be used."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from unwired.cli.daemon_client import EXIT_USAGE, JsonOption
from unwired.cli.output import print_json

SCHEMA = "unwired.config-check/1"


def register(app: typer.Typer) -> None:
    config = typer.Typer(no_args_is_help=True, help="The configuration file.")
    config.command("check")(check)
    app.add_typer(config, name="config")


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration file.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a configuration file without touching the host; every problem is told at once."""
    from unwired.host.config import ConfigError, load

    try:
        config = load(file)
    except ConfigError as error:
        if as_json:
            problems = [problem.as_json() for problem in error.problems]
            print_json(
                {"schema": SCHEMA, "file": str(file), "ok": False, "role": None, "problems": problems, "warnings": []}
            )
        else:
            for problem in error.problems:
                print(problem.sentence())
            count = len(error.problems)
            print(f"{count} problem{'s' if count != 1 else ''} in {file}", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
    warnings = config.warnings()
    if as_json:
        answer = {"file": str(file), "ok": True, "role": config.role_name, "problems": [], "warnings": warnings}
        print_json({"schema": SCHEMA, **answer})
        return
    for warning in warnings:
        print(f"{file}: warning: {warning}")
    print(f"{file}: ok, {config.role_name.replace('_', ' ')} named {config.daemon.name}")
