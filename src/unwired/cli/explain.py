"""``unwired explain``: why a packet to an address goes where it goes."""

from typing import Annotated

import typer

from unwired.cli.daemon_client import ConfigOption, JsonOption, SocketOption, ask, control_socket
from unwired.cli.output import print_json


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the packet is going.", show_default=False)],
    config: ConfigOption = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a packet to ADDRESS goes where it goes: binding, route, forwarding row, tunnel, route out."""
    answer = ask(control_socket(config, socket), "explain", address=address)
    if as_json:
        print_json(answer)
        return
    for sentence in [*answer["engine"], *answer["path"]]:
        print(sentence)
