"""What all drawings of a report share: who was in which network when, and each network's colour."""

import itertools
from dataclasses import dataclass

from unwired.lab.analysis import SETTLED
from unwired.lab.record import RunRecord

_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Stay:
    """An interface in a network (None: in none), in seconds from the start of the run."""

    network: str | None
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class View:
    """``stays`` by (node, interface) and ``in_use`` by node, the networks that carried its traffic, in order of time;
    ``colours`` are classes of the style sheet."""

    record: RunRecord
    stays: dict[tuple[str, str], list[Stay]]
    in_use: dict[str, list[Stay]]
    colours: dict[str, str]

    @property
    def duration_s(self) -> float:
        return self.record.ended_at - self.record.started_at

    def colour(self, network: str | None) -> str:
        return self.colours.get(network or "", "nowhere")

    def seconds(self, at: float) -> float:
        """CLOCK_MONOTONIC to seconds from the start of the run."""
        return at - self.record.started_at


def look(record: RunRecord) -> View:
    networks = [network.name for network in record.scenario.network]
    homes = [home for node in record.scenario.node if (home := record.scenario.home_network(node)) is not None]
    ordered = sorted(networks, key=lambda name: (name not in homes, networks.index(name)))
    colours = {name: f"network{index % _COLOURS}" for index, name in enumerate(ordered)}
    stays = {
        (node.name, interface): _stays(record, node.name, interface, node.attached.get(interface))
        for node in record.scenario.node
        for interface in node.interfaces
        if any((move.node, move.interface) == (node.name, interface) for move in record.moves)
        or interface in node.attached
    }
    nodes = dict.fromkeys(node for node, _ in stays)
    in_use = {
        node: _in_use(record, {interface: own for (name, interface), own in stays.items() if name == node}, node)
        for node in nodes
    }
    return View(record, stays, in_use, colours)


def _in_use(record: RunRecord, stays: dict[str, list[Stay]], node: str) -> list[Stay]:
    """Of several interfaces, the one that the node last told to have registered with carries its traffic."""
    if len(stays) == 1:
        return next(iter(stays.values()))
    chosen = [
        (notice.at - record.started_at, str(notice.fields["interface"]))
        for notice in record.notices
        if notice.node == node and notice.name in SETTLED and notice.fields.get("interface") in stays
    ]
    edges = sorted(
        {0.0, *(stay.until_s for own in stays.values() for stay in own), *(at_s for at_s, _ in chosen if at_s > 0)}
    )
    first = next((interface for interface, own in stays.items() if own and own[0].network), next(iter(stays)))
    result = []
    for since_s, until_s in itertools.pairwise(edges):
        interface = next((name for at_s, name in reversed(chosen) if at_s <= since_s), first)
        network = next((stay.network for stay in stays[interface] if stay.since_s <= since_s < stay.until_s), None)
        result.append(Stay(network, since_s, until_s))
    return result


def _stays(record: RunRecord, node: str, interface: str, first: str | None) -> list[Stay]:
    changes: list[tuple[float, str | None]] = [(0.0, first)]
    for move in record.moves:
        if (move.node, move.interface) == (node, interface):
            if move.detached_at is not None:
                changes.append((move.detached_at - record.started_at, None))
            if move.attached_at is not None:
                changes.append((move.attached_at - record.started_at, move.destination))
    ends = [since for since, _ in changes[1:]] + [record.ended_at - record.started_at]
    return [Stay(network, since, end) for (since, network), end in zip(changes, ends, strict=True) if end > since]
