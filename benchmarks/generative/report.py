"""The tables of this room: phases, loads, and what the study's claim came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.generative.claim import claim_tables
from benchmarks.generative.load_tables import load_tables
from benchmarks.generative.phase_tables import phase_tables
from benchmarks.generative.points import points_of
from benchmarks.tables import Row, Table

CLAIM = "test_larger_model"


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Of whatever was measured."""
    yield from phase_tables(rows)
    points = points_of(rows)
    yield from load_tables([point for point in points if point.test != CLAIM])
    yield from claim_tables([point for point in points if point.test == CLAIM])
