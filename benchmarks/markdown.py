"""Tables in Markdown, and the pages of the documentation that they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def rewrite(file: Path, lines: Sequence[str], by: str) -> None:
    """Put lines between the two marks of a file that name who writes them.

    Raises `ValueError` where it has no such marks, in this order.
    """
    first, last = (f"<!-- {word}: written by {by} -->" for word in ("begin", "end"))
    text = file.read_text()
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{file} has no lines {first} and {last}")
    file.write_text("\n".join([before + begin, "", *lines, "", end + after]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
