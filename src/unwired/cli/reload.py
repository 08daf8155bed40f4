"""``unwired reload``: apply a changed configuration file in place, and say what can't be."""

import sys

import typer

from unwired.cli.daemon_client import EXIT_USAGE, ConfigOption, JsonOption, SocketOption, ask, control_socket
from unwired.cli.output import print_json


def register(app: typer.Typer) -> None:
    app.command("reload")(reload)


def reload(config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False) -> None:
    """Make the daemon read its configuration file again, as SIGHUP does, and tell what became of it."""
    answer = ask(control_socket(config, socket), "reload")
    if as_json:
        print_json(answer)
    elif answer["applied"]:
        print("applied")
    for reason in answer["reasons"]:
        print(reason, file=sys.stderr)
    if not answer["applied"]:
        raise typer.Exit(EXIT_USAGE)
