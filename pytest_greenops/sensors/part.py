"""Some of the domains of a sensor, where others are counted elsewhere or cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_greenops.model.measurement import DeviceState, Domain, Reading
from pytest_greenops.sensors.base import DeviceSensor, Sensor


class Part:
    """Some of the domains of a sensor; see `Sensor` and `DeviceSensor` for its attributes.

    notes  what a reader of its figures has to know
    """

    def __init__(
        self, sensor: Sensor, domains: Sequence[Domain], notes: Sequence[str] = ()
    ) -> None:
        self.name = sensor.name
        self.source = sensor.source
        self.update_period_s = sensor.update_period_s
        self.domains = tuple(domains)
        self.notes: tuple[str, ...] = (*getattr(sensor, "notes", ()), *notes)
        self.method = "; ".join([sensor.method, *notes])
        self._sensor = sensor
        self._names = {domain.name for domain in domains}
        self._places = [sensor.domains.index(domain) for domain in domains]

    @property
    def doubts(self) -> Mapping[str, str]:
        """What is known to be wrong with these counters."""
        known = self._sensor.doubts if isinstance(self._sensor, DeviceSensor) else {}
        return {name: why for name, why in known.items() if name in self._names}

    def read(self) -> Reading:
        """The counts of these domains."""
        whole = self._sensor.read()
        counts = [whole.energy_uj[place] for place in self._places]
        return whole._replace(energy_uj=counts, error_uj=())

    def states(self) -> dict[str, DeviceState]:
        """The state of their devices, where the sensor can tell."""
        known = self._sensor.states() if isinstance(self._sensor, DeviceSensor) else {}
        return {name: state for name, state in known.items() if name in self._names}

    def close(self) -> None:
        """Close the whole sensor."""
        self._sensor.close()
