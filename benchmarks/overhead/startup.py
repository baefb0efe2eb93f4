"""Measure the start-up time that this plugin and pytest-benchmark add to `pytest`.

    python -m benchmarks.overhead.startup [runs]

Runs pytest in an empty folder without plugins and with each of them, in turns. Prints the median
difference from the run without plugins in the same turn. First install the packages, not in
editable mode, so that all runs use compiled modules.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

#: Names of the plugins' entry points.
OURS, THEIRS = "greenops", "benchmark"
ARMS = {"bare": (OURS, THEIRS), "pytest-greenops": (THEIRS,), "pytest-benchmark": (OURS,)}


class Cost(NamedTuple):
    """Duration of one run of pytest."""

    wall_s: float
    cpu_s: float


def run(blocked: tuple[str, ...], folder: str) -> Cost:
    """Run pytest once on an empty folder, without the blocked plugins."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for name in blocked:
        command += ["-p", f"no:{name}"]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    return Cost(time.perf_counter() - begun, used.ru_utime + used.ru_stime)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    added: dict[str, list[Cost]] = {arm: [] for arm in ARMS if arm != "bare"}
    with tempfile.TemporaryDirectory() as folder:
        for blocked in ARMS.values():
            run(blocked, folder)
        for _ in range(runs):
            bare, *others = (run(blocked, folder) for blocked in ARMS.values())
            for arm, cost in zip(added, others, strict=True):
                added[arm].append(Cost(cost.wall_s - bare.wall_s, cost.cpu_s - bare.cpu_s))
    print(f"added to pytest on an empty suite, median of {runs} runs taken in turns")
    medians = {}
    for arm, costs in added.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*costs, strict=True))
        medians[arm] = Cost(wall_s, cpu_s)
        print(f"{arm:18} {wall_s * 1e3:7.1f} ms wall  {cpu_s * 1e3:7.1f} ms CPU")
    ours, theirs = medians["pytest-greenops"], medians["pytest-benchmark"]
    print(
        f"ratio              {ours.wall_s / theirs.wall_s:7.2f}     wall"
        f"  {ours.cpu_s / theirs.cpu_s:7.2f}     CPU"
    )


if __name__ == "__main__":
    main()
