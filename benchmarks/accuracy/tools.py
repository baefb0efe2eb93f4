"""The tools, each used as its own documentation has it: one function for each.

Each runs in a process on a simulated machine, is warmed up once, and then measures windows.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

#: Does some work.
Work = Callable[[], None]
#: Measures a work; the joules of all that the tool read, or None where it could not tell.
Measure = Callable[[Work], "float | None"]

OURS = "pytest-greenops"
JOULES_PER_KWH = 3.6e6
#: codecarbon samples power this often, its least; a task is measured at both of its ends anyway.
CODECARBON_PERIOD_S = 1.0


def greenops(sensor: str) -> Measure:
    """This project: one window, read at both edges, as a test that runs once gets it."""
    from pytest_greenops.sensors.discover import discover

    instruments, _ = discover([sensor])

    def measure(work: Work) -> float | None:
        before = instruments.begin()
        work()
        window = instruments.window(before, instruments.end())
        return None if window.missing else sum(window.energy_uj.values()) * 1e-6

    return measure


def zeus(sensor: str) -> Measure:
    """Zeus: a window of its monitor; power times time where the counter did not move."""
    module: Any = importlib.import_module("zeus.monitor")
    logging.disable()
    gpu = sensor == "nvml"
    which = {"cpu_indices": []} if gpu else {"gpu_indices": []}
    monitor = module.ZeusMonitor(approx_instant_energy=gpu, **which)

    def measure(work: Work) -> float | None:
        monitor.begin_window("window", sync_execution=False)
        work()
        found = monitor.end_window("window", sync_execution=False)
        parts = [found.gpu_energy] if gpu else [found.cpu_energy, found.dram_energy]
        return sum(sum((part or {}).values()) for part in parts)

    return measure


def pyrapl(sensor: str) -> Measure | None:
    """pyRAPL: a measurement of packages and memory; it knows no GPU."""
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
    """codecarbon: a task of its offline tracker.

    Packages alone: it takes a `dram` zone inside a package for a part of it, and leaves it out.
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
#: What a tool does not count of the sockets.
WITHOUT = {"codecarbon": "dram"}
#: What has to be installed for each, by the name of its module.
PEERS = ("zeus", "pyRAPL", "codecarbon")
