"""Who said what to whom around each move: the steps of a sequence diagram.

From the captures where there are some: the same packet seen at several nodes is one step, from the node that saw it
first to the one that saw it last. Without captures, from the daemons' notices. Times are CLOCK_MONOTONIC seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unwired.lab import analysis_probe
from unwired.lab.analysis import REGISTERED, UPDATE_SENT, window_of
from unwired.lab.analysis_probe import ProbeSeries, Window
from unwired.lab.record import CaptureRecord, RunRecord
from unwired.lab.scenario import Role
from unwired.wire.address import format_address
from unwired.wire.datagram import decode_datagram
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Outer, Packet
from unwired.wire.mobility import MobilityMessage
from unwired.wire.pcap import CaptureError, ip_offset, read_frames
from unwired.wire.present import value_name
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingUpdate

_SAME_PACKET_S = 2.0
"""Copies of one packet at several nodes are at most so far apart."""
_STEPS_MAX = 14


@dataclass(frozen=True, slots=True)
class Step:
    """One message. ``detail`` is for who looks closer; ``is_data`` marks a probe packet."""

    sent_at: float
    received_at: float
    source: str
    destination: str
    label: str
    detail: str = ""
    is_data: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said around one move. ``lanes`` are node names from left to right."""

    lanes: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A control packet as one node's capture has it; ``data`` tells packets apart."""

    at: float
    node: str
    packet: Packet
    data: bytes


def read_sightings(record: RunRecord) -> list[Sighting]:
    """The mobility messages and router solicitations and advertisements of all captures, by time. A capture that is
    damaged gives what it has before the damage."""
    sightings = [sighting for capture in record.captures for sighting in _read(capture, record.wall_minus_monotonic_s)]
    return sorted(sightings, key=lambda sighting: sighting.at)


def _read(capture: CaptureRecord, wall_minus_monotonic_s: float) -> Iterator[Sighting]:
    wanted = MobilityMessage | RouterSolicitation | RouterAdvertisement
    try:
        with capture.path.open("rb") as file:
            for frame in read_frames(file):
                start = ip_offset(frame)
                if start is None:
                    continue
                try:
                    packet = decode_datagram(frame.data[start:])
                except DecodeError:
                    continue
                if isinstance(packet.payload, wanted):
                    at = frame.timestamp_ns / 1e9 - wall_minus_monotonic_s
                    yield Sighting(at, capture.node, packet, packet.data)
    except (OSError, CaptureError):
        return


def exchange(
    record: RunRecord, index: int, sightings: Sequence[Sighting], probes: Sequence[ProbeSeries]
) -> Exchange | None:
    """The exchange of the move with this index; None where nothing is known of it."""
    window = window_of(record, index)
    node = record.moves[index].node
    steps = _from_captures(record, index, window, sightings) or _from_notices(record, node, window)
    steps += _first_packets(node, window, probes)
    steps.sort(key=lambda step: step.sent_at)
    return Exchange(_lanes(record, index, steps), tuple(steps)) if steps else None


# --- from captures ---------------------------------------------------------------------------------------------------


def _from_captures(record: RunRecord, index: int, window: Window, sightings: Sequence[Sighting]) -> list[Step]:
    """A router advertisement is told once, the first after the link is usable; what only others say is left out."""
    node = record.moves[index].node
    groups: dict[tuple[bytes, bytes, bytes, bytes | None], list[list[Sighting]]] = {}
    for sighting in sightings:
        if not window.began_at <= sighting.at < window.ends_at:
            continue
        packet = sighting.packet
        runs = groups.setdefault((packet.source, packet.destination, sighting.data, packet.home_address), [])
        if runs and sighting.at - runs[-1][0].at < _SAME_PACKET_S and not _seen_by(runs[-1], sighting.node):
            runs[-1].append(sighting)
        else:
            runs.append([sighting])
    found = sorted((run for runs in groups.values() for run in runs), key=lambda run: run[0].at)
    steps: list[Step] = []
    advertised = False
    for run in found:
        payload = run[0].packet.payload
        if isinstance(payload, RouterAdvertisement):
            if advertised or not _seen_by(run, node) or run[0].at < window.usable_at:
                continue
            advertised = True
        step = _step(record, index, run)
        if step is not None and node in (step.source, step.destination):
            steps.append(step)
    return steps[:_STEPS_MAX]


def _seen_by(run: Sequence[Sighting], node: str) -> bool:
    return any(sighting.node == node for sighting in run)


def _step(record: RunRecord, index: int, run: Sequence[Sighting]) -> Step | None:
    """Seen at one node only, the other end is the owner of the address, or the router of the link."""
    first, last = run[0], run[-1]
    source, destination = first.node, last.node
    if source == destination:
        source, destination = _ends(record, index, first) or (source, destination)
    if source == destination:
        return None
    label, detail = _words(first.packet)
    tunnels = list(dict.fromkeys(_tunnel(sighting.packet.outer) for sighting in run if sighting.packet.outer))
    if tunnels:
        label, detail = f"{label} in {tunnels[0].split()[1]}", "; ".join([detail, *tunnels])
    return Step(first.at, last.at, source, destination, label, detail)


