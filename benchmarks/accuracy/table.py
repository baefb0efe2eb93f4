"""The tables of errors and of figures, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.accuracy.errors import Errors
from benchmarks.accuracy.figures import Cell, Figure
from benchmarks.accuracy.tools import OURS, PEERS
from benchmarks.markdown import table

#: The command that writes the tables, as in the page's marks.
WRITER = "python -m benchmarks.accuracy"
REPEATED = "pytest-greenops, repeated"
COLUMNS = (OURS, REPEATED, *PEERS)


def errors_table(cells: Mapping[Cell, Mapping[str, Errors | None]]) -> list[str]:
    """Return a row for each sensor and window length, a column for each tool."""
    rows = [
        [sensor, f"{length_s:g} s", *(_cell(by_tool.get(column)) for column in COLUMNS)]
        for (sensor, length_s), by_tool in cells.items()
    ]
    return table(["sensor", "window", *COLUMNS], rows)


def figures_table(figures: Sequence[Figure]) -> list[str]:
    """Return a row for each figure."""
    words = {True: "met", False: "**missed**", None: ""}
    rows = [[f.what, f.goal, f.reached, words[f.met]] for f in figures]
    return table(["figure", "goal", "reached", ""], rows)


def _cell(errors: Errors | None) -> str:
    return "–" if errors is None else str(errors)
