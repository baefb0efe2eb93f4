"""Calls that the meter repeats as it sees fit: joules of one call, and the time that this took."""

from __future__ import annotations

import time
from typing import NamedTuple

from benchmarks.accuracy.windows import CardWork
from pytest_greenops.judge.decision import PROVISIONAL_ROUNDS
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.measure.meter import Meter, Plan

#: What a test gets that is saved, or compared with a young baseline; the margin is the default.
PLAN = Plan(looks=(PROVISIONAL_ROUNDS,))


class Measured(NamedTuple):
    """One measurement of the meter.

    told_j      joules of a call, as it is reported
    true_j      the same of what was drawn, from the first call of a window to the end of its last
    wall_s      from the first trip to the last round's end
    busy_s      of it, how long the calls took
    calls       how many there were, warm-up and calibration included
    iterations  calls in a round
    """

    told_j: float
    true_j: float
    wall_s: float
    busy_s: float
    calls: int
    iterations: int


def measurements(call_s: float, repeats: int) -> list[Measured]:
    """In a child: measure a call that keeps a card busy, this many times."""
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
    told_j = [sum(r.energy_uj.values()) * 1e-6 / r.iterations for r in rounds]
    # The rounds that are kept are the last trips.
    true_j = true_j[-len(rounds) :]
    return Measured(
        trimmed_mean(told_j), trimmed_mean(true_j), wall_s, card.busy_s, calls, rounds[0].iterations
    )
