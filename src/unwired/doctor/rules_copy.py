"""The host's packet filter rules, copied into the namespace of the calling thread, and which of them drop a packet.

The kernel itself then says what they do with a packet: sets, maps, marks, connection tracking and all. Rules that
iptables made are taken by its own programs, because nft can't say all of them.
"""

import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TIMEOUT_S = 15.0
_TRACE_TABLE = """
table inet unwired-doctor {
  chain arriving { type filter hook prerouting priority -500; meta nftrace set 1; }
  chain leaving { type filter hook output priority -500; meta nftrace set 1; }
}
"""
_TRACE_S = 2.0
_DROP = re.compile(
    r"^trace id \S+ (\S+) (\S+) (\S+) (?:rule (.*) \(verdict drop\)|(?:verdict \S+ )?policy drop).*\n", re.MULTILINE
)
_IPTABLES = {"ip": "iptables", "ip6": "ip6tables"}


class RulesError(Exception):
    """The rules can't be read or copied; the text says why."""


Text = tuple[tuple[str, ...], str]
"""A command, and what it takes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``texts``: nft's first. ``foreign``: the tables (family, name) that iptables made, which nft can't copy."""

    texts: tuple[Text, ...]
    foreign: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Dropping:
    """The chain that drops a packet, and its ``rule``: the words of nft, or ``policy drop``."""

    family: str
    table: str
    chain: str
    rule: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}: {self.rule}"


def read_rules() -> Rules:
    """Needs root. Raises RulesError."""
    if shutil.which("nft") is None:
        raise RulesError("nft, which could show the rules, is not installed (Debian: apt install nftables)")
    listed: list[dict[str, Any]] = json.loads(_run(("nft", "-j", "list", "ruleset")))["nftables"]
    foreign = {
        (rule["family"], rule["table"])
        for rule in (each["rule"] for each in listed if "rule" in each)
        if any("xt" in expression for expression in rule.get("expr", ()))
    }
    texts: list[Text] = [(("nft", "-f", "-"), _run(("nft", "-s", "list", "ruleset")))]
    for family, name in _IPTABLES.items():
        if any(family == known for known, _ in foreign):
            texts.append(_saved(name, f"{name}-nft-save", f"{name}-save"))
        of_its_own = Path(
            f"/proc/thread-self/net/{family}_tables_names"
        )  # of an iptables that is not built on nftables
        if of_its_own.exists() and of_its_own.read_text():
            texts.append(_saved(name, f"{name}-legacy-save", f"{name}-save"))
    return Rules(tuple(texts), tuple(sorted(foreign)))


def _saved(name: str, *commands: str) -> Text:
    """What the first of these commands that there is prints, for the one that takes it."""
    for command in commands:
        if shutil.which(command) is not None:
            return (command.replace("save", "restore"),), _run((command,))
    raise RulesError(f"there are rules of {name}, and it is not installed to read them (Debian: apt install iptables)")


def load_rules(rules: Rules) -> None:
    """Interfaces that the rules name must be there. Raises RulesError."""
    (nft, text), *others = rules.texts
    _run(nft, text)
    for family, table in rules.foreign:
        _run(("nft", "delete", "table", family, table))
    for command, saved in others:
        _run(command, saved)


def dropping_rule(send: Callable[[], object]) -> Dropping | None:
    """What drops the packet that ``send`` sends; None when it can't be told. Raises RulesError."""
    _run(("nft", "-f", "-"), _TRACE_TABLE)
    monitor = subprocess.Popen(("nft", "monitor", "trace"), stdout=subprocess.PIPE)
    try:
        return _traced(monitor, send)
    finally:
        monitor.terminate()
        monitor.communicate()
        _run(("nft", "delete", "table", "inet", "unwired-doctor"))


def _traced(monitor: "subprocess.Popen[bytes]", send: Callable[[], object]) -> Dropping | None:
    """The monitor does not say when it is ready: the packet is sent until it is seen."""
    assert monitor.stdout is not None
    said, end = b"", time.monotonic() + _TRACE_S
    while time.monotonic() < end:
        send()
        while select.select([monitor.stdout], [], [], _TRACE_S / 20)[0]:
            some = os.read(monitor.stdout.fileno(), 1 << 16)
            said += some
            found = _DROP.search(said.decode(errors="replace"))
            if found:
                return Dropping(found[1], found[2], found[3], _readable(found[4] or "policy drop"))
            if not some:
                return None
    return None


def _readable(rule: str) -> str:
    return " ".join(re.sub(r"counter packets \d+ bytes \d+", "", rule).split())


def _run(command: tuple[str, ...], text: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RulesError(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        raise RulesError(f"{' '.join(command)}: {' '.join((done.stderr or done.stdout).split())}")
    return done.stdout
