"""What a run of a scenario comes to: the object that ``unwired lab run --json`` prints.

Plain numbers in the units their names carry; seconds in ``..._at_s`` count from the start of the run. ``to_json`` gives
JSON values only; its keys are stable (schema ``unwired.lab.result/1``).
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

SCHEMA = "unwired.lab.result/1"

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

FIRST_REGISTRATION = "first registration"
"""The home agent had no binding: from a real home link it first proves the home address unique, which takes 1 s."""
HANDOVER = "handover"
RETURN_HOME = "return home"
LINK_GAINED = "link gained"
"""Another link came up and the node stayed with the one that it had."""
LINK_LEFT = "link left"
"""A link went that was not in use: the second half of make-before-break."""
LINK_LOST = "link lost"
"""The node has no link at all until its next move."""

_JSON_NAMES = {"source": "from", "destination": "to"}
_DECIMALS = 3


def _json(value: object) -> Json:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    return {_JSON_NAMES.get(item.name, item.name): _json(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A metric against its limit. ``comparison`` is ``at most``, ``at least`` or ``exactly``; ``measured`` None says
    that the run gave nothing to measure, which never passes."""

    name: str
    passed: bool
    measured: float | None
    unit: str
    limit: float
    comparison: str = "at most"


@dataclass(frozen=True, slots=True)
class DirectionOfMove:
    """One direction of a probe around one move. ``source`` and ``destination`` are node names, ``family``
    ``IPv4`` or ``IPv6``.

    ``interruption_ms``: from the new link being usable to the first packet that came through it (make-before-break: the
    longest silence at the receiver beyond the probe's interval); None when none came.
    ``silence_ms``: the whole time without a packet at the receiver, the time without any link included.
    ``packets_late``: delivered, but more than one probe interval later than either path's usual delay.
    """

    source: str
    destination: str
    interruption_ms: float | None
    silence_ms: float | None
    packets_lost: int
    packets_late: int
    delay_before_ms: float | None
    delay_after_ms: float | None
    family: str


@dataclass(frozen=True, slots=True)
class Handover:
    """One move of one node. ``at_s`` is when it began; ``usable_at_s`` when the new link was up. With two links up, the
    other one's network stands where the move itself names none.

    ``interruption_ms`` is the worse direction's; ``signalling_ms`` is binding update sent to acknowledgement accepted;
    ``registered_ms`` is new link usable to acknowledgement accepted. None: not seen. ``configuration_ms`` is what of it
    the host took to have the IPv4 care-of address, by DHCP or a CLAT; None: the node registered with another one.
    """

    at_s: float
    usable_at_s: float
    node: str
    source: str | None
    destination: str | None
    kind: str
    make_before_break: bool
    interruption_ms: float | None
    packets_lost: int
    packets_late: int
    signalling_ms: float | None
    registered_ms: float | None
    configuration_ms: float | None = None
    directions: tuple[DirectionOfMove, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction of a TCP stream whose every byte was checked. ``bytes`` arrived and are right."""

    source: str
    destination: str
    bytes: int
    bytes_lost: int
    bytes_duplicated: int
    bytes_corrupted: int
    resets: int
    longest_stall_ms: float
    family: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One direction of a UDP probe over the whole run. ``send_errors`` counts packets that the sender's own host
    refused (no route while there is no link): they are not among ``sent``, but their numbers are lost all the same."""

    source: str
    destination: str
    interval_ms: float
    sent: int
    send_errors: int
    received: int
    lost: int
    duplicated: int
    delay_median_ms: float | None
    delay_p99_ms: float | None
    family: str


@dataclass(frozen=True, slots=True)
class PathMeasured:
    """One correspondent as a mobile node reaches it from where it is, through the home agents and directly.

    ``rtt_ms``: round trip from the home address; ``direct_rtt_ms``: from the care-of address, at the same time; their
    ratio is ``stretch``. ``entry_agent``: the home agent at which the correspondent's packets enter; ``primary_agent``:
    the one that sends them to the mobile node. ``hops_to_node`` and ``hops_from_node``: the nodes passed, both ends
    included, ``direct_hops`` those of the direct path from the node.
    """

    at_s: float
    node: str
    network: str | None
    correspondent: str
    rtt_ms: float
    direct_rtt_ms: float
    stretch: float
    entry_agent: str | None
    primary_agent: str | None
    hops_to_node: tuple[str, ...] = ()
    hops_from_node: tuple[str, ...] = ()
    direct_hops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What was broken on purpose and what it cost. ``what`` is ``site``, ``daemon``, ``partition`` or ``heal``;
    ``node`` the home agent concerned. ``outage_ms``: the longest silence at a probe's receiver that it caused, over the
    probe's interval; None: no probe ran. ``bindings_before`` and ``..._after`` are those that the surviving agents
    hold."""

    at_s: float
    what: str
    node: str
    outage_ms: float | None
    packets_lost: int
    bindings_before: int
    bindings_after: int
    resets: int


@dataclass(frozen=True, slots=True)
class Result:
    scenario: str
    passed: bool
    expectations: tuple[Expectation, ...]
    handovers: tuple[Handover, ...]
    streams: tuple[Stream, ...]
    probes: tuple[Probe, ...]
    paths: tuple[PathMeasured, ...] = ()
    failures: tuple[Failure, ...] = ()
    metrics: tuple[tuple[str, float | None, str], ...] = ()
    """Every figure an expectation may name: (name, measured, unit)."""
    problems: tuple[str, ...] = ()
    """What went wrong in the run itself, in sentences; a run with problems has not passed."""

    def to_json(self) -> dict[str, Json]:
        return {
            "schema": SCHEMA,
            "scenario": self.scenario,
            "passed": self.passed,
            "expectations": _json(self.expectations),
            "handovers": _json(self.handovers),
            "streams": _json(self.streams),
            "probes": _json(self.probes),
            "paths": _json(self.paths),
            "failures": _json(self.failures),
            "metrics": {name: {"measured": _json(measured), "unit": unit} for name, measured, unit in self.metrics},
            "problems": _json(self.problems),
        }
