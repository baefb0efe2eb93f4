"""`--energy-html` and `pytest-greenops report`: one file, which replaces nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_greenops.model.run_options import ONLY_VARIABLE
from tests.integration.commands import refused, run
from tests.integration.projects import ALONE, Project

IN_WORKERS = ("-p", "xdist", "-n2", "--energy-sensors=estimate", "--energy-max-rounds=1")
#: A library that cannot be imported.
BROKEN = "raise ImportError('no library')\n"


def data_of(path: Path) -> str:
    """Return the data in a report."""
    return path.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]


def test_report_of_a_run(grown: Project) -> None:
    """A run writes its verdict, its sentence and the commands as the user would call them."""
    ran = grown.energy("--energy-html=out/report.html", *ALONE, joules=3.0, seed=9)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    text = (grown.path / "out/report.html").read_text(encoding="utf-8")
    assert "<h1>1 of 1 test failed the energy check</h1>" in text
    assert re.search(r"call used 3\.0\d J, baseline 2\.00 J \(\+5\d %, 95 % CI", text)
    assert "--energy-save test_it.py::test_works" in text
    assert "--energy-html" not in text


def test_of_workers(project: Project) -> None:
    """With pytest-xdist, the controller writes one report of all workers."""
    pytest.importorskip("xdist")
    project.write("test_it.py", "def test_a(energy, work): energy(work)\ndef test_b(energy): pass")
    project.run("--energy", "--energy-html=report.html", *IN_WORKERS)
    assert data_of(project.path / "report.html").count('"keys"') == 2


def test_command_makes_the_same_page(grown: Project) -> None:
    """The report of a result file has the verdicts and charts of the run's own."""
    grown.energy("--energy-html=run.html", *ALONE, joules=3.0, seed=9)
    ran = run(grown.path, "report", "results.json", "-o", "file.html")
    assert (ran.code, ran.out) == (0, "energy: report of 1 measurement in file.html\n")
    assert data_of(grown.path / "file.html") == data_of(grown.path / "run.html")


def test_command_joins_files(project: Project) -> None:
    """Of several files, one report; of a test in two of them, the last counts."""
    project.write("test_a.py", "def test_a(energy, work): energy(work)")
    project.write("test_b.py", "def test_b(energy, work): energy(work)")
    for name in ("a", "b"):
        project.run("--energy", f"--energy-json={name}.json", f"test_{name}.py")
    ran = run(project.path, "report", "a.json", "b.json", "a.json", "-o", "all.html")
    assert ran.out == "energy: report of 2 measurements in all.html\n"
    assert data_of(project.path / "all.html").count('"keys"') == 2


def test_nothing_measured(project: Project) -> None:
    """A run without energy tests has a report that says so."""
    project.write("test_it.py", "def test_it(): pass")
    assert project.run("--energy", "--energy-html=report.html").code == 0
    text = (project.path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was measured: no energy test ran" in text
    assert '<table id="tests"' not in text


def test_step_of_a_bisect(project: Project) -> None:
    """A step of a bisect writes no report, also where the ini file asks for one."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_html = report.html\n")
    project.write("test_it.py", "def test_it(): pass")
    project.monkeypatch.setenv(ONLY_VARIABLE, "test_it.py::test_it")
    assert project.run("--energy").code == 0
    assert not (project.path / "report.html").exists()


def test_cannot_be_written(project: Project) -> None:
    """A path that cannot be written is refused before anything is measured."""
    project.write("test_it.py", "def test_it(): pass")
    project.write("taken", "a file")
    ran = project.run("--energy", "--energy-html=taken/out.html")
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.USAGE_ERROR, {})
    [said] = ran.errors
    assert said.startswith(f"ERROR: --energy-html {project.path}/taken/out.html: cannot be written")


def test_another_file_is_kept(project: Project) -> None:
    """A file that is not a report is kept; a report is."""
    path = project.write("test_it.py", "def test_it(): pass")
    ran = project.run("--energy", "--energy-html", "test_it.py", "-k", "one")
    assert ran.errors == [
        f"ERROR: --energy-html {path}: not a report of pytest-greenops, and would be overwritten; "
        f"name another file, or delete it: rm {path}"
    ]
    for _ in range(2):
        assert project.run("--energy", "--energy-html=report.html").code == 0
    project.energy()
    said = refused(project.path, "report", "results.json", "-o", "results.json")
    assert said.startswith("results.json: not a report of pytest-greenops")


@pytest.mark.parametrize("library", ["jinja2", "plotly"])
def test_library_is_missing(project: Project, library: str) -> None:
    """Without the extra `report`, one line before the first test says how to install it."""
    project.write(f"{library}/__init__.py", BROKEN)
    project.write("test_it.py", "def test_it(): pass")
    ran = project.run("--energy", "--energy-html=report.html", "-o", "pythonpath=.")
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.USAGE_ERROR, {})
    assert ran.errors == [
        f"ERROR: --energy-html {project.path}/report.html: the report needs jinja2 and plotly "
        "(no library): pip install 'pytest-greenops[report]'"
    ]
    assert not (project.path / "report.html").exists()


def test_needs_a_measured_run(project: Project) -> None:
    """Without `--energy` it is a usage error."""
    ran = project.run("--energy-html=out.html")
    assert ran.errors == [
        "ERROR: --energy-html has no effect without --energy: "
        "pytest --energy --energy-html=out.html"
    ]
