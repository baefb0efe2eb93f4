"""Small projects for pytest to run, whose tests use a known number of joules.

The conftest.py of a project has a `FakeSensor` and two fixtures. `spend(joules, domain, seconds)`
uses energy. `work()` uses the joules of the run (2 J in 0.1 s), so that a second run with more
joules is a regression. Nothing waits: the sensor's clock moves only when energy is spent.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.baseline_file import encode, read
from pytest_greenops.model.baseline import Baseline
from pytest_greenops.model.result import Result, Results
from tests.integration import forked_python

CONFTEST = """
import os

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.model.measurement import Domain
from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor({arguments})
#: The sensor has its own clock and joules, which other processes do not change.
machine.LoadProbe = NoLoad


def pytest_energy_sensors(config):
    return [SENSOR]


@pytest.fixture
def spend():
    return SENSOR.spend


@pytest.fixture
def work():
    def work():
        SENSOR.spend(float(os.environ["JOULES"]))

    return work
"""
#: Noise of 1 % that differs between runs.
NOISY = 'noise=0.01, seed=int(os.environ["SEED"])'
INI = """
[pytest]
energy_sensors = fake
"""
_COUNT = re.compile(
    r"(\d+) (measured|compared|passed|improved|regressed|over budget|inconclusive|no baseline|"
    r"not comparable|not measured|baselines? saved)"
)
#: A line of the plugin, and the message of a failure, with the rows below that belong to it.
_WRAPPED = re.compile(
    r"^energy: .*(?:\n {8,}\S.*)+|^Energy[A-Z]\w+: .*(?:\n(?![-_=]{3}).+)+", re.MULTILINE
)
#: A row with what the closing line has no room for.
_COUNTS = re.compile(r"\d+ [a-z]|work(:| of) |exit status ")
#: Options that each run of a project has, in the commands that it advises.
_OF_A_PROJECT = re.compile(r" (--basetemp=\S+|-p greenops)(?= |$)", re.MULTILINE)
#: No second measurement in a fresh process, for tests that are not about it.
ALONE = ("-o", "energy_fresh_process=false")
#: A test that uses the joules of its run.
WORKS = """
def test_works(energy, work):
    energy(work)
"""


def conftest(arguments: str = "", more: str = "") -> str:
    """Return a conftest.py with a sensor of these arguments, and with more code."""
    return CONFTEST.format(arguments=arguments) + dedent(more)


def save_sessions(folder: Path, files: Mapping[str, str], seeds: Iterable[int]) -> Path:
    """Write a project and save one session of 2 J a day for each seed, without a `Project`."""
    fill(folder, files)
    for seed in seeds:
        run_outside(folder, "--energy-save", seed=seed)
    spread_over_days(folder / "baselines")
    return folder


def spread_over_days(baselines: Path) -> None:
    """Date the sessions of baselines a day apart, up to the last, so that each is an occasion."""
    for file in baselines.rglob("*.json"):
        stored = read(file)
        series = {
            name: replace(
                each,
                sessions=tuple(
                    replace(session, saved_at=days_before(session.saved_at, days))
                    for days, session in zip(
                        reversed(range(len(each.sessions))), each.sessions, strict=True
                    )
                ),
            )
            for name, each in stored.measurements.items()
        }
        file.write_bytes(encode(replace(stored, measurements=series)))


def days_before(saved_at: str, days: int) -> str:
    """Return a time of a baseline file, some days earlier."""
    return (datetime.fromisoformat(saved_at) - timedelta(days=days)).isoformat()


def fill(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project, without a `Project`."""
    for name, text in files.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")


