"""``unwired events``: what has happened, and what happens."""

import json
from typing import Annotated

import typer

from unwired.cli.daemon_client import ConfigOption, SocketOption, control_socket, stream


def register(app: typer.Typer) -> None:
    app.command("events")(events)


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
    config: ConfigOption = None,
    socket: SocketOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """The latest events of the daemon; docs/events.md says what each means."""
    from unwired.host.notice_board import event_line

    try:
        for event in stream(control_socket(config, socket), "events", follow=follow):
            print(json.dumps(event) if as_json else event_line(event), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
