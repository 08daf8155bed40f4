"""The ``unwired`` command: one typer application, a module per command or noun."""

import typer

from unwired import __version__
from unwired.cli import (
    bench,
    bindings,
    config,
    decode,
    doctor,
    events,
    explain,
    lab,
    members,
    metrics,
    reload,
    run,
    status,
)

app = typer.Typer(
    name="unwired",
    help="IP mobility on a stock Linux kernel: one address, wherever you move.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


for command in (run, status, metrics, bindings, members, explain, events, reload, config, doctor, decode, lab, bench):
    command.register(app)


def main() -> None:
    app()
