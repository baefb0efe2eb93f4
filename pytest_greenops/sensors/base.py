"""The contract of a sensor, and the one place where two readings are subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading, Source, Window

NANOSECONDS = 1e-9


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


class Finding(NamedTuple):
    """What looking for a sensor found: the sensor, or why there is none and what mends it."""

    name: str
    sensor: Sensor | None = None
    problem: SensorUnavailable | None = None


class Instruments:
    """All sensors of a run, read together at the edges of a window."""

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        self.sensors = tuple(sensors)
        self.domains = tuple(domain for sensor in sensors for domain in sensor.domains)
        self.update_period_s = max((s.update_period_s for s in sensors), default=0.0)
        self.sensor_of = {d.name: s.name for s in sensors for d in s.domains}
        self.estimated = tuple(
            d.name for s in sensors for d in s.domains if s.source == "estimated"
        )

    def read(self) -> list[Reading]:
        """One reading of each sensor."""
        return [sensor.read() for sensor in self.sensors]

    def window(self, before: Sequence[Reading], after: Sequence[Reading]) -> Window:
        """The energy between two readings; void if any counter cannot vouch for its part."""
        parts = [
            difference(s.domains, b, a) for s, b, a in zip(self.sensors, before, after, strict=True)
        ]
        void = next((part.void for part in parts if part.void), None)
        energy_uj = {name: uj for part in parts for name, uj in part.energy_uj.items()}
        return Window(parts[0].seconds if parts else 0.0, {} if void else energy_uj, void)

    def close(self) -> None:
        """Close every sensor."""
        for sensor in self.sensors:
            sensor.close()


def difference(domains: Sequence[Domain], before: Reading, after: Reading) -> Window:
    """Subtract two readings of one sensor.

    A counter that went back wrapped once: its range is added. The window is void, with the reason,
    where a counter is missing on either side, went back without a known range, or could have
    wrapped once more than can be seen at its highest plausible power.
    """
    seconds = (after.time_ns - before.time_ns) * NANOSECONDS
    energy_uj: dict[str, int] = {}
    for domain, start, end in zip(domains, before.energy_uj, after.energy_uj, strict=True):
        if start is None or end is None:
            return Window(seconds, {}, f"{domain.name} could not be read")
        delta = end - start
        if domain.range_uj:
            if delta < 0:
                delta += domain.range_uj
            if delta + domain.range_uj <= domain.max_power_w * seconds * 1e6:
                return Window(
                    seconds,
                    {},
                    f"{domain.name} may have wrapped unseen in a window of {seconds:.0f} s",
                )
        if delta < 0:
            return Window(seconds, {}, f"{domain.name} went back and its range is not known")
        energy_uj[domain.name] = delta
    return Window(seconds, energy_uj)
