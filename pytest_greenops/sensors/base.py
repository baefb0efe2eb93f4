"""The contract of a sensor, and the one place where two readings are subtracted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Source, Window
from pytest_greenops.sensors.wraps import WrapWatch

NANOSECONDS = 1e-9
#: 95 % of windows err by less than this many updates of the counter: either edge is late by a
#: uniform share of one, so their difference is triangular over one update to either side.
EDGE_ERROR = 0.78


class Sensor(Protocol):
    """A source of cumulative energy counts.

    name             what `--energy-sensors` calls it
    source           `sensed`, or `estimated` where no counter stands behind it
    method           how a number is made, in a few words
    domains          its counters; a reading holds their counts in this order
    update_period_s  how often the counters move: bounds the error of a window's edges
    """

    name: str
    source: Source
    method: str
    domains: tuple[Domain, ...]
    update_period_s: float

    def read(self) -> Reading:
        """The counts now, in microjoules; None for a counter that cannot be read."""

    def close(self) -> None:
        """Give back what was held open."""


@runtime_checkable
class EdgeSensor(Protocol):
    """A sensor whose counters move too seldom for a plain reading: it makes edges of its own.

    Its readings say how far each count may be off.

    phase_period_s  period of what it samples, with which work could keep in step; 0 if nothing
    """

    phase_period_s: float

    def begin(self, phase_s: float) -> Reading:
        """Wait until the counts are known exactly, then for `phase_s`; the counts at the return."""

    def end(self) -> Reading:
        """The counts at the call, however long it takes to learn them."""


@runtime_checkable
class DeviceSensor(Protocol):
    """A sensor that can tell in which state its devices are."""

    doubts: Mapping[str, str]

    def states(self) -> dict[str, DeviceState]:
        """The state of each device now, by domain name."""


class Finding(NamedTuple):
    """What looking for a sensor found: the sensor, or why there is none and what mends it."""

    name: str
    sensor: Sensor | None = None
    problem: SensorUnavailable | None = None


class Instruments:
    """All sensors of a run, read together at the edges of a window.

    doubts  what is known to be wrong with a counter, by domain name
    """

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        self.sensors = tuple(sensors)
        self.domains = tuple(domain for sensor in sensors for domain in sensor.domains)
        self.sensor_of = {d.name: s.name for s in sensors for d in s.domains}
        self.estimated = tuple(
            d.name for s in sensors for d in s.domains if s.source == "estimated"
        )
        self._edged = [(place, s) for place, s in enumerate(sensors) if isinstance(s, EdgeSensor)]
        self._plain = [(p, s) for p, s in enumerate(sensors) if not isinstance(s, EdgeSensor)]
        self._devices = [sensor for sensor in sensors if isinstance(sensor, DeviceSensor)]
        self.doubts = {name: why for s in self._devices for name, why in s.doubts.items()}
        self._wraps = WrapWatch(sensors)

    @property
    def phase_period_s(self) -> float:
        """The slowest period with which work could keep in step; 0 where there is none."""
        return max((sensor.phase_period_s for _, sensor in self._edged), default=0.0)

    def begin(self, phase_s: float = 0.0) -> list[Reading]:
        """One reading of each sensor, from which a window may begin.

        Sensors that wait for their counters come first, so that the wait is in no window.
        """
        readings: list[Reading] = [Reading(0, ())] * len(self.sensors)
        for place, edged in self._edged:
            readings[place] = edged.begin(phase_s)
        self._wraps.opened_s = time.monotonic()
        for place, plain in self._plain:
            readings[place] = plain.read()
        return readings

    def end(self) -> list[Reading]:
        """One reading of each sensor, with which a window ends: those that wait come last."""
        readings: list[Reading] = [Reading(0, ())] * len(self.sensors)
        for place, plain in self._plain:
            readings[place] = plain.read()
        for place, edged in self._edged:
            readings[place] = edged.end()
        return readings

    def read(self) -> list[Reading]:
        """One reading of each sensor, now: no sensor waits for anything."""
        return [sensor.read() for sensor in self.sensors]

    def window(self, before: Sequence[Reading], after: Sequence[Reading]) -> Window:
        """The energy between two readings; a counter that cannot vouch for its part is missing."""
        parts = [
            _between(sensor, [b, *self._wraps.seen(place, b, a), a])
            for place, (sensor, b, a) in enumerate(zip(self.sensors, before, after, strict=True))
        ]
        return Window(
            parts[0].seconds if parts else 0.0,
            {name: uj for part in parts for name, uj in part.energy_uj.items()},
            {name: why for part in parts for name, why in part.missing.items()},
            {name: uj for part in parts for name, uj in part.error_uj.items()},
        )

    @contextmanager
    def watching(self, expected_s: float | None) -> Iterator[None]:
        """Let no counter wrap unseen in a trip that takes so long (None: not known)."""
        with self._wraps.watching(expected_s):
            yield

    def states(self) -> dict[str, DeviceState]:
        """The state of each device that can tell, by domain name."""
        return {name: state for s in self._devices for name, state in s.states().items()}

    def close(self) -> None:
        """Close every sensor."""
        for sensor in self.sensors:
            sensor.close()


def difference(domains: Sequence[Domain], before: Reading, after: Reading) -> Window:
    """Subtract two readings of one sensor.

    A counter that went back wrapped once: its range is added. A domain is missing, with the reason,
    where its counter is missing on either side, went back without a known range, or could have
    wrapped once more than can be seen at its highest plausible power.
    """
    seconds = (after.time_ns - before.time_ns) * NANOSECONDS
    window = Window(seconds, {}, {}, {})
    counts = zip(domains, before.energy_uj, after.energy_uj, strict=True)
    for place, (domain, start, end) in enumerate(counts):
        error_uj = None
        if before.error_uj and after.error_uj:
            error_uj = math.hypot(before.error_uj[place], after.error_uj[place])
        delta, why = _delta(domain, start, end, seconds, error_uj or 0.0)
        if why:
            told = before.why.get(domain.name) or after.why.get(domain.name)
            window.missing[domain.name] = f"{domain.name} {told or why}"
            continue
        window.energy_uj[domain.name] = delta
        if error_uj is not None:
            window.error_uj[domain.name] = error_uj
    return window


def _delta(
    domain: Domain, start: int | None, end: int | None, seconds: float, error_uj: float
) -> tuple[int, str | None]:
    """The energy between two counts in microjoules, or why it is not known.

    Counts that are known with an error may seem to go back by as much, in a window of next to no
    energy: it is none then.
    """
    if start is None or end is None:
        return 0, "could not be read"
    delta = end - start
    if domain.range_uj:
        if delta < 0:
            delta += domain.range_uj
        if delta + domain.range_uj <= domain.max_power_w * seconds * 1e6:
            return 0, f"may have wrapped unseen in a window of {seconds:.0f} s"
    if delta < -error_uj:
        return 0, "went back and its range is not known"
    return max(0, delta), None


def _between(sensor: Sensor, readings: Sequence[Reading]) -> Window:
    """The energy from the first reading to the last, over those between them.

    A sensor that does not tell how far its counts are off is late by its update period.
    """
    steps = [difference(sensor.domains, b, a) for b, a in pairwise(readings)]
    missing = {name: why for step in steps for name, why in step.missing.items()}
    seconds = math.fsum(step.seconds for step in steps)
    energy_uj = {
        domain.name: sum(step.energy_uj[domain.name] for step in steps)
        for domain in sensor.domains
        if domain.name not in missing
    }
    share = min(1.0, EDGE_ERROR * sensor.update_period_s / seconds) if seconds > 0 else 1.0
    told = difference(sensor.domains, readings[0], readings[-1]).error_uj
    error_uj = {name: told.get(name, share * uj) for name, uj in energy_uj.items()}
    return Window(seconds, energy_uj, missing, error_uj if sensor.update_period_s else {})
