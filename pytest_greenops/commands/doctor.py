"""`pytest-greenops doctor`: what can be measured on this machine, and how to fix what cannot."""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import getsource
from pathlib import Path
from types import MappingProxyType

from pytest_greenops.commands.command import NEGATIVE, Command
from pytest_greenops.commands.console import Screen, print_lines
from pytest_greenops.judge.decision import smallest_increase
from pytest_greenops.judge.noise import MIN_SESSIONS, POOL_WEIGHT
from pytest_greenops.judge.stats import variance
from pytest_greenops.machine import LoadProbe, LoadShare, cpu, gaps, virtual
from pytest_greenops.machine.facts import LOAD
from pytest_greenops.measure.control import kernel
from pytest_greenops.measure.self_checks import CONTENTION
from pytest_greenops.model.diagnosis import Diagnosis, Observation, State
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.units import format_number, format_percent
from pytest_greenops.report.doctor_table import doctor_lines
from pytest_greenops.report.drawing import visible
from pytest_greenops.sensors import discover, zeus
from pytest_greenops.sensors.base import Finding, Sensor

_ROOT = Path("/")
_POWERCAP = "sys/class/powercap"
_UNMASK = {
    "docker": "docker run --security-opt systempaths=unconfined ...",
    "podman": "podman run --security-opt unmask=ALL ...",
    "kubernetes": "set securityContext.procMount of the container to Unmasked",
}
#: The margin of a regression by default, and what shows how steady the machine is.
_MARGIN = Options().max_increase
_PROCESSES = 5
_FIXED_WORK = f"""
import time
{getsource(kernel)}
begun = time.process_time()
for _ in range(10):
    kernel()
print(time.process_time() - begun)
"""
_KINDS = {"cpu": "CPU", "dram": "memory", "gpu": "GPU"}


