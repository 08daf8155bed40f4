"""``unwired metrics``: what a daemon counts, for Prometheus."""

import typer

from unwired.cli.daemon_client import ConfigOption, SocketOption, ask, control_socket


def register(app: typer.Typer) -> None:
    app.command("metrics")(metrics)


def metrics(config: ConfigOption = None, socket: SocketOption = None) -> None:
    """What the daemon counts, drop reasons included, in Prometheus' text format."""
    print(ask(control_socket(config, socket), "metrics")["text"], end="")
