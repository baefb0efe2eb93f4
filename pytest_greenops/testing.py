"""Sensors for tests: one whose energy the test spends itself, one that plays back readings."""

from __future__ import annotations

import random
from collections.abc import Iterable

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Domain, Reading, Source


class FakeSensor:
    """Counts what `spend` says, by a clock that only `spend` moves: no test has to wait.

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
        """Counters that stand at `start_uj` and wrap at their domain's `range_uj`.

        domains  `cpu:0` and `dram:0` where none is given
        noise    relative standard deviation of each `spend`, the same for the same `seed`

        Raises `ValueError` where two domains have one name.
        """
        self.domains: tuple[Domain, ...] = domains or (
            Domain("cpu:0", "cpu"),
            Domain("dram:0", "dram"),
        )
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
        if len(self._counts_uj) < len(self.domains):
            raise ValueError("two domains have the same name; a counter needs one of its own")

    def spend(self, joules: float, domain: str = "cpu:0", seconds: float = 0.1) -> None:
        """Add energy to one counter, and move the clock on.

        To spend on several counters at a time, give `seconds=0` for all but one.

        Raises `ValueError` for an unknown domain, and for less than nothing.
        """
        if domain not in self._counts_uj:
            raise ValueError(f"no domain {domain!r}; one of: {', '.join(self._counts_uj)}")
        if joules < 0 or seconds < 0:
            raise ValueError(f"{joules} J in {seconds} s: neither energy nor time goes back")
        if self.noise:
            joules *= max(0.0, self._random.gauss(1.0, self.noise))
        self._counts_uj[domain] += round(joules * 1e6)
        self._time_ns += round(seconds * 1e9)

    def fail(self, reason: str = "made to fail by a test") -> None:
        """From now on no counter can be read; `failure` holds the reason."""
        self.failure = reason

    def recover(self) -> None:
        """Counters can be read again; what was spent meanwhile is in them."""
        self.failure = None

    def read(self) -> Reading:
        """The counts now, in microjoules; None for all while the sensor fails."""
        if self.failure is not None:
            return Reading(self._time_ns, [None] * len(self.domains))
        counts = [(self._counts_uj[domain.name], domain.range_uj) for domain in self.domains]
        return Reading(self._time_ns, [uj % wraps if wraps else uj for uj, wraps in counts])

    def close(self) -> None:
        """Remembers that it was closed, in `closed`."""
        self.closed = True


class ReplaySensor:
    """Plays back recorded readings, one for each `read`."""

    update_period_s = 0.001

    def __init__(
        self,
        domains: Iterable[Domain],
        readings: Iterable[Reading],
        name: str = "replay",
        source: Source = "sensed",
        method: str = "played back from a recording",
    ) -> None:
        """Readings hold one count for each domain, in the domains' order.

        Raises `ValueError` for a reading that holds more or fewer.
        """
        self.domains = tuple(domains)
        self.name = name
        self.source: Source = source
        self.method = method
        self._readings = tuple(readings)
        self._played = 0
        for number, reading in enumerate(self._readings):
            if len(reading.energy_uj) != len(self.domains):
                raise ValueError(
                    f"reading {number} has {len(reading.energy_uj)} counts "
                    f"for {len(self.domains)} domains"
                )

    def read(self) -> Reading:
        """The next reading; raises `GreenopsError` after the last."""
        if self._played == len(self._readings):
            raise GreenopsError(f"all {self._played} readings were played back; record more")
        self._played += 1
        return self._readings[self._played - 1]

    def close(self) -> None:
        """Nothing is held open."""