class Doctor(Command):
    """The sub-command `doctor`."""

    name = "doctor"
    help = "show what can be measured on this machine, and how to fix what cannot"
    negative = "nothing can be measured"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Explain the exit status."""
        parser.epilog = "The exit status is 1 if nothing can be measured, not even as an estimate."

    def run(self, arguments: argparse.Namespace) -> int:
        """Open every sensor, watch the load for a second, and print the diagnosis."""
        findings = [discover.find(name) for name in sensor_names()]
        load = LoadProbe()
        load.start()
        time.sleep(1)
        unknown = gaps({"cpu": cpu.model(_ROOT)})
        share = None if LOAD in unknown else load.stop()
        diagnosis = diagnose(findings, load=share, unknown=unknown, starts=list(_starts()))
        for finding in findings:
            if finding.sensor:
                finding.sensor.close()
        width = Screen.of_stdout().width
        print_lines(map(visible, doctor_lines(diagnosis, width)))
        return 0 if diagnosis.measurable else NEGATIVE


def sensor_names() -> Iterator[str]:
    """Yield the sensors to look for; optional ones only where their library is installed."""
    yield "powercap"
    if _installed("pyRAPL"):
        yield "pyrapl"
    yield "nvml"
    if zeus.present():
        yield "zeus"
    yield "estimate"


def _installed(name: str) -> bool:
    with suppress(ValueError):  # a module without a specification stands for it
        return importlib.util.find_spec(name) is not None
    return False


def _starts() -> Iterator[float]:
    """Yield the CPU seconds of fixed work in each of a few processes, one after the other."""
    for _ in range(_PROCESSES):
        done = subprocess.run(
            [sys.executable, "-S", "-c", _FIXED_WORK], capture_output=True, text=True
        )
        with suppress(ValueError):
            if (taken_s := float(done.stdout)) > 0:  # a coarse clock shows no time at all
                yield taken_s


def diagnose(
    findings: Sequence[Finding],
    root: Path = _ROOT,
    load: LoadShare | None = None,
    unknown: Mapping[str, SensorUnavailable] = MappingProxyType({}),
    starts: Sequence[float] = (),
) -> Diagnosis:
    """Describe the sensors that were looked for, and what disturbs a measurement below `root`.

    load     the share of the CPUs that others used in the last second
    unknown  what the machine does not tell
    starts   CPU seconds of the same work in processes of the last seconds
    """
    reading = [sensor for sensor in _open(findings) if sensor.source == "sensed"]
    sensed: set[str] = {domain.kind for sensor in reading for domain in sensor.domains}
    sensors = (each for finding in findings for each in _sensor(finding, "cpu" in sensed))
    around = (
        _governor(root),
        _turbo(root),
        *_load(load, "cpu" in sensed),
        _hypervisor(root, "cpu" in sensed),
        _container(root, "cpu" in sensed),
        *_quota(root),
        *_steadiness(starts),
    )
    disturbing = [o.name for o in around if o.state == "warn"]
    estimated = "cpu" not in sensed and any(s.source == "estimated" for s in _open(findings))
    measurable = bool(_open(findings))
    observations = (*sensors, *_unreadable(unknown), *around)
    return Diagnosis(observations, _worth(sensed, estimated, disturbing), measurable)


def _open(findings: Sequence[Finding]) -> list[Sensor]:
    return [finding.sensor for finding in findings if finding.sensor]


def _sensor(finding: Finding, cpu_sensed: bool) -> Iterator[Observation]:
    """Yield what is known of a sensor, then what it leaves out."""
    if finding.sensor is None:
        yield _missing(finding)
        return
    sensor = finding.sensor
    domains = ", ".join(domain.name for domain in sensor.domains)
    if sensor.source == "sensed":
        period_ms = format_number(sensor.update_period_s * 1000)
        what = f"reads {domains}, updated every {period_ms} ms"
        yield Observation(finding.name, "ok", f"{what}. {sensor.method}")
    elif cpu_sensed:
        yield Observation(finding.name, "ok", "not needed: the CPU has a sensor")
    else:
        yield Observation(finding.name, "warn", f"estimates {domains}. {sensor.method}")
    yield from _unreadable(getattr(sensor, "left_out", {}))


def _unreadable(problems: Mapping[str, SensorUnavailable]) -> Iterator[Observation]:
    for name, problem in problems.items():
        yield Observation(name, "bad", problem.reason, problem.remedy)


def _missing(finding: Finding) -> Observation:
    if finding.problem is None:
        return Observation(finding.name, "absent", "not found")
    problem = finding.problem
    state: State = "absent" if problem.absent else "bad"
    return Observation(finding.name, state, problem.reason, problem.remedy)


def _governor(root: Path) -> Observation:
    names = cpu.governors(root)
    if not names:
        return Observation("governor", "absent", "not visible: something else sets the clocks")
    if names == ["performance"]:
        return Observation("governor", "ok", cpu.governor(root))
    harm = "the clock frequency depends on the load, and so do the joules"
    fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Observation("governor", "warn", f"{cpu.governor(root)}: {harm}", fix)


def _turbo(root: Path) -> Observation:
    switch, state = cpu.turbo_switch(root), cpu.turbo(root)
    if switch is None or state == cpu.UNKNOWN:
        return Observation("turbo", "absent", "not visible")
    if state == "off":
        return Observation("turbo", "ok", "off: the clock never exceeds its nominal frequency")
    file, off = switch
    path = _ROOT / file.relative_to(root)
    if path.parent.name.startswith("policy"):
        path = path.parent.with_name("policy*") / path.name
    harm = "on: the clock frequency depends on temperature and on how many cores are busy"
    return Observation("turbo", "warn", harm, f"echo {off} | sudo tee {path}")


def _load(load: LoadShare | None, cpu_sensed: bool) -> Iterator[Observation]:
    if load is None:
        return
    used, stolen = (
        format_percent(share, signed=False, digits=2) for share in (load.others, load.steal)
    )
    others = f"other processes use {used} of the CPUs"
    if load.others > CONTENTION:
        harm = "the energy counters include them" if cpu_sensed else "they slow down the work"
        fix = "ps -eo pcpu,pid,comm --sort=-pcpu | head"
        yield Observation("other load", "warn", f"{others}: {harm}. Stop them", fix)
    else:
        yield Observation("other load", "ok", others)
    if load.steal > 0:
        what = f"the hypervisor gave others {stolen} of the CPU time"
        yield Observation("steal", "warn", what)


def _hypervisor(root: Path, cpu_sensed: bool) -> Observation:
    kind = virtual.hypervisor(root)
    if kind == cpu.UNKNOWN:
        return Observation("virtual machine", "absent", "not known")
    if kind == virtual.NONE:
        return Observation("virtual machine", "ok", "none detected")
    if cpu_sensed:
        what = f"{kind}: its counters may include what other guests use"
        return Observation("virtual machine", "warn", what)
    what = f"{kind}: hypervisors rarely expose the CPU's energy counters to a guest"
    fix = "measure on the host itself, or on a bare-metal machine"
    return Observation("virtual machine", "warn", what, fix)


def _container(root: Path, cpu_sensed: bool) -> Observation:
    kind = virtual.container(root)
    if kind == virtual.NONE:
        return Observation("container", "ok", "none detected")
    if cpu_sensed:
        return Observation("container", "ok", f"{kind}; it exposes the machine's energy counters")
    if not os.path.isdir(root / _POWERCAP):
        return Observation("container", "ok", kind)
    what = f"{kind}; it hides the energy counters"
    return Observation("container", "warn", what, _UNMASK.get(kind))


def _quota(root: Path) -> Iterator[Observation]:
    quota = virtual.cpu_quota(root)
    if quota is not None:
        what = f"{quota:g} CPUs: work that uses them up is paused until the next period"
        fix = "give the container whole CPUs: --cpuset-cpus instead of --cpus"
        yield Observation("CPU quota", "warn", what, fix)


def _steadiness(starts: Sequence[float]) -> Iterator[Observation]:
    """Say how much the same work differs, and which increases sessions like that detect."""
    if len(starts) < MIN_SESSIONS:
        return
    spread = math.sqrt(float(variance([math.log(seconds) for seconds in starts])))
    error = spread * math.sqrt(1 + 1 / MIN_SESSIONS)
    smallest = math.expm1(smallest_increase(POOL_WEIGHT, error, math.log1p(_MARGIN)))
    differs = f"fixed work differs by {format_percent(spread, signed=False)}"
    detected = f"detect increases of at least {format_percent(smallest, signed=False)}"
    what = f"{differs} between processes of this minute; three such sessions {detected}"
    if smallest < 2 * _MARGIN:
        yield Observation("steadiness", "ok", what)
    else:
        fix = "measure when nothing else runs, or allow more: max_increase"
        yield Observation("steadiness", "warn", what, fix)


def _worth(sensed: set[str], estimated: bool, disturbing: Sequence[str]) -> str:
    """Describe in a paragraph what a measurement is worth; `disturbing` are sources of noise."""
    if not sensed and not estimated:
        return "Nothing can be measured here: tests run, but their energy stays unknown."
    parts = []
    if sensed & _KINDS.keys():
        kinds = [word for kind, word in _KINDS.items() if kind in sensed]
        parts.append(
            f"{_listed(kinds)} energy is sensed: read from hardware counters, which count "
            "everything that runs on the machine, other processes too."
        )
    if estimated:
        parts.append(
            "CPU energy is estimated from CPU time: the absolute figure may be off by half. The "
            "estimate detects a change in CPU time, but no change in clock frequency, vector width "
            "or memory traffic. It is never compared with sensed joules. A regression only warns, "
            "unless --energy-estimates=fail is set."
        )
    if not estimated and "cpu" not in sensed:
        parts.append("CPU energy is not measured.")
    if disturbing:
        parts.append(f"Avoidable noise comes from: {', '.join(disturbing)}.")
    parts.append(
        "With baseline sessions from fewer than three different hours, only increases of about "
        "20 % or more are detected. With more, each verdict reports the smallest increase that it "
        "detects."
    )
    return " ".join(parts)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
