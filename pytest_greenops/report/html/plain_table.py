"""A chart in words and as a table: what it says without scripts, and to who does not see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pytest_greenops.report.entry import Text


class PlainTable(NamedTuple):
    """The table of a chart.

    words  what the chart shows, in a sentence
    head   the columns; a trailing space marks those of numbers
    """

    title: str
    words: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def data(self) -> dict[str, Any]:
        """The table for the scripts."""
        return {
            key: list(value) if key == "head" else value for key, value in self._asdict().items()
        }

    def cut(self, most: int) -> PlainTable:
        """Return the first rows, and in a sentence how many there are."""
        if len(self.rows) <= most:
            return self
        words = f"{self.words}; here the first {most} of {len(self.rows)} rows"
        return self._replace(words=words, rows=self.rows[:most])


def cell(text: str) -> str:
    """Return a text for a cell: control characters escaped, cut if it is very long."""
    return Text.of(text).shown
