"""Sensors that a hook brings: checked when the run starts, and at each reading."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, get_args

from pytest_greenops.model.errors import OptionError, encodable, shown
from pytest_greenops.model.measurement import DeviceState, Domain, Kind, Reading, Source

#: What a sensor may have beyond the least, as the protocols in `sensors.base` say.
_FURTHER = ("notes", "phase_period_s")
#: What a run sets in a sensor that has it.
_SET = ("named", "charges_waiting")
#: Files hold whole numbers of 64 bits.
_MOST_UJ = 1 << 63


class Brought:
    """A sensor of a hook whose mistakes leave a test unmeasured; see `Sensor` for its attributes.

    A reading that raises, or that does not hold one whole number of microjoules for each domain
    and a time that is not before the last one, becomes one without counts that says why.

    unreadable  what was wrong with the last such reading, or None
    """

    unreadable: str | None = None

    def __init__(self, sensor: Any) -> None:
        """Take a sensor; raise `OptionError` for one that lacks something."""
        if wrong := _wrong(sensor):
            raise OptionError(f"pytest_energy_sensors: {shown(sensor)}: {wrong}")
        self.name, self.source, self.method = sensor.name, sensor.source, sensor.method
        self.domains: tuple[Domain, ...] = tuple(sensor.domains)
        self.update_period_s = float(sensor.update_period_s)
        self.close: Callable[[], None] = sensor.close
        self._sensor = sensor
        self._time_ns = 0
        for name in (name for name in _FURTHER if hasattr(sensor, name)):
            setattr(self, name, getattr(sensor, name))
        for name in (name for name in ("begin", "end") if hasattr(sensor, name)):
            setattr(self, name, partial(self._checked, getattr(sensor, name)))
        if hasattr(sensor, "states"):
            self.states = self._states
        if hasattr(sensor, "resting"):
            self.resting: Callable[[], set[str]] = self._resting
        for name in (name for name in _SET if hasattr(sensor, name)):
            setattr(self, name, getattr(sensor, name))

    def __setattr__(self, name: str, value: object) -> None:
        """Tell the sensor too which domain is judged, and whether it charges waiting."""
        super().__setattr__(name, value)
        if name in _SET:
            setattr(self._sensor, name, value)

    @property
    def doubts(self) -> dict[str, str]:
        """What the sensor finds wrong with a counter, so far, by domain name."""
        with suppress(Exception):
            return dict(getattr(self._sensor, "doubts", {}))
        return {}

    def read(self) -> Reading:
        """Return the counts now, or why there are none."""
        return self._checked(self._sensor.read)

    def _states(self) -> dict[str, DeviceState]:
        try:
            return dict(self._sensor.states())
        except Exception:  # a state only explains; the counts are what is measured
            return {}

    def _resting(self) -> set[str]:
        with suppress(Exception):
            return set(self._sensor.resting())
        return set()

    def _checked(self, read: Callable[..., Any], *arguments: Any) -> Reading:
        try:
            reading = read(*arguments)
            counts, time_ns = list(reading.energy_uj), int(reading.time_ns)
            errors, why = [float(error) for error in reading.error_uj], dict(reading.why)
        except Exception as error:
            what = " ".join(encodable(f"{type(error).__name__}: {error}").split())
            return self._unreadable(f"the sensor {self.name} raised {what}")
        if wrong := self._wrong(time_ns, counts, errors):
            return self._unreadable(f"the sensor {self.name} returned {wrong}")
        self._time_ns = time_ns
        whole_uj = [None if count is None else int(count) for count in counts]
        return Reading(time_ns, whole_uj, tuple(errors), why)

    def _wrong(self, time_ns: int, counts: list[Any], errors: list[float]) -> str | None:
        """Return what is wrong with a reading, or None."""
        if len(counts) != len(self.domains):
            return f"{len(counts)} counts for {len(self.domains)} domains"
        for domain, count in zip(self.domains, counts, strict=True):
            whole = isinstance(count, numbers.Integral) and 0 <= int(count) < _MOST_UJ
            if count is not None and not whole:
                return f"{shown(count)} for {domain.name}: expected whole microjoules"
        if errors and len(errors) != len(self.domains):
            return f"{len(errors)} errors for {len(self.domains)} domains"
        for domain, error_uj in zip(self.domains, errors, strict=False):
            if not 0 <= error_uj < math.inf:
                return f"the error {error_uj} for {domain.name}: expected microjoules >= 0"
        if time_ns < self._time_ns:
            return "a time before that of its last reading"
        return None

    def _unreadable(self, why: str) -> Reading:
        """Return a reading without counts, a moment later: time goes on."""
        self._time_ns += 1
        self.unreadable = why
        known = {domain.name: f"could not be read: {why}" for domain in self.domains}
        return Reading(self._time_ns, [None] * len(self.domains), why=known)


def _wrong(sensor: Any) -> str | None:
    """Return what a sensor lacks, or None."""
    missing = [
        name
        for name in ("name", "source", "method", "domains", "update_period_s", "read", "close")
        if not hasattr(sensor, name)
    ]
    if missing:
        return f"lacks {', '.join(missing)}; a sensor has all attributes of FakeSensor"
    for name in ("name", "method"):
        text = getattr(sensor, name)
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            return f"{name}={shown(text)}: expected printable text"
    if "," in sensor.name:
        return f"name={shown(sensor.name)}: expected a name without a comma"
    if sensor.source not in get_args(Source):
        return f"source={shown(sensor.source)}: expected 'sensed' or 'estimated'"
    period_s = sensor.update_period_s
    if not isinstance(period_s, int | float) or not 0 <= period_s < math.inf:
        return f"update_period_s={shown(period_s)}: expected seconds >= 0"
    return wrong_domains(sensor.domains)


def wrong_domains(domains: Any) -> str | None:
    """Return what is wrong with the domains of a sensor, or None."""
    if not isinstance(domains, tuple | list) or not domains:
        return f"domains={shown(domains)}: expected a tuple of Domain"
    for domain in domains:
        if not isinstance(domain, Domain):
            return f"domains has {shown(domain)}: expected Domain('cpu:0', 'cpu')"
        named = isinstance(domain.name, str) and domain.name.strip() and domain.name.isprintable()
        if not named or domain.kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            return f"domains has {shown(domain)}: expected a printable name, and one of {kinds}"
    names = [domain.name for domain in domains]
    if len(set(names)) < len(names):
        return "two domains have the same name: give each counter its own"
    counted = [domain for domain in domains if domain.counted]
    if len(counted) > 1 and any(domain.kind == "psys" for domain in counted):
        return "psys is the whole machine: give counted=False to it, or to all others"
    return None


def brought_sensors(returned: Iterable[Any]) -> Iterator[Brought]:
    """Yield the sensors that hooks returned, checked; raise `OptionError`."""
    for many in returned:
        if not isinstance(many, list | tuple):
            raise OptionError(f"pytest_energy_sensors: {shown(many)}: expected a list of sensors")
        yield from map(Brought, many)
