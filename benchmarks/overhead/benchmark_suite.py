"""Measure what joules add to a suite for pytest-benchmark: 300 tests of 1 ms each, as a ratio.

    python -m benchmarks.overhead.benchmark_suite [number of tests]

The suite runs under pytest-benchmark's defaults, then with `--energy-benchmarks`: without
baselines, while it saves them, and compared with them. Each time is the wall time of the whole run,
over the mean of pytest-benchmark alone before and after. Needs a quiet machine: where others work,
nothing is saved or compared, as the closing lines say.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.markdown import table

TESTS = 300
#: The goal: wall time with joules, over that of pytest-benchmark alone.
GOAL = 3.0
TEST = """
import time

import pytest


def work():
    ended = time.perf_counter() + 0.001
    while time.perf_counter() < ended:
        pass


@pytest.mark.parametrize("number", range({tests}))
def test_work(benchmark, number):
    benchmark(work)
"""
ENERGY = ("--energy-benchmarks", "--energy")
ALONE = ("-p", "no:greenops")
ARMS = {
    "and joules, without baselines": ENERGY,
    "and joules, saved": (*ENERGY, "--energy-save"),
    "and joules, compared": ENERGY,
    "joules alone (`--benchmark-disable`), compared": (*ENERGY, "--benchmark-disable"),
}


def run(folder: Path, options: tuple[str, ...]) -> tuple[float, str]:
    """Return the seconds of one run of the suite, and the closing line of this plugin."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    began = time.perf_counter()
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    elapsed_s = time.perf_counter() - began
    if ran.returncode > 1:  # a test that regresses fails
        raise SystemExit(ran.stdout[-2_000:] + ran.stderr[-2_000:])
    said = [line for line in ran.stdout.splitlines() if line.startswith("energy: ")]
    return elapsed_s, said[-1] if said else ""


def main() -> None:
    """Print the table."""
    tests = int(sys.argv[1]) if sys.argv[1:] else TESTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_work.py").write_text(TEST.format(tests=tests))
        before_s, _ = run(folder, ALONE)
        found = {arm: run(folder, options) for arm, options in ARMS.items()}
        after_s, _ = run(folder, ALONE)
    alone_s = (before_s + after_s) / 2
    ratios = {arm: seconds / alone_s for arm, (seconds, _) in found.items()}
    rows = [[arm, f"{ratios[arm]:.2f}", found[arm][1]] for arm in ARMS]
    print("\n".join(table([f"{tests} tests of 1 ms", "time", "closing line"], rows)))
    print(f"\npytest-benchmark alone: {before_s:.0f} s before, {after_s:.0f} s after.")
    met = "met" if max(ratios.values()) <= GOAL else "missed"
    print(f"Goal: at most {GOAL:g} times the time of pytest-benchmark ({met}).")


if __name__ == "__main__":
    main()
