"""What the two edges of one window cost, beside pyRAPL's own readings of the same counters.

    python -m benchmarks.overhead.window_cost

from the repository's root. The counters are simulated: two sockets, each with package and dram.
pyRAPL reads one path only, so that it takes part where root can mount a tree there, in a mount
namespace of its own. On real counters each of the eight reads costs the kernel's access to the
register besides, the same for both.
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
    """Time each window `REPEATS` times, taking turns, so that a slow spell hits all alike."""
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
    """Both edges of a window, read by our sensor."""
    sensor = powercap.open_sensor(root)
    assert [domain.name for domain in sensor.domains] == COUNTERS
    return lambda: (sensor.read(), sensor.read())


def pyrapl_window() -> Callable[[], object]:
    """Both edges of a window, read by pyRAPL's devices; it has no call that reads them all."""
    logging.disable()
    api: Any = importlib.import_module("pyRAPL.device_api")
    package, dram = api.PkgAPI(), api.DramAPI()
    assert len(package.energy() + dram.energy()) == len(COUNTERS)
    return lambda: (package.energy(), dram.energy(), package.energy(), dram.energy())


def measure_both() -> dict[str, list[float]]:
    """In a child with a `/sys` of its own: both on one tree at the real path."""
    build_cpus(Path("/sys"), PACKAGES)
    tree = build(Path("/sys"), PACKAGES)
    return costs_us({"powercap": powercap_window(tree.root), "pyRAPL": pyrapl_window()})


def measure_powercap() -> dict[str, list[float]]:
    """Our sensor alone, on a tree in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        tree = build(Path(folder), PACKAGES)
        return costs_us({"powercap": powercap_window(tree.root)})


def why_no_pyrapl() -> str | None:
    """Why pyRAPL cannot be measured here, or None."""
    if importlib.util.find_spec("pyRAPL") is None:
        return "it is not installed"
    return child.why_no_private_sys()


def table(costs: Mapping[str, Sequence[float]]) -> list[str]:
    """One line for each contestant: median and 90th percentile, in microseconds."""
    return [
        f"{name:<10}{statistics.median(us):>12.2f}{statistics.quantiles(us, n=10)[-1]:>12.2f}"
        for name, us in costs.items()
    ]


def main() -> None:
    """Measure what can be measured, and print it."""
    missing = why_no_pyrapl()
    costs = measure_powercap() if missing else child.run(measure_both, private_sys=True)
    print(f"both edges of one window, {len(COUNTERS)} counters, {REPEATS} windows each, in µs")
    print(f"{'':<10}{'median':>12}{'p90':>12}")
    print("\n".join(table(costs)))
    median_us = {name: statistics.median(us) for name, us in costs.items()}
    if missing:
        print(f"pyRAPL could not be measured: {missing}")
    else:
        print(f"pyRAPL / powercap, medians: {median_us['pyRAPL'] / median_us['powercap']:.2f}")
    met = "met" if median_us["powercap"] < GOAL_US else "missed"
    print(f"goal of {GOAL_US:.0f} µs for powercap: {met}")


if __name__ == "__main__":
    main()
