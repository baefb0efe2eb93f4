"""Measure the cost of both edges of a window, here and with pyRAPL.

    python -m benchmarks.overhead.window_cost

Run it from the repository's root. The counters are simulated: two sockets, each with package and
dram. pyRAPL reads a fixed path, so measuring it requires root, to mount a tree there in a separate
mount namespace. With real counters, each of the eight reads also includes the kernel's access to
the register, for both tools.
"""

from __future__ import annotations

import importlib.util
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_greenops.sensors.rapl import powercap
from tests.simulated_host import child
from tests.simulated_host.powercap_tree import build, build_cpus

PACKAGES = (0, 1)
REPEATS = 20_000
WARM_UP = 500
GOAL_US = 20.0
COUNTERS = ["cpu:0", "cpu:1", "dram:0", "dram:1"]


def costs_us(windows: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Time each window `REPEATS` times, in turns, so that slow phases affect all of them."""
    for _ in range(WARM_UP):
        for window in windows.values():
            window()
    costs: dict[str, list[float]] = {name: [] for name in windows}
    for _ in range(REPEATS):
        for name, window in windows.items():
            start_ns = time.perf_counter_ns()
            window()
            costs[name].append((time.perf_counter_ns() - start_ns) * 1e-3)
    return costs


def powercap_window(root: Path) -> Callable[[], object]:
    """Return a function that reads both edges of a window with this project's sensor."""
    sensor = powercap.open_sensor(root)
    assert [domain.name for domain in sensor.domains] == COUNTERS
    return lambda: (sensor.read(), sensor.read())


def pyrapl_window() -> Callable[[], object]:
    """Return a function that reads both edges with pyRAPL, which needs two calls per edge."""
    logging.disable()
    api: Any = importlib.import_module("pyRAPL.device_api")
    package, dram = api.PkgAPI(), api.DramAPI()
    assert len(package.energy() + dram.energy()) == len(COUNTERS)
    return lambda: (package.energy(), dram.energy(), package.energy(), dram.energy())


def measure_both() -> dict[str, list[float]]:
    """Measure both on one tree at the real path, in a child process with a private `/sys`."""
    build_cpus(Path("/sys"), PACKAGES)
    tree = build(Path("/sys"), PACKAGES)
    return costs_us({"powercap": powercap_window(tree.root), "pyRAPL": pyrapl_window()})


def measure_powercap() -> dict[str, list[float]]:
    """Measure this project's sensor alone, on a tree in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = build(Path(folder), PACKAGES)
        return costs_us({"powercap": powercap_window(tree.root)})


def why_no_pyrapl() -> str | None:
    """Return why pyRAPL cannot be measured here, or None."""
    if importlib.util.find_spec("pyRAPL") is None:
        return "not installed"
    return child.why_no_private_sys()


def table(costs: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a line per tool: median and 90th percentile, in microseconds."""
    return [
        f"{name:<10}{statistics.median(us):>12.2f}{statistics.quantiles(us, n=10)[-1]:>12.2f}"
        for name, us in costs.items()
    ]


def main() -> None:
    """Measure and print the costs."""
    missing = why_no_pyrapl()
    costs = measure_powercap() if missing else child.run(measure_both, private_sys=True)
    print(f"both edges of one window, {len(COUNTERS)} counters, {REPEATS} windows each, in µs")
    print(f"{'':<10}{'median':>12}{'p90':>12}")
    print("\n".join(table(costs)))
    median_us = {name: statistics.median(us) for name, us in costs.items()}
    if missing:
        print(f"pyRAPL was not measured: {missing}")
    else:
        print(f"pyRAPL / powercap, medians: {median_us['pyRAPL'] / median_us['powercap']:.2f}")
    met = "met" if median_us["powercap"] < GOAL_US else "missed"
    print(f"goal of {GOAL_US:.0f} µs for powercap: {met}")


if __name__ == "__main__":
    main()
