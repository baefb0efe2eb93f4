"""Estimates of the same work, alone and with busy neighbours.

This runs on the real machine, where other processes interfere, so it takes medians over turns.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from benchmarks.accuracy.tools import Measure, Work, greenops

CPUS, NEIGHBOURS = 4, 2
WORK_S = 0.7
TURNS = 7
#: A neighbour that is not killed ends after this time.
LONGEST_S = 60.0
_SPIN = f"""
import os, sys, time
os.sched_setaffinity(0, {{int(sys.argv[1])}})
until_s = time.monotonic() + {LONGEST_S}
while time.monotonic() < until_s: pass
"""
#: Starts a neighbour and ends, so that the neighbour is not a descendant of the measuring process,
#: whose estimate includes its descendants.
_DETACH = """
import subprocess, sys
null = subprocess.DEVNULL
print(subprocess.Popen(sys.argv[1:], stdout=null, stderr=null).pid)
"""
_BLOCK = bytes(1 << 16)


class Growth(NamedTuple):
    """The factor by which neighbours change each tool's joules: medians over turns."""

    greenops: float
    codecarbon: float


def why_not() -> str | None:
    """Return why this machine cannot measure it, or None."""
    if sys.platform != "linux":
        return "needs Linux"
    found = len(os.sched_getaffinity(0))
    return None if found >= CPUS else f"needs {CPUS} CPUs, there are {found}"


def growth() -> Growth:
    """Measure the same work in turns, alone and with neighbours, in a child process."""
    cpus = sorted(os.sched_getaffinity(0))
    tools = [greenops("estimate"), _codecarbon_by_load()]
    os.sched_setaffinity(0, {cpus[0]})
    work = _work()
    for measure in tools:
        measure(work)
    ratios: list[list[float]] = [[], []]
    for _ in range(TURNS):
        alone = [measure(work) for measure in tools]
        with _busy(cpus[-NEIGHBOURS:]):
            shared = [measure(work) for measure in tools]
        for kept, before, after in zip(ratios, alone, shared, strict=True):
            if before and after:
                kept.append(after / before)
    return Growth(*map(statistics.median, ratios))


def _codecarbon_by_load() -> Measure:
    """Return codecarbon's estimate without counters: the machine's load times a power."""
    module: Any = importlib.import_module("codecarbon")
    tracker = module.OfflineEmissionsTracker(
        country_iso_code="USA",
        force_mode_cpu_load=True,
        save_to_file=False,
        log_level="critical",
        allow_multiple_runs=True,
    )

    def measure(work: Work) -> float:
        tracker.start_task()
        work()
        return float(tracker.stop_task().cpu_energy)

    return measure


def _work() -> Work:
    """Return work of about `WORK_S` seconds, the same each time."""
    blocks, begun_s = 0, time.process_time()
    while time.process_time() - begun_s < WORK_S:
        hashlib.sha256(_BLOCK).digest()
        blocks += 1

    def work() -> None:
        for _ in range(blocks):
            hashlib.sha256(_BLOCK).digest()

    return work


@contextmanager
def _busy(cpus: list[int]) -> Iterator[None]:
    pids = [_neighbour(cpu) for cpu in cpus]
    try:
        time.sleep(0.2)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def _neighbour(cpu: int) -> int:
    command = [sys.executable, "-c", _DETACH, sys.executable, "-c", _SPIN, str(cpu)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
