"""Where the words of a map go: beside what they name, and never one over another."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
_RINGS = 40
_RING_STEP = 9.0
_PADDING = 2.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its corners."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot on the map; ``width`` and ``height`` are those of its words."""

    x: float
    y: float
    radius: float
    width: float
    height: float


def place(marks: Sequence[Mark], width: float, height: float) -> list[Box | None]:
    """A box for the words of each mark, in order: the nearest that is inside the picture and touches no mark and no box
    placed before, rather on the side away from the next mark. None when there is no room."""
    discs = [Box(m.x - m.radius, m.y - m.radius, m.x + m.radius, m.y + m.radius) for m in marks]
    placed: list[Box | None] = []
    for mark in marks:
        taken = [*discs, *(box for box in placed if box is not None)]
        away = _away_from_the_next(mark, marks)
        candidates = _candidates(mark, away, width, height)
        placed.append(next((box for box in candidates if not any(box.overlaps(other) for other in taken)), None))
    return placed


def _away_from_the_next(mark: Mark, marks: Sequence[Mark]) -> tuple[float, float]:
    others = [other for other in marks if other is not mark]
    if not others:
        return 1.0, 0.0
    nearest = min(others, key=lambda other: math.hypot(other.x - mark.x, other.y - mark.y))
    distance = math.hypot(nearest.x - mark.x, nearest.y - mark.y) or 1.0
    return (mark.x - nearest.x) / distance, (mark.y - nearest.y) / distance


def _candidates(mark: Mark, away: tuple[float, float], width: float, height: float) -> Iterator[Box]:
    """Boxes around a mark, from near to far, pushed into the picture where they would stick out."""
    directions = sorted(_DIRECTIONS, key=lambda d: -(d[0] * away[0] + d[1] * away[1]) / math.hypot(*d))
    for ring in range(_RINGS):
        gap = mark.radius + _PADDING + ring * _RING_STEP
        for across, down in directions:
            x = mark.x + across * (gap + mark.width / 2)
            y = mark.y + down * (gap + mark.height / 2)
            left = min(max(x - mark.width / 2, _PADDING), width - _PADDING - mark.width)
            top = min(max(y - mark.height / 2, _PADDING), height - _PADDING - mark.height)
            yield Box(left, top, left + mark.width, top + mark.height)
