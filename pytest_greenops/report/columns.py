"""How wide the columns of the table get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pytest_greenops.report.drawing import cells
from pytest_greenops.report.rows import Part, Row

HEADINGS = (("test", "energy, power", "change", "verdict"), ("rounds", "per unit", "95 % CI", ""))
#: Between two cells; the narrowest table, and the shortest bar.
GAP, NARROWEST, LEAST_BAR = 2, 80, 8
#: The narrowest and the widest that a column gets: energy, change, verdict.
_BOUNDS = ((13, 18), (9, 13), (14, 22))
#: How much wider than its text the verdict may get on a wide terminal, for the sake of its bar.
_MOST_GROWTH = 14


class Widths(NamedTuple):
    """The width of each column, in columns of the terminal."""

    name: int
    energy: int
    change: int
    verdict: int

    @property
    def total(self) -> int:
        """The width of the table."""
        return sum(self) + GAP * (len(self) - 1)


def fit(
    rows: Sequence[Row], parts: Sequence[Part], width: int, say: Callable[[str], str]
) -> Widths:
    """As wide as the text, within bounds; names and bars share what is left of `width`."""
    upper, lower = HEADINGS
    texts = (
        [upper[1], lower[1], *(t for r in rows for t in r.energy), *(p.energy for p in parts)],
        [upper[2], lower[2], *(t for r in rows for t in r.change)],
        [upper[3], *(r.verdict for r in rows), *(_least_gauge(r) for r in rows)],
    )
    energy, change, verdict = (
        min(max(least, *(cells(say(text)) for text in column)), most)
        for column, (least, most) in zip(texts, _BOUNDS, strict=True)
    )
    free = width - Widths(0, energy, change, verdict).total
    names = [r.name + r.label for r in rows] + [f"    {part.name}" for part in parts]
    names += [f"  {'.' * len(r.rounds)} {r.tally}" for r in rows]
    wanted = max(cells(say(text)) for text in names)
    growth = min(_MOST_GROWTH, max(free - wanted, (width - NARROWEST) // 2))
    return Widths(min(wanted, free - growth), energy, change, verdict + growth)


def _least_gauge(row: Row) -> str:
    if row.gauge is None:
        return row.hint
    return "." * LEAST_BAR + " " + list(row.gauge.words())[-1]
