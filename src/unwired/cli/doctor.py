"""``unwired doctor``: what this host lacks to be a home agent or a mobile node."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unwired.cli.daemon_client import EXIT_FAILED, EXIT_NO_ROOT, EXIT_USAGE, ConfigOption, JsonOption, fail
from unwired.cli.output import print_json
from unwired.wire.address import Address, format_address, parse_address

if TYPE_CHECKING:
    from unwired.doctor.finding import Finding
    from unwired.doctor.host import Host

SCHEMA = "unwired.doctor/1"
EXCHANGE_SCHEMA = "unwired.doctor-exchange/1"
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "cyan"}

PeerOption = Annotated[
    str | None,
    typer.Option("--peer", metavar="ADDRESS", help="Try also what passes to and from ADDRESS.", show_default=False),
]
AnswerOption = Annotated[
    str | None,
    typer.Option("--answer", metavar="ADDRESS", help="Answer what ADDRESS tries, until Ctrl-C.", show_default=False),
]


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    config: ConfigOption = None, peer: PeerOption = None, answer: AnswerOption = None, as_json: JsonOption = False
) -> None:
    """What this host lacks to be what its configuration file says; without one: a home agent, or a mobile node.

    Changes nothing on the host. As root it can look at more."""
    from unwired.doctor.checks import examine, examine_exchange
    from unwired.doctor.peer import PeerError, ask

    host = _host(config)
    if peer is not None and answer is not None:
        raise fail("one side asks (--peer), and the other one answers (--answer)", EXIT_USAGE)
    try:
        if answer is not None:
            _answer(host, _address(answer, host), as_json)
        other = None if peer is None else _address(peer, host)
        findings = list(examine(host))
        if other is not None:
            findings += examine_exchange(host, ask(host, other))
    except PeerError as error:
        raise fail(str(error)) from None
    failed = any(finding.level == "fail" for finding in findings)
    if as_json:
        about = {"config": None if config is None else str(config), "roles": sorted(host.roles), "peer": peer}
        print_json({"schema": SCHEMA, **about, "ok": not failed, "findings": _plain(findings)})
    else:
        _print(findings, len(host.roles) > 1)
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _host(config: Path | None) -> "Host":
    from unwired.doctor.host import Host
    from unwired.host.config import ConfigError, load

    try:
        return Host(None if config is None else load(config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None


def _address(text: str, host: "Host") -> Address:
    try:
        address = parse_address(text)
    except ValueError as error:
        raise fail(str(error), EXIT_USAGE) from None
    if not host.is_root:
        raise fail("only root can try what passes: it takes packets of all kinds", EXIT_NO_ROOT)
    return address


def _answer(host: "Host", peer: Address, as_json: bool) -> None:
    """Until interrupted; raises typer.Exit."""
    from unwired.doctor.checks import examine_exchange
    from unwired.doctor.peer import answer

    print(f"answering {format_address(peer)}; Ctrl-C ends it", file=sys.stderr, flush=True)
    try:
        for exchange in answer(host, peer):
            findings = list(examine_exchange(host, exchange))
            if as_json:
                about = {"schema": EXCHANGE_SCHEMA, "peer": format_address(peer)}
                print(json.dumps({**about, "findings": _plain(findings)}), flush=True)
            else:
                _print(findings, of_both_roles=False)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _plain(findings: "list[Finding]") -> list[dict[str, Any]]:
    return [finding.as_json() for finding in findings]


def _print(findings: "list[Finding]", of_both_roles: bool) -> None:
    """A line for what is well; below anything else why it matters, and what to do. A sentence at the end."""
    for finding in findings:
        level = f"{finding.level:<8}"
        if sys.stdout.isatty():
            level = typer.style(level, fg=_COLOURS[finding.level])
        about = f" {finding.about}" if finding.about else ""
        if finding.role is not None and of_both_roles:
            about += f" ({finding.role.replace('_', ' ')})"
        print(f"{level}{finding.code}{about}: {finding.found}")
        if finding.fix:
            print(f"        why: {finding.why}")
            print(f"        fix: {finding.fix}")
    counts = {level: sum(finding.level == level for finding in findings) for level in _COLOURS}
    print(
        f"{'Something' if counts['fail'] else 'Nothing'} fails: {counts['ok']} ok, {counts['warn']} to look at (warn), "
        f"{counts['fail']} to put right (fail), {counts['unknown']} not known.",
        flush=True,
    )
