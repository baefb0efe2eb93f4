"""Counters that stand still although the machine works, as some virtual machines show them."""

from __future__ import annotations

import time

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.base import Sensor, on_our_clock
from pytest_greenops.sensors.part import Part

#: A counter that has not moved in so many of its update periods may stand still.
UPDATES = 3
#: It does if it has not moved in so long either. Longer than RAPL needs, for a counter that was
#: left out of one run alone would make it another machine: in this time a board that is counted in
#: whole joules (psys of Sapphire Rapids) moves at 4 W.
PATIENCE_S = 0.3


def checked(sensor: Sensor) -> Sensor:
    """The sensor, without those of its counters that stand still while this process works.

    Costs an update period or two where all move. Raises `SensorUnavailable`, and closes the sensor,
    where a counter of the CPU is among them: a total without it would be too small.
    """
    still = _still(sensor)
    if not still:
        return sensor
    names = ", ".join(domain.name for domain in still)
    seen = f"{names} did not move in {PATIENCE_S * 1000:.0f} ms of work"
    if any(domain.kind == "cpu" for domain in still):
        sensor.close()
        raise SensorUnavailable(
            f"its counters stand still: {seen}",
            "measure on the host itself, or on a bare-metal machine",
        )
    left = [domain for domain in sensor.domains if domain not in still]
    return Part(sensor, left, [f"{seen}: not measured"])


def _still(sensor: Sensor) -> list[Domain]:
    """The counters that do not move while this process reads them as fast as it can."""
    if not on_our_clock(sensor):
        return []
    patience_s = max(PATIENCE_S, UPDATES * sensor.update_period_s)
    still = dict(zip(sensor.domains, sensor.read().energy_uj, strict=True))
    until_s = time.monotonic() + patience_s
    while still and time.monotonic() < until_s:
        now = dict(zip(sensor.domains, sensor.read().energy_uj, strict=True))
        # What cannot be read is no counter that stands still: its windows will tell.
        still = {domain: uj for domain, uj in still.items() if uj is not None and now[domain] == uj}
    return list(still)
