"""Some of the domains of a sensor: those that nothing else counts, or whose counters move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Reading
from pytest_greenops.sensors.base import (
    DeviceSensor,
    EdgeSensor,
    NamableSensor,
    ProcessSensor,
    RestingSensor,
    Sensor,
    on_our_clock,
)
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock, poll

#: A counter that has not moved in this many of its update periods may be stuck.
UPDATES = 3
#: It is stuck if it has not moved in this time either. The time is longer than RAPL needs, because
#: leaving a counter out of one run makes the machine another one. In this time a psys that counts
#: in whole joules (Sapphire Rapids) moves if the board draws 4 W.
PATIENCE_S = 0.3


class Subset:
    """Some of the domains of a sensor, with all else that it knows of them; see `narrowed`."""

    def __init__(self, sensor: Sensor, domains: Sequence[Domain], notes: Sequence[str]) -> None:
        self.name = sensor.name
        self.source = sensor.source
        self.update_period_s = sensor.update_period_s
        self.domains = tuple(domains)
        self.notes: tuple[str, ...] = (*getattr(sensor, "notes", ()), *notes)
        self.left_out: Mapping[str, SensorUnavailable] = getattr(sensor, "left_out", {})
        self.method = "; ".join([sensor.method, *notes])
        self._sensor = sensor
        self._names = {domain.name for domain in domains}
        self._places = [sensor.domains.index(domain) for domain in domains]

    @property
    def doubts(self) -> Mapping[str, str]:
        """What is known to be wrong with these counters."""
        known: Mapping[str, str] = getattr(self._sensor, "doubts", {})
        return {name: why for name, why in known.items() if name in self._names}

    @property
    def named(self) -> str:
        """The domain that is judged, for a sensor that has to know it."""
        return self._sensor.named if isinstance(self._sensor, NamableSensor) else ""

    @named.setter
    def named(self, domain: str) -> None:
        if isinstance(self._sensor, NamableSensor):
            self._sensor.named = domain

    def read(self) -> Reading:
        """Return the counts of these domains, with their errors if the sensor states them."""
        return self._part(self._sensor.read())

    def states(self) -> dict[str, DeviceState]:
        """Return the state of their devices, where the sensor knows it."""
        known = self._sensor.states() if isinstance(self._sensor, DeviceSensor) else {}
        return {name: state for name, state in known.items() if name in self._names}

    def resting(self) -> set[str]:
        """Return which of their devices have no work, as far as the sensor knows."""
        known = self._sensor.resting() if isinstance(self._sensor, RestingSensor) else ()
        return self._names.intersection(known)

    def close(self) -> None:
        """Close the whole sensor."""
        self._sensor.close()

    def _part(self, whole: Reading) -> Reading:
        return Reading(
            whole.time_ns,
            [whole.energy_uj[place] for place in self._places],
            [whole.error_uj[place] for place in self._places] if whole.error_uj else (),
            {name: why for name, why in whole.why.items() if name in self._names},
            {name: curve for name, curve in whole.power.items() if name in self._names},
        )


class EdgeSubset(Subset):
    """Some of the domains of a sensor that makes edges of its own."""

    def __init__(self, sensor: Sensor, domains: Sequence[Domain], notes: Sequence[str]) -> None:
        super().__init__(sensor, domains, notes)
        assert isinstance(sensor, EdgeSensor)
        self._edged = sensor

    @property
    def phase_period_s(self) -> float:
        """The period of what the whole sensor samples."""
        return self._edged.phase_period_s

    def begin(self, phase_s: float = 0.0) -> Reading:
        """Return the counts of these domains where a window begins."""
        return self._part(self._edged.begin(phase_s))

    def end(self) -> Reading:
        """Return the counts of these domains where a window ends."""
        return self._part(self._edged.end())


class ProcessSubset(Subset):
    """Some of the domains of a sensor that sees the processes below this one only."""

    def __init__(self, sensor: Sensor, domains: Sequence[Domain], notes: Sequence[str]) -> None:
        super().__init__(sensor, domains, notes)
        assert isinstance(sensor, ProcessSensor)
        self._of_processes = sensor

    @property
    def charges_waiting(self) -> bool:
        """Whether the whole sensor charges time in which nothing works."""
        return self._of_processes.charges_waiting

    @charges_waiting.setter
    def charges_waiting(self, charges: bool) -> None:
        self._of_processes.charges_waiting = charges


def narrowed(sensor: Sensor, domains: Sequence[Domain], notes: Sequence[str] = ()) -> Subset:
    """Return a sensor of some domains, which states what the whole one does: errors, edges, notes.

    `notes` are lines about what is left out.
    """
    kind = EdgeSubset if isinstance(sensor, EdgeSensor) else Subset
    kind = ProcessSubset if isinstance(sensor, ProcessSensor) else kind
    return kind(sensor, domains, notes)


def without_stuck_counters(sensor: Sensor, clock: Clock = SYSTEM_CLOCK) -> Sensor:
    """Return the sensor without those counters that do not move while this process works.

    Some virtual machines show such counters. The check takes an update period or two if all move.
    If a CPU counter is stuck, a total without it would be too small: then the sensor is closed, and
    `SensorUnavailable` raised.
    """
    stuck = _stuck(sensor, clock)
    if not stuck:
        return sensor
    names = ", ".join(domain.name for domain in stuck)
    seen = f"{names} did not move in {PATIENCE_S * 1000:.0f} ms of work"
    if any(domain.kind == "cpu" for domain in stuck):
        sensor.close()
        fix = "measure on the host itself, or on a bare-metal machine"
        raise SensorUnavailable(f"its counters are stuck: {seen}", fix)
    moving = [domain for domain in sensor.domains if domain not in stuck]
    return narrowed(sensor, moving, [f"{seen}: not measured"])


def _stuck(sensor: Sensor, clock: Clock) -> list[Domain]:
    """Return the counters that do not move while this process reads them as fast as it can."""
    if not on_our_clock(sensor, clock):
        return []
    stuck = dict(zip(sensor.domains, sensor.read().energy_uj, strict=True))

    def look() -> None:
        now = dict(zip(sensor.domains, sensor.read().energy_uj, strict=True))
        for domain, uj in list(stuck.items()):
            # A counter that cannot be read is not stuck: its windows report why.
            if uj is None or now[domain] != uj:
                del stuck[domain]

    patience_s = max(PATIENCE_S, UPDATES * sensor.update_period_s)
    poll(look, lambda: not stuck, clock, patience_s)
    return list(stuck)
