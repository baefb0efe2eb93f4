"""Compare the errors of this project and its peers on the same simulated machines.

    python -m benchmarks.accuracy

Run it from the repository's root, as root on Linux, with a C compiler, zeus, pyRAPL and
codecarbon. It prints a table of errors and one of figures, and writes both to
docs/evidence/accuracy.md. This takes some minutes.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy import costs, figures, hosts, neighbours, repeated, windows
from benchmarks.accuracy.errors import Errors, by_length
from benchmarks.accuracy.figures import Cell, Figure
from benchmarks.accuracy.repeated import Measured
from benchmarks.accuracy.table import REPEATED, WRITER, errors_table, figures_table
from benchmarks.accuracy.tools import OURS, PEERS, TOOLS
from benchmarks.accuracy.windows import Seen
from benchmarks.markdown import rewrite
from benchmarks.overhead import window_cost
from tests.simulated_host import child
from tests.simulated_host.host import Host, why_impossible

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "accuracy.md"
#: Length of the windows in seconds, and their number.
LENGTHS = [(0.05, 20), (0.2, 15), (1.0, 5), (5.0, 3)]
SLOW, FAST, NO_COUNTER, RAPL = (
    "GPU counter, tick of 100 ms",
    "GPU counter, tick of 20 ms",
    "GPU without counter",
    "RAPL, two sockets with memory",
)
#: The machine of each sensor, and the sensor's name in this project.
SENSORS: dict[str, tuple[Callable[[], Host], str]] = {
    SLOW: (partial(hosts.gpu, 0.1), "nvml"),
    FAST: (partial(hosts.gpu, 0.02), "nvml"),
    NO_COUNTER: (hosts.gpu_without_counter, "nvml"),
    RAPL: (hosts.sockets, "powercap"),
}
#: Length of the repeated call, number of measurements, and number of concurrent processes.
CALL_S, MEASUREMENTS, PROCESSES = 0.05, 30, 6
#: Tick, and largest allowed median and worst error of the repeated calls.
REPEATED_GOALS = {SLOW: ("100 ms", 0.1, 0.01, 0.02), FAST: ("20 ms", 0.02, 0.005, 0.02)}
#: Length and number of single windows, on cards with a tick of 100 ms.
SINGLE_S, SINGLES = 0.2, 100
VARIANTS: dict[str, dict[str, object]] = {
    "power reported at once": {"power_tick_s": 0.0, "power_noise": 0.0},
    "power new every 25 ms, 25 ms late": {"power_lag_s": 0.025},
    "power new every 100 ms, 50 ms late": {
        "power_tick_s": hosts.SLOW_RENEWAL_S,
        "power_lag_s": 0.05,
    },
    "ticks up to 30 ms late": {"jitter": 0.3},
    "power reported as the mean of a second": {"instant": False},
    "power reported up to 5 % wrong": {"power_noise": 0.05},
}


class Runs:
    """Runs on simulated machines, one per CPU at a time: most of them sleep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._count = 0

    def start(self, make: Callable[[], Host], function: Callable[..., Any], *args: Any) -> Run:
        """Start a function on a new machine."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()

        def run() -> tuple[Host, Any]:
            host = make()
            return host, host.run(function, *args, folder=folder)

        return self._pool.submit(run)


Run = Future[tuple[Host, Any]]


def table_cells(runs: Runs) -> dict[Cell, dict[str, Errors | None]]:
    """Return the errors of each tool by sensor and window length."""
    started = {
        (sensor, tool): runs.start(make, windows.windows, tool, name, LENGTHS)
        for sensor, (make, name) in SENSORS.items()
        for tool in TOOLS
    }
    cells: dict[Cell, dict[str, Errors | None]] = {
        (sensor, length_s): {} for sensor in SENSORS for length_s, _ in LENGTHS
    }
    for (sensor, tool), run in started.items():
        host, rows = run.result()
        found = by_length(tool, host, [Seen(*row) for row in rows]) if rows else {}
        for length_s, _ in LENGTHS:
            cells[sensor, length_s][tool] = found.get(length_s)
    return cells


def calls(runs: Runs) -> dict[str, list[Run]]:
    """Start the repeated calls for each sensor, and for a counter without a tick."""
    share = MEASUREMENTS // PROCESSES

    def some(tick_s: float, processes: int) -> list[Run]:
        return [
            runs.start(partial(hosts.gpu, tick_s), repeated.measurements, CALL_S, share)
            for _ in range(processes)
        ]

    started = {sensor: some(goal[1], PROCESSES) for sensor, goal in REPEATED_GOALS.items()}
    return {**started, "": some(0.0, 1)}


def call_figures(seen: dict[str, list[Measured]]) -> Iterator[Figure]:
    """Yield the figures of repeated calls."""
    for sensor, (tick, _, median, worst) in REPEATED_GOALS.items():
        yield from figures.repeated(tick, seen[sensor], seen[""], median, worst)


def cost_figures(runs: Runs) -> Iterator[Figure]:
    """Yield the figures of read costs, wraps and busy neighbours."""
    yield figures.wraps(costs.wraps_exact())
    yield figures.rapl_edges(statistics.median(window_cost.measure_powercap()["powercap"]))
    for read_cost_s, goal in ((hosts.READ_COST_S, True), (0.0, False)):
        run = runs.start(partial(hosts.gpu, 0.1, read_cost_s=read_cost_s), costs.edges)
        yield figures.card_edges(costs.EdgeCost(*run.result()[1]), goal=goal)
    why_not = neighbours.why_not()
    found = None if why_not else neighbours.Growth(*child.run(neighbours.growth))
    yield figures.neighbours(found, why_not)


def missing() -> str | None:
    """Return what this machine lacks and how to get it, or None."""
    absent = [peer for peer in PEERS if importlib.util.find_spec(peer) is None]
    if absent:
        return f"{', '.join(absent)} not installed: pip install {' '.join(absent)}"
    return why_impossible()


def measure(folder: Path) -> Iterable[str]:
    """Measure everything and return the lines of both tables."""
    runs = Runs(folder)
    alone = list(cost_figures(runs))
    started = calls(runs)
    single = {
        variant: runs.start(partial(hosts.gpu, 0.1, **more), windows.own_windows, SINGLE_S, SINGLES)
        for variant, more in VARIANTS.items()
    }
    cells = table_cells(runs)
    seen = {
        sensor: [Measured(*row) for part in parts for row in part.result()[1]]
        for sensor, parts in started.items()
    }
    for sensor in REPEATED_GOALS:
        cells[sensor, CALL_S][REPEATED] = figures.call_errors(seen[sensor])
    reached = [*call_figures(seen)]
    for variant, run in single.items():
        reached += figures.single(variant, [Seen(*row) for row in run.result()[1]])
    rapl = cells[RAPL, CALL_S][OURS]
    reached += [figures.sockets(rapl)] if rapl else []
    reached += [*alone, *figures.peers(cells)]
    return [*errors_table(cells), "", *figures_table(reached)]


def main() -> None:
    """Measure, print and write the tables."""
    if why_not := missing():
        sys.exit(f"cannot measure: {why_not}")
    with tempfile.TemporaryDirectory() as folder:
        lines = list(measure(Path(folder)))
    print("\n".join(lines))
    rewrite(PAGE, lines, WRITER)


if __name__ == "__main__":
    main()
