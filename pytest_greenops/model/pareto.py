"""The Pareto front of quality and joules: what nothing else beats in both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Point(NamedTuple):
    """One of several that do the same work: its quality, where higher is better, and its joules.

    low_j, high_j  the interval of its joules; without it they are taken as exact
    """

    name: str
    quality: float
    joules: float
    low_j: float | None = None
    high_j: float | None = None

    def dominates(self, other: Point) -> bool:
        """Whether it is no worse in both, and better in one; not where their joules overlap."""
        most = self.joules if self.high_j is None else self.high_j
        least = other.joules if other.low_j is None else other.low_j
        no_worse = self.quality >= other.quality and most <= least
        return no_worse and (self.quality > other.quality or most < least)


class Dominated(NamedTuple):
    """A point, and the points of the front that dominate it, by their joules."""

    point: Point
    by: tuple[Point, ...]


class Front(NamedTuple):
    """Points that nothing dominates, and those that something does; both by their joules."""

    best: tuple[Point, ...]
    dominated: tuple[Dominated, ...]


def front(points: Iterable[Point | tuple[str, float, float]]) -> Front:
    """Sort points of (name, quality, joules) into the front and what it dominates.

    Of points with the same quality the one with fewer joules dominates, and the other way round.
    Points that are equal in both do not dominate each other: all of them are on the front, or none.
    Nor do those whose joules overlap, where their intervals are told. Raises `ValueError` for a
    figure that is not finite.
    """
    known = sorted((Point(*point) for point in points), key=lambda p: (p.joules, -p.quality))
    for point in known:
        if not (math.isfinite(point.quality) and math.isfinite(point.joules)):
            raise ValueError(f"{point.name}: quality and joules have to be finite numbers")
    best = tuple(p for p in known if not any(other.dominates(p) for other in known))
    beaten = ((p, tuple(b for b in best if b.dominates(p))) for p in known)
    return Front(best, tuple(Dominated(p, by) for p, by in beaten if by))
