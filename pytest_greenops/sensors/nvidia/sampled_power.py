"""Joules of a device that reports only its power: sampled in the background, and added up.

A device renews its power now and then, and reports the old one until then. So a new reading counts
for the time before it. Trapezoids would count half of it, and the idle time before a window into
the window. This is the only sensor that works while a window is open, for lack of a counter.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.clock import NANOSECONDS, SYSTEM_CLOCK, Clock, Repetition
from pytest_greenops.sensors.nvidia.card_counter import CardCounter
from pytest_greenops.sensors.nvidia.visible_cards import Card
from pytest_greenops.sensors.ticks import USUAL_PERIOD_S, Edge
from pytest_greenops.system import SYSTEM

#: Mean time between two samples. Each pause is random, so that no work keeps in step with them.
PAUSE_S = 0.002
#: This many renewals have to be seen before their spacing is believed.
LEARNT = 8
#: A window keeps at most this many of the counts that its power over time is made of. Where there
#: are more, every other one is dropped, and no later one is kept that is nearer than that.
MOST_COUNTS = 512


class SampledCounter(CardCounter):
    """A card without an energy counter: its power is sampled while a window is open.

    Raises `NVMLError` if it reports no power either.
    """

    period_s = USUAL_PERIOD_S

    def __init__(self, nvml: Any, card: Card, handle: Any, clock: Clock) -> None:
        super().__init__(nvml, card, handle)
        self.power.watts()
        self._sampler = PowerSampler(self._watts, self.period_s, clock)

    def count_now(self) -> Edge | None:
        """Return the energy since the last window began; None if the power could not be read."""
        return self._sampler.edge_now()

    def start(self) -> SampledStart:
        """Prepare a window, which may begin at once."""
        return SampledStart(self._sampler, self)

    def close(self) -> None:
        """End the sampling."""
        self._sampler.stop()

    def _watts(self) -> float | None:
        try:
            return self.power.watts()
        except self.nvml.NVMLError as error:
            self.fail(error)
            return None


class SampledStart:
    """A window that is about to begin; it waits for nothing."""

    done = True

    def __init__(self, sampler: PowerSampler, counter: CardCounter) -> None:
        self._sampler, self._counter = sampler, counter

    def look(self) -> None:
        """Do nothing: the sampler looks by itself."""

    def open(self, begin_ns: int) -> SampledWindow:
        """Start from zero joules."""
        self._counter.why = None
        self._sampler.start()
        return SampledWindow(self._sampler)


class SampledWindow:
    """A window in which power is sampled."""

    def __init__(self, sampler: PowerSampler) -> None:
        self.edge: Edge | None = Edge(0, 0.0)
        self._sampler = sampler

    def end(self, end_ns: int) -> SampledEnd:
        """Take the last sample."""
        edge, integral = self._sampler.edge_now(), self._sampler.integral
        last_ns = integral.last_ns
        self._sampler.stop()
        return SampledEnd(edge, integral, last_ns)


class SampledEnd(NamedTuple):
    """A window that has ended, with its last sample at `last_ns`; its energy is known."""

    last: Edge | None
    integral: PowerIntegral
    last_ns: int
    done: bool = True

    def look(self) -> None:
        """Do nothing."""

    def edge(self) -> Edge | None:
        """Return the energy since the beginning."""
        return self.last

    def curve(self) -> PowerCurve | None:
        """Return the power over the window; None if its energy is not known."""
        return None if self.last is None else self.integral.curve(self.last_ns, self.last)


class PowerSampler:
    """Samples the power of one device in windows, and learns how often the device renews it.

    `watts` returns the power now, or None while the device does not answer.

    period_s  how often the device renews it: the lower quartile of what was seen, if enough was
    integral  of the window
    """

    def __init__(
        self, watts: Callable[[], float | None], usual_period_s: float, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._read_watts = watts
        self._clock = clock
        self._lock = SYSTEM.allocate_lock()
        self._random = SYSTEM.new_random()
        self._spans_s: deque[float] = deque(maxlen=256)
        self.period_s = usual_period_s
        self.integral = PowerIntegral(clock.now_ns())
        self._sampling: Repetition | None = None

    def start(self) -> None:
        """Begin a window with a sample, and go on sampling in the background."""
        self.stop()
        self.integral = PowerIntegral(self._clock.now_ns())
        self.take()
        self._sampling = self._clock.repeat(
            self._take_in_background,
            lambda: self._random.uniform(0.5, 1.5) * PAUSE_S,
            "pytest-greenops-power",
        )

    def stop(self) -> None:
        """End the sampling."""
        if self._sampling is not None:
            self._sampling.stop()
            self._sampling = None

    def take(self) -> None:
        """Sample now, and add the energy that a new reading shows."""
        with self._lock:
            integral, now_ns, watts = self.integral, self._clock.now_ns(), self._read_watts()
            if watts is None:
                integral.broken = True
                return
            span_s = integral.add(now_ns, watts, self.period_s)
            if span_s is not None:
                self._spans_s.append(span_s)
                if len(self._spans_s) >= LEARNT:  # sorted only here: most samples renew nothing
                    self.period_s = sorted(self._spans_s)[len(self._spans_s) // 4]

    def edge(self) -> Edge | None:
        """Return the energy of this window so far; None if a sample of it is missing."""
        with self._lock:
            return self.integral.edge(self.period_s)

    def edge_now(self) -> Edge | None:
        """Take a sample, and return the energy up to it."""
        self.take()
        return self.edge()

    def _take_in_background(self) -> None:
        try:
            self.take()
        except Exception:  # without its samples, the energy of a window is unknown
            self.integral.broken = True


class PowerIntegral:
    """The energy of one window, from samples of power: the samples at both edges included.

    broken   whether a sample is missing
    last_ns  when the last sample was taken
    """

    def __init__(self, begin_ns: int) -> None:
        self.broken = False
        self._begin_ns = self.last_ns = self._renewed_ns = begin_ns
        self._watts: float | None = None
        self._low_w, self._high_w = math.inf, 0.0
        self._joules = 0.0
        self._renewals = self._mixed_ns = 0
        self._counts = [(begin_ns, 0.0)]
        self._apart_ns = 0

    def add(self, time_ns: int, watts: float, period_s: float) -> float | None:
        """Add a sample; return the seconds between two renewals if it shows the second of them."""
        span_s = None
        self.last_ns = time_ns
        if self._watts is None:
            self._renewed_ns, self._watts = time_ns, watts
        elif watts != self._watts:
            span_s = self._renew(time_ns, self._watts, watts, period_s)
        self._low_w, self._high_w = min(self._low_w, watts), max(self._high_w, watts)
        return span_s

    def _renew(self, time_ns: int, before_w: float, watts: float, period_s: float) -> float | None:
        """Count a new reading for the time before it, as far back as readings are apart.

        The first one in a window may be a mean that reaches back beyond it. Its time is left to the
        second one, if there is one.
        """
        span_s = None
        since_ns = max(self._renewed_ns, time_ns - round(period_s * 1e9))
        before_ws = before_w * (since_ns - self._renewed_ns)
        if self._renewals == 0:
            self._joules += before_ws * NANOSECONDS
            self._mixed_ns = time_ns - since_ns
            self._keep(since_ns, self._joules)
        else:
            mixed_ns, self._mixed_ns = self._mixed_ns, 0
            self._keep(since_ns, self._joules + (before_ws + watts * mixed_ns) * NANOSECONDS)
            own_ns = time_ns - since_ns + mixed_ns
            self._joules += (before_ws + watts * own_ns) * NANOSECONDS
            self._keep(time_ns, self._joules)
            span_s = (time_ns - self._renewed_ns) * NANOSECONDS
        self._renewals += 1
        self._renewed_ns, self._watts = time_ns, watts
        return span_s

    def _keep(self, time_ns: int, joules: float) -> None:
        """Keep a count for the power over time, unless it is near the one before."""
        if time_ns - self._counts[-1][0] > self._apart_ns:
            self._counts.append((time_ns, joules))
            if len(self._counts) > MOST_COUNTS:
                del self._counts[1::2]
                self._apart_ns = 2 * (time_ns - self._begin_ns) // MOST_COUNTS

    def curve(self, until_ns: int, edge: Edge) -> PowerCurve:
        """Return the power up to the sample at `until_ns`, whose energy is known.

        It is that of which the joules are made: means between renewals of the power, or over longer
        times where there are many.
        """
        counts = [each for each in self._counts[1:] if each[0] < until_ns]
        counts.append((until_ns, edge.count_uj * 1e-6))
        return PowerCurve.of_counts(
            ((ns - self._begin_ns) * NANOSECONDS, joules) for ns, joules in counts
        )

    def edge(self, period_s: float) -> Edge | None:
        """Return the energy so far, and how far it may be off since power is reported late.

        The error is that of a counter which moves as often, or more if power changed by more than
        its mean. The error of power itself, some percent, is always there and is not included.
        """
        if self.broken or self._watts is None:
            return None
        since_ns = self.last_ns - self._renewed_ns + self._mixed_ns
        joules = self._joules + self._watts * since_ns * NANOSECONDS
        seconds = (self.last_ns - self._begin_ns) * NANOSECONDS
        mean_w = joules / seconds if seconds else 0.0
        late_j = EDGE_ERROR * period_s * max(mean_w, self._high_w - self._low_w)
        return Edge(round(joules * 1e6), late_j * 1e6)
