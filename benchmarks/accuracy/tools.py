"""One function per tool, which uses it as its documentation shows.

Each runs in a process on a simulated machine, warms up once, and then measures windows.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

#: Does some work.
Work = Callable[[], None]
#: Measures work: the joules of all that the tool read, or None without a value.
Measure = Callable[[Work], "float | None"]

OURS = "pytest-greenops"
JOULES_PER_KWH = 3.6e6
#: codecarbon's shortest sampling period; it also measures at both ends of a task.
CODECARBON_PERIOD_S = 1.0


def greenops(sensor: str) -> Measure:
    """Measure one window with this project, as for a test that runs once."""
    from pytest_greenops.sensors.discover import discover

    instruments, _ = discover([sensor])

    def measure(work: Work) -> float | None:
        before = instruments.begin()
        work()
        window = instruments.window(before, instruments.end())
        return None if window.missing else sum(window.energy_uj.values()) * 1e-6

    return measure


def zeus(sensor: str) -> Measure:
    """Measure a window of Zeus; it uses power times time if the counter did not move."""
    module: Any = importlib.import_module("zeus.monitor")
    logging.disable()
    gpu = sensor == "nvml"
    unused = "cpu_indices" if gpu else "gpu_indices"
    monitor = module.ZeusMonitor(approx_instant_energy=gpu, **{unused: []})

    def measure(work: Work) -> float | None:
        monitor.begin_window("window", sync_execution=False)
        work()
        found = monitor.end_window("window", sync_execution=False)
        parts = [found.gpu_energy] if gpu else [found.cpu_energy, found.dram_energy]
        return sum(sum((part or {}).values()) for part in parts)

    return measure


def pyrapl(sensor: str) -> Measure | None:
    """Measure packages and memory with pyRAPL, which does not support GPUs."""
    if sensor == "nvml":
        return None
    logging.disable()
    module: Any = importlib.import_module("pyRAPL")
    module.setup()

    def measure(work: Work) -> float | None:
        window = module.Measurement("window")
        window.begin()
        work()
        window.end()
        found = window.result
        missing = found.pkg is None or found.dram is None
        return None if missing else sum(found.pkg + found.dram) * 1e-6

    return measure


def codecarbon(sensor: str) -> Measure:
    """Measure a task with codecarbon's offline tracker.

    It counts only packages, and ignores a `dram` zone inside one as a part of it.
    """
    module: Any = importlib.import_module("codecarbon")
    tracker = module.OfflineEmissionsTracker(
        country_iso_code="USA",
        measure_power_secs=CODECARBON_PERIOD_S,
        save_to_file=False,
        log_level="critical",
        allow_multiple_runs=True,
    )

    def measure(work: Work) -> float | None:
        tracker.start_task()
        work()
        found = tracker.stop_task()
        kwh = found.gpu_energy if sensor == "nvml" else found.cpu_energy
        return float(kwh) * JOULES_PER_KWH

    return measure


TOOLS: dict[str, Callable[[str], Measure | None]] = {
    OURS: greenops,
    "zeus": zeus,
    "pyRAPL": pyrapl,
    "codecarbon": codecarbon,
}
#: The socket domain that a tool does not count.
WITHOUT = {"codecarbon": "dram"}
#: The modules of the peers.
PEERS = ("zeus", "pyRAPL", "codecarbon")