def run_outside(folder: Path, *args: str, joules: float = 2.0, seed: int = 0) -> None:
    """Run pytest in the folder of a project, without a `Project`; its tests must pass."""
    outer = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "GITHUB_"))
    }
    environ = {**outer, **_given(joules, seed), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = forked_python.run("pytest", "-p", "greenops", *args, environ=environ, folder=folder)
    assert ran.code == 0, f"{ran.out}\n{ran.err}"


def _given(joules: float, seed: int) -> dict[str, str]:
    """Return the variables that the tests of a project read."""
    return {"JOULES": str(joules), "SEED": str(seed)}


class Ran:
    """One run of pytest: the screen that it printed, and its results.

    `lines` and `text` have each message of a failure, and each line of the plugin, in one row.
    """

    def __init__(self, code: int, out: str, err: str, results_file: Path) -> None:
        out, err = (_OF_A_PROJECT.sub("", text) for text in (out, err))
        self.code = code
        self.screen = out
        self.lines = _WRAPPED.sub(lambda row: re.sub(r"\n *", " ", row[0]), out).splitlines()
        self.stdout = pytest.LineMatcher(self.lines)
        self.errors = [line for line in err.splitlines() if line]
        self.outcomes = (
            pytest.RunResult.parse_summary_nouns(self.lines)
            if re.search(r" in [\d.]+s", out)
            else {}
        )
        self._results_file = results_file

    @property
    def text(self) -> str:
        """The whole standard output."""
        return "\n".join(self.lines)

    @cached_property
    def document(self) -> Results:
        """The JSON results of the run."""
        return msgspec.json.decode(self._results_file.read_bytes(), type=Results)

    @cached_property
    def results(self) -> dict[str, Result]:
        """The results by test name, followed by `/` and the measurement's name if it has one."""
        return {
            r.test.name if r.name == "call" else f"{r.test.name}/{r.name}": r
            for r in self.document.results
        }

    @property
    def verdicts(self) -> dict[str, str]:
        """The outcome of each result."""
        return {name: result.verdict.outcome.value for name, result in self.results.items()}

    @property
    def energy_lines(self) -> list[str]:
        """The lines of the plugin in header and summary, without `energy: `."""
        return [line[8:] for line in self.lines if line.startswith("energy: ")]

    def failure(self, test: str) -> str:
        """Return the text below the heading of a failed test."""
        printed = rf"^_+ {re.escape(test)} _+$\n(.*?)(?=^[=_]{{3,}} |^$|\Z)"
        found = re.search(printed, self.text, re.MULTILINE | re.DOTALL)
        assert found, f"no failure of {test} in:\n{self.text}"
        return found[1].rstrip("\n")

    @property
    def closing(self) -> str:
        """The last line of the plugin, which counts the results, and the rows above that do."""
        last, *above = reversed(self.energy_lines)
        return "; ".join([last, *reversed(list(takewhile(_COUNTS.match, above)))])

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of the closing line by their word, without those that are 0."""
        return {word: int(number) for number, word in _COUNT.findall(self.closing) if int(number)}


class Project:
    """A folder in which pytest runs, each time in its own process and with this plugin only."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = pytester.path
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        ours = ("COLUMNS", "PYTHONIOENCODING", "CI", "CI_PROJECT_DIR", "OMP_NUM_THREADS")
        for name in (*ours, "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
            monkeypatch.delenv(name, raising=False)
        self.sensor()
        self.write("pytest.ini", INI)

    def sensor(self, arguments: str = "", more: str = "") -> None:
        """Write a conftest.py with a sensor of these arguments, and with more code."""
        self.write("conftest.py", conftest(arguments, more))

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def run(self, *args: str, joules: float = 2.0, seed: int = 0, plugins: bool = False) -> Ran:
        """Run pytest; `plugins` starts `python -m pytest` with all installed plugins."""
        for name, value in _given(joules, seed).items():
            self.monkeypatch.setenv(name, value)
        if plugins:
            self.monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        else:
            self.monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            args = ("-p", "greenops", *args)
        results = self.path / "results.json"
        results.unlink(missing_ok=True)
        temporary = tempfile.mkdtemp(prefix="runpytest-", dir=self.path)
        searched = filter(None, (os.getcwd(), os.environ.get("PYTHONPATH")))
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(searched)}
        basetemp = f"--basetemp={temporary}"
        ran = forked_python.run("pytest", basetemp, *args, environ=environ, forked=not plugins)
        print(ran.out, ran.err, sep="\n")
        return Ran(ran.code, ran.out, ran.err, results)

    def energy(self, *args: str, joules: float = 2.0, seed: int = 0, plugins: bool = False) -> Ran:
        """Run pytest --energy and keep its results."""
        args = ("--energy", "--energy-json=results.json", *args)
        return self.run(*args, joules=joules, seed=seed, plugins=plugins)

    def save(self, *args: str, joules: float = 2.0, seed: int = 0) -> Ran:
        """Run pytest --energy-save and keep its results."""
        return self.energy("--energy-save", *args, joules=joules, seed=seed)

    def files(self, folder: str = "baselines") -> dict[str, bytes]:
        """Return the bytes of each baseline by its path in the machine's folder."""
        return {
            "/".join(path.relative_to(self.path / folder).parts[1:]): path.read_bytes()
            for path in self._baseline_paths(folder)
        }

    def baselines(self, folder: str = "baselines") -> dict[str, Baseline]:
        """Return each baseline by its path in the machine's folder."""
        return {
            name: msgspec.json.decode(data, type=Baseline)
            for name, data in self.files(folder).items()
        }

    def baseline(self) -> Baseline:
        """Return the only baseline."""
        [only] = self.baselines().values()
        return only

    def baseline_path(self) -> Path:
        """Return the path of the only baseline."""
        [path] = self._baseline_paths("baselines")
        return path

    def _baseline_paths(self, folder: str) -> Iterator[Path]:
        paths = sorted((self.path / folder).rglob("*"))
        others = {".saving", "work"}
        return (path for path in paths if path.is_file() and not others.intersection(path.parts))

    def copy(self, folder: Path) -> None:
        """Copy the files of another project into this one."""
        shutil.copytree(folder, self.path, dirs_exist_ok=True)

    def log(self, name: str = "log.txt") -> list[str]:
        """Return the lines that the project's tests wrote to a file."""
        return (self.path / name).read_text(encoding="utf-8").splitlines()
