"""Which sensors this machine has, and which of them a run reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from pytest_greenops.model.errors import OptionError, SensorUnavailable
from pytest_greenops.sensors.base import Finding, Instruments, Sensor

#: What `auto` looks for; where none of them counts the CPU, it is estimated.
AUTO = ("powercap", "nvml")


def find(name: str, cpu_watts: float | None = None) -> Finding:
    """Try to open one sensor of this machine; `cpu_watts` is a busy core's for the estimate."""
    try:
        return Finding(name, sensor=_openers(cpu_watts)[name]())
    except SensorUnavailable as problem:
        return Finding(name, problem=problem)


def discover(
    names: Sequence[str], extra: Sequence[Sensor] = (), cpu_watts: float | None = None
) -> tuple[Instruments, list[Finding]]:
    """Open the sensors of a run, and tell what was found of each.

    `auto` takes the `extra` sensors that plugins brought, then what the machine has of those kinds
    of domain that are not counted yet, and estimates the CPU only where nothing counts it.

    Raises `OptionError` for an unknown name, for a sensor asked for by name that cannot be read,
    and for two that count the same domain.
    """
    brought = {sensor.name: Finding(sensor.name, sensor=sensor) for sensor in extra}
    _check_known(names, [*brought, *_openers()])
    if "auto" in names:
        findings = _automatic(list(brought.values()), cpu_watts)
    else:
        findings = [brought.get(name) or find(name, cpu_watts) for name in names]
        _refuse_unreadable(findings)
    sensors = [finding.sensor for finding in findings if finding.sensor]
    _refuse_overlap(sensors)
    return Instruments(sensors), findings


def _automatic(findings: list[Finding], cpu_watts: float | None) -> list[Finding]:
    for name in AUTO:
        found = find(name, cpu_watts)
        if found.sensor and _kinds(found.sensor) & _covered(findings):
            found.sensor.close()
        else:
            findings.append(found)
    if "cpu" not in _covered(findings):
        findings.append(find("estimate", cpu_watts))
    return findings


def _kinds(sensor: Sensor) -> set[str]:
    return {domain.kind for domain in sensor.domains if domain.counted}


def _covered(findings: Sequence[Finding]) -> set[str]:
    return {kind for finding in findings if finding.sensor for kind in _kinds(finding.sensor)}


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name != "auto" and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"one of: auto, {', '.join(known)}"
            raise OptionError(f"--energy-sensors: unknown sensor {name!r}; {hint}")


def _refuse_unreadable(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.problem:
            raise OptionError(f"--energy-sensors: {finding.name} cannot be used: {finding.problem}")


def _refuse_overlap(sensors: Sequence[Sensor]) -> None:
    counted: dict[str, str] = {}
    for sensor in sensors:
        for what in (_kinds(sensor) - {"gpu"}) | {domain.name for domain in sensor.domains}:
            if what in counted:
                raise OptionError(
                    f"--energy-sensors: {counted[what]} and {sensor.name} both count {what}; "
                    "name one of them"
                )
            counted[what] = sensor.name


def _openers(cpu_watts: float | None = None) -> dict[str, Callable[[], Sensor]]:
    """The sensors of this project by name, each imported when it is opened."""

    def powercap() -> Sensor:
        from pytest_greenops.sensors import powercap

        return powercap.open_sensor()

    def pyrapl() -> Sensor:
        from pytest_greenops.sensors import pyrapl

        return pyrapl.open_sensor()

    def nvml() -> Sensor:
        from pytest_greenops.sensors import nvml

        return nvml.open_sensor()

    def estimate() -> Sensor:
        from pytest_greenops.sensors import estimate

        return estimate.open_sensor(cpu_watts)

    return {"powercap": powercap, "pyrapl": pyrapl, "nvml": nvml, "estimate": estimate}
