"""What counting costs: time of an operator, time of a call, memory, imports, and a whole suite.

    python -m benchmarks.work.cost [--only TEXT ...] [--without-suite]

For each workload, on one thread, the least CPU time of some calls: of a plain one, a counted one,
two that are counted as one, and one whose operators are only handed to Python and split, which a
dispatch mode of torch costs in any case. What the second of two calls adds, divided by its
operators, is what an operator costs; the rest is what a counted call costs besides. Memory and
imports are measured in fresh processes. The suite is 100 small tests of torch, run plainly and with
`--energy-count-only`. Run nothing else meanwhile: it takes minutes. Whole runs write their table to
docs/evidence/work.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from benchmarks.markdown import publish, table
from benchmarks.work.counting import chosen, counted, setting
from benchmarks.work.workloads import WORKLOADS, make
from pytest_greenops.work.dispatch import Dispatch

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "work.md"
WRITER = "python -m benchmarks.work.cost"
CALLS, PROCESSES, TESTS = 5, 5, 100
#: How often each way of calling a workload has its turn.
TURNS = 9
COUNT = ("--energy-count-only",)
#: Operators of a call from which what they cost is divided by their number.
MANY = 50
#: Workloads whose memory is measured.
HEAVY = ("Llama: generate", "ResNet: AdamW step", "GRU: AdamW step")
#: What a counted call imports beside torch.
IMPORTED = """
import sys, time
import {before}
began = time.process_time()
import {module}
taken = time.process_time() - began
print(1e3 * taken, sum(name.startswith("pytest_greenops.work") for name in sys.modules))
"""
SUITE = """
import pytest
import torch
from torch import nn


@pytest.mark.parametrize("number", range({tests}))
def test_layer(energy, number):
    torch.manual_seed(number)
    width = 64 + 64 * (number % 8)
    layers = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)]
    net, data = nn.Sequential(*layers), torch.randn(64, width)
    if number % 2:
        assert energy(lambda: net(data)).shape == (64, 4)
    else:
        energy(lambda: net(data).square().mean().backward())
