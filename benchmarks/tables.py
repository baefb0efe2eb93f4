"""Tables of the studies: rows come from test reports, and each folder makes its own tables."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias

import pytest

from benchmarks.markdown import table
from pytest_greenops.model.units import format_duration, format_energy, format_percent, format_power
from pytest_greenops.report.drawing import elided

#: Figures of one measurement: `joules`, `seconds`, `watts`, `estimated`, `per_unit.sample`,
#: `by_domain.cpu:0`, `quality.accuracy`, …
Figures: TypeAlias = Mapping[str, Any]

NOTHING = "–"
#: A property of a report that is a figure, with the name of its measurement.
_FIGURE = re.compile(
    r"energy\.(?:(?P<name>.+)\.)?"
    r"(?P<figure>joules|seconds|watts|estimated|checks|(?:per_unit|by_domain|quality)\.[^.]+)"
)
_WIDTH = 79
#: The ranking of all measurements: where it begins and ends, and the width of a name.
_LEAST_RANKED, _MOST_RANKED, _NAME_WIDTH = 3, 12, 34


class Row(NamedTuple):
    """The measurements of one test.

    test          name of the function
    facts         recorded by the fixture `facts`, ids on the axes included
    measurements  figures by the name of the measurement, by default `call`
    """

    test: str
    facts: Mapping[str, Any]
    measurements: Mapping[str, Figures]


class Table(NamedTuple):
    """A table of a study, with a paragraph of notes below it."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> Iterator[str]:
        """Yield lines that are also readable without rendering."""
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
    """Collects rows while tests run, and prints the tables at the end.

    A folder with tables defines `tables(rows) -> Iterator[Table]` in its module `report`.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Also write the tables to this Markdown file, if any."""
        self._path = path
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._named: dict[str, Figures] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the measurements of a test."""
        row = _row(report) if report.when == "call" else None
        if row is not None:
            self._rows[_folder(report.nodeid)].append(row)
            test = report.nodeid.rpartition("::")[2].removeprefix("test_")
            for name, figures in row.measurements.items():
                self._named[test if name == "call" else f"{test} · {name}"] = figures

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables, and write them to the file."""
        lines = [line for made in self._tables() for line in made.markdown()]
        lines += self._failed_checks() if lines else []
        for line in lines:
            terminalreporter.write_line(line)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")

    def _failed_checks(self) -> Iterator[str]:
        """Yield a paragraph that counts the failed self-checks by name."""
        rows = [row for rows in self._rows.values() for row in rows]
        figures = [kept for row in rows for kept in row.measurements.values()]
        found = Counter(check for kept in figures for check in kept.get("checks", "").split("; "))
        counts = [f"{check} in {count}" for check, count in found.most_common() if check]
        if counts:
            text = f"Failed self-checks in these {len(figures)} measurements: {', '.join(counts)}."
            yield from ("", *textwrap.wrap(text, _WIDTH))

    def _tables(self) -> Iterator[Table]:
        for folder, rows in sorted(self._rows.items()):
            if (Path(__file__).parent / folder / "report.py").is_file():
                yield from importlib.import_module(f"benchmarks.{folder}.report").tables(rows)
        if len(self._named) >= _LEAST_RANKED:
            yield ranking(self._named)


def ranking(named: Mapping[str, Figures]) -> Table:
    """Return the measurements that use the most energy, by the energy of one call."""
    most = sorted(named, key=lambda name: -named[name]["joules"])[:_MOST_RANKED]
    names = elided(tuple(most), _NAME_WIDTH)
    title = f"The {len(most)} of {len(named)} measurements that use the most energy here"
    note = f"One call each.{estimated_note(named.values())}"
    heading = ("Measurement", "Energy", "Power", "Time", "Per unit of work")
    return Table(title, heading, [(names[name], *_ranked(named[name])) for name in most], note)


def _ranked(figures: Figures) -> tuple[str, str, str, str]:
    """Return the energy, power and time of a call, and the joules of a unit of work."""
    estimated, seconds = figures.get("estimated"), figures.get("seconds")
    units = [name for name in figures if name.startswith("per_unit.")]
    per_unit = [
        f"{energy_cell(figures[n], estimated)}/{n.removeprefix('per_unit.')}" for n in units
    ]
    return (
        energy_cell(figures["joules"], estimated),
        power_cell(figures.get("watts"), estimated),
        NOTHING if seconds is None else format_duration(seconds),
        ", ".join(per_unit[:1]) or NOTHING,
    )


def energy_cell(joules: float | None, estimated: object) -> str:
    """`0.0312` -> `'~31.2 mJ'` if estimated."""
    return NOTHING if joules is None else "~" * bool(estimated) + format_energy(joules)


def power_cell(watts: float | None, estimated: object) -> str:
    """`70` -> `'~70.0 W'` if estimated."""
    return NOTHING if watts is None else "~" * bool(estimated) + format_power(watts)


def share_cell(share: float | None) -> str:
    """`0.123` -> `'12 %'`."""
    return NOTHING if share is None else format_percent(share, signed=False)


def estimated_note(measurements: Iterable[Figures]) -> str:
    """Return the end of a note, if any of the joules are estimated."""
    estimated = any(figures.get("estimated") for figures in measurements)
    return " ~: estimated, not sensed." if estimated else ""


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


def _folder(node_id: str) -> str:
    parts = PurePosixPath(node_id.partition("::")[0]).parts
    return parts[parts.index("benchmarks") + 1] if "benchmarks" in parts else parts[0]
