"""Which sensors this machine has, and which of them a run reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from pytest_greenops.model.errors import OptionError, SensorUnavailable
from pytest_greenops.sensors.base import Finding, Sensor
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.part import Part

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
    of domain that are not counted yet, and estimates the CPU only where nothing counts it. It
    stands alone.

    Raises `OptionError` for an unknown name, for a sensor asked for by name that cannot be read,
    and for two that count the same domain.
    """
    brought = {sensor.name: Finding(sensor.name, sensor=sensor) for sensor in extra}
    _check_known(names, [*brought, *_openers()])
    if "auto" in names:
        _check_alone(names)
        findings = _automatic(list(brought.values()), cpu_watts)
    else:
        findings = [brought.get(name) or find(name, cpu_watts) for name in names]
        _refuse_unreadable(findings)
    sensors = [finding.sensor for finding in findings if finding.sensor]
    _refuse_overlap(sensors)
    return Instruments(sensors), findings


def _automatic(findings: list[Finding], cpu_watts: float | None) -> list[Finding]:
    for name in AUTO:
        findings += _uncovered(find(name, cpu_watts), _covered(findings))
    if not {"cpu", "gpu"} <= _covered(findings) and _for_zeus():
        findings += _uncovered(find("zeus", cpu_watts), _covered(findings))
    if "cpu" not in _covered(findings):
        findings += _uncovered(find("estimate", cpu_watts), _covered(findings))
    return findings


def _for_zeus() -> bool:
    """Whether a device is there that zeus alone reads."""
    from pytest_greenops.sensors import zeus

    return zeus.present() is not None


def _uncovered(found: Finding, covered: set[str]) -> list[Finding]:
    """A finding without the domains of kinds that are counted already; none if nothing is left."""
    if found.sensor is None:
        return [found]
    left = [domain for domain in found.sensor.domains if domain.kind not in covered]
    if not any(domain.counted for domain in left):
        found.sensor.close()
        return []
    if len(left) == len(found.sensor.domains):
        return [found]
    return [Finding(found.name, sensor=Part(found.sensor, left))]


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


def _check_alone(names: Sequence[str]) -> None:
    others = [name for name in names if name != "auto"]
    if others:
        raise OptionError(
            f"--energy-sensors: auto chooses by itself; leave it out to name {', '.join(others)}"
        )


def _refuse_unreadable(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.problem:
            raise OptionError(f"--energy-sensors: {finding.name} cannot be used: {finding.problem}")


def _refuse_overlap(sensors: Sequence[Sensor]) -> None:
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


def _openers(cpu_watts: float | None = None) -> dict[str, Callable[[], Sensor]]:
    """The sensors of this project by name, each imported when it is opened."""

    def powercap() -> Sensor:
        from pytest_greenops.sensors import standstill
        from pytest_greenops.sensors.rapl import powercap

        return standstill.checked(powercap.open_sensor())

    def pyrapl() -> Sensor:
        from pytest_greenops.sensors import standstill
        from pytest_greenops.sensors.rapl import pyrapl

        return standstill.checked(pyrapl.open_sensor())

    def nvml() -> Sensor:
        from pytest_greenops.sensors.nvidia import nvml

        return nvml.open_sensor()

    def zeus() -> Sensor:
        from pytest_greenops.sensors import zeus

        return zeus.open_sensor()

    def estimate() -> Sensor:
        from pytest_greenops.sensors.cpu_estimate import estimate

        return estimate.open_sensor(cpu_watts)

    return {
        "powercap": powercap,
        "pyrapl": pyrapl,
        "nvml": nvml,
        "zeus": zeus,
        "estimate": estimate,
    }
