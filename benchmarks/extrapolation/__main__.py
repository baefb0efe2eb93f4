"""How far off a whole training is, projected from its start-up and five stable epochs.

    python -m benchmarks.extrapolation [runs] [--epochs N] [--tdp WATTS] [--keep FILE | --kept FILE]

Trains a small network for real, each run in a fresh process on one thread, and measures each epoch
with the sensors that `--energy` would use. The projection sees no epoch after its window: the rest
is held out. TDP x time stands beside it, by the processor's power for as many cores as there are.
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

from benchmarks.extrapolation.profiling import after_start_up
from benchmarks.extrapolation.recordings import Recording, read, write
from benchmarks.markdown import table
from pytest_greenops.insight.what_if.extrapolate import tdp_estimate
from pytest_greenops.machine import cpu
from pytest_greenops.model.scenario import Extrapolation
from pytest_greenops.model.units import counted
from pytest_greenops.sensors.cpu_estimate.core_watts import core_power

RUNS, EPOCHS = 10, 40
GOAL = 0.05
HEAD = ["run", "start-up", "measured", "projected", "error", "95 % interval", "held", "TDP x time"]


def fresh(runs: int, epochs: int) -> Iterator[Recording]:
    """Train so many times, one after the other, each in a process of its own on one thread."""
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
    """One run: what was projected, and what it came to."""
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
    """How far off a projection is, as a share of what the whole training used."""
    return projected.joules / true_j - 1


def report(recordings: Iterable[Recording], tdp_w: float) -> Iterator[str]:
    """A row for each run, and what they come to."""
    known = [(recording, after_start_up(recording.epochs_j)) for recording in recordings]
    yield from table(HEAD, [row(*each, tdp_w) for each in known])
    errors = [abs(error(projected, recording.joules)) for recording, projected in known]
    held = sum(of.low <= recording.joules <= of.high for recording, of in known)
    beside = [tdp_estimate(tdp_w, r.seconds) - r.joules for r, _ in known]
    own = [of.joules - r.joules for r, of in known]
    yield ""
    yield (
        f"error: median {statistics.median(errors):.1%}, worst {max(errors):.1%}; "
        f"within {GOAL:.0%}: {sum(e <= GOAL for e in errors)} of {len(errors)}; "
        f"the interval held in {held}"
    )
    yield f"RMSE: {rms(own):.1f} J; of TDP x time ({tdp_w:.1f} W): {rms(beside):.1f} J"
    yield f"measured by {known[0][0].device}"


def rms(values: list[float]) -> float:
    """The root mean square."""
    return math.sqrt(statistics.fmean(value**2 for value in values))


def all_cores_w() -> float:
    """The thermal design power of as many cores as this machine shows."""
    return core_power(cpu.description(Path("/"))).watts * (os.cpu_count() or 1)


def main() -> None:
    """Train or read, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extrapolation")
    parser.add_argument("runs", type=int, nargs="?", default=RUNS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--tdp", type=float, help="watts of the devices (all cores)")
    parser.add_argument("--keep", type=Path, help="write the recordings into this file")
    parser.add_argument("--kept", type=Path, help="train nothing, read the recordings of this file")
    given = parser.parse_args()
    recordings = read(given.kept) if given.kept else list(fresh(given.runs, given.epochs))
    if given.keep:
        write(given.keep, recordings)
    print("\n".join(report(recordings, given.tdp or all_cores_w())))


if __name__ == "__main__":
    main()
