"""How the figures of one function's parameters move together: rank correlations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_number
from pytest_greenops.report import figures
from pytest_greenops.report.quality_text import alike

#: Ranks of fewer tests agree by chance: of five in one case of sixty, in the same order.
FEWEST = 5
#: Joules, seconds and watts are one product: with two of them varying, a matrix says nothing.
_FEWEST_FIGURES = 3


class Correlation(NamedTuple):
    """Spearman's rank correlation of two figures; None if one of them is the same everywhere."""

    value: float | None

    @property
    def text(self) -> str:
        """`+0.94`, or a dash."""
        return "–" if self.value is None else format_number(round(self.value, 2), 3, "+")

    @property
    def strength(self) -> int:
        """From 0 to 4, for its shade."""
        return 0 if self.value is None else round(4 * abs(self.value))


class Matrix(NamedTuple):
    """The correlations of a function's measurements.

    title  of the function: `tests/test_x.py::test_infer`
    tests  number of measurements
    names  of the figures, in order
    rows   a row for each of them
    """

    title: str
    tests: int
    names: tuple[str, ...]
    rows: tuple[tuple[Correlation, ...], ...]
    estimated: bool


def matrices(results: Sequence[Result]) -> Iterator[Matrix]:
    """Yield a matrix for each function with enough measurements and figures."""
    for members in alike(results):
        known = _columns(list(members.values())) if len(members) >= FEWEST else {}
        if len(known) < _FEWEST_FIGURES:
            continue
        example = next(iter(members.values()))
        rows = tuple(tuple(correlation(a, b) for b in known.values()) for a in known.values())
        title = f"{example.test.module}::{example.test.qualname}{figures.label(example)}"
        yield Matrix(title, len(members), tuple(known), rows, figures.estimated(example))


def correlation(xs: Sequence[float], ys: Sequence[float]) -> Correlation:
    """Return Spearman's rank correlation (American Journal of Psychology 15, 1904, 72-101)."""
    try:
        return Correlation(statistics.correlation(_ranks(xs), _ranks(ys)))
    except statistics.StatisticsError:  # one of them is constant
        return Correlation(None)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value; equal ones share the mean of their ranks."""
    ranks: dict[float, float] = {}
    below = 0
    for value, equal in groupby(sorted(values)):
        count = len(list(equal))
        ranks[value] = below + (count + 1) / 2
        below += count
    return [ranks[value] for value in values]


def _columns(members: Sequence[Result]) -> dict[str, list[float]]:
    """Return the figures that every measurement has and that vary, by name."""
    columns: dict[str, list[float]] = {}
    of_each = [_figures(result) for result in members]
    for name in of_each[0]:
        values = [of.get(name, math.nan) for of in of_each]
        if all(map(math.isfinite, values)) and len(set(values)) > 1:
            columns[name] = values
    return columns


def _figures(result: Result) -> Mapping[str, float]:
    unit = "joules" if result.unit == "call" else f"joules per {result.unit}"
    found = {unit: result.judged_j, "seconds": result.seconds, "watts": result.watts}
    found |= result.quality
    if result.work is not None:
        totals = result.work.totals
        found |= {"FLOP": float(totals.all_flop), "bytes moved": float(totals.moved)}
    return found
