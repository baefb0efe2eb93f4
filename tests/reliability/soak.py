"""Run a small suite in one process again and again, and watch what that process keeps.

`python -m tests.reliability.soak [--hours H]`: half of a CPU is busy beside it. Each cycle is a
whole run of pytest in this process, in one of the ways of `MODES` in turn. The tests do work in
the process, in threads and in child processes; one regresses. First the same cycles run without
`--energy`, since pytest itself keeps something of each run in one process. Exit status 1 if
descriptors, threads, child processes or temporary files have grown, or memory by more than that.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy
import psutil
import pytest

from benchmarks.markdown import table

TESTS = """
import subprocess, sys, threading
import pytest
from conftest import spend

def work(n=30_000):
    spend(n / 10_000)
    return sum(i * i for i in range(n))

@pytest.mark.energy_budget(max_increase="10%")
@pytest.mark.parametrize("n", [20_000, 40_000])
def test_work(energy, n):
    energy(work, n)

@pytest.mark.energy_budget("1 mJ", action="warn")
def test_over_budget(energy):
    energy(work)

def test_named_windows(energy):
    energy.units(sample=8)
    with energy.measure("load"):
        work()
    with energy.measure("step"):
        work()
    energy.quality(accuracy=0.9)

def test_threads(energy):
    def both():
        threads = [threading.Thread(target=work) for _ in range(2)]
        for each in threads: each.start()
        for each in threads: each.join()
    energy(both)

def test_child_process(energy):
    def child():
        spend(1.0)
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    energy.pedantic(child, rounds=3)

@pytest.mark.energy_budget
def test_matrices(energy):
    torch = pytest.importorskip("torch")
    layer, batch = torch.nn.Linear(64, 64), torch.ones(32, 64)
    def step():
        spend(0.5)
        return layer(batch)
    energy(step)
"""
#: A sensor for what the tests spend, and the fixture of plain pytest, which calls the work once.
CONFTEST = """
import contextlib, os
import pytest

if os.environ.get("PLAIN"):
    class Plain:
        def __call__(self, f, *a): return f(*a)
        def measure(self, *a, **k): return contextlib.nullcontext()
        def quality(self, **k): pass
        def units(self, **k): pass
        def pedantic(self, f, args=(), rounds=1): return f(*args)

    energy = pytest.fixture(lambda: Plain())
    spend = lambda joules: None

    def pytest_configure(config):
        config.addinivalue_line("markers", "energy_budget: ignored")
else:
    from pytest_greenops.testing import FakeSensor

    SENSOR = FakeSensor()
    spend = SENSOR.spend

    def pytest_energy_sensors(config):
        return [SENSOR]
"""
#: Without a plugin of the tests' environment that starts a server in each run, and never ends it.
INI = """
[pytest]
addopts = -q -p no:rerunfailures -p no:cacheprovider --strict-markers
energy_sensors = fake
energy_count = off
energy_max_time = 1 s
"""
#: The ways in which a run is started, in turn.
MODES: dict[str, tuple[str, ...]] = {
    "save": ("--energy-save",),
    "compare": ("--energy", "--energy-json=results.json"),
    "count": ("--energy", "--energy-count=on", "--energy-markdown=summary.md"),
    "history": ("--energy", "--energy-history=sqlite:///history.db", "--energy-html=report.html"),
    "estimate": ("--energy", "--energy-sensors=estimate"),
    "workers": ("--energy", "--energy-sensors=estimate", "-n2"),
    "compare with HEAD": ("--energy", "--energy-ab=HEAD", "-k", "test_work"),
}
#: Half of the time busy.
_BUSY = """
import time
while True:
    end = time.perf_counter() + 0.05
    while time.perf_counter() < end: pass
    time.sleep(0.05)
