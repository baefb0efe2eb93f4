"""Which sensors this machine has, and which of them a run reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from pytest_greenops.model.errors import OptionError, SensorUnavailable, nearest
from pytest_greenops.model.measurement import Kind
from pytest_greenops.sensors.base import Finding, Sensor
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.subset import narrowed, without_stuck_counters
from pytest_greenops.system import before_tests

#: What `auto` looks for; the CPU is estimated if none of them counts it.
AUTO = ("powercap", "nvml")
#: Other words for a sensor.
_ALSO = {"rapl": "powercap", "nvidia": "nvml"}

Find = Callable[[str], Finding]


@before_tests
def find(name: str, cpu_watts: float | None = None, clock: Clock = SYSTEM_CLOCK) -> Finding:
    """Try to open one sensor of this machine; `cpu_watts` is a busy core's for the estimate."""
    try:
        return Finding(name, sensor=_openers(cpu_watts, clock)[name]())
    except SensorUnavailable as problem:
        return Finding(name, problem=problem)
    except OptionError:
        raise
    except Exception as error:
        # What kernels, drivers and their libraries answer is not ours, and may be anything.
        reason = f"it does not open ({type(error).__name__}: {error})"
        return Finding(name, problem=SensorUnavailable(reason, "--energy-sensors auto"))


@before_tests
def discover(
    names: Sequence[str],
    extra: Sequence[Sensor] = (),
    cpu_watts: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> tuple[Instruments, list[Finding]]:
    """Open the sensors of a run, and report what was found of each.

    `auto`, which allows no other name, takes the `extra` sensors of plugins first. Then it takes
    what the machine has of the kinds of domain that are not counted yet. It estimates the CPU only
    if nothing counts it. A psys that enters the total counts all kinds.

    Raises `OptionError` for an unknown name, a named sensor that cannot be read, and two sensors
    that count the same domain.
    """
    brought = {sensor.name: Finding(sensor.name, sensor=sensor) for sensor in extra}
    _check_known(names, [*brought, *_openers(cpu_watts, clock)])

    def find_here(name: str) -> Finding:
        return find(name, cpu_watts, clock)

    if "auto" in names:
        _check_alone(names)
        findings = _automatic(list(brought.values()), find_here)
    else:
        findings = [brought.get(name) or find_here(name) for name in names]
    sensors = [finding.sensor for finding in findings if finding.sensor]
    try:
        if "auto" not in names:
            _refuse_unreadable(findings)
        _refuse_overlap(sensors)
    except OptionError:
        for sensor in sensors:
            sensor.close()
        raise
    return Instruments(sensors, clock), findings


@before_tests
def _automatic(findings: list[Finding], find_here: Find) -> list[Finding]:
    from pytest_greenops.sensors import zeus

    for name in AUTO:
        findings += _uncovered(find_here(name), _covered(findings))
    if not {"cpu", "gpu"} <= _covered(findings) and zeus.present():
        findings += _uncovered(find_here("zeus"), _covered(findings))
    if "cpu" not in _covered(findings):
        findings += _uncovered(find_here("estimate"), _covered(findings))
    return findings


def _uncovered(found: Finding, covered: set[str]) -> list[Finding]:
    """Return a finding without kinds that are counted already; none if nothing is left."""
    if found.sensor is None:
        return [found]
    left = [domain for domain in found.sensor.domains if domain.kind not in covered]
    if not any(domain.counted for domain in left):
        found.sensor.close()
        return []
    if len(left) == len(found.sensor.domains):
        return [found]
    return [Finding(found.name, sensor=narrowed(found.sensor, left))]


def _kinds(sensor: Sensor) -> set[str]:
    kinds: set[str] = {domain.kind for domain in sensor.domains if domain.counted}
    return {*kinds, *get_args(Kind)} if "psys" in kinds else kinds


def _covered(findings: Sequence[Finding]) -> set[str]:
    return {kind for finding in findings if finding.sensor for kind in _kinds(finding.sensor)}


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name != "auto" and name not in known:
            meant = _ALSO.get(name.lower()) or nearest(name, known)
            hint = f"did you mean {meant!r}?" if meant else f"one of: auto, {', '.join(known)}"
            raise OptionError(f"--energy-sensors: unknown sensor {name!r}; {hint}")


def _check_alone(names: Sequence[str]) -> None:
    others = [name for name in names if name != "auto"]
    if others:
        named = ", ".join(others)
        raise OptionError(f"--energy-sensors: auto chooses by itself; omit it to name {named}")


def _refuse_unreadable(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.problem:
            raise OptionError(f"--energy-sensors: {finding.name} cannot be used: {finding.problem}")


def _refuse_overlap(sensors: Sequence[Sensor]) -> None:
    counting = [sensor for sensor in sensors if _kinds(sensor)]
    for whole in (sensor for sensor in counting if "psys" in _kinds(sensor)):
        for part in counting:
            if part is not whole:
                raise OptionError(
                    f"--energy-sensors: {whole.name} counts the whole machine, and {part.name} a "
                    "part of it; name one of them"
                )
    counted: dict[str, str] = {}
    for sensor in sensors:
        names = {domain.name for domain in sensor.domains}
        for what in sorted((_kinds(sensor) - {"gpu"}) | names):
            if what in counted:
                raise OptionError(
                    f"--energy-sensors: {counted[what]} and {sensor.name} both count {what}; "
                    "name one of them"
                )
            counted[what] = sensor.name


@before_tests
def _openers(cpu_watts: float | None, clock: Clock) -> dict[str, Callable[[], Sensor]]:
    """Return what opens each sensor of this project; each is imported when it is opened."""

    def powercap() -> Sensor:
        from pytest_greenops.sensors.rapl import powercap

        return without_stuck_counters(powercap.open_sensor(clock=clock), clock)

    def pyrapl() -> Sensor:
        from pytest_greenops.sensors.rapl import pyrapl

        return without_stuck_counters(pyrapl.open_sensor(clock=clock), clock)

    def nvml() -> Sensor:
        from pytest_greenops.sensors.nvidia import nvml

        return nvml.open_sensor(clock=clock)

    def zeus() -> Sensor:
        from pytest_greenops.sensors import zeus

        return zeus.open_sensor(clock=clock)

    def estimate() -> Sensor:
        from pytest_greenops.sensors.cpu_estimate import estimate

        return estimate.open_sensor(cpu_watts, clock=clock)

    return {
        "powercap": powercap,
        "pyrapl": pyrapl,
        "nvml": nvml,
        "zeus": zeus,
        "estimate": estimate,
    }
