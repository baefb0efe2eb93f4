"""For tests of users: a sensor whose energy a test spends, one that replays, and a check."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Domain, Reading, Source
from pytest_greenops.sensors.base import Sensor
from pytest_greenops.sensors.brought import Brought, wrong_domains

__all__ = ["Domain", "FakeSensor", "Reading", "ReplaySensor", "check_sensor"]


def check_sensor(sensor: Sensor) -> Reading:
    """Return a reading of a sensor, as a run would take it.

    Raises `GreenopsError`, in one line, for what a run refuses, and for a reading that would leave
    a test unmeasured: one that raises or does not have one whole number for each domain. A count
    that is None is allowed.
    """
    brought = Brought(sensor)
    reading = brought.read()
    if brought.unreadable:
        raise GreenopsError(brought.unreadable)
    return reading


class FakeSensor:
    """A sensor that counts what `spend` spends, by a clock that only `spend` moves.

    >>> sensor = FakeSensor()
    >>> before = sensor.read()
    >>> sensor.spend(2.5, seconds=0.5)
    >>> after = sensor.read()
    >>> after.energy_uj[0] - before.energy_uj[0], after.time_ns - before.time_ns
    (2500000, 500000000)
    """

    def __init__(
        self,
        *domains: Domain,
        name: str = "fake",
        source: Source = "sensed",
        method: str = "spent by a test",
        update_period_s: float = 0.001,
        start_uj: int = 0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Start every counter at `start_uj`; it wraps at the `range_uj` of its domain.

        domains  `cpu:0` and `dram:0` by default
        noise    the relative standard deviation of each `spend`; the same `seed` repeats it

        Raises `ValueError` for domains that are none, or of which two have the same name.
        """
        self.domains: tuple[Domain, ...] = domains or (
            Domain("cpu:0", "cpu"),
            Domain("dram:0", "dram"),
        )
        if wrong := wrong_domains(self.domains):
            raise ValueError(wrong)
        if not 0 <= noise < math.inf:
            raise ValueError(f"noise={noise}: expected a relative standard deviation >= 0")
        self.name = name
        self.source: Source = source
        self.method = method
        self.update_period_s = update_period_s
        self.noise = noise
        self.failure: str | None = None
        self.closed = False
        self._time_ns = 0
        self._counts_uj = {domain.name: start_uj for domain in self.domains}
        self._random = random.Random(seed)

    def spend(self, joules: float, domain: str = "cpu:0", seconds: float = 0.1) -> None:
        """Add energy to one counter, and advance the clock.

        To spend on several counters at the same time, pass `seconds=0` for all but one.

        Raises `ValueError` for an unknown domain, and for negative energy or time.
        """
        if domain not in self._counts_uj:
            known = ", ".join(self._counts_uj)
            raise ValueError(f"unknown domain {domain!r}: expected one of: {known}")
        if not 0 <= joules < math.inf or not 0 <= seconds < math.inf:
            raise ValueError(f"{joules} J in {seconds} s: expected energy and time >= 0")
        if self.noise:
            joules *= max(0.0, self._random.gauss(1.0, self.noise))
        self._counts_uj[domain] += round(joules * 1e6)
        self._time_ns += round(seconds * 1e9)

    def fail(self, reason: str = "made to fail by a test") -> None:
        """Let no counter be readable from now on; `failure` holds the reason."""
        self.failure = reason

    def recover(self) -> None:
        """Make the counters readable again; they include what was spent meanwhile."""
        self.failure = None

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for each while the sensor fails."""
        if self.failure is not None:
            return Reading(self._time_ns, [None] * len(self.domains))
        counts = [(self._counts_uj[domain.name], domain.range_uj) for domain in self.domains]
        return Reading(self._time_ns, [uj % wraps if wraps else uj for uj, wraps in counts])

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True


class ReplaySensor:
    """A sensor that replays recorded readings, one for each `read`."""

    update_period_s = 0.001

    def __init__(
        self,
        domains: Iterable[Domain],
        readings: Iterable[Reading],
        name: str = "replay",
        source: Source = "sensed",
        method: str = "replayed from a recording",
    ) -> None:
        """Prepare to replay readings, which hold one count for each domain, in their order.

        Raises `ValueError` for a reading with more or fewer counts.
        """
        self.domains = tuple(domains)
        if wrong := wrong_domains(self.domains):
            raise ValueError(wrong)
        self.name = name
        self.source: Source = source
        self.method = method
        self._readings = tuple(readings)
        self._played = 0
        for number, reading in enumerate(self._readings):
            if len(reading.energy_uj) != len(self.domains):
                raise ValueError(
                    f"reading {number} has {len(reading.energy_uj)} counts: expected "
                    f"{len(self.domains)}, one for each domain"
                )

    def read(self) -> Reading:
        """Return the next reading; raise `GreenopsError` after the last."""
        if self._played == len(self._readings):
            raise GreenopsError(f"all {self._played} readings were replayed: record more")
        self._played += 1
        return self._readings[self._played - 1]

    def close(self) -> None:
        """Do nothing: no resource is open."""
