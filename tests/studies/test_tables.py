"""Tables of the studies: rows from reports, printed and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.discriminative import report as discriminative
from benchmarks.tables import Row, Table, Tables
from tests.studies.projects import SHARED, Study


class Terminal:
    """A terminal that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_line(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)


def reported(node_id: str, *properties: tuple[str, Any], when: Any = "call") -> pytest.TestReport:
    """Return the report of a passed test with these properties."""
    place = (node_id.partition("::")[0], 0, "test")
    return pytest.TestReport(
        node_id, place, {}, "passed", None, when, user_properties=list(properties)
    )


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The rows passed to the folder `discriminative`, which returns one small table."""
    given: list[Row] = []

    def tables(rows: Sequence[Row]) -> Iterator[Table]:
        given.extend(rows)
        yield Table("Title", ("name", "figure"), [("a", "1")], "A note.")

    monkeypatch.setattr(discriminative, "tables", tables)
    return given


def shown(*reports: pytest.TestReport, path: Path | None = None) -> list[str]:
    """Return the lines at the end of a run with these reports."""
    gathered, terminal = Tables(path), Terminal()
    for report in reports:
        gathered.pytest_runtest_logreport(report)
    gathered.pytest_terminal_summary(terminal)
    return terminal.lines


NODE_ID = "benchmarks/discriminative/test_x.py::test_it[a-b]"


def test_markdown() -> None:
    """A table is aligned Markdown with its note below."""
    table = Table("Title", ("name", "J"), [("a", "1.00 J"), ("longer", "2")], "A note.")
    expected = [
        "",
        "### Title",
        "",
        "| name   | J      |",
        "| ------ | ------ |",
        "| a      | 1.00 J |",
        "| longer | 2      |",
        "",
        "A note.",
    ]
    assert expected == list(table.markdown())


def test_no_note() -> None:
    """A table without a note ends with its last row."""
    assert "| 1   |" == list(Table("Title", ("n",), [("1",)]).markdown())[-1]


def test_row(rows: list[Row]) -> None:
    """A row has the name of the test, its facts, and the figures of each measurement."""
    shown(
        reported(
            NODE_ID,
            ("study.parameters", 7),
            ("energy.joules", 3.0),
            ("energy.per_unit.sample", 0.5),
            ("energy.by_domain.cpu:0", 2.0),
            ("energy.verdict", "passed"),
            ("energy.prefill.joules", 1.0),
            ("energy.prefill.quality.accuracy", 0.9),
            ("other", 1),
        )
    )
    figures = {
        "call": {"joules": 3.0, "per_unit.sample": 0.5, "by_domain.cpu:0": 2.0},
        "prefill": {"joules": 1.0, "quality.accuracy": 0.9},
    }
    assert [Row("test_it", {"parameters": 7}, figures)] == rows


def test_unmeasured(rows: list[Row]) -> None:
    """Tests without measurements, and other phases than the call, make no row."""
    measured = ("energy.joules", 3.0)
    assert [] == shown(
        reported(NODE_ID, ("study.parameters", 7), ("energy.verdict", "not measured")),
        reported(NODE_ID, measured, when="teardown"),
    )
    assert [] == rows


def test_ranking() -> None:
    """The last table has the measurements of all folders, those with the most energy first."""
    lines = shown(
        *(
            reported(
                f"benchmarks/regressions/test_x.py::test_it[{size}]",
                ("energy.joules", joules),
                ("energy.watts", 5.0),
                ("energy.seconds", joules / 5),
                ("energy.estimated", True),
                ("energy.per_unit.token", joules / 10),
            )
            for size, joules in (("a", 1.0), ("b", 3.0), ("c", 2.0))
        )
    )
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "it[" in line]
    assert cells[0] == ["it[b]", "~3.00 J", "~5.00 W", "600 ms", "~300 mJ/token"]
    assert [row[0] for row in cells] == ["it[b]", "it[c]", "it[a]"]
    assert "### The 3 of 3 measurements that use the most energy here" in lines


def test_folder_without_tables() -> None:
    """A folder without a report module, and tests outside of benchmarks, make no table."""
    measured = ("energy.joules", 3.0)
    assert [] == shown(
        reported("benchmarks/regressions/test_x.py::test_it", measured),
        reported("tests/test_x.py::test_it", measured),
    )


def test_written(rows: list[Row], tmp_path: Path) -> None:
    """The printed tables are also written, to a new folder if needed."""
    path = tmp_path / "build" / "studies.md"
    lines = shown(reported(NODE_ID, ("energy.joules", 3.0)), path=path)
    assert "### Title" == lines[1]
    assert "\n".join(lines[1:]) + "\n" == path.read_text()
    assert 1 == len(rows)


def test_known_power(study: Study) -> None:
    """70 W and 30 W for ten seconds and 500 images are 1,000 J and 2 J/image in the tables."""
    study.sensor('Domain("cpu:0", "cpu"), Domain("gpu:0", "gpu")', more=SHARED + DEVICES)
    study.write("benchmarks/discriminative/test_it.py", KNOWN)
    ran = study.energy("--bench-tables=tables.md")
    text = (study.path / "tables.md").read_text()
    assert {"passed": 1} == ran.outcomes
    assert "| a            | 500   | 2.00 J   | 1.00 kJ | 0.5       | 0.5    |" in text
    assert "| a            | 500   | 10.0 s    | 100 W | " in text
    assert "| a            | 500   | 700 J | 300 J |" in text
    assert text.strip() in ran.text


DEVICES = """

@pytest.fixture
def step():
    def step():
        SENSOR.spend(700.0, "cpu:0", seconds=10.0)
        SENSOR.spend(300.0, "gpu:0", seconds=0.0)

    return step
"""
KNOWN = """
def test_inference(energy, facts, step):
    facts(architecture="a", batch="500", precision="fp32", image="3x32x32")
    facts(parameters=10**6, macs=10**9, phase_macs=10**9, phase_work=2.1e9)
    energy.units(sample=500)
    energy(step)
"""


def test_failed_checks_are_counted(rows: list[Row]) -> None:
    """The number of failed self-checks is printed below the tables."""
    contended = reported(
        NODE_ID, ("energy.joules", 1.0), ("energy.checks", "contention; fresh session")
    )
    lines = shown(contended, reported(NODE_ID, ("energy.joules", 1.0)))
    assert " ".join(lines).endswith(
        "Failed self-checks in these 2 measurements: contention in 1, fresh session in 1."
    )
