"""How well the joules of networks are estimated that never ran, from the layers of others.

    OMP_NUM_THREADS=1 python -m benchmarks.estimator [networks] [seed] [forward|training]

Makes small random convolutional networks and perceptrons. Measures some whole and layer by layer,
and fits the estimator to them; the others it estimates, and then measures. Prints both, the
estimator's own held-out error, and beside them joules proportional to MACs. Some minutes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator

from benchmarks.estimator.never_seen import WORKS, Guess, Trial, try_out
from benchmarks.markdown import table
from pytest_greenops.machine import LoadProbe
from pytest_greenops.model.units import format_energy, format_percent
from pytest_greenops.sensors.discover import discover

#: Networks of which the layers are profiled; as many as half of them are estimated.
NETWORKS, SEED = 12, 1
HEAD = [
    *("network", "layers", "MACs", "measured", "estimated", "95 % interval", "held", "error"),
    *("of kinds or sizes unlike any", "by MACs alone", "its error"),
]


def error(estimated_j: float, guess: Guess) -> float:
    """Relative to what was measured."""
    return estimated_j / guess.measured_j - 1


def rows(guesses: list[Guess]) -> Iterator[list[str]]:
    """A row for each network that was estimated."""
    for guess in guesses:
        estimate = guess.estimate
        yield [
            guess.network,
            str(estimate.layers),
            f"{guess.macs / 1e6:.1f} M",
            format_energy(guess.measured_j),
            format_energy(estimate.joules),
            f"{format_energy(estimate.low)} … {format_energy(estimate.high)}",
            "yes" if estimate.low <= guess.measured_j <= estimate.high else "**no**",
            format_percent(error(estimate.joules, guess)),
            format_percent(estimate.guessed, signed=False),
            format_energy(guess.by_macs_j),
            format_percent(error(guess.by_macs_j, guess)),
        ]


def mape(errors: Iterator[float]) -> str:
    """Mean absolute percentage error."""
    return format_percent(statistics.fmean(map(abs, errors)), signed=False)


def summary(trial: Trial) -> Iterator[str]:
    """What it comes to."""
    guesses = trial.guesses
    held = sum(g.estimate.low <= g.measured_j <= g.estimate.high for g in guesses)
    yield f"MAPE over {len(guesses)} networks never seen: " + mape(
        error(g.estimate.joules, g) for g in guesses
    )
    yield f"what the estimator said of itself: {trial.held_out}"
    yield f"intervals that held: {held} of {len(guesses)}"
    yield "MAPE of joules proportional to MACs: " + mape(error(g.by_macs_j, g) for g in guesses)
    low, middle, high = (f(trial.parts) for f in (min, statistics.median, max))
    yield f"layers replayed alone, summed: {low:.0%} … {middle:.0%} … {high:.0%} of their network"


def main() -> None:
    """Measure, estimate, print."""
    fitted, seed = [int(n) for n in sys.argv[1:3]] + [NETWORKS, SEED][len(sys.argv[1:3]) :]
    work = sys.argv[3] if len(sys.argv) > 3 else "forward"
    if work not in WORKS:
        sys.exit(f"unknown work {work!r}; one of: {', '.join(WORKS)}")
    instruments, _ = discover(["auto"])
    probe, begun_s = LoadProbe(), time.monotonic()
    probe.start()
    trial = try_out(fitted, fitted // 2, seed, work, instruments)
    others = probe.stop().others
    sensors = ", ".join(dict.fromkeys(instruments.sensor_of.values()))
    print(f"{work}; {fitted} networks profiled; seed {seed}; sensors: {sensors}; others used")
    print(f"{others:.0%} of the CPUs meanwhile; {time.monotonic() - begun_s:.0f} s", end="\n\n")
    print("\n".join(table(HEAD, list(rows(trial.guesses)))), end="\n\n")
    print("\n".join(f"* {line}" for line in summary(trial)))


if __name__ == "__main__":
    main()