"""


class Cost(NamedTuple):
    """CPU seconds of calls of a workload: plain, handed to Python, counted, two counted as one."""

    operators: int
    plain: float
    handed: float
    once: float
    twice: float

    @property
    def ratio(self) -> float:
        """Time of a counted call over that of a plain one."""
        return self.once / self.plain

    @property
    def operator_us(self) -> float:
        """What counting adds to an operator."""
        return 1e6 * (self.twice - self.once - self.plain) / self.operators

    @property
    def handed_us(self) -> float:
        """What a dispatch mode that counts nothing adds to an operator."""
        return 1e6 * (self.handed - self.plain) / self.operators

    @property
    def call_ms(self) -> float:
        """What counting adds to a call besides."""
        return 1e3 * (2 * self.once - self.twice)


def of_call(name: str) -> Cost:
    """Return what calls of a workload take; they take turns, and the shortest of each counts."""
    work = make(name)
    work.call()
    amount = counted(work.call).total

    def handed() -> None:
        with torch.compiler.set_stance("force_eager"), Dispatch(torch, str).mode():
            work.call()

    def twice() -> None:
        work.call()
        work.call()

    ways: list[Callable[[], Any]] = [
        work.call,
        handed,
        lambda: counted(work.call),
        lambda: counted(twice),
    ]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(TURNS):
        for way, taken in zip(ways, times, strict=True):
            began_s = time.process_time()
            way()
            taken.append(time.process_time() - began_s)
    return Cost(amount.calls + amount.views, *map(min, times))


def calls(only: Sequence[str]) -> Iterator[str]:
    """Yield the lines on single calls."""
    found = {name: of_call(name) for name in chosen(only, WORKLOADS)}
    ratios = sorted(cost.ratio for cost in found.values())
    large = [cost for cost in found.values() if cost.operators >= MANY]
    yield (
        f"A counted call takes {statistics.median(ratios):.1f} times a plain one in the median of "
        f"{len(ratios)} workloads, {ratios[-1]:.1f} times at most."
    )
    if large:
        each_us = [cost.operator_us for cost in large]
        yield (
            f"An operator adds {statistics.median(each_us):.0f} µs in the median of the "
            f"{len(large)} workloads with {MANY} or more, {max(each_us):.0f} µs at most; "
            f"{statistics.median(cost.handed_us for cost in large):.0f} µs of the median are what "
            "torch needs to hand it to Python. A call adds "
            f"{statistics.median(cost.call_ms for cost in found.values()):.1f} ms besides."
        )
    yield ""
    head = ["workload", "operators", "plain call", "counted call", "ratio"]
    yield from table(
        [*head, "an operator adds", "of that torch's", "a call adds besides"],
        [
            [
                *(name, str(cost.operators), f"{1e3 * cost.plain:.1f} ms"),
                *(f"{1e3 * cost.once:.1f} ms", f"{cost.ratio:.1f}"),
                *(_each(cost, cost.operator_us), _each(cost, cost.handed_us)),
                f"{cost.call_ms:.1f} ms",
            ]
            for name, cost in found.items()
        ],
    )


def _each(cost: Cost, microseconds: float) -> str:
    """Return the time of an operator; that of few is lost among that of the call."""
    return f"{microseconds:.0f} µs" if cost.operators >= MANY else "–"


def memory_here(name: str) -> None:
    """Print by how many bytes this process grows in plain calls, and in counted ones after them."""
    work, process = make(name), psutil.Process()
    for _ in range(2 * CALLS):
        work.call()
    started = process.memory_info().rss
    for _ in range(CALLS):
        work.call()
    plain = process.memory_info().rss
    for _ in range(CALLS):
        counted(work.call)
    print(plain - started, process.memory_info().rss - plain)


def memory() -> Iterator[str]:
    """Yield the lines on memory."""
    rows = []
    for name in HEAVY:
        command = [sys.executable, "-m", "benchmarks.work.cost", "--memory-of", name]
        runs = [_numbers(command) for _ in range(PROCESSES)]
        shown = (statistics.median(column) / 1e6 for column in zip(*runs, strict=True))
        rows.append([name, *(f"{each:+.1f} MB" for each in shown)])
    yield from table([f"{CALLS} calls of", "plain", "counted"], rows)


def imports() -> Iterator[str]:
    """Yield the lines on imports: without the option, and with it."""
    rows = []
    for before, module in (
        ("torch", "pytest_greenops.plugin"),
        ("torch, pytest_greenops.run.run", "pytest_greenops.work.counting_trip"),
    ):
        command = [sys.executable, "-c", IMPORTED.format(before=before, module=module)]
        runs = [_numbers(command) for _ in range(PROCESSES)]
        taken, number = (statistics.median(column) for column in zip(*runs, strict=True))
        rows.append([f"`{module}`", f"`{before}`", f"{taken:.1f} ms", f"{number:.0f}"])
    yield from table(["import", "after", "time", "modules in `work/` loaded"], rows)


def _numbers(command: Sequence[str]) -> list[float]:
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(each) for each in ran.stdout.splitlines()[-1].split()]


def suite() -> Iterator[str]:
    """Yield the lines on a suite of small tests: CPU time, and that of the tests alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        Path(folder, "test_layers.py").write_text(SUITE.format(tests=TESTS))
        started_s = _suite_s(folder, "--collect-only")
        runs = {
            "plain": _suite_s(folder),
            "saved by `--energy-count-only --energy-save`": _suite_s(
                folder, *COUNT, "--energy-save"
            ),
            "compared by `--energy-count-only`": _suite_s(folder, *COUNT),
        }
    plain_s = runs["plain"] - started_s
    yield from table(
        [f"pytest with {TESTS} tests", "CPU time", "without its start", "ratio"],
        [
            [name, f"{s:.1f} s", f"{s - started_s:.2f} s", f"{(s - started_s) / plain_s:.1f}"]
            for name, s in runs.items()
        ],
    )


def _suite_s(folder: str, *options: str) -> float:
    """Return CPU seconds of a run of pytest, the median of some."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    times = []
    for _ in range(PROCESSES):
        before = os.times()
        subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        times.append(sum(after[2:4]) - sum(before[2:4]))
    return statistics.median(times)


def main() -> None:
    """Print the tables, and write them to the page if they are whole."""
    parser = argparse.ArgumentParser(description="Measure what counting costs.")
    parser.add_argument("--only", nargs="*", default=[], help="texts in the names of workloads")
    parser.add_argument("--without-suite", action="store_true", help="single calls only")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        memory_here(arguments.memory_of)
        return
    lines = [f"{setting()}.", "", *calls(arguments.only)]
    if not arguments.without_suite:
        for part in (memory, imports, suite):
            lines += ["", *part()]
    publish(lines, PAGE, WRITER, whole=not (arguments.only or arguments.without_suite))


if __name__ == "__main__":
    main()
