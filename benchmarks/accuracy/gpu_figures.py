"""Figures of a card's trace: tick, agreement of counter and power, and lag."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec

from benchmarks.accuracy import gpu_trace
from benchmarks.accuracy.gpu_loads import Load, Part, play
from benchmarks.accuracy.gpu_trace import Phase, Probe, Spread, Trace, record, spread
from pytest_greenops.sensors.ticks import Tick

#: Time in which clocks and power settle after the start of a phase.
SETTLE_S = 1.0


class TickFigures(msgspec.Struct, frozen=True):
    """Intervals and sizes of a counter's ticks.

    load         load of the card
    interval_ms  time between ticks
    known_to_ms  95th percentile of the ticks' uncertainty (±), from the polls around them
    quantum_mj   greatest common divisor of the steps
    power_ms     time between new power values
    """

    load: str
    interval_ms: Spread
    known_to_ms: float
    quantum_mj: int
    step_mj: float
    power_ms: Spread
    polls_per_s: float


class ReadCost(msgspec.Struct, frozen=True):
    """The time of one read, in microseconds."""

    read: str
    us: Spread


class Agreement(msgspec.Struct, frozen=True):
    """Joules of the counter and of integrated power, between the same two ticks."""

    load: str
    seconds: float
    counter_j: float
    integrated_j: float

    @property
    def ratio(self) -> float:
        """Return counter over integral."""
        return self.counter_j / self.integrated_j if self.integrated_j else math.nan

    @property
    def watts(self) -> float:
        """Return the mean power by the counter."""
        return self.counter_j / self.seconds if self.seconds else math.nan


class Lag(msgspec.Struct, frozen=True):
    """Lag after a change of load, in milliseconds; it includes the card's own ramp.

    counter_ms, power_ms  by area: delay of a sudden step with the same energy
    counter_half_ms       until a tick's mean power passes half of the step
    power_half_ms         until the reported power passes it
    """

    edge: str
    counter_ms: Spread
    power_ms: Spread
    counter_half_ms: Spread
    power_half_ms: Spread


def tick_figures(load: str, trace: Trace) -> TickFigures:
    """Return the figures of a trace's ticks."""
    ticks = trace.ticks()
    steps = gpu_trace.tick_steps_mj(ticks)
    return TickFigures(
        load,
        spread(gpu_trace.tick_spans_ms(ticks)),
        spread([tick.half_ns * 1e-6 for tick in ticks]).p95,
        math.gcd(*steps),
        statistics.median(steps) if steps else math.nan,
        spread(gpu_trace.power_spans_ms(trace)),
        trace.polls / trace.seconds,
    )


def read_costs(probe: Probe, number: int, at_most_s: float = 5.0) -> list[ReadCost]:
    """Time each kind of read `number` times, for at most `at_most_s`."""
    reads: dict[str, Callable[[], int]] = {"nvmlDeviceGetTotalEnergyConsumption": probe.energy_mj}
    if probe.instant:
        reads["NVML_FI_DEV_POWER_INSTANT"] = probe.instant_mw
    reads["nvmlDeviceGetPowerUsage"] = probe.usage_mw
    return [ReadCost(name, _cost_us(read, number, at_most_s)) for name, read in reads.items()]


def _cost_us(read: Callable[[], int], number: int, at_most_s: float) -> Spread:
    read()
    costs_us: list[float] = []
    until_s = time.monotonic() + at_most_s
    while len(costs_us) < number and (len(costs_us) < 2 or time.monotonic() < until_s):
        begun_ns = time.perf_counter_ns()
        read()
        costs_us.append((time.perf_counter_ns() - begun_ns) * 1e-3)
    return spread(costs_us)


def agreement(load: str, trace: Trace, period_s: float = 0.0) -> Agreement:
    """Compare counter and power over a trace; over whole periods of a pulsed load."""
    ticks = trace.ticks()
    if len(ticks) < 2:
        return Agreement(load, 0.0, math.nan, math.nan)
    start, end = ticks[0], _last_tick(ticks, period_s)
    return Agreement(
        load,
        (end.time_ns - start.time_ns) * 1e-9,
        (end.count_uj - start.count_uj) * 1e-6,
        gpu_trace.integrated_j(trace, start.time_ns, end.time_ns),
    )


