"""The tables of the studies: rows are gathered from a run's reports, each room makes its own."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest

from benchmarks.markdown import table

#: A figure among the properties of a report, and the measurement that it belongs to.
_FIGURE = re.compile(
    r"energy\.(?:(?P<name>.+)\.)?"
    r"(?P<figure>joules|seconds|watts|estimated|checks|(?:per_unit|by_domain|quality)\.[^.]+)"
)
_WIDTH = 79


class Row(NamedTuple):
    """What one test measured.

    test          the function's name
    facts         what it told of itself with the fixture `facts`; its ids by axis among them
    measurements  figures by the name of the measurement, `call` where there is none: `joules`,
                  `seconds`, `watts`, `per_unit.sample`, `by_domain.cpu:0`, `quality.accuracy`, …
    """

    test: str
    facts: Mapping[str, Any]
    measurements: Mapping[str, Mapping[str, Any]]


class Table(NamedTuple):
    """A table of a study, as its room makes it from rows.

    note  what a reader has to know: one paragraph below the table
    """

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> Iterator[str]:
        """Its lines, which can be read as they stand."""
        columns = list(zip(self.heading, *self.rows, strict=True))
        widths = [max(3, *map(len, column)) for column in columns]
        rules = ["-" * width for width in widths]
        heading, ruled, *rows = (
            [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            for line in (self.heading, rules, *self.rows)
        )
        head, _, *body = table(heading, [ruled, *rows])
        yield from ("", f"### {self.title}", "", head, *body)
        if self.note:
            yield from ("", *textwrap.wrap(self.note, _WIDTH, break_on_hyphens=False))


class Tables:
    """Gathers rows while tests run, and shows the tables that the rooms make of them.

    Each room that has any defines `tables(rows) -> Iterator[Table]` in its module `report`.
    """

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the Markdown file to write, if any."""
        self._path = path
        self._rows: dict[str, list[Row]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a call measured."""
        row = _row(report) if report.when == "call" else None
        if row is not None:
            self._rows[_room(report.nodeid)].append(row)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the tables, and write them where that was asked for."""
        lines = [line for made in self._tables() for line in made.markdown()]
        lines += self._doubts() if lines else []
        for line in lines:
            terminalreporter.write_line(line)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")

    def _doubts(self) -> Iterator[str]:
        """The self-checks that did not hold beside the figures of the tables, with their counts."""
        rows = [row for rows in self._rows.values() for row in rows]
        figures = [kept for row in rows for kept in row.measurements.values()]
        found = Counter(check for kept in figures for check in kept.get("checks", "").split("; "))
        told = [f"{check} in {count}" for check, count in found.most_common() if check]
        if told:
            text = f"Of these {len(figures)} measurements some stand beside a self-check that did "
            yield from ("", *textwrap.wrap(f"{text}not hold: {', '.join(told)}.", _WIDTH))

    def _tables(self) -> Iterator[Table]:
        for room, rows in sorted(self._rows.items()):
            if (Path(__file__).parent / room / "report.py").is_file():
                yield from importlib.import_module(f"benchmarks.{room}.report").tables(rows)


def _row(report: pytest.TestReport) -> Row | None:
    facts = {
        name.removeprefix("study."): value
        for name, value in report.user_properties
        if name.startswith("study.")
    }
    measurements: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in report.user_properties:
        if figure := _FIGURE.fullmatch(name):
            measurements[figure["name"] or "call"][figure["figure"]] = value
    measured = {name: kept for name, kept in measurements.items() if "joules" in kept}
    if not measured:
        return None
    return Row(report.nodeid.rpartition("::")[2].partition("[")[0], facts, measured)


def _room(node_id: str) -> str:
    parts = PurePosixPath(node_id.partition("::")[0]).parts
    return parts[parts.index("benchmarks") + 1] if "benchmarks" in parts else parts[0]