"""
#: Cycles of each mode before anything counts as kept: caches are full and libraries loaded.
WARM_UP = 3
#: Rows of the table.
ROWS = 8


class Kept(NamedTuple):
    """What the process has after a cycle; memory is resident and in MB."""

    hours: float
    cycles: int
    memory_mb: float
    descriptors: int
    threads: int
    children: int
    temporary_files: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if something grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.soak")
    parser.add_argument("--hours", type=float, default=2.0)
    hours = parser.parse_args(arguments).hours
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        project, temporary = _project(Path(folder))
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        busy = subprocess.Popen([sys.executable, "-S", "-c", _BUSY])
        os.chdir(project)
        try:
            plain = list(_cycles(hours / 20, temporary, [("-p", "no:greenops")]))
            seen = list(_cycles(hours, temporary, list(MODES.values())))
        finally:
            busy.kill()
            busy.wait()
    if len(seen) < 2 or len(plain) < 2:
        raise SystemExit(f"{hours:g} hours are too short for {WARM_UP + 2} cycles")
    print(*_rows(seen), sep="\n")
    per_cycle_kb, plain_kb = (_growth_kb(cycles) for cycles in (seen, plain))
    print(
        f"Memory grew by {per_cycle_kb:.1f} kB a cycle; by {plain_kb:.1f} kB in {len(plain):,} "
        "runs of plain pytest."
    )
    return int(_grew(seen))


def _project(folder: Path) -> tuple[Path, Path]:
    """Return a new project in a git repository, and a folder for temporary files."""
    project, temporary = folder / "project", folder / "temporary"
    project.mkdir()
    temporary.mkdir()
    (project / "test_soak.py").write_text(TESTS)
    (project / "conftest.py").write_text(CONFTEST)
    (project / "pytest.ini").write_text(INI)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *command], cwd=project, check=True)
    return project, temporary


def _cycles(hours: float, temporary: Path, modes: list[tuple[str, ...]]) -> Iterator[Kept]:
    """Run the suite until the time is over; yield what the process has after each cycle."""
    begun, number = time.monotonic(), 0
    while time.monotonic() - begun < hours * 3600:
        for options in modes:
            output = io.StringIO()
            os.environ["PLAIN"] = "plain" if "no:greenops" in options else ""
            with redirect_stdout(output), redirect_stderr(output):
                status = pytest.main(list(options))
            if status != pytest.ExitCode.OK:
                raise SystemExit(f"{' '.join(options)}: exit {status}\n{output.getvalue()}")
            del output
        number += 1
        gc.collect()
        process = psutil.Process()
        # pytest keeps the folders of its last three runs.
        left = sum(1 for path in temporary.iterdir() if not path.name.startswith("pytest-of-"))
        kept = Kept(
            (time.monotonic() - begun) / 3600,
            number,
            process.memory_info().rss / 1e6,
            process.num_fds(),
            process.num_threads(),
            len(process.children(recursive=True)) - 1,  # the busy one
            left,
        )
        print(kept, file=sys.stderr, flush=True)
        if number > WARM_UP:
            yield kept


def _growth_kb(cycles: Sequence[Kept]) -> float:
    """Return by how much memory grew in a cycle, by a straight line through the last half."""
    half = cycles[len(cycles) // 2 :]
    slope, _ = numpy.polyfit([kept.cycles for kept in half], [kept.memory_mb for kept in half], 1)
    return float(slope) * 1000


def _grew(seen: Sequence[Kept]) -> bool:
    """Return whether something that can be counted has grown."""
    return any(last > first for first, last in zip(seen[0][3:], seen[-1][3:], strict=True))


def _rows(seen: Sequence[Kept]) -> list[str]:
    picked = [seen[round(n * (len(seen) - 1) / (ROWS - 1))] for n in range(ROWS)]
    head = ("hours", "cycles", "memory", "descriptors", "threads", "children", "files left")
    return table(
        head,
        [
            (
                f"{kept.hours:.2f}",
                f"{kept.cycles:,}",
                f"{kept.memory_mb:.0f} MB",
                *map(str, kept[3:]),
            )
            for kept in picked
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())
