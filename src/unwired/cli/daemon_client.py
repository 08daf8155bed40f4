"""Asking a running daemon: its control socket, a request, the answers, and errors that a person understands."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

RUNTIME = Path("/run/unwired")
REQUEST_SCHEMA = "unwired.request/1"
ERROR_SCHEMA = "unwired.error/1"
ANSWER_TIMEOUT_S = 30.0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3
EXIT_NO_ROOT = 4

CONFIG_VARIABLE = "UNWIRED_CONFIG"
"""The environment variable that stands for --config where that is left out."""
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="The daemon's configuration file.", show_default=False),
]
SocketOption = Annotated[Path | None, typer.Option("--socket", help="The daemon's control socket.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def fail(message: str, code: int = EXIT_FAILED) -> typer.Exit:
    """Say it on stderr; raise what is returned."""
    print(f"unwired: {message}", file=sys.stderr)
    return typer.Exit(code)


def control_socket(config: Path | None, named: Path | None) -> Path:
    """The socket that the options name, or that of the only daemon here."""
    if named is not None:
        return named
    if config is not None:
        from unwired.host.config import ConfigError, load

        try:
            return load(config).daemon.control_socket
        except ConfigError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(EXIT_USAGE) from None
    found = sorted(RUNTIME.glob("*/control.sock"))
    if not found:
        raise fail(f"no daemon is running (nothing in {RUNTIME}): start one with `unwired run -c FILE`", EXIT_NO_DAEMON)
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise fail(f"several daemons are running ({names}): choose one with --config or --socket", EXIT_USAGE)
    return found[0]


def ask(path: Path, verb: str, **request: Any) -> dict[str, Any]:
    """The one answer to a request; ends the command when there is none."""
    for answer in stream(path, verb, timeout_s=ANSWER_TIMEOUT_S, **request):
        return answer
    raise fail(f"the daemon at {path} closed the connection without an answer", EXIT_NO_DAEMON)


def stream(path: Path, verb: str, timeout_s: float | None = None, **request: Any) -> Iterator[dict[str, Any]]:
    """The answers to a request until the daemon ends or closes the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            line = json.dumps({"schema": REQUEST_SCHEMA, "verb": verb, **request}) + "\n"
            connection.sendall(line.encode())
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("r", encoding="utf-8") as lines:
                for answer in map(json.loads, lines):
                    if answer.get("schema") == ERROR_SCHEMA:
                        raise fail(answer["error"])
                    yield answer
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise fail(f"no daemon is running at {path}: start it with `unwired run -c FILE`", EXIT_NO_DAEMON) from None
        except PermissionError:
            raise fail(f"{path} may only be used by root and its group: try with sudo") from None
        except TimeoutError:
            raise fail(f"the daemon at {path} does not answer") from None
        except (ConnectionError, ValueError) as error:
            raise fail(f"the connection to the daemon at {path} broke: {error}") from None
