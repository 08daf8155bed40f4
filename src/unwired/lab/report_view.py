"""What all drawings of a report share: who was in which network when, and each network's colour."""

from dataclasses import dataclass

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
    """``stays`` by (node, interface), in order of time; ``colours`` are classes of the style sheet."""

    record: RunRecord
    stays: dict[tuple[str, str], list[Stay]]
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
    return View(record, stays, colours)


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
