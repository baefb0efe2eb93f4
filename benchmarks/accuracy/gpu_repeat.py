"""Measure a fixed loop with the project's own meter in fresh processes.

    python -m benchmarks.accuracy.gpu_repeat SIZE CALLS ROUNDS

runs one process, which prints the joules per call of each round as JSON.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.accuracy.gpu_loads import Load, Matmul
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import joules_per_unit
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import open_sensor

_REPOSITORY = Path(__file__).parents[2]
_NAME = "matmul"


class Repeatability(msgspec.Struct, frozen=True):
    """A fixed loop in fresh processes; standard deviations are shares of the mean."""

    processes: int
    rounds: int
    calls: int
    call_j: float
    between_sd_share: float
    within_sd_share: float


def rounds_j(
    instruments: Instruments, domain: str, load: Load, calls: int, rounds: int
) -> list[float]:
    """Return the joules per call of each round, measured on a loop of this many calls.

    Raises `GreenopsError` if fewer than two rounds remain, as on a throttled card.
    """
    plan = Plan(looks=(rounds,), least=rounds, iterations=calls)
    meter = Meter(instruments, plan, lambda measurements, look: True, synchronize=synchronize)
    for trip in meter.trips():
        for number in trip.batches():
            with trip.window(_NAME):
                load.calls(number)
    measurement = meter.measurements()[_NAME]
    if domain in measurement.lost or len(measurement.rounds) < 2:
        why = [measurement.lost.get(domain, ""), *(c.finding for c in measurement.checks)]
        reasons = "; ".join(filter(None, why))
        raise GreenopsError(f"the meter kept fewer than two rounds of {domain}: {reasons}")
    return list(joules_per_unit(measurement.rounds, [domain], "call"))


def repeatability(
    one_process: Callable[[int, int], Sequence[float]], processes: int, calls: int, rounds: int
) -> Repeatability:
    """Measure in this many processes; `one_process` maps calls and rounds to joules."""
    seen = [one_process(calls, rounds) for _ in range(processes)]
    means = [statistics.fmean(each) for each in seen]
    whole = statistics.fmean(means)
    within = math.sqrt(statistics.fmean(statistics.variance(each) for each in seen))
    return Repeatability(
        processes, rounds, calls, whole, statistics.stdev(means) / whole, within / whole
    )


def fresh_process(size: int, calls: int, rounds: int) -> list[float]:
    """Measure in a fresh process; raise `GreenopsError` with its last line if it fails."""
    command = [sys.executable, "-m", __name__, *map(str, (size, calls, rounds))]
    ran = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise GreenopsError(f"a fresh process failed: {last}")
    joules: list[float] = json.loads(ran.stdout.splitlines()[-1])
    return joules


def main() -> None:
    """Measure once on the first card that CUDA shows."""
    size, calls, rounds = map(int, sys.argv[1:])
    load = Matmul(size)
    instruments = Instruments([open_sensor()])
    print(json.dumps(rounds_j(instruments, instruments.domains[0].name, load, calls, rounds)))


if __name__ == "__main__":
    main()
