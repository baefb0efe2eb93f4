"""Costs of reads inside and around a window, and counts that wrap."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.accuracy.hosts import SEED
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.rapl import powercap
from tests.simulated_host.powercap_tree import INTEL_RANGE_UJ, build

WINDOWS = 30
READS = 2_000
WRAPS = 1_000
#: Largest energy of a window with a wrap, in microjoules.
MOST_UJ = 50_000_000


class EdgeCost(NamedTuple):
    """Medians of empty windows on one card, in seconds.

    inside_s  time that both edges add to the window
    waited_s  time that they take before and after it
    read_s    one read of the energy counter
    """

    inside_s: float
    waited_s: float
    read_s: float


def edges() -> EdgeCost:
    """Measure the cost of edges on the visible card, in a child process."""
    import pynvml

    from pytest_greenops.sensors.discover import discover

    instruments, _ = discover(["nvml"])
    inside_s, waited_s = [], []
    for _ in range(WINDOWS):
        time.sleep(random.uniform(0.0, 0.1))
        called_ns = time.monotonic_ns()
        before = instruments.begin()
        after = instruments.end()
        returned_ns = time.monotonic_ns()
        inside_ns = after[0].time_ns - before[0].time_ns
        inside_s.append(inside_ns * 1e-9)
        waited_s.append((returned_ns - called_ns - inside_ns) * 1e-9)
    card = pynvml.nvmlDeviceGetHandleByIndex(0)
    read_s = []
    for _ in range(READS):
        begun_s = time.perf_counter()
        pynvml.nvmlDeviceGetTotalEnergyConsumption(card)
        read_s.append(time.perf_counter() - begun_s)
    return EdgeCost(*map(statistics.median, (inside_s, waited_s, read_s)))


def wraps_exact() -> int:
    """Return how many of `WRAPS` windows with a random wrap are exact to the microjoule."""
    chance = random.Random(SEED)
    exact = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = build(Path(folder))
        instruments = Instruments([powercap.open_sensor(tree.root)])
        package = tree["package-0"]
        for _ in range(WRAPS):
            drawn_uj = chance.randint(1, MOST_UJ)
            package.set(INTEL_RANGE_UJ - chance.randint(1, drawn_uj))
            before = instruments.begin()
            package.advance(drawn_uj)
            window = instruments.window(before, instruments.end())
            exact += window.energy_uj.get("cpu:0") == drawn_uj
        instruments.close()
    return exact
