"""Calls that the meter repeats: joules per call, and the time taken."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.accuracy.windows import CardWork
from pytest_greenops.judge.decision import PROVISIONAL_ROUNDS
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.measure.meter import Meter, Plan

#: The plan of a test that is saved or has a young baseline, with the default margin.
PLAN = Plan(looks=(PROVISIONAL_ROUNDS,))


class Measured(NamedTuple):
    """One measurement of the meter.

    measured_j  reported joules per call
    true_j      true joules per call, from a window's first call to the end of its last
    wall_s      from the first trip to the last round's end
    busy_s      duration of the calls
    calls       number of calls, including warm-up and calibration
    iterations  calls per round
    """

    measured_j: float
    true_j: float
    wall_s: float
    busy_s: float
    calls: int
    iterations: int


def measurements(call_s: float, repeats: int) -> list[Measured]:
    """Measure a call that keeps a card busy, `repeats` times, in a child process."""
    from pytest_greenops.sensors.discover import discover

    instruments, _ = discover(["nvml"])
    card = CardWork()
    return [
        _measure(Meter(instruments, PLAN, lambda _, __: True), card, call_s) for _ in range(repeats)
    ]


def _measure(meter: Meter, card: CardWork, call_s: float) -> Measured:
    card.busy_s, calls = 0.0, 0
    true_j: list[float] = []
    begun_s = time.monotonic()
    for trip in meter.trips():
        trip_j = 0.0
        for batch in trip.batches():
            with trip.window("call"):
                first_j = card.joules()
                for _ in range(batch):
                    card.call(call_s)
                trip_j += card.joules() - first_j
        calls += trip.iterations
        true_j.append(trip_j / trip.iterations)
    wall_s = time.monotonic() - begun_s
    rounds = meter.measurements()["call"].rounds
    measured_j = [sum(r.energy_uj.values()) * 1e-6 / r.iterations for r in rounds]
    # The last trips are the kept rounds.
    joules = trimmed_mean(measured_j), trimmed_mean(true_j[-len(rounds) :])
    return Measured(*joules, wall_s, card.busy_s, calls, rounds[0].iterations)
