"""Small projects for pytest to run: the joules that their tests use are known.

A project has a conftest.py that brings a `FakeSensor` and two fixtures: `spend(joules, domain,
seconds)` uses energy, and `work()` uses what the run says (2 J in 0.1 s), so that a regression is
made by running again with more. Nothing waits: the sensor's clock moves only as energy is spent.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from pytest_greenops.model.baseline import Baseline
from pytest_greenops.model.result import Result, Results

CONFTEST = """
import os

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.meter import NoLoad
from pytest_greenops.model.measurement import Domain
from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor({arguments})
#: The sensor has a clock and joules of its own: what else runs on the machine is not in them.
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
#: Noise of 1 %, another in each run.
NOISY = 'noise=0.01, seed=int(os.environ["SEED"])'
INI = """
[pytest]
energy_sensors = fake
"""
#: A test that uses the joules of the run.
WORKS = """
def test_works(energy, work):
    energy(work)
"""


def conftest(arguments: str = "", more: str = "") -> str:
    """A conftest.py with a sensor made with these arguments, and further code."""
    return CONFTEST.format(arguments=arguments) + dedent(more)


def save_sessions(folder: Path, files: Mapping[str, str], seeds: Iterable[int]) -> Path:
    """Write files and save one session of 2 J for each seed, outside of any test."""
    fill(folder, files)
    for seed in seeds:
        run_outside(folder, "--energy-save", seed=seed)
    return folder


def fill(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project, outside of any test."""
    for name, text in files.items():
        (folder / name).write_text(dedent(text), encoding="utf-8")


def run_outside(folder: Path, *args: str, joules: float = 2.0, seed: int = 0) -> None:
    """Run pytest in the folder of a project, outside of any test; its tests have to pass."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "greenops", *args],
        cwd=folder,
        env={
            **outer,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "JOULES": str(joules),
            "SEED": str(seed),
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )


class Ran:
    """One run of pytest: what it printed, and what it measured."""

    def __init__(self, result: pytest.RunResult, results_file: Path) -> None:
        self.code = int(result.ret)
        self.stdout = result.stdout
        self.lines = result.outlines
        self.errors = [line for line in result.errlines if line]
        self.outcomes = (
            result.parseoutcomes() if re.search(r" in [\d.]+s", str(result.stdout)) else {}
        )
        self._results_file = results_file

    @property
    def text(self) -> str:
        """All that was printed."""
        return "\n".join(self.lines)

    @cached_property
    def document(self) -> Results:
        """The JSON results of the run."""
        return msgspec.json.decode(self._results_file.read_bytes(), type=Results)

    @cached_property
    def results(self) -> dict[str, Result]:
        """Results by the name of the test, with the measurement's after a slash if it has one."""
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
        """The lines of the plugin in header and summary, without their `energy: `."""
        return [line[8:] for line in self.lines if line.startswith("energy: ")]

    def failure(self, test: str) -> str:
        """What is printed under a failed test, its heading left out."""
        printed = rf"^_+ {re.escape(test)} _+$\n(.*?)(?=^[=_]{{3,}} |^$|\Z)"
        found = re.search(printed, self.text, re.MULTILINE | re.DOTALL)
        assert found, f"no failure of {test} in:\n{self.text}"
        return found[1].rstrip("\n")

    @property
    def closing(self) -> str:
        """The line that counts."""
        return self.energy_lines[-1]


class Project:
    """A folder in which pytest is run, in a process of its own, with this plugin only."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = pytester.path
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        for name in ("COLUMNS", "PYTHONIOENCODING", "CI", "GITHUB_ACTIONS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        self.sensor()
        self.write("pytest.ini", INI)

    def sensor(self, arguments: str = "", more: str = "") -> None:
        """Bring a sensor made with these arguments; `more` is further code of conftest.py."""
        self.write("conftest.py", conftest(arguments, more))

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def run(self, *args: str, joules: float = 2.0, seed: int = 0, plugins: bool = False) -> Ran:
        """Run pytest, with all plugins that are installed where `plugins` is true."""
        self.monkeypatch.setenv("JOULES", str(joules))
        self.monkeypatch.setenv("SEED", str(seed))
        if plugins:
            self.monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        else:
            self.monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            args = ("-p", "greenops", *args)
        results = self.path / "results.json"
        results.unlink(missing_ok=True)
        return Ran(self.pytester.runpytest_subprocess(*args), results)

    def energy(self, *args: str, joules: float = 2.0, seed: int = 0, plugins: bool = False) -> Ran:
        """Run pytest --energy, and keep its results."""
        args = ("--energy", "--energy-json=results.json", *args)
        return self.run(*args, joules=joules, seed=seed, plugins=plugins)

    def save(self, *args: str, joules: float = 2.0, seed: int = 0) -> Ran:
        """Run pytest --energy-save, and keep its results."""
        return self.energy("--energy-save", *args, joules=joules, seed=seed)

    def files(self, folder: str = "baselines") -> dict[str, bytes]:
        """The bytes of each baseline by its path within the machine's folder."""
        return {
            "/".join(path.relative_to(self.path / folder).parts[1:]): path.read_bytes()
            for path in self._baseline_paths(folder)
        }

    def baselines(self, folder: str = "baselines") -> dict[str, Baseline]:
        """Each baseline by its path within the machine's folder."""
        return {
            name: msgspec.json.decode(data, type=Baseline)
            for name, data in self.files(folder).items()
        }

    def baseline(self) -> Baseline:
        """The only baseline."""
        [only] = self.baselines().values()
        return only

    def baseline_path(self) -> Path:
        """The path of the only baseline."""
        [path] = self._baseline_paths("baselines")
        return path

    def _baseline_paths(self, folder: str) -> Iterator[Path]:
        return (path for path in sorted((self.path / folder).rglob("*")) if path.is_file())

    def copy(self, folder: Path) -> None:
        """Take over the files of another project."""
        shutil.copytree(folder, self.path, dirs_exist_ok=True)

    def log(self, name: str = "log.txt") -> list[str]:
        """The lines that the tests of the project wrote into a file."""
        return (self.path / name).read_text(encoding="utf-8").splitlines()
