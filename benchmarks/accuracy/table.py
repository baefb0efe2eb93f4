"""The tables, in Markdown, and where they stand in the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.accuracy.errors import Errors
from benchmarks.accuracy.figures import Cell, Figure
from benchmarks.accuracy.tools import OURS, PEERS

BEGIN = "<!-- begin: written by python -m benchmarks.accuracy -->"
END = "<!-- end: written by python -m benchmarks.accuracy -->"
REPEATED = "pytest-greenops, repeated"
COLUMNS = (OURS, REPEATED, *PEERS)


def errors_table(cells: Mapping[Cell, Mapping[str, Errors | None]]) -> list[str]:
    """A row for each sensor and length of a window, a column for each tool."""
    rows = [
        [sensor, f"{length_s:g} s", *(_cell(by_tool.get(column)) for column in COLUMNS)]
        for (sensor, length_s), by_tool in cells.items()
    ]
    return _table(["sensor", "window", *COLUMNS], rows)


def figures_table(figures: Sequence[Figure]) -> list[str]:
    """A row for each figure."""
    words = {True: "met", False: "**missed**", None: ""}
    rows = [[f.what, f.goal, f.reached, words[f.met]] for f in figures]
    return _table(["figure", "goal", "reached", ""], rows)


def rewrite(file: Path, lines: Sequence[str]) -> None:
    """Put lines between the two marks of a file, in place of what stands there.

    Raises `ValueError` where it has no such marks, in this order.
    """
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{file} has no lines {BEGIN} and {END}")
    file.write_text("\n".join([before + begin, "", *lines, "", end + after]))


def _cell(errors: Errors | None) -> str:
    return "—" if errors is None else str(errors)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