def _last_tick(ticks: Sequence[Tick], period_s: float) -> Tick:
    """Return the tick of the second half that is closest to whole periods after the first."""
    if not period_s:
        return ticks[-1]

    def off(tick: Tick) -> float:
        periods = (tick.time_ns - ticks[0].time_ns) * 1e-9 / period_s
        return abs(periods - round(periods)) / max(periods, 1.0)

    return min(ticks[max(1, len(ticks) // 2) :], key=off)


def settled(trace: Trace, phase: Phase, settle_s: float = SETTLE_S) -> Trace:
    """Return the part of a phase after clocks and power have settled."""
    return trace.between(phase.start_ns + round(settle_s * 1e9), phase.end_ns)


def steps(probe: Probe, load: Load, number: int, each_s: float) -> tuple[Lag, Lag]:
    """Alternate rest and work `number` times; return the lag of steps up and down."""
    schedule = [Part(each_s, duty) for _ in range(number) for duty in (0.0, 1.0)] + [
        Part(each_s, 0)
    ]
    trace = record(probe, lambda: play(load, schedule))
    return lags(trace, trace.phases)


def lags(trace: Trace, phases: Sequence[Phase]) -> tuple[Lag, Lag]:
    """Return the lag at the steps up and down between phases."""
    found: dict[bool, list[tuple[float, ...]]] = {True: [], False: []}
    for before, after in pairwise(phases):
        both = _counter_stretches(trace), _power_stretches(trace)
        one = tuple(lag for each in both for lag in _lag_ms(each, before, after))
        found[after.duty > before.duty].append(one)
    return _lag("rest to load", found[True]), _lag("load to rest", found[False])


def _lag(edge: str, found: Sequence[tuple[float, ...]]) -> Lag:
    columns = list(zip(*found, strict=True)) or [()] * 4
    counter, counter_half, power, power_half = (
        spread([value for value in column if not math.isnan(value)]) for column in columns
    )
    return Lag(edge, counter, power, counter_half, power_half)


#: Consecutive stretches: start and end in nanoseconds, and mean watts.
_Stretches = list[tuple[int, int, float]]


def _counter_stretches(trace: Trace) -> _Stretches:
    """Return the mean power between ticks."""
    ticks = trace.ticks()
    return [(a.time_ns, b.time_ns, _watts(a, b)) for a, b in pairwise(ticks)]


def _watts(a: Tick, b: Tick) -> float:
    return (b.count_uj - a.count_uj) / (b.time_ns - a.time_ns) * 1e3


def _power_stretches(trace: Trace) -> _Stretches:
    pairs = pairwise(trace.samples)
    return [(a.time_ns, b.time_ns, a.power_mw * 1e-3) for a, b in pairs]


def _lag_ms(stretches: _Stretches, before: Phase, after: Phase) -> tuple[float, float]:
    """Return the lag by area and by half of the step; levels are those of the last two fifths.

    Both are nan where the step is at most a tenth of the power.
    """
    step_ns, low_ns, high_ns = after.start_ns, _settled_ns(before), _settled_ns(after)
    low = _mean_w(stretches, low_ns, step_ns)
    high = _mean_w(stretches, high_ns, after.end_ns)
    if not abs(high - low) > 0.1 * max(high, low):
        return math.nan, math.nan
    drawn = sum(w * (t - f) for f, t, w in _cut(stretches, low_ns, high_ns))
    prompt = low * (step_ns - low_ns) + high * (high_ns - step_ns)
    half = (low + high) / 2
    passed = (
        (from_ns + to_ns) / 2
        for from_ns, to_ns, watts in stretches
        if to_ns > step_ns and (watts - half) * (high - low) > 0
    )
    return (prompt - drawn) / (high - low) * 1e-6, (next(passed, math.nan) - step_ns) * 1e-6


def _settled_ns(phase: Phase) -> int:
    """Return when a phase counts as settled."""
    return phase.end_ns - 2 * (phase.end_ns - phase.start_ns) // 5


def _mean_w(stretches: _Stretches, start_ns: int, end_ns: int) -> float:
    """Return the mean power of the stretches wholly inside; nan without any."""
    parts = [one for one in stretches if start_ns <= one[0] and one[1] <= end_ns]
    whole_ns = sum(to_ns - from_ns for from_ns, to_ns, _ in parts)
    return sum(w * (t - f) for f, t, w in parts) / whole_ns if whole_ns else math.nan


def _cut(stretches: _Stretches, start_ns: int, end_ns: int) -> Iterator[tuple[int, int, float]]:
    for from_ns, to_ns, watts in stretches:
        if from_ns < end_ns and to_ns > start_ns:
            yield max(from_ns, start_ns), min(to_ns, end_ns), watts
