"""Measure what a test costs beyond its work, in suites of 100 to 10,000 empty tests.

    python -m benchmarks.overhead.many_tests [number of tests ...]

Each test measures an empty function once: `energy.pedantic(work, rounds=1)`, and the same with
`benchmark` of pytest-benchmark. What plain tests cost, and what a run of one test costs, is
subtracted, so the start-up is not included. With the default numbers of tests it also writes the
table to docs/evidence/overhead.md. First install the packages, not in editable mode.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import publish, table

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "overhead.md"
WRITER = "python -m benchmarks.overhead.many_tests"
TESTS = (100, 1_000, 10_000)
#: The goals: milliseconds a test, cost at the most tests over that at the fewest, MB.
GOAL_MS, GOAL_RATIO, GOAL_MB = 1.0, 1.3, 300
#: Tests of one module, and tests that all runs of a size add up to, at least.
MODULE, LEAST = 100, 3_000
MOST_RUNS = 15
CONFTEST = """
import pytest
from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor()


@pytest.hookimpl(optionalhook=True)
def pytest_energy_sensors(config):
    return [SENSOR]


@pytest.fixture
def work():
    return lambda: SENSOR.spend(2.0)
"""
TEST = """
import pytest


@pytest.mark.parametrize("number", range({tests}))
def test_empty({fixture}, work, number):
    {call}
"""


class Arm(NamedTuple):
    """One way to run the tests: a fixture, its call, options, and those of the saving run."""

    name: str
    fixture: str
    call: str
    options: tuple[str, ...]
    saving: tuple[str, ...] = ()


OURS = ("energy", "energy.pedantic(work, rounds=1)")
THEIRS = ("benchmark", "benchmark.pedantic(work, rounds=1)")
NO_BENCHMARK, NO_GREENOPS = ("-p", "no:benchmark"), ("-p", "no:greenops")
PLAIN = Arm("plain pytest", "request", "work()", (*NO_BENCHMARK, *NO_GREENOPS))
ARMS = (
    Arm("pytest-greenops", *OURS, ("--energy", *NO_BENCHMARK)),
    Arm(
        "pytest-greenops, against a baseline",
        *OURS,
        ("--energy", *NO_BENCHMARK),
        ("--energy-save", *NO_BENCHMARK),
    ),
    Arm("pytest-benchmark", *THEIRS, NO_GREENOPS),
    Arm(
        "pytest-benchmark, against a baseline",
        *THEIRS,
        ("--benchmark-compare", "--benchmark-compare-fail=mean:1000000%", *NO_GREENOPS),
        ("--benchmark-save=baseline", *NO_GREENOPS),
    ),
)


class Cost(NamedTuple):
    """What one run of pytest took, in CPU seconds and in peak memory."""

    cpu_s: float
    memory_mb: float


def run(folder: Path, options: Sequence[str]) -> Cost:
    """Run pytest once."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((folder / "output").read_text()[-2_000:])
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def fill(folder: Path, arm: Arm, tests: int) -> None:
    """Write a project of `tests` tests for an arm; save its baseline if it has one."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\nenergy_sensors = fake\n")
    (folder / "conftest.py").write_text(CONFTEST)
    for first in range(0, tests, MODULE):
        text = TEST.format(fixture=arm.fixture, call=arm.call, tests=min(MODULE, tests - first))
        (folder / f"test_{first:05}.py").write_text(text)
    if arm.saving:
        run(folder, arm.saving)


def costs(tests: int) -> dict[str, list[Cost]]:
    """Run all arms in turns, with `tests` tests."""
    found: dict[str, list[Cost]] = {arm.name: [] for arm in (PLAIN, *ARMS)}
    runs = max(1, min(MOST_RUNS, LEAST // tests))
    with tempfile.TemporaryDirectory() as name:
        for number, arm in enumerate((PLAIN, *ARMS)):
            fill(Path(name, str(number)), arm, tests)
        for _ in range(runs):
            for number, arm in enumerate((PLAIN, *ARMS)):
                found[arm.name].append(run(Path(name, str(number)), arm.options))
    return found


class Row(NamedTuple):
    """What an arm adds to each test, by number of tests, and the memory of its largest run."""

    name: str
    added_ms: dict[int, float]
    memory_mb: float

    @property
    def ratio(self) -> float:
        """The cost of a test among the most tests, over that among the fewest."""
        return self.added_ms[max(self.added_ms)] / self.added_ms[min(self.added_ms)]


def rows(found: Mapping[int, Mapping[str, Sequence[Cost]]]) -> Iterator[Row]:
    """Yield a row for each arm: the least of its runs, without that of plain tests."""
    cpu_s = {
        (tests, name): min(cost.cpu_s for cost in seen)
        for tests, arms in found.items()
        for name, seen in arms.items()
    }
    for arm in (PLAIN, *ARMS):
        added_ms = {}
        for tests in found:
            if tests == 1:
                continue
            grown_s = cpu_s[tests, arm.name] - cpu_s[1, arm.name]
            if arm is not PLAIN:
                grown_s -= cpu_s[tests, PLAIN.name] - cpu_s[1, PLAIN.name]
            added_ms[tests] = grown_s / (tests - 1) * 1e3
        largest = found[max(found)][arm.name]
        yield Row(arm.name, added_ms, max(cost.memory_mb for cost in largest))


def main() -> None:
    """Print the table and write it to the page."""
    sizes = tuple(map(int, sys.argv[1:])) or TESTS
    found = {tests: costs(tests) for tests in (1, *sizes)}
    made = list(rows(found))
    head = ["added to each test", *(f"{n:,} tests" for n in sizes), "ratio", "peak memory"]
    cells = [
        [
            row.name,
            *(f"{row.added_ms[n]:.2f} ms" for n in sizes),
            f"{row.ratio:.2f}",
            f"{row.memory_mb:.0f} MB",
        ]
        for row in made
    ]
    ours = [row for row in made if row.name.startswith("pytest-greenops")]
    goals = (
        (f"under {GOAL_MS:g} ms", all(max(row.added_ms.values()) < GOAL_MS for row in ours)),
        (f"ratio at most {GOAL_RATIO}", all(row.ratio <= GOAL_RATIO for row in ours)),
        (f"under {GOAL_MB} MB", all(row.memory_mb < GOAL_MB for row in ours)),
    )
    lines = [
        "CPU time beyond plain tests and start-up, the least of runs in turns; "
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}. "
        "Goals: "
        + ", ".join(f"{goal} ({'met' if met else 'missed'})" for goal, met in goals)
        + ".",
        "",
        *table(head, cells),
    ]
    publish(lines, PAGE, WRITER, whole=sizes == TESTS)


if __name__ == "__main__":
    main()
