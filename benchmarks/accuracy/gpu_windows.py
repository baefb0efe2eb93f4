"""The project's own windows on a card: errors of short windows, and waits at edges."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from benchmarks.accuracy.gpu_figures import agreement
from benchmarks.accuracy.gpu_loads import Load, Part, busy, play, pulses
from benchmarks.accuracy.gpu_trace import Probe, Spread, record, spread
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors.instruments import Instruments

#: Longest series of windows of one length: a slow counter gets fewer windows.
SERIES_S = 45.0
#: Windows in a block, whose mean power is the truth for each of them.
BLOCK = 10
_J_PER_UJ = 1e-6


class Singles(msgspec.Struct, frozen=True):
    """Single windows of one length.

    where        in steady load, or alone, from rest to rest
    of_truth     mean of joules over truth; includes the card's ramp if alone
    sd_share     standard deviation of joules over truth, as a share of that mean
    error_share  median of stated error (95 %) over joules
    covered      number within their stated error of the truth
    """

    where: str
    seconds: float
    number: int
    of_truth: float
    sd_share: float
    error_share: float
    covered: int


class Pulsed(msgspec.Struct, frozen=True):
    """A load in pulses.

    ratio            counter over integrated power in the long run
    pulse_j          counter's joules of one pulse with its rest, in the long run
    window_of_truth  joules of windows of some pulses over those of the long run
    """

    period_ms: float
    duty: float
    seconds: float
    ratio: float
    pulse_j: float
    window_pulses: int
    windows: int
    window_of_truth: float
    window_sd_share: float


class Waits(msgspec.Struct, frozen=True):
    """Waits at the edges of windows of every length, in seconds."""

    begin_s: Spread
    end_s: Spread


class Taken(NamedTuple):
    """One window of a card: joules, seconds, and the waits at its edges."""

    joules: float
    error_j: float
    seconds: float
    begin_s: float
    end_s: float
    before: list[Reading]
    after: list[Reading]


class Windows:
    """Windows of one card; `taken` has all of them so far.

    `take` raises `GreenopsError` if the counter gives no value for a window.
    """

    def __init__(self, instruments: Instruments, domain: str) -> None:
        self.instruments = instruments
        self.domain = domain
        self.taken: list[Taken] = []

    def take(self, work: Callable[[], None]) -> Taken:
        """Measure some work."""
        asked_s = time.monotonic()
        before = self.instruments.begin()
        begun_s = time.monotonic()
        work()
        ended_s = time.monotonic()
        after = self.instruments.end()
        settled_s = time.monotonic()
        joules, error_j, seconds = self.between(before, after)
        waits = begun_s - asked_s, settled_s - ended_s
        self.taken.append(Taken(joules, error_j, seconds, *waits, before, after))
        return self.taken[-1]

    def between(self, before: list[Reading], after: list[Reading]) -> tuple[float, float, float]:
        """Return joules, their stated error, and seconds between two edges."""
        window = self.instruments.window(before, after)
        if self.domain in window.missing:
            raise GreenopsError(f"a window failed: {window.missing[self.domain]}")
        error_uj = window.error_uj.get(self.domain, 0.0)
        return window.energy_uj[self.domain] * _J_PER_UJ, error_uj * _J_PER_UJ, window.seconds

    def waits(self) -> Waits:
        """Return the waits at the edges of all windows."""
        return Waits(
            spread([one.begin_s for one in self.taken]), spread([one.end_s for one in self.taken])
        )


def inside(
    windows: Windows, load: Load, seconds: float, number: int, settle_s: float = 2.0
) -> Singles:
    """Measure windows in steady load; the truth is the mean power of the block around each."""
    truths_j: list[float] = []
    taken: list[Taken] = []
    until_s = time.monotonic() + settle_s + SERIES_S
    with busy(load, settle_s):
        while len(taken) < number and (not taken or time.monotonic() < until_s):
            count = min(BLOCK, number - len(taken))
            block = [windows.take(lambda: time.sleep(seconds)) for _ in range(count)]
            joules, _, whole_s = windows.between(block[0].before, block[-1].after)
            truths_j += [joules / whole_s * one.seconds for one in block]
            taken += block
    return _singles("in steady load", seconds, taken, truths_j)


def alone(
    windows: Windows, load: Load, seconds: float, number: int, long_s: float = 5.0
) -> Singles:
    """Measure windows from rest to rest; the truth is a call's energy in long windows."""
    calls = max(1, round(seconds / load.call_s))
    before_j = _call_j(windows, load, long_s)
    until_s = time.monotonic() + SERIES_S
    taken: list[Taken] = []
    while len(taken) < number and (len(taken) < 2 or time.monotonic() < until_s):
        taken.append(windows.take(lambda: load.calls(calls)))
    call_j = (before_j + _call_j(windows, load, long_s)) / 2
    return _singles("alone", seconds, taken, [calls * call_j] * len(taken))


def pulsed(
    probe: Probe,
    windows: Windows,
    load: Load,
    part: Part,
    number: int,
    window_s: float = 1.0,
) -> Pulsed:
    """Measure a pulsed load in a long run of `part`, and in windows of whole pulses."""
    trace = record(probe, lambda: play(load, [part]))
    long_run = agreement("pulsed", trace, part.period_s)
    pulse_j = long_run.watts * part.period_s
    many = max(1, round(window_s / part.period_s))
    taken = [
        windows.take(lambda: pulses(load, part.period_s, part.duty, many)) for _ in range(number)
    ]
    # A late end lengthens the rest, so compare power rather than joules per pulse.
    shares = [one.joules / (one.seconds * long_run.watts) for one in taken]
    return Pulsed(
        part.period_s * 1e3,
        part.duty,
        long_run.seconds,
        long_run.ratio,
        pulse_j,
        many,
        number,
        statistics.fmean(shares),
        _sd(shares),
    )


def _call_j(windows: Windows, load: Load, seconds: float) -> float:
    calls = max(1, round(seconds / load.call_s))
    return windows.take(lambda: load.calls(calls)).joules / calls


def _singles(
    where: str, seconds: float, taken: Sequence[Taken], truths_j: Sequence[float]
) -> Singles:
    pairs = list(zip(taken, truths_j, strict=True))
    shares = [one.joules / truth_j for one, truth_j in pairs]
    return Singles(
        where,
        seconds,
        len(taken),
        statistics.fmean(shares),
        _sd(shares),
        statistics.median(one.error_j / one.joules if one.joules else math.inf for one in taken),
        sum(abs(one.joules - truth_j) <= one.error_j for one, truth_j in pairs),
    )


def _sd(shares: Sequence[float]) -> float:
    """Return the standard deviation over the mean."""
    return statistics.stdev(shares) / statistics.fmean(shares) if len(shares) > 1 else math.nan
