"""All sensors of a run, read together at the edges of a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import accumulate, pairwise

from pytest_greenops.model.measurement import (
    MICROJOULES,
    DeviceState,
    Domain,
    Reading,
    Rest,
    Window,
)
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.sensors.base import (
    EDGE_ERROR,
    DeviceSensor,
    EdgeSensor,
    NamableSensor,
    RestingSensor,
    Sensor,
    difference,
    stated_error_uj,
)
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.wraps import WrapWatch

#: A counter that did not move in this many update periods had nothing to count.
FEW_UPDATES = 3


class Instruments:
    """All sensors of a run, read together at the edges of a window.

    doubts  what is known to be wrong with a counter, by domain name
    rest    what the counters showed while the machine was idle, if that is known
    judged  the domain that is judged
    """

    rest = Rest()
    judged = "total"

    def __init__(self, sensors: Sequence[Sensor], clock: Clock = SYSTEM_CLOCK) -> None:
        self.sensors = tuple(sensors)
        self.domains = tuple(domain for sensor in sensors for domain in sensor.domains)
        self.sensor_of = {d.name: s.name for s in sensors for d in s.domains}
        self.estimated = tuple(
            d.name for s in sensors for d in s.domains if s.source == "estimated"
        )
        self._edged = [(place, s) for place, s in enumerate(sensors) if isinstance(s, EdgeSensor)]
        self._plain = [(p, s) for p, s in enumerate(sensors) if not isinstance(s, EdgeSensor)]
        self._namable = [sensor for sensor in sensors if isinstance(sensor, NamableSensor)]
        self._devices = [sensor for sensor in sensors if isinstance(sensor, DeviceSensor)]
        self.doubts = {d: why for s in sensors for d, why in getattr(s, "doubts", {}).items()}
        self._wraps = WrapWatch(sensors, clock)
        self._clock = clock

    @property
    def edged(self) -> bool:
        """Whether a sensor makes edges of its own, for which a window waits."""
        return bool(self._edged)

    @property
    def has_drivers(self) -> bool:
        """Whether the driver of a GPU is used, which knows this process by its id."""
        return any(domain.kind == "gpu" for domain in self.domains)

    @property
    def phase_period_s(self) -> float:
        """The slowest period with which work could keep in step; 0 if there is none."""
        return max((sensor.phase_period_s for _, sensor in self._edged), default=0.0)

    def begin(self, phase_s: float = 0.0) -> list[Reading]:
        """Return one reading of each sensor, from which a window begins.

        Sensors that wait for their counters are read first, so that the wait is in no window.
        """
        readings: list[Reading] = [Reading(0, ())] * len(self.sensors)
        for place, edged in self._edged:
            readings[place] = edged.begin(phase_s)
        self._wraps.opened_ns = self._clock.now_ns()
        self._read_plain(readings)
        return readings

    def end(self) -> list[Reading]:
        """Return one reading of each sensor, which ends a window: those that wait come last."""
        readings: list[Reading] = [Reading(0, ())] * len(self.sensors)
        self._read_plain(readings)
        for place, edged in self._edged:
            readings[place] = edged.end()
        return readings

    def _read_plain(self, readings: list[Reading]) -> None:
        with self._wraps.lock:
            for place, plain in self._plain:
                readings[place] = plain.read()

    def read(self) -> list[Reading]:
        """Return one reading of each sensor now, without waiting for a counter."""
        with self._wraps.lock:
            return [sensor.read() for sensor in self.sensors]

    def window(self, before: Sequence[Reading], after: Sequence[Reading]) -> Window:
        """Return the energy between two readings; a counter whose energy is unknown is missing."""
        parts = [
            _between(sensor, [b, *self._wraps.seen(place, b, a), a])
            for place, (sensor, b, a) in enumerate(zip(self.sensors, before, after, strict=True))
        ]
        return Window(
            parts[0].seconds if parts else 0.0,
            {name: uj for part in parts for name, uj in part.energy_uj.items()},
            {name: why for part in parts for name, why in part.missing.items()},
            {name: uj for part in parts for name, uj in part.error_uj.items()},
            {name: curve for part in parts for name, curve in part.power.items()},
        )

    def watching(self, expected_s: float | None) -> AbstractContextManager[None]:
        """Miss no wrap of a counter in a trip of about `expected_s` (None: unknown)."""
        return self._wraps.watching(expected_s)

    def judge_by(self, domain: str) -> None:
        """Set the judged domain: its device counts as used, whichever process uses it."""
        self.judged = domain
        for sensor in self._namable:
            sensor.named = domain

    def resting(self) -> set[str]:
        """Return the devices that have no work as far as their sensor knows, by domain name."""
        return {n for s in self.sensors if isinstance(s, RestingSensor) for n in s.resting()}

    def states(self) -> dict[str, DeviceState]:
        """Return the state of each device that reports one, by domain name."""
        return {name: state for s in self._devices for name, state in s.states().items()}

    def close(self) -> None:
        """Close every sensor."""
        for sensor in self.sensors:
            sensor.close()


def _between(sensor: Sensor, readings: Sequence[Reading]) -> Window:
    """Return the energy from the first reading to the last, over those between them.

    A sensor that states no error is late by its update period.
    """
    steps = [difference(sensor.domains, b, a) for b, a in pairwise(readings)]
    missing = {name: why for step in steps for name, why in step.missing.items()}
    seconds = math.fsum(step.seconds for step in steps)
    energy_uj = {
        domain.name: sum(step.energy_uj[domain.name] for step in steps)
        for domain in sensor.domains
        if domain.name not in missing
    }
    # The whole may hold more than one range, of which `difference` would say nothing.
    before, after = readings[0], readings[-1]
    stated_uj = {
        domain.name: error_uj
        for place, domain in enumerate(sensor.domains)
        if domain.name in energy_uj
        and (error_uj := stated_error_uj(place, before, after)) is not None
    }
    late_uj = {
        domain.name: _late_uj(sensor, domain, energy_uj[domain.name], seconds)
        for domain in sensor.domains
        if domain.name in energy_uj and sensor.update_period_s
    }
    read = {name: _curve(name, steps) for name in energy_uj} if len(steps) > 1 else {}
    power = {**read, **{name: c for name, c in after.power.items() if name in energy_uj}}
    return Window(seconds, energy_uj, missing, {**late_uj, **stated_uj}, power)


def _curve(name: str, steps: Sequence[Window]) -> PowerCurve:
    """Return the mean power of a counter between each two of several readings."""
    seconds = accumulate(step.seconds for step in steps)
    joules = accumulate(step.energy_uj[name] * MICROJOULES for step in steps)
    return PowerCurve.of_counts(zip(seconds, joules, strict=True))


def _late_uj(sensor: Sensor, domain: Domain, energy_uj: int, seconds: float) -> float:
    """Return how far the energy of a window may be off if the sensor states no error.

    If a counter did not move in a window of few updates, its energy is unknown up to an update.
    """
    period_s = sensor.update_period_s
    if energy_uj == 0 and seconds < FEW_UPDATES * period_s:
        return EDGE_ERROR * period_s * domain.max_power_w * 1e6
    return energy_uj * (min(1.0, EDGE_ERROR * period_s / seconds) if seconds > 0 else 1.0)
