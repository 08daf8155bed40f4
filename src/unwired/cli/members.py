"""``unwired members``: the home agent set as a member sees it, leaving it gracefully, and its certificates."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unwired.cli.daemon_client import (
    EXIT_USAGE,
    ConfigOption,
    JsonOption,
    SocketOption,
    ask,
    control_socket,
    fail,
)
from unwired.cli.output import print_json, print_table

_COLUMNS = ("name", "state", "address", "locator", "primaries", "rtt_ms", "lag_ms", "false_detections")

AUTHORITY = "authority"

members = typer.Typer(invoke_without_command=True, help=__doc__)


def register(app: typer.Typer) -> None:
    app.add_typer(members, name="members", help="The home agent set as a member sees it.")


@members.callback()
def _bare(
    context: typer.Context, config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False
) -> None:
    """The members of the set as this one sees them."""
    if context.invoked_subcommand is None:
        list_members(config, socket, as_json)


@members.command("list")
def list_members(config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False) -> None:
    """The members of the set as this one sees them."""
    answer = ask(control_socket(config, socket), "members")
    if as_json:
        print_json(answer)
        return
    rows: list[dict[str, Any]] = answer["members"]
    print_table(
        [name.replace("_", " ") for name in _COLUMNS], [[_plain(row.get(name)) for name in _COLUMNS] for row in rows]
    )
    for row in rows:
        if row.get("problem"):
            print(f"{row['name']}: {row['problem']}")


@members.command("drain")
def drain(config: ConfigOption = None, socket: SocketOption = None, as_json: JsonOption = False) -> None:
    """Leave the set gracefully: withdraw the prefix, hand the mobile nodes over, then end the daemon."""
    answer = ask(control_socket(config, socket), "drain")
    if as_json:
        print_json(answer)
    elif answer["primaries"] and answer["nearest"] is None:
        print(
            f"draining: no other member serves, so {answer['primaries']} mobile nodes are left without home agent when "
            "the daemon ends, in a few seconds, unless one comes up (watch: unwired events --follow)"
        )
    else:
        print(
            f"draining: {answer['primaries']} mobile nodes are asked to change to other members; the daemon ends when "
            "they have (watch: unwired events --follow)"
        )


@members.command("authority")
def authority(
    directory: Annotated[Path, typer.Argument(help="Where its files go.")],
    name: Annotated[str, typer.Option(help="Names the files, and the authority in certificates.")] = AUTHORITY,
) -> None:
    """Make the set's own certificate authority, once. Its private key signs members: keep it off the home agents."""
    from unwired.plane.certificates import CertificateError, create_authority

    try:
        certificate, key = create_authority(directory, name)
    except CertificateError as error:
        raise fail(str(error)) from None
    print(f"made {certificate} (to every member) and {key} (keep it safe)")


@members.command("certificate")
def certificate(
    directory: Annotated[Path, typer.Argument(help="The directory of the authority; the new files go there, too.")],
    member: Annotated[str, typer.Argument(help="The member's name.")],
    locator: Annotated[str, typer.Argument(help="The member's locator address.")],
    authority: Annotated[str, typer.Option(help="The authority's name.")] = AUTHORITY,
) -> None:
    """Make a member's certificate and private key, signed by the set's authority."""
    from unwired.plane.certificates import CertificateError, create_member
    from unwired.wire.address import parse_address

    try:
        address = parse_address(locator)
    except ValueError as error:
        raise fail(str(error), EXIT_USAGE) from None
    try:
        made, key = create_member(
            directory, directory / f"{authority}.crt", directory / f"{authority}.key", member, address
        )
    except CertificateError as error:
        raise fail(str(error)) from None
    print(f"made {made} and {key}: both to {member}, with {directory / f'{authority}.crt'}")


def _plain(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value
