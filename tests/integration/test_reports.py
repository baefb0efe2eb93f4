"""`--energy-markdown`, `--energy-export` and `--energy-github`: what a run writes, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_greenops.model.run_options import ONLY_VARIABLE
from pytest_greenops.report.exports import FORMATS
from pytest_greenops.report.markdown import SUMMARY_BYTES
from tests.integration.projects import ALONE, Project, Ran

IN_WORKERS = ("-p", "xdist", "-n2", "--energy-sensors=estimate", "--energy-max-rounds=1")
#: A test that regresses after three sessions, in lines 5 and 6.
HEADING = "## ❌ 1 of 1 test failed the energy check"


@pytest.fixture
def job(project: Project) -> Path:
    """Let the project run in a job of GitHub Actions, and return the file of its summary."""
    summary = project.path / "summary.md"
    project.monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    return summary


def commands(ran: Ran) -> list[str]:
    """Return the lines that GitHub Actions obeys."""
    return [line for line in ran.lines if line.lstrip().startswith("::")]


def test_markdown_of_a_run(grown: Project) -> None:
    """A run writes its failures with the commands as the user would call them."""
    options = ("--energy-markdown=out/energy.md", "--energy-export=csv:out/energy.csv")
    ran = grown.energy(*options, *ALONE, joules=3.0, seed=9)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    text = (grown.path / "out/energy.md").read_text(encoding="utf-8")
    assert HEADING in text
    assert "--energy-save test_it.py::test_works" in text
    assert "--energy-markdown" not in text
    assert "--energy-export" not in text
    assert commands(ran) == []


def test_job_of_github(grown: Project, job: Path) -> None:
    """In GitHub Actions a run appends to the summary, and annotates the line of the test."""
    job.write_text("# Before\n", encoding="utf-8")
    ran = grown.energy(*ALONE, joules=3.0, seed=9)
    [command] = commands(ran)
    where = f"file={grown.path.name}/test_it.py,line=2"
    assert command.startswith(f"::error {where},title=regressed%3A test_works::call used ")
    text = job.read_text(encoding="utf-8")
    assert text.startswith("# Before\n")
    assert text.count(HEADING) == 1


def test_function_outside_of_the_repository(project: Project, job: Path) -> None:
    """A test that its module imports from elsewhere is annotated in its module."""
    (project.path / "code").mkdir()
    project.write("code/pytest.ini", "[pytest]\nenergy_sensors = fake\npythonpath = ../lib\n")
    (project.path / "conftest.py").rename(project.path / "code/conftest.py")
    project.write("code/.git", "")
    budget = "@pytest.mark.energy_budget('1 J')"
    text = f"import pytest\n\n\n{budget}\ndef test_far(energy, work): energy(work)"
    project.write("lib/far.py", text)
    project.write("code/tests/test_it.py", "from far import test_far")
    [command] = commands(project.run("--energy", "--rootdir=code", "-c", "code/pytest.ini", "code"))
    assert command.startswith("::error file=tests/test_it.py,line=1,title=over budget%3A test_far:")


def test_off_and_on(grown: Project, job: Path) -> None:
    """`off` writes nothing in a job; `on` writes annotations without one."""
    ran = grown.energy("--energy-github=off", *ALONE, joules=3.0, seed=9)
    assert commands(ran) == []
    assert not job.exists()
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        grown.monkeypatch.delenv(name)
    ran = grown.energy("--energy-github=on", *ALONE, joules=3.0, seed=9)
    [command] = commands(ran)
    assert command.startswith("::error file=test_it.py,line=2,")


@pytest.mark.parametrize("quiet", ["--no-summary", "-q", "-qq", "-pno:terminal"])
def test_quiet_runs_are_annotated(grown: Project, job: Path, quiet: str) -> None:
    """However little pytest prints, the log has each annotation once, and so has the summary."""
    ran = grown.energy(quiet, *ALONE, joules=3.0, seed=9)
    assert len(commands(ran)) == 1
    assert job.read_text(encoding="utf-8").count(HEADING) == 1


def test_without_a_summary_a_failed_run_says_why(project: Project) -> None:
    """With `--no-summary`, the lines remain that explain an exit code of 1 after passed tests."""
    project.write("test_it.py", "def test_it(energy, work): energy(work)")
    ran = project.run("--energy", "--no-summary", "--energy-strict", "--energy-json=/dev/full")
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    said = "energy: --energy-json /dev/full: cannot be written (No space left on device)"
    assert [line for line in ran.lines if line.startswith(said)]


def test_fresh_process_writes_nothing(grown: Project, job: Path) -> None:
    """The process that confirms a regression has no report of its own."""
    export = "--energy-export=codequality:quality.json"
    ran = grown.energy(export, "--energy-markdown=energy.md", joules=3.0, seed=9)
    assert ran.results["test_works"].verdict.confirmed is not None
    assert len(commands(ran)) == 1
    assert job.read_text(encoding="utf-8").count("<!-- pytest-greenops -->") == 1
    assert len(json.loads((grown.path / "quality.json").read_bytes())) == 1


def test_of_workers(project: Project, job: Path) -> None:
    """With pytest-xdist, the controller alone writes, of all workers."""
    pytest.importorskip("xdist")
    project.write("test_it.py", "def test_a(energy, work): energy(work)\ndef test_b(energy): pass")
    project.run("--energy", "--energy-export=csv:out.csv", *IN_WORKERS)
    assert len((project.path / "out.csv").read_text(encoding="utf-8").splitlines()) == 3
    text = job.read_text(encoding="utf-8")
    assert text.count("<!-- pytest-greenops -->") == 1
    assert "<summary>2 other measurements</summary>" in text


def test_step_of_a_bisect(project: Project, job: Path) -> None:
    """A step of a bisect writes no report, also where the ini file asks for one."""
    ini = "[pytest]\nenergy_sensors = fake\nenergy_markdown = a.md\nenergy_export = csv:a.csv\n"
    project.write("pytest.ini", ini)
    project.write("test_it.py", "def test_it(): pass")
    project.monkeypatch.setenv(ONLY_VARIABLE, "test_it.py::test_it")
    assert project.run("--energy").code == 0
    assert not {"a.md", "a.csv", job.name} & {each.name for each in project.path.iterdir()}


def test_nothing_measured(project: Project, job: Path) -> None:
    """A run without energy tests says so in its summary, and passes."""
    project.write("test_it.py", "def test_it(): pass")
    assert project.run("--energy").code == 0
    assert "Nothing was measured: no energy test ran" in job.read_text(encoding="utf-8")


def test_unmeasured_run_writes_nothing(project: Project, job: Path) -> None:
    """Without `--energy`, and with `--collect-only`, nothing is written."""
    project.write("test_it.py", "def test_it(energy): energy(int)")
    project.run()
    project.run("--energy", "--collect-only")
    assert not job.exists()


def test_summary_that_cannot_be_written(project: Project, job: Path) -> None:
    """A summary that is full, or cannot be written, is a remark, and fails nothing."""
    project.write("test_it.py", "def test_it(): pass")
    job.write_bytes(b"x" * SUMMARY_BYTES)
    ran = project.run("--energy")
    assert (ran.code, job.stat().st_size) == (0, SUMMARY_BYTES)
    assert "the job summary is full: the report is not in it" in ran.energy_lines
    project.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "no/such.md"))
    ran = project.run("--energy")
    assert ran.code == 0
    assert any("cannot be written (No such file" in line for line in ran.energy_lines)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--energy-export=junit:x",
            "--energy-export: 'junit:x': expected FORMAT:PATH with one of bencher, "
            "github-action-benchmark, openmetrics, csv, codequality",
        ),
        ("--energy-export=csv", "--energy-export: 'csv': expected FORMAT:PATH with one of "),
        ("--energy-export=csv:", "--energy-export: '': expected a path"),
        ("--energy-export=csv:taken/x", "--energy-export csv: {0}/taken/x: cannot be written ("),
        ("--energy-markdown=taken/x", "--energy-markdown {0}/taken/x: cannot be written ("),
        ("--energy-markdown=test_it.py", "--energy-markdown {0}/test_it.py: not a report of "),
        ("--energy-export=csv:test_it.py", "--energy-export csv: {0}/test_it.py: not a csv file "),
        ("--energy-github=maybe", "--energy-github: 'maybe': expected auto, on or off"),
    ],
)
def test_refused_before_the_first_test(project: Project, option: str, said: str) -> None:
    """What cannot be written, or is no format, is one line before anything runs."""
    project.write("test_it.py", "def test_it(): pass")
    project.write("taken", "a file")
    ran = project.run("--energy", option)
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.USAGE_ERROR, {})
    [line] = ran.errors
    assert line.startswith(f"ERROR: {said.format(project.path)}")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            "--energy-export=csv:a",
            "--energy-export=bencher:./a",
            "bencher: {0}/a: --energy-export csv",
        ),
        ("--energy-json=a", "--energy-markdown=b/../a", "markdown {0}/b/../a: --energy-json"),
    ],
)
def test_two_reports_in_one_file(project: Project, first: str, second: str, said: str) -> None:
    """Two options that name the same file are refused, however it is written."""
    ran = project.run("--energy", first, second)
    [line] = ran.errors
    option = second.partition("=")[0].removesuffix("markdown")
    said = f"{said.format(project.path)} writes the same file; name another file"
    assert line == f"ERROR: {option}{' ' * ('export' in option)}{said}"


ALL_OPTIONS = ("json", "html", "markdown", *(f"export={name}" for name in FORMATS))


@pytest.mark.parametrize("kind", ALL_OPTIONS)
def test_a_full_disk_fails_the_run(project: Project, kind: str) -> None:
    """A report that could not be written at the end is named, and the run does not pass."""
    project.write("test_it.py", "def test_it(): pass")
    given = f"--energy-{kind}{':' if '=' in kind else '='}/dev/full"
    ran = project.run("--energy", given)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    [line] = [line for line in ran.energy_lines if "No space left on device" in line]
    assert line.startswith(f"--energy-{kind.replace('=', ' ')}")


def test_every_format_again(project: Project) -> None:
    """All formats are written in one run, and a second run replaces its own files."""
    project.write("test_it.py", "def test_it(energy, work): energy(work)")
    lines = "".join(f"\n    {name}:out/{name}" for name in FORMATS)
    project.write("pytest.ini", f"[pytest]\nenergy_sensors = fake\nenergy_export ={lines}\n")
    for _ in range(2):
        assert project.run("--energy", *ALONE).code == 0
    assert {each.name for each in (project.path / "out").iterdir()} == {*FORMATS}
