"""Tables in Markdown, and generated parts of documentation pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def publish(lines: Sequence[str], file: Path, by: str, whole: bool) -> None:
    """Print lines, and write them to a page if they are of the `whole` benchmark."""
    print("\n".join(lines))
    if whole:
        rewrite(file, lines, by)


def rewrite(file: Path, lines: Sequence[str], by: str) -> None:
    """Replace the lines between the two marks of a file that name the writer `by`.

    Raises `ValueError` where the file lacks these marks, or has them in the wrong order.
    """
    first, last = (f"<!-- {word}: written by {by} -->" for word in ("begin", "end"))
    text = file.read_text()
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{file}: expected the lines {first} and {last}")
    file.write_text("\n".join([before + begin, "", *lines, "", end + after]))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
