"""``unwired bindings``: the binding cache of a home agent, or the binding update list of a mobile node."""

from typing import Any

import typer

from unwired.cli.daemon_client import ConfigOption, JsonOption, SocketOption, ask, control_socket
from unwired.cli.output import print_json, print_table

_COLUMNS = (
    "home_address",
    "care_of_address",
    "care_of_port",
    "encapsulation",
    "home_address_ipv4",
    "mobile_prefix_ipv4",
    "state",
    "identifier",
    "home_agent",
    "primary",
    "version",
    "sequence",
    "lifetime_s",
    "remaining_s",
)


def register(app: typer.Typer) -> None:
    app.command("bindings")(bindings)


def bindings(config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False) -> None:
    """Which home addresses are bound to which care-of addresses, and for how long."""
    answer = ask(control_socket(config, socket), "bindings")
    if as_json:
        print_json(answer)
        return
    rows: list[dict[str, Any]] = answer["bindings"]
    if not rows:
        print("no bindings")
        return
    columns = [name for name in _COLUMNS if any(row.get(name) is not None for row in rows)]
    print_table(
        [name.replace("_", " ") for name in columns], [[_plain(row.get(name)) for name in columns] for row in rows]
    )


def _plain(value: Any) -> Any:
    return round(value) if isinstance(value, float) else value
