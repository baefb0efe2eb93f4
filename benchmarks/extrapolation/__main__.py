"""Measure the error of projecting a whole training from its start-up and five stable epochs.

    python -m benchmarks.extrapolation [runs] [--epochs N] [--tdp WATTS] [--keep FILE | --kept FILE]

Trains a small network, each run in a fresh process on one thread, and measures each epoch with the
sensors that `--energy` would use. Epochs after the window of the projection are held out. For
comparison the table has TDP x time, with the TDP of all cores.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from benchmarks.extrapolation.recordings import Recording, after_start_up, read, write
from benchmarks.markdown import table
from pytest_greenops.insight.what_if.extrapolate import tdp_estimate
from pytest_greenops.machine import cpu
from pytest_greenops.model.scenario import Extrapolation
from pytest_greenops.model.units import counted
from pytest_greenops.sensors.cpu_estimate.core_watts import core_power

RUNS, EPOCHS = 10, 40
GOAL = 0.05
HEAD = [
    "run",
    "start-up",
    "measured",
    "projected",
    "error",
    "95 % interval",
    "inside",
    "TDP x time",
]


def fresh(runs: int, epochs: int) -> Iterator[Recording]:
    """Train several times in sequence, each in a fresh process on one thread."""
    for seed in range(runs):
        command = [
            sys.executable,
            "-m",
            "benchmarks.extrapolation.training",
            str(seed),
            str(epochs),
        ]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        printed = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True).stdout
        yield msgspec.json.decode(printed, type=Recording)


def row(recording: Recording, projected: Extrapolation, tdp_w: float) -> list[str]:
    """Return the cells of one run."""
    true_j = recording.joules
    tdp_j = tdp_estimate(tdp_w, recording.seconds)
    return [
        str(recording.seed),
        counted(projected.window_start, "epoch"),
        f"{true_j:.1f} J",
        f"{projected.joules:.1f} J",
        f"{error(projected, true_j):+.1%}",
        f"{projected.low:.1f} to {projected.high:.1f} J",
        "yes" if projected.low <= true_j <= projected.high else "no",
        f"{tdp_j / true_j - 1:+.0%}",
    ]


def error(projected: Extrapolation, true_j: float) -> float:
    """Return the relative error of a projection."""
    return projected.joules / true_j - 1


def report(recordings: Iterable[Recording], tdp_w: float) -> Iterator[str]:
    """Yield the lines of the table, and of the summary."""
    known = [(recording, after_start_up(recording.epochs_j)) for recording in recordings]
    yield from table(HEAD, [row(*each, tdp_w) for each in known])
    errors = [abs(error(projected, recording.joules)) for recording, projected in known]
    inside = sum(of.low <= recording.joules <= of.high for recording, of in known)
    by_tdp = [tdp_estimate(tdp_w, r.seconds) - r.joules for r, _ in known]
    own = [of.joules - r.joules for r, of in known]
    yield ""
    yield (
        f"error: median {statistics.median(errors):.1%}, worst {max(errors):.1%}; "
        f"within {GOAL:.0%}: {sum(e <= GOAL for e in errors)} of {len(errors)}; "
        f"intervals that contain the measurement: {inside}"
    )
    yield f"RMSE: {rms(own):.1f} J; RMSE of TDP x time ({tdp_w:.1f} W): {rms(by_tdp):.1f} J"
    yield f"measured by {known[0][0].device}"


def rms(values: list[float]) -> float:
    """Return the root mean square."""
    return math.sqrt(statistics.fmean(value**2 for value in values))


def all_cores_w() -> float:
    """Return the thermal design power of all cores of this machine."""
    return core_power(cpu.description(Path("/"))).watts * (os.cpu_count() or 1)


def main() -> None:
    """Train or read, then print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extrapolation")
    parser.add_argument("runs", type=int, nargs="?", default=RUNS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument(
        "--tdp", type=float, help="thermal design power in watts (default: all cores)"
    )
    parser.add_argument("--keep", type=Path, help="write the recordings to this file")
    parser.add_argument(
        "--kept", type=Path, help="read the recordings of this file instead of training"
    )
    given = parser.parse_args()
    recordings = read(given.kept) if given.kept else list(fresh(given.runs, given.epochs))
    if given.keep:
        write(given.keep, recordings)
    print("\n".join(report(recordings, given.tdp or all_cores_w())))


if __name__ == "__main__":
    main()
