"""All sensors of a run, read together at the edges of a window."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from pytest_greenops.model.measurement import DeviceState, Reading, Window
from pytest_greenops.sensors.base import (
    EDGE_ERROR,
    DeviceSensor,
    EdgeSensor,
    Sensor,
    difference,
)
from pytest_greenops.sensors.wraps import WrapWatch


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
