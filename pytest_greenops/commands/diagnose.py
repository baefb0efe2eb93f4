"""What can be measured on this machine, what cannot and why, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_greenops.machine import LoadShare, cpu, virtual
from pytest_greenops.measure.self_checks import CONTENTION
from pytest_greenops.model.diagnosis import Diagnosis, Observation, State
from pytest_greenops.sensors.base import Finding, Sensor

_ROOT = Path("/")
_POWERCAP = "sys/class/powercap"
_UNMASK = {
    "docker": "docker run --security-opt systempaths=unconfined ...",
    "podman": "podman run --security-opt unmask=ALL ...",
    "kubernetes": "set securityContext.procMount of the container to Unmasked",
}
_KINDS = {"cpu": "CPU", "dram": "memory", "gpu": "GPU"}


def diagnose(
    findings: Sequence[Finding], root: Path = _ROOT, load: LoadShare | None = None
) -> Diagnosis:
    """Look at the sensors that were found, and at what disturbs them.

    root  where /proc and /sys are
    load  what others took of the CPUs in the last second or so; left out where None
    """
    sensed: set[str] = {
        domain.kind
        for sensor in _open(findings)
        if sensor.source == "sensed"
        for domain in sensor.domains
    }
    observations = (
        *(_sensor(finding, "cpu" in sensed) for finding in findings),
        _governor(root),
        _turbo(root),
        *_load(load, "cpu" in sensed),
        _hypervisor(root, "cpu" in sensed),
        _container(root, "cpu" in sensed),
        *_quota(root),
    )
    disturbing = [o.name for o in observations[len(findings) :] if o.state == "warn"]
    estimated = "cpu" not in sensed and any(s.source == "estimated" for s in _open(findings))
    measurable = bool(_open(findings))
    return Diagnosis(observations, _worth(sensed, estimated, disturbing), measurable)


def _open(findings: Sequence[Finding]) -> list[Sensor]:
    return [finding.sensor for finding in findings if finding.sensor]


def _sensor(finding: Finding, cpu_sensed: bool) -> Observation:
    if finding.sensor is None:
        return _missing(finding)
    sensor = finding.sensor
    domains = ", ".join(domain.name for domain in sensor.domains)
    if sensor.source == "sensed":
        period_ms = sensor.update_period_s * 1000
        what = f"reads {domains}; they move every {period_ms:.3g} ms"
        return Observation(finding.name, "ok", f"{what}. {sensor.method}")
    if cpu_sensed:
        return Observation(finding.name, "ok", "not needed: the CPU is sensed")
    return Observation(finding.name, "warn", f"estimates {domains}. {sensor.method}")


def _missing(finding: Finding) -> Observation:
    if finding.problem is None:
        return Observation(finding.name, "absent", "not found")
    problem = finding.problem
    state: State = "absent" if problem.absent else "bad"
    return Observation(finding.name, state, problem.reason, problem.remedy)


def _governor(root: Path) -> Observation:
    names = cpu.governors(root)
    if not names:
        return Observation("governor", "absent", "not shown: something else sets the clocks")
    if names == ["performance"]:
        return Observation("governor", "ok", cpu.governor(root))
    return Observation(
        "governor",
        "warn",
        f"{cpu.governor(root)}: the clock follows the load, and joules follow the clock",
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def _turbo(root: Path) -> Observation:
    switch, state = cpu.turbo_switch(root), cpu.turbo(root)
    if switch is None or state == cpu.UNKNOWN:
        return Observation("turbo", "absent", "not shown: whether clocks rise is not known")
    if state == "off":
        return Observation("turbo", "ok", "off: the clock stays at the nominal one or below")
    file, off = switch
    path = _ROOT / file.relative_to(root)
    if path.parent.name.startswith("policy"):
        path = path.parent.with_name("policy*") / path.name
    return Observation(
        "turbo",
        "warn",
        "on: the clock depends on the temperature and on how many cores are busy",
        f"echo {off} | sudo tee {path}",
    )


def _load(load: LoadShare | None, cpu_sensed: bool) -> Iterator[Observation]:
    if load is None:
        return
    others = f"other processes use {load.others * 100:.0f} % of the CPUs"
    if load.others > CONTENTION:
        harm = (
            "the counters hold their joules too" if cpu_sensed else "work takes longer beside them"
        )
        yield Observation(
            "other load",
            "warn",
            f"{others}: {harm}. Stop what need not run",
            "ps -eo pcpu,pid,comm --sort=-pcpu | head",
        )
    else:
        yield Observation("other load", "ok", others)
    if load.steal > 0:
        yield Observation(
            "steal", "warn", f"the hypervisor gave {load.steal * 100:.1f} % of the CPUs to others"
        )


def _hypervisor(root: Path, cpu_sensed: bool) -> Observation:
    kind = virtual.hypervisor(root)
    if kind == cpu.UNKNOWN:
        return Observation("virtual machine", "absent", "not told here")
    if kind == virtual.NONE:
        return Observation("virtual machine", "ok", "none seen")
    if cpu_sensed:
        return Observation(
            "virtual machine", "warn", f"{kind}: its counters may hold what its neighbours use"
        )
    return Observation(
        "virtual machine",
        "warn",
        f"{kind}: hypervisors seldom show a guest the CPU's energy counters",
        "measure on the host itself, or on a bare-metal machine",
    )


def _container(root: Path, cpu_sensed: bool) -> Observation:
    kind = virtual.container(root)
    if kind == virtual.NONE:
        return Observation("container", "ok", "none seen")
    if cpu_sensed:
        return Observation("container", "ok", f"{kind}; it shows the whole machine's counters")
    hidden = (root / _POWERCAP).is_dir()
    return Observation(
        "container",
        "warn" if hidden else "ok",
        f"{kind}{'; runtimes hide the energy counters' if hidden else ''}",
        _UNMASK.get(kind) if hidden else None,
    )


def _quota(root: Path) -> Iterator[Observation]:
    quota = virtual.cpu_quota(root)
    if quota is not None:
        yield Observation(
            "CPU quota",
            "warn",
            f"{quota:g} CPUs: work that uses them up is stopped for the rest of each period",
            "give the container whole CPUs instead: --cpuset-cpus in place of --cpus",
        )


def _worth(sensed: set[str], estimated: bool, disturbing: Sequence[str]) -> str:
    """An honest paragraph; `disturbing` names the findings that add noise."""
    if not sensed and not estimated:
        return "Nothing can be measured here: tests run, and no figure comes of them."
    parts = []
    if sensed & _KINDS.keys():
        kinds = [word for kind, word in _KINDS.items() if kind in sensed]
        parts.append(
            f"{_listed(kinds)} energy is sensed: read from counters of the hardware, which count "
            "all that runs on it, neighbours too."
        )
    if estimated:
        parts.append(
            "CPU energy is estimated from CPU time: the figure itself may be off by half. A change "
            "in CPU time shows; a change of clocks, vector width or memory traffic does not. It "
            "is never compared with sensed joules, and what it finds warns, unless "
            "--energy-estimates fail says otherwise."
        )
    if not estimated and "cpu" not in sensed:
        parts.append("CPU energy is not measured.")
    if disturbing:
        parts.append(f"More noise than need be comes from: {', '.join(disturbing)}.")
    parts.append(
        "With fewer than three saved sessions only large increases are found, of about 20 %; with "
        "more, each verdict tells the smallest that could have been."
    )
    return " ".join(parts)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
