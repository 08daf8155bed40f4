"""``unwired status``: what a daemon is doing."""

from typing import Any

import typer

from unwired.cli.daemon_client import ConfigOption, JsonOption, SocketOption, ask, control_socket
from unwired.cli.output import duration, print_json, print_pairs


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False) -> None:
    """What the daemon is doing: its role's state, counters, and why packets were dropped."""
    answer = ask(control_socket(config, socket), "status")
    if as_json:
        print_json(answer)
        return
    print_pairs(
        [
            ("daemon", f"{answer['name']} ({answer['role'].replace('_', ' ')}), process {answer['pid']}"),
            ("version", answer["version"]),
            ("configuration", answer["config"]),
            ("running for", duration(answer["uptime_s"])),
            ("waiting for", answer["waiting_for"]),
        ]
    )
    _section("role", answer["engine"] or {})
    _section("control packets", answer["counters"])
    _section("dropped", {name: count for name, count in answer["drops"].items() if count})
    plane = answer["data_plane"]
    counted = {name: count for name, count in plane["counters"].items() if count}
    _section("data plane", {"tunnel_device": plane["tunnel_device"], "uplinks": plane["uplinks"], **counted})


def _section(title: str, values: dict[str, Any]) -> None:
    plain: list[tuple[str, str]] = []
    for name, value in values.items():
        if value in (None, []):
            continue
        # Things that have fields of their own: a line each.
        lines = value if isinstance(value, list) and isinstance(value[0], dict) else [value]
        names = [f"  {name.replace('_', ' ')}", *[""] * (len(lines) - 1)]
        plain += [(each, _plain(line)) for each, line in zip(names, lines, strict=True)]
    if plain:
        print()
        print(title)
        print_pairs(plain)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(f"({_plain(each)})" if isinstance(each, dict) else _plain(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items() if each not in (None, [], {}))
    return str(value)
