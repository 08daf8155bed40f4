"""From degrees to a drawing: which part of the world a map shows, and its coastlines.

The projection is equirectangular with the middle latitude true to scale. Longitudes are cut where nothing lies, so that
a map of both sides of the Pacific has the Pacific in its middle and the date line is nowhere an edge.
"""

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias

Degrees: TypeAlias = tuple[float, float]
"""Longitude, latitude."""

_MARGIN = 0.11
_SMALLEST_SPAN = 24.0
_ASPECT_MIN, _ASPECT_MAX = 1.75, 2.5
_NORTH_SHARE = 0.7
"""Of the height that is added to a flat map, so much is to the north: long paths bend that way."""
_LATITUDE_MAX = 82.0


@dataclass(frozen=True, slots=True)
class Projection:
    """Maps degrees to pixels. ``west`` is the left edge; longitudes east of it run on, past 180 if need be."""

    west: float
    north: float
    pixels_per_longitude: float
    pixels_per_latitude: float
    width: float
    height: float

    def __call__(self, longitude: float, latitude: float) -> tuple[float, float]:
        east_of_the_edge = (longitude - self.west) % 360
        return east_of_the_edge * self.pixels_per_longitude, (self.north - latitude) * self.pixels_per_latitude


def fit(places: Sequence[Degrees], width: float) -> Projection:
    """The smallest map with a margin that has all of ``places``, ``width`` pixels wide."""
    west, span = _narrowest(place[0] for place in places)
    south, north = min(place[1] for place in places), max(place[1] for place in places)
    margin = max(span * _MARGIN, (_SMALLEST_SPAN - span) / 2)
    west, span = west - margin, min(span + 2 * margin, 360.0)
    squeeze = math.cos(math.radians((south + north) / 2))
    south, north = south - margin * squeeze / 2, north + margin * squeeze / 2
    high = span * squeeze / _ASPECT_MAX
    missing = max(0.0, high - (north - south))
    north = min(north + missing * _NORTH_SHARE, _LATITUDE_MAX)
    south = max(min(south, north - high), -_LATITUDE_MAX)
    low = (north - south) * _ASPECT_MIN / squeeze
    if low > span:
        west, span = west - (low - span) / 2, min(low, 360.0)
    scale = width / span
    return Projection(west, north, scale, scale / squeeze, width, (north - south) * scale / squeeze)


def _narrowest(longitudes: Iterable[float]) -> tuple[float, float]:
    """The west end and the width of the shortest stretch around the globe that holds all."""
    ordered = sorted({longitude % 360 for longitude in longitudes})
    gaps = [(east - west, east) for west, east in itertools.pairwise([*ordered, ordered[0] + 360])]
    widest, west = max(gaps)
    return west % 360, 360 - widest


def coast(projection: Projection) -> tuple[str, str]:
    """Path data of what is land in the picture, and of the lakes and inland seas in it."""
    shapes = _shapes()
    return _path(shapes["land"], projection), _path(shapes["water"], projection)


@cache
def _shapes() -> dict[str, list[list[list[float]]]]:
    text = (files("unwired.lab") / "coastlines.json").read_text(encoding="utf-8")
    shapes: dict[str, list[list[list[float]]]] = json.loads(text)
    return shapes


def _path(rings: Iterable[Sequence[Sequence[float]]], projection: Projection) -> str:
    east = projection.west + projection.width / projection.pixels_per_longitude
    south = projection.north - projection.height / projection.pixels_per_latitude
    drawn = []
    for ring in rings:
        longitudes = [longitude for longitude, _ in ring]
        latitudes = [latitude for _, latitude in ring]
        if max(latitudes) < south or min(latitudes) > projection.north:
            continue
        for turn in (-360, 0, 360):
            if max(longitudes) + turn < projection.west or min(longitudes) + turn > east:
                continue
            points = (
                f"{(longitude + turn - projection.west) * projection.pixels_per_longitude:.1f},"
                f"{(projection.north - latitude) * projection.pixels_per_latitude:.1f}"
                for longitude, latitude in ring
            )
            drawn.append(f"M{'L'.join(points)}Z")
    return "".join(drawn)