def _ends(record: RunRecord, index: int, sighting: Sighting) -> tuple[str, str] | None:
    packet, here = sighting.packet, sighting.node
    if isinstance(packet.payload, RouterSolicitation | RouterAdvertisement):
        router = _router(record, index)
        if router is None or here == router:
            return None
        return (here, router) if isinstance(packet.payload, RouterSolicitation) else (router, here)
    source, destination = _owner(record, packet.source), _owner(record, packet.destination)
    if source is not None and source != here:
        return source, here
    if destination is not None and destination != here:
        return here, destination
    return None


def _router(record: RunRecord, index: int) -> str | None:
    """The router of the network that the move led to."""
    scenario = record.scenario
    move = record.moves[index]
    network = move.destination or next(iter(move.others.values()), None)
    if network is None:
        return None
    names = (end.partition(".")[0] for end in scenario.find_network(network).members)
    return next((name for name in names if scenario.find_node(name).role.forwards), None)


def _owner(record: RunRecord, address: bytes) -> str | None:
    text = format_address(address)
    for node in record.scenario.node:
        own = [value.partition("/")[0] for values in node.interfaces.values() for value in values]
        if text in own or text == node.home_address():
            return node.name
    return None


def _tunnel(outer: Outer) -> str:
    """As one node saw the header around it: a NAT on the way makes a difference."""
    ends = (outer.source, outer.source_port), (outer.destination, outer.destination_port)
    source, destination = (f"{format_address(address)}{f':{port}' if port else ''}" for address, port in ends)
    return f"in {'UDP' if outer.destination_port else 'IPv4'} {source} → {destination}"


def _words(packet: Packet) -> tuple[str, str]:
    payload = packet.payload
    ends = f"{format_address(packet.source)} → {format_address(packet.destination)}"
    if packet.home_address is not None:
        ends += f", home address {format_address(packet.home_address)}"
    if isinstance(payload, BindingUpdate):
        what = f"lifetime {payload.lifetime_s} s" if payload.lifetime_units else "de-registration"
        return "binding update", f"#{payload.sequence}, {what}; {ends}"
    if isinstance(payload, BindingAcknowledgement):
        return "binding acknowledgement", f"#{payload.sequence}, status {value_name(payload, 'status')}; {ends}"
    if isinstance(payload, RouterSolicitation):
        return "router solicitation", ends
    if isinstance(payload, RouterAdvertisement):
        return "router advertisement", ends
    name = getattr(payload, "NAME", type(payload).__name__)
    return str(name).lower(), ends


# --- without captures ------------------------------------------------------------------------------------------------


def _from_notices(record: RunRecord, node: str, window: Window) -> list[Step]:
    """Binding updates and their acknowledgements as the mobile node tells them, without the way in between."""
    agent = next((other.name for other in record.scenario.node if other.role == Role.HOME_AGENT), None)
    if agent is None:
        return []
    own = [notice for notice in record.notices if notice.node == node and window.began_at <= notice.at < window.ends_at]
    steps: list[Step] = []
    for sent, answered in zip(
        (notice for notice in own if notice.name == UPDATE_SENT),
        (notice for notice in own if notice.name in REGISTERED),
        strict=False,
    ):
        middle = (sent.at + answered.at) / 2
        detail = "as the mobile node tells it; the time in between is assumed"
        steps.append(Step(sent.at, middle, node, agent, "binding update", detail))
        steps.append(Step(middle, answered.at, agent, node, "binding acknowledgement", detail))
    return steps


def _first_packets(node: str, window: Window, probes: Sequence[ProbeSeries]) -> list[Step]:
    """The first probe packet through the new path, each way."""
    steps = []
    for series in probes:
        if node not in (series.source, series.destination) or not window.breaks:
            continue
        first = analysis_probe.first_through(series, node, window)
        if first is not None:
            sent_at, received_at = float(series.sent_at[first]), float(series.received_at[first])
            steps.append(Step(sent_at, received_at, series.source, series.destination, "first data", "probe", True))
    return steps


def _lanes(record: RunRecord, index: int, steps: Sequence[Step]) -> tuple[str, ...]:
    """The mobile node, the routers it talks to, home agents, then everybody else."""
    names = {name for step in steps for name in (step.source, step.destination)}
    order = {Role.MOBILE_NODE: 1, Role.ROUTER: 2, Role.HOME_AGENT: 3, Role.HOST: 4, Role.CORRESPONDENT: 5}
    mover = record.moves[index].node

    def rank(name: str) -> tuple[int, str]:
        return (0 if name == mover else order[record.scenario.find_node(name).role], name)

    return tuple(sorted(names, key=rank))
