"""The managed BIRD 2: its configuration, made from ours and meant to be read, and its control socket.

The same filters are what an operator's own BIRD needs (docs/bgp.md). BIRD learns the marked routes from the kernel and
tells them to the site's routers; it takes nothing from anybody and writes nothing into the kernel.
"""

import asyncio
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from unwired.plane.bgp import Announcement, BgpConfig, BgpNeighbor, Community, prefix_text
from unwired.plane.marked_route import DRAIN_METRIC, METRICS, PROTOCOL
from unwired.wire.address import Address, format_address, is_ipv4

VERSION_MIN: Final = (2, 0, 11)
"""The first with BGP roles (RFC 9234)."""
GRACEFUL_SHUTDOWN: Final[Community] = (65535, 0)
"""RFC 8326: the receiver prefers any other path."""
ANSWER_MAX = 1 << 20
_TIMEOUT_S = 2.0
_LOG_BYTES = 1 << 20
_OWN_KERNEL_METRIC = 1_000_002
"""BIRD removes routes of its own protocol number and metric that it did not make: with its default 32 it would remove
those of another BIRD on this host."""
_RESTART_WAIT_S = 10


class BirdError(Exception):
    """BIRD is missing, too old, or refuses; the text is for a person: what, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session as BIRD sees it: ``state`` is RFC 4271's name, or BIRD's where the protocol is not up; ``since``
    is in seconds since 1970."""

    neighbor: str
    as_number: int
    state: str
    since: int
    detail: str = ""


# --- the configuration ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Family:
    """An address family: BIRD's name of its channel, and what ours of the same kind end with."""

    channel: str
    suffix: str
    is_ipv4: bool

    def has(self, address: Address) -> bool:
        return is_ipv4(address) == self.is_ipv4


_IPV6, _IPV4 = _Family("ipv6", "", False), _Family("ipv4", "_ipv4", True)


def configuration(announcement: Announcement, directory: Path) -> str:
    """The text of bird.conf."""
    bgp = announcement.bgp
    families = [family for family in (_IPV6, _IPV4) if any(family.has(prefix[0]) for prefix in announcement.prefixes)]
    communities = "".join(f"  {_add(community)}\n" for community in bgp.communities)
    parts = [
        "# Made by Unwired, and made again when its configuration changes: what you write here is lost.",
        f'log "{directory}/bird.log" {_LOG_BYTES} "{directory}/bird.log.old" all;\n'
        'timeformat protocol "%s";  # seconds since 1970',
        f"router id {_dotted(bgp.router_id)};",
        f"# When this BIRD is killed, neighbours without BFD keep its routes until it is back (RFC 4724).\n"
        f"graceful restart wait {_RESTART_WAIT_S};",
        "protocol device { scan time 10; }",
        *(_marked(family, announcement) for family in families),
        f"# With metric {DRAIN_METRIC} a route is about to go: neighbours prefer any other way (RFC 8326).\n"
        f"filter to_site {{\n"
        f"  if source != RTS_INHERIT then reject;\n{communities}"
        f"  if krt_metric = {DRAIN_METRIC} then {_add(GRACEFUL_SHUTDOWN)}\n"
        f"  accept;\n}}",
    ]
    if any(neighbor.bfd for neighbor in bgp.neighbors):
        parts.append("protocol bfd { accept direct; }")
    parts += [_neighbor(number, neighbor, announcement) for number, neighbor in enumerate(bgp.neighbors, start=1)]
    return "\n\n".join(parts) + "\n"


def _marked(family: _Family, announcement: Announcement) -> str:
    prefixes = ", ".join(prefix_text(prefix) for prefix in announcement.prefixes if family.has(prefix[0]))
    metrics = ", ".join(map(str, METRICS))
    return (
        f"# What may be announced: the home prefixes, while the daemon's supervisor keeps their marked routes.\n"
        f"filter marked{family.suffix} {{\n"
        f"  if krt_source = {PROTOCOL} && krt_metric ~ [ {metrics} ] && net ~ [ {prefixes} ] then accept;\n"
        f"  reject;\n}}\n\n"
        f"# Kernel routes are read and never written. No other BIRD on this host has this metric: routes of its own\n"
        f"# protocol and metric that it did not make a BIRD removes.\n"
        f"protocol kernel marked_routes{family.suffix} {{\n"
        f"  learn;\n  scan time 10;\n  metric {_OWN_KERNEL_METRIC};\n"
        f"  {family.channel} {{ import filter marked{family.suffix}; export none; }};\n}}"
    )


