"""``unwired doctor``: what this host lacks to be a home agent or a mobile node."""

import sys
from typing import TYPE_CHECKING

import typer

from unwired.cli.daemon_client import EXIT_FAILED, EXIT_USAGE, ConfigOption, JsonOption
from unwired.cli.output import print_json

if TYPE_CHECKING:
    from unwired.doctor.finding import Finding

SCHEMA = "unwired.doctor/1"
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "cyan"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What this host lacks to be what its configuration file says; without one: a home agent, or a mobile node.

    Changes nothing on the host. As root it can look at more."""
    from unwired.doctor.checks import examine
    from unwired.doctor.host import Host
    from unwired.host.config import ConfigError, load

    try:
        host = Host(load(config) if config is not None else None)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
    findings = list(examine(host))
    failed = [finding for finding in findings if finding.level == "fail"]
    if as_json:
        roles = sorted(role.value for role in host.roles)
        answer = {"config": str(config) if config else None, "roles": roles, "ok": not failed}
        print_json({"schema": SCHEMA, **answer, "findings": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            _print(finding)
        print(_summary(findings))
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _print(finding: "Finding") -> None:
    """A line for what is well; below anything else why it matters, and what to do."""
    level = f"{finding.level.value:<8}"
    if sys.stdout.isatty():
        level = typer.style(level, fg=_COLOURS[finding.level.value])
    about = f" {finding.about}" if finding.about else ""
    print(f"{level}{finding.code}{about}: {finding.found}")
    if finding.fix:
        print(f"        why: {finding.why}")
        print(f"        fix: {finding.fix}")


def _summary(findings: "list[Finding]") -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in _COLOURS}
    said = [
        f"{counts['fail']} fail",
        f"{counts['warn']} to look at",
        f"{counts['unknown']} could not be looked at",
        f"{counts['ok']} well",
    ]
    return f"{'Nothing fails' if not counts['fail'] else 'Something fails'}: {', '.join(said)}."
