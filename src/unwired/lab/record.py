"""What a run leaves for its analysis: what was done when, and where its logs are.

Every time is CLOCK_MONOTONIC in seconds (one clock for all namespaces of a host); ``wall_minus_monotonic_s`` turns one
into seconds since 1970.
"""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unwired.lab.result import PathMeasured
from unwired.lab.scenario import Scenario


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """One move as it was carried out. ``source`` and ``destination`` are networks.

    ``detached_at`` is when the interface lost its link (None: it had none), ``attached_at`` when it had the new one
    (None: there is no new one). ``others`` are the networks that the node's other interfaces were in meanwhile.
    """

    node: str
    interface: str
    source: str | None
    destination: str | None
    detached_at: float | None
    attached_at: float | None
    others: dict[str, str] = field(default_factory=dict)
    leaves_home: bool = False
    returns_home: bool = False

    @property
    def make_before_break(self) -> bool:
        """The node gained a link while it had another."""
        return self.source is None and self.destination is not None and bool(self.others)

    @property
    def began_at(self) -> float:
        times = [at for at in (self.detached_at, self.attached_at) if at is not None]
        return min(times)


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """One direction of one traffic section. ``kind`` is ``udp`` or ``tcp``; both logs are in ``traffic.log``'s form."""

    kind: str
    source: str
    destination: str
    source_address: str
    destination_address: str
    source_log: Path
    sink_log: Path
    interval_ms: float | None = None

    @property
    def family(self) -> str:
        return f"IPv{ipaddress.ip_address(self.destination_address).version}"


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """What a node's daemon told: an object of ``unwired events --follow --json``, as it came."""

    node: str
    at: float
    name: str
    level: str
    fields: dict[str, Any]
    home_address: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """An IPv4 address that became ready to be used on a node, ``by`` its DHCP client (``dhcp``) or its CLAT."""

    node: str
    at: float
    interface: str
    by: str
    address: str


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Something that broke, or was mended (``what`` is ``heal``), and when. ``node`` is the node concerned or the cut
    links. ``bindings_before`` and ``bindings_after`` are what each home agent that was not concerned held."""

    what: str
    node: str
    at: float
    bindings_before: dict[str, int]
    bindings_after: dict[str, int]


@dataclass(frozen=True, slots=True)
class CaptureRecord:
    """A capture of the signalling on one interface: IPv6 packets with a mobility header, destination options or a
    routing header, and ICMPv6, also in UDP over IPv4. Nanosecond pcap whose time stamps are seconds since 1970."""

    node: str
    interface: str
    path: Path


@dataclass(frozen=True, slots=True)
class RunRecord:
    """``scenario.expect`` holds the expectations. ``started_at`` is time zero of the timeline, ``ended_at`` when the
    traffic was stopped. ``problems`` are sentences: a process that died, for example; a run with one has failed."""

    scenario: Scenario
    directory: Path
    started_at: float
    ended_at: float
    wall_minus_monotonic_s: float
    moves: tuple[MoveRecord, ...] = ()
    flows: tuple[FlowRecord, ...] = ()
    notices: tuple[NoticeRecord, ...] = ()
    captures: tuple[CaptureRecord, ...] = ()
    configurations: tuple[ConfigurationRecord, ...] = ()
    paths: tuple[PathMeasured, ...] = ()
    failures: tuple[FailureRecord, ...] = ()
    bindings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What each home agent held at the end, as ``unwired bindings --json`` prints it, by its node's name."""
    problems: tuple[str, ...] = ()
