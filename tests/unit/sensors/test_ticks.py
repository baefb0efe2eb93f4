"""The count at a moment between two ticks, from the power that was reported meanwhile."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from pytest_greenops.sensors.ticks import (
    NEXT_TICK_ERROR,
    POWER_ERROR,
    RESOLUTION_UJ,
    USUAL_PERIOD_S,
    WATCH_S,
    Edge,
    PowerSample,
    Tick,
    Ticker,
    count_after,
    count_at_rest,
    count_between,
    period_s,
)

MS = 1_000_000
#: A tick at 100 ms, to a count of 5 J.
SHARP = Tick(100 * MS, 0, 5_000_000)


def reported(*samples: tuple[float, float]) -> list[PowerSample]:
    """Return what a device reported: milliseconds and watts."""
    return [PowerSample(round(ms * MS), watts) for ms, watts in samples]


def off(*causes_uj: float) -> Any:
    """Return how far a count may be off for these independent causes, and its last digit."""
    return pytest.approx(math.hypot(*causes_uj, RESOLUTION_UJ))


def blurred(tick: Tick, half_ms: float) -> Tick:
    """Return the same tick, known less sharply."""
    return tick._replace(half_ns=round(half_ms * MS))


@pytest.mark.parametrize("count_uj", [6_000, 4_000, 0])
def test_a_counter_that_moved_has_ticked(count_uj: int) -> None:
    """Up or down, after a reset; a first look, or one that finds the same count, is not a tick."""
    ticker = Ticker()
    assert (ticker.see(0, 10, 5_000), ticker.count_uj) == (None, 5_000)
    assert ticker.see(100, 110, count_uj) == Tick(55, 55, count_uj)
    assert (ticker.see(200, 210, count_uj), ticker.count_uj) == (None, count_uj)


@pytest.mark.parametrize(
    ("asked_ns", "answered_ns", "tick"),
    [(900, 1_000, Tick(500, 500, 6_000)), (900, 1_001, Tick(500, 501, 6_000))],
)
def test_a_tick_fell_between_two_polls(asked_ns: int, answered_ns: int, tick: Tick) -> None:
    """After the older was asked and before the newer was answered.

    Half of an odd number of nanoseconds is rounded up, so that both ends stay inside.
    """
    ticker = Ticker()
    ticker.see(0, 100, 5_000)
    assert ticker.see(asked_ns, answered_ns, 6_000) == tick


def test_a_tick_is_between_the_last_two_polls() -> None:
    """Polls that saw no movement narrow it down."""
    ticker = Ticker()
    ticker.see(0, 10, 5_000)
    ticker.see(1_000, 1_010, 5_000)
    assert ticker.see(1_100, 1_200, 6_000) == Tick(1_100, 100, 6_000)


@pytest.mark.parametrize(
    ("times_ms", "expected_s"),
    [((), USUAL_PERIOD_S), ((7,), WATCH_S), ((7, 27), 0.02), ((7, 27, 47, 147), 0.02)],
)
def test_the_period_is_the_median_time_between_ticks(
    times_ms: Sequence[int], expected_s: float
) -> None:
    """After one tick it is the time of the watch, after none the usual period."""
    assert period_s([Tick(ms * MS, 0, ms) for ms in times_ms]) == pytest.approx(expected_s)


@pytest.mark.parametrize("samples", [1, 7])
def test_steady_power_is_added_from_the_tick_on(samples: int) -> None:
    """100 W for 20 ms are 2 J, however often they were reported."""
    steady = reported(*((100 + number, 100.0) for number in range(samples)))
    edge = count_after(SHARP, 120 * MS, steady)
    assert edge == Edge(7_000_000, off(POWER_ERROR * 2_000_000))


def test_power_that_changes_is_averaged() -> None:
    """50 and 150 W are 100 W on average, and half of the difference is in doubt."""
    edge = count_after(SHARP, 120 * MS, reported((101, 50.0), (110, 150.0)))
    doubt_uj = 50.0 * 20_000
    assert edge == Edge(7_000_000, off(POWER_ERROR * 2_000_000, doubt_uj))


def test_power_from_before_the_tick_does_not_count() -> None:
    """The tick has counted it already; it is used only if there is no newer sample."""
    edge = count_after(SHARP, 120 * MS, reported((99, 700.0), (100, 100.0)))
    assert edge.count_uj == 7_000_000
    assert count_after(SHARP, 120 * MS, reported((98, 700.0), (99, 200.0))).count_uj == 9_000_000


def test_at_the_tick_the_count_is_the_tick() -> None:
    """Nothing is added, and only the last digit is in doubt."""
    assert count_after(SHARP, 100 * MS, reported((100, 300.0))) == Edge(5_000_000, RESOLUTION_UJ)


def test_the_error_grows_with_everything_that_is_unknown() -> None:
    """A blurred tick, a long time since it, and varying power each add to it."""
    steady = reported((100, 100.0))

    def error_uj(half_ms: float = 0.0, until_ms: int = 110, spread_w: float = 0.0) -> float:
        varied = [*steady, *reported((105, 100.0 + spread_w))]
        return count_after(blurred(SHARP, half_ms), until_ms * MS, varied).error_uj

    head_uj = POWER_ERROR * 1_000_000
    assert error_uj() == off(head_uj)
    assert error_uj(half_ms=1.0) == off(head_uj, 100.0 * 1_000)
    assert error_uj(until_ms=120) == off(2 * head_uj)
    assert error_uj(spread_w=40.0) == off(1.2 * head_uj, 20.0 * 10_000)


#: A window ended at 60 ms, 40 ms before the tick.
END_NS = 60 * MS


def test_the_energy_of_an_idle_device_is_subtracted_up_to_the_tick() -> None:
    """50 W for 40 ms are 2 J less."""
    edge = count_at_rest(blurred(SHARP, 1.0), END_NS, reported((60, 50.0)))
    assert edge == Edge(3_000_000, off(50.0 * 1_000, POWER_ERROR * 2_000_000))


@pytest.mark.parametrize(
    "samples", [reported((60, 300.0), (80, 50.0)), reported((60, 300.0), (80, 120.0), (130, 50.0))]
)
def test_the_last_reported_power_is_that_of_the_idle_device(samples: Sequence[PowerSample]) -> None:
    """Earlier reports may be late, or settling: 1 ms of them is in doubt."""
    edge = count_at_rest(SHARP, END_NS, samples)
    assert edge == Edge(3_000_000, off(250.0 * 1_000, POWER_ERROR * 2_000_000))


def test_nothing_is_subtracted_from_a_tick_before_the_end() -> None:
    """Its count is that of the end, except for its last digit."""
    assert count_at_rest(SHARP, 101 * MS, reported((101, 50.0))) == Edge(5_000_000, RESOLUTION_UJ)


#: The counter moved by 4 J in the 100 ms after the tick: the device draws 40 W.
NEXT = Tick(200 * MS, 0, 9_000_000)


def test_the_next_tick_shows_the_power_before_the_last() -> None:
    """40 W after the tick were 40 W in the 40 ms before it, within a quarter."""
    tail_uj = 40.0 * 0.040 * 1e6
    assert count_between(blurred(SHARP, 1.0), NEXT, END_NS) == Edge(
        round(5_000_000 - tail_uj),
        off(40.0 * 1_000, POWER_ERROR * tail_uj, NEXT_TICK_ERROR * tail_uj),
    )


@pytest.mark.parametrize(("reported_w", "doubt_w"), [(41.0, 10.0), (40.0, 10.0), (90.0, 50.0)])
def test_reported_power_may_increase_the_error(reported_w: float, doubt_w: float) -> None:
    """If it contradicts the counter by more than a quarter, the error includes it."""
    edge = count_between(SHARP, NEXT, END_NS, reported_w)
    assert edge == Edge(
        round(5_000_000 - 40.0 * 40_000), off(POWER_ERROR * 40.0 * 40_000, doubt_w * 40_000)
    )


class Trace(NamedTuple):
    """Power that changes at times in nanoseconds: `watts[i]` from `times_ns[i]` on."""

    times_ns: list[float]
    watts: list[float]

    def at(self, time_ns: float) -> float:
        """Return the power at a time."""
        return self.watts[bisect_right(self.times_ns, time_ns) - 1]

    def microjoules(self, from_ns: float, to_ns: float) -> float:
        """Return the energy between two times."""
        inside = [time_ns for time_ns in self.times_ns if from_ns < time_ns < to_ns]
        spans = pairwise([from_ns, *inside, to_ns])
        return math.fsum(self.at(begin) * (end - begin) * 1e-3 for begin, end in spans)


def stated(rng: random.Random) -> tuple[float, float]:
    """Return how far a random window is off, and how far it states that it may be off.

    The device is idle, works with changing power, keeps the last power for as long as one tick, and
    is idle again. Its counter ticks at one phase; it renews its power reading at another, or at
    once.
    """
    period_ns = rng.uniform(20, 100) * MS
    poll_ns = period_ns / rng.uniform(40, 100)
    renewal_ns = rng.choice([0.0, rng.uniform(0.1, 1.5) * period_ns])
    renewal_phase_ns = rng.uniform(0, 1) * renewal_ns
    rest_w, load_w = rng.uniform(20, 100), rng.uniform(150, 700)
    tick_ns = 10 * period_ns
    begin_ns = tick_ns + rng.uniform(1, 3) * poll_ns
    steps_ns = [begin_ns + rng.uniform(0, 3) * period_ns for _ in range(5)]
    end_ns = max(steps_ns) + rng.uniform(1.0, 2.0) * period_ns
    trace = Trace(
        [0.0, begin_ns, *sorted(steps_ns), end_ns],
        [rest_w, *(rng.uniform(100, 700) for _ in steps_ns), load_w, rest_w],
    )

    def count_uj(time_ns: float) -> int:
        return int(trace.microjoules(0.0, time_ns) // RESOLUTION_UJ * RESOLUTION_UJ)

    def power(time_ns: float) -> PowerSample:
        age_ns = (time_ns - renewal_phase_ns) % renewal_ns if renewal_ns else 0.0
        return PowerSample(round(time_ns), trace.at(time_ns - age_ns))

    def tick(time_ns: float) -> Tick:
        half_ns = poll_ns / 2
        off_ns = rng.uniform(-half_ns, half_ns)
        return Tick(round(time_ns + off_ns), round(half_ns), count_uj(time_ns))

    first = count_after(tick(tick_ns), round(begin_ns), [power(begin_ns - poll_ns / 2)])
    next_ns = tick_ns + math.ceil((end_ns - tick_ns) / period_ns) * period_ns
    polls = math.ceil((next_ns - end_ns) / poll_ns) + 1
    samples = [power(end_ns + number * poll_ns) for number in range(polls)]
    if samples[-1].watts == rest_w:
        last = count_at_rest(tick(next_ns), round(end_ns), samples)
    else:
        later = tick(next_ns + period_ns)
        reported_w = power(next_ns + period_ns).watts
        last = count_between(tick(next_ns), later, round(end_ns), reported_w)
    off_uj = last.count_uj - first.count_uj - trace.microjoules(begin_ns, end_ns)
    return abs(off_uj), math.hypot(first.error_uj, last.error_uj)


def test_the_truth_lies_within_the_stated_error() -> None:
    """In at least 95 % of windows, for any power, phase of the ticks and renewal."""
    rng = random.Random(20)
    windows = [stated(rng) for _ in range(2000)]
    assert sum(off_uj <= error_uj for off_uj, error_uj in windows) >= 1900