def _neighbor(number: int, neighbor: BgpNeighbor, announcement: Announcement) -> str:
    bgp = announcement.bgp
    family = _IPV4 if is_ipv4(neighbor.address) else _IPV6
    lines = [
        f"local as {bgp.as_number};",
        f"neighbor {format_address(neighbor.address)} as {neighbor.as_number};",
        "direct;",
        "local role customer;  # RFC 9234",
        "connect delay time 1; connect retry time 5; error wait time 1, 30;",
        "hold time 90;",
        f"graceful restart on; graceful restart time {max(1, round(bgp.hold_time_s))};",
    ]
    if neighbor.bfd:
        interval = f"{bgp.bfd_interval_ms} ms"
        lines.append(
            f"bfd {{ min rx interval {interval}; min tx interval {interval}; multiplier {bgp.bfd_multiplier}; }};"
        )
    if neighbor.ttl_security:
        lines.append("ttl security on;")
    if neighbor.password:
        lines.append(f'password "{neighbor.password}";')
    lines += [
        f"{family.channel} {{",
        "  import none;  # explicit policies both ways (RFC 8212)",
        "  export filter to_site;",
        f"  export limit {sum(family.has(prefix[0]) for prefix in announcement.prefixes)} action block;",
        "};",
    ]
    return f"protocol bgp neighbor{number} {{\n" + "".join(f"  {line}\n" for line in lines) + "}"


def _add(community: Community) -> str:
    kind = "bgp_community" if len(community) == 2 else "bgp_large_community"
    return f"{kind}.add(({', '.join(map(str, community))}));"


def _dotted(router_id: int) -> str:
    return ".".join(str(byte) for byte in router_id.to_bytes(4))


# --- the program ------------------------------------------------------------------------------------------------------


def find() -> str:
    """Where BIRD is. Raises BirdError."""
    program = shutil.which("bird", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise BirdError(
            'BIRD is not installed: bgp.mode = "managed" runs one to announce the home prefix. '
            'Install it (apt install bird2), or set bgp.mode = "external" and use a routing daemon of your own'
        )
    return program


async def check(program: str, file: Path) -> None:
    """Raises BirdError when this BIRD is too old for us, or refuses the configuration in ``file``."""
    _, said = await _run(program, "--version")
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    version = tuple(int(part or 0) for part in found.groups()) if found else ()
    if version < VERSION_MIN:
        raise BirdError(
            f"{program} is version {found[0] if found else 'unknown'}: {'.'.join(map(str, VERSION_MIN))} or later is "
            "needed, for BGP roles (RFC 9234). Install a newer one (apt install bird2, from backports if need be), or "
            'set bgp.mode = "external" and use a routing daemon of your own'
        )
    status, said = await _run(program, "-p", "-c", str(file))
    if status:
        raise BirdError(f"BIRD refuses the configuration made for it: {said.strip()}")


async def _run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


# --- its control socket -----------------------------------------------------------------------------------------------


async def ask(control: Path, command: str) -> list[tuple[int, str]]:
    """What a running BIRD answers to a command of birdc: lines with their codes, of which those from 8000 are errors.
    Raises OSError (TimeoutError among them) when it does not answer."""
    async with asyncio.timeout(_TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(control, limit=ANSWER_MAX)
        try:
            await _lines(reader)  # its greeting
            writer.write(f"{command}\n".encode())
            return await _lines(reader)
        finally:
            writer.transport.abort()


async def _lines(reader: asyncio.StreamReader) -> list[tuple[int, str]]:
    """One answer: lines ``CODE-text`` up to one ``CODE text``; a line that begins with a space has the last code."""
    lines: list[tuple[int, str]] = []
    read, code = 0, 0
    while True:
        try:
            raw = await reader.readline()
        except ValueError:
            raise ConnectionError("BIRD's answer has a line without end") from None
        read += len(raw)
        if not raw.endswith(b"\n") or read > ANSWER_MAX:
            raise ConnectionError("BIRD's answer was cut")
        line = raw.decode(errors="replace").rstrip("\n")
        if line[:1] == " ":
            lines.append((code, line[1:]))
            continue
        if not line[:4].isdecimal() or line[4:5] not in ("-", " "):
            raise ConnectionError("what answers is no BIRD")
        code = int(line[:4])
        lines.append((code, line[5:]))
        if line[4] == " ":
            return lines


async def sessions(control: Path, bgp: BgpConfig) -> list[Session]:
    """How it stands with every neighbour, in their order. Raises OSError when BIRD does not answer."""
    found = dict(_protocols(await ask(control, "show protocols")))
    return [
        _session(neighbor, found.get(f"neighbor{number}")) for number, neighbor in enumerate(bgp.neighbors, start=1)
    ]


def _protocols(lines: list[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
    """Name and the columns behind it: protocol, table, state, since, and info in words."""
    for code, line in lines:
        columns = line.split(None, 5)
        if code == 1002 and len(columns) >= 5:
            yield columns[0], columns[1:]


def _session(neighbor: BgpNeighbor, columns: list[str] | None) -> Session:
    address = format_address(neighbor.address)
    if columns is None:
        return Session(address, neighbor.as_number, "unknown", 0)
    state, _, detail = (columns[4] if len(columns) > 4 else columns[2]).partition(" ")
    return Session(address, neighbor.as_number, state, int(columns[3]) if columns[3].isdecimal() else 0, detail.strip())
