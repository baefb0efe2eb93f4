"""Whole screens, most at 80 columns, compared with `screens/*.txt`: nothing is said twice.

After a change that is meant, write the files again and review their diff:
`GREENOPS_WRITE_SCREENS=1 python -m pytest tests/integration/test_screens.py`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.projects import INI, WORKS, Project, Ran, conftest, save_sessions
from tests.integration.test_terminal import on_a_terminal

SCREENS = Path(__file__).parent / "screens"
#: The sensor of a run is sensed or estimated, with noise of 1 % that differs between runs.
SENSOR = 'noise=0.01, seed=int(os.environ["SEED"]), source=os.environ.get("SOURCE", "sensed")'
PHASES = """
import pytest


def test_phases(energy, work):
    energy.units(token=4)
    for _ in energy.rounds():
        with energy.measure("prefill"):
            work()
        with energy.measure("decode"):
            work()
            work()


@pytest.mark.energy_budget("2.5 J")
def test_budget(work):
    work()
"""
DOUBT = """
def test_new(energy, work):
    energy(work)


def test_never_measured(energy):
    pass
"""
FIRST = """
import pytest


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_encode(energy, spend, size):
    energy.units(token=10 * size)
    energy(spend, float(size))
"""
FILES = {"pytest.ini": INI, "conftest.py": conftest(SENSOR)}
TESTS = {"test_it.py": WORKS, "test_phases.py": PHASES}
#: Lines that users copy, or that pytest writes.
COPIED = re.compile(r"pytest .*--energy|^(platform|plugins:|rootdir:|REGRESSED) | +baselines/")
#: What differs between runs and machines.
VOLATILE = (
    (r"^(platform|plugins:|rootdir:|configfile:|cachedir:) .*\n", ""),
    (r"baselines/[\w.-]+-[0-9a-f]{8}\b", "baselines/MACHINE"),
    (r"\b\d{4}-\d\d-\d\d\b", "YYYY-MM-DD"),
    (r"(=+) (.*) in [\d.]+s =+", r"== \2 in TIME =="),
    (r"^␛\[31m=+ (.*) in [\d.]+s.*$", r"== \1 in TIME =="),
    (r"in [\d.]+s$", "in TIME"),
    (r"^-+ generated xml file: .*\n", ""),
    (r" -p (greenops|xdist)\b", ""),
    (r"^created: .*\n|^\d workers? \[.*\n", ""),
    (r"^\[gw\d\] linux.*$", "[gw0] linux"),
    (r"[ \t]+$", ""),
)


@pytest.fixture(scope="session")
def measured_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with three sessions by a sensor, and one by an estimate."""
    folder = tmp_path_factory.mktemp("screens")
    save_sessions(folder, FILES | TESTS, seeds=[1, 2, 3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE", "estimated")
        save_sessions(folder, {}, seeds=[4])
    (folder / "test_doubt.py").write_text(DOUBT)
    return folder


@pytest.fixture
def run(project: Project, measured_folder: Path) -> Callable[..., Ran]:
    """Return a function that runs pytest in this project, with a test that uses 3 J for 2 J."""
    project.copy(measured_folder)
    project.monkeypatch.setenv("COLUMNS", "80")

    def run(*args: str, joules: float = 3.0, source: str = "sensed") -> Ran:
        project.monkeypatch.setenv("SOURCE", source)
        return project.run(*args, joules=joules, seed=5)

    return run


def masked(text: str) -> str:
    """Return a screen without what differs between runs and machines."""
    for pattern, replacement in VOLATILE:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def check(name: str, ran: Ran) -> str:
    """Compare a screen with its file, or write the file on request; return the screen."""
    screen = masked(f"{ran.screen}".replace("\x1b", "␛"))
    file = SCREENS / f"{name}.txt"
    if os.environ.get("GREENOPS_WRITE_SCREENS"):
        file.write_text(screen, encoding="utf-8")
    assert screen == file.read_text(encoding="utf-8")
    return screen


def test_a_regression(run: Callable[..., Ran]) -> None:
    """A red test is said once: message, how sure, where, three commands."""
    screen = check("regressed", run("--energy", "test_it.py"))
    assert screen.count("--energy-save") == 1


def test_several_names_and_a_budget(run: Callable[..., Ran]) -> None:
    """Several names of a test share its commands; a budget has its figures and how to raise it."""
    check("several", run("--energy", "-v", "test_phases.py"))


def test_quiet(run: Callable[..., Ran]) -> None:
    """With `-q` a failure and the closing line are all; JUnit XML has the whole message."""
    check("quiet", run("--energy", "-q", "test_it.py", "--junitxml=junit.xml"))
    assert "Accept it: pytest " in Path("junit.xml").read_text(encoding="utf-8")


def test_unproven(run: Callable[..., Ran]) -> None:
    """With `--energy-strict` each test that could not be judged says why, and what would help."""
    ran = run("--energy", "--energy-strict", "test_it.py", "test_doubt.py", joules=2.15)
    check("unproven", ran)


def test_warned_and_undecided(run: Callable[..., Ran]) -> None:
    """Without a failure the notes below the table say it, here in ASCII."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONIOENCODING", "ascii")
        ran = run("--energy", "test_it.py", "test_doubt.py", source="estimated")
    assert ran.text.isascii()
    check("warned", ran)


def test_in_workers(run: Callable[..., Ran]) -> None:
    """Workers of pytest-xdist advise what pastes into the shell that started their controller."""
    options = ("-p", "xdist", "-n2", "--energy", "--energy-estimates=fail")
    check("workers", run(*options, "test_it.py", source="estimated"))


def test_a_first_run(project: Project) -> None:
    """Without any baseline it ends with the most energy, and the one command that goes on."""
    project.monkeypatch.setenv("COLUMNS", "80")
    project.sensor('noise=0.01, source="estimated"')
    project.write("test_first.py", FIRST)
    screen = check("first", project.run("--energy"))
    assert screen.count("--energy-save") == 1


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [
        ("wide", 160, ("-vv",)),
        ("narrow", 40, ()),
        ("color", 80, ("--color=yes", "-v")),
        ("tb-no", 80, ("--tb=no",)),
        ("tb-line", 80, ("--tb=line", "-q")),
        ("tb-short", 80, ("--tb=short", "-rA", "--no-header")),
        ("no-summary", 80, ("--no-summary",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_way_to_look(
    run: Callable[..., Ran], project: Project, name: str, columns: int, options: tuple[str, ...]
) -> None:
    """Width, color and pytest's options change what is shown, and no line wraps but commands."""
    project.monkeypatch.setenv("COLUMNS", str(columns))
    ran = run("--energy", *options, "test_it.py", "test_doubt.py", joules=3.0)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    check(name, ran)
    shown = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in ran.screen.splitlines()]
    assert [line for line in shown if len(line) > columns and not COPIED.search(line)] == []


def test_without_color_on_a_terminal(run: Callable[..., Ran], project: Project) -> None:
    """With `NO_COLOR` a terminal shows what a pipe gets."""
    project.monkeypatch.setenv("NO_COLOR", "1")
    given = {"JOULES": "3", "SEED": "5", "SOURCE": "sensed", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for name, value in given.items():
        project.monkeypatch.setenv(name, value)
    seen = on_a_terminal("--energy", "test_it.py").replace("\r", "")
    shown = re.sub("\x1bD.*?\x1b8", "", seen, flags=re.DOTALL)  # without the progress
    shown = shown.replace(f"{sys.executable} -m ", "").replace("collecting ... ", "")
    assert masked(shown) == (SCREENS / "regressed.txt").read_text(encoding="utf-8")
