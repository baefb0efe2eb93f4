"""The contract of a sensor, and the one place where two readings are subtracted."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source, Window
from pytest_greenops.sensors.clock import NANOSECONDS, SYSTEM_CLOCK, Clock

#: 95 % of windows err by less than this many updates of the counter: each edge is late by a
#: uniform share of an update, so the difference is triangular over one update to either side.
EDGE_ERROR = 0.78
#: How late energy may be counted, in seconds of the highest plausible power.
LATE_S = 1.0
#: A reading further away than this from the clock was not dated by it.
CLOCK_S = 1.0


class Sensor(Protocol):
    """A source of cumulative energy counts; plain attributes will do for its properties.

    It may have `notes`, lines that a reader of its figures has to know, and `doubts`, what is known
    to be wrong with a counter by domain name, and `left_out`, counters that the machine has and
    that cannot be read, with the reason.
    """

    @property
    def name(self) -> str:
        """Return its name in `--energy-sensors`."""

    @property
    def source(self) -> Source:
        """Return `sensed`, or `estimated` where no counter is read."""

    @property
    def method(self) -> str:
        """Return how its figures are made, in a few words."""

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Return its counters, as `Domain` values; a reading has their counts in this order."""

    @property
    def update_period_s(self) -> float:
        """Return the seconds between updates of the counters.

        They set how long a round must be, unless readings carry an error.
        """

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for a counter that cannot be read."""

    def close(self) -> None:
        """Release what was held open."""


@runtime_checkable
class EdgeSensor(Protocol):
    """A sensor whose counters move too seldom for a plain reading: it makes edges of its own.

    Its readings state how far each count may be off.

    phase_period_s  period of what it samples, with which work could keep in step; 0 if none
    """

    phase_period_s: float

    def begin(self, phase_s: float) -> Reading:
        """Wait until the counts are known exactly, then for `phase_s`; return the counts then."""

    def end(self) -> Reading:
        """Return the counts at the time of the call, however long it takes to learn them."""


@runtime_checkable
class DeviceSensor(Protocol):
    """A sensor that reports the state of its devices."""

    def states(self) -> dict[str, DeviceState]:
        """Return the state of each device now, by domain name."""


@runtime_checkable
class NamableSensor(Protocol):
    """A sensor that has to know which domain is judged: its device then counts as used."""

    named: str


@runtime_checkable
class RestingSensor(Protocol):
    """A sensor that knows which of its devices have no work at all, from any process."""

    def resting(self) -> Collection[str]:
        """Return the devices that have had no work for a moment, by domain name."""


@runtime_checkable
class ProcessSensor(Protocol):
    """A sensor that sees the processes below this one only: each rank of a job reads its own.

    charges_waiting  whether it charges time in which nothing works; one rank per host does
    """

    charges_waiting: bool


class Finding(NamedTuple):
    """The result of looking for a sensor: the sensor, or why there is none and how to fix it."""

    name: str
    sensor: Sensor | None = None
    problem: SensorUnavailable | None = None


def on_our_clock(sensor: Sensor, clock: Clock = SYSTEM_CLOCK) -> bool:
    """Return whether a sensor counts while this process waits: a fake has a clock of its own."""
    return abs(clock.now_ns() - sensor.read().time_ns) * NANOSECONDS < CLOCK_S


def difference(domains: Sequence[Domain], before: Reading, after: Reading) -> Window:
    """Subtract two readings of one sensor.

    A counter that went back wrapped once, and its range is added. A domain is missing, with the
    reason, if its counter is missing in either reading, went back without a known range, or could
    have wrapped once more at its highest plausible power.
    """
    seconds = (after.time_ns - before.time_ns) * NANOSECONDS
    window = Window(seconds, {}, {}, {}, {})
    counts = zip(domains, before.energy_uj, after.energy_uj, strict=True)
    for place, (domain, start, end) in enumerate(counts):
        error_uj = stated_error_uj(place, before, after)
        delta, why = _delta(domain, start, end, seconds, error_uj or 0.0)
        if why:
            reported = before.why.get(domain.name) or after.why.get(domain.name)
            window.missing[domain.name] = f"{domain.name} {reported or why}"
            continue
        window.energy_uj[domain.name] = delta
        if error_uj is not None:
            window.error_uj[domain.name] = error_uj
        if domain.name in after.power:
            window.power[domain.name] = after.power[domain.name]
    return window


def stated_error_uj(place: int, before: Reading, after: Reading) -> float | None:
    """Return the error of a domain between two readings; None if one of them states none."""
    if before.error_uj and after.error_uj:
        return math.hypot(before.error_uj[place], after.error_uj[place])
    return None


def _delta(
    domain: Domain, start: int | None, end: int | None, seconds: float, error_uj: float
) -> tuple[int, str | None]:
    """Return the energy between two counts in microjoules, or why it is unknown.

    In a window of almost no energy, counts may seem to go back by their error: that is no energy.
    """
    if start is None or end is None:
        return 0, "could not be read"
    delta = end - start
    if domain.range_uj:
        if delta < -error_uj:
            delta += domain.range_uj
            if delta > domain.max_power_w * (seconds + LATE_S) * 1e6:
                return 0, "went back further than a wrap explains: it was reset"
        if delta + domain.range_uj <= domain.max_power_w * seconds * 1e6:
            return 0, f"may have wrapped unseen in a window of {seconds:.0f} s"
    if delta < -error_uj:
        return 0, "went back and its range is not known"
    return max(0, delta), None
