"""What can be measured in a project, in three lines, and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_greenops.first_steps.project import Project
from pytest_greenops.first_steps.workflow import Gate
from pytest_greenops.report.reasons import ESTIMATE_BAND
from pytest_greenops.sensors.base import Finding

_KINDS = {"cpu": "CPU", "dram": "memory", "gpu": "GPU"}
_GATES: dict[Gate, str] = {
    "count": "counted work: needs no sensor, and is the same on any runner",
    "ab": "A/B: each pull request against its base, in turns on one runner",
    "stored": "stored baselines: on a runner of your own, with the sensors of this machine",
}


def sensed(findings: Sequence[Finding]) -> dict[str, str]:
    """Return the kinds of energy in the total that are sensed, with the names of the sensors."""
    found: dict[str, str] = {}
    for each in findings:
        if each.sensor is not None and each.sensor.source == "sensed":
            kinds = sorted({domain.kind for domain in each.sensor.domains if domain.counted})
            found |= {kind: each.name for kind in kinds if kind not in found}
    return found


def conclusion(
    project: Project, findings: Sequence[Finding], gate: Gate | None
) -> Iterator[tuple[str, str]]:
    """Yield three labelled sentences: on joules, on counted work, on the gate that fits."""
    yield "joules", _joules(findings)
    yield "work", _work(project)
    yield "gate", _GATES[gate] if gate else f"none yet: {project.no_git}"


def next_steps(project: Project, gate: Gate | None, has_sensor: bool) -> list[tuple[str, str]]:
    """Return the steps up to the first failing budget, each with its command; empty for none."""
    pytest = " ".join(["pytest --energy-only", *project.extra_options()])
    warns = not has_sensor and not project.counted  # joules alone decide, and are estimated
    judge = f"{pytest} --energy{' --energy-estimates=fail' if warns else ''}"
    if gate == "ab":
        return [
            ("Measure the energy tests", f"{pytest} --energy"),
            ("Commit these files: A/B compares with a commit", ""),
            (
                "After a change, compare with the last commit, and fail what uses more",
                f"{judge} --energy-ab=HEAD",
            ),
        ]
    steps = [
        ("Measure the energy tests, and accept the result", f"{pytest} --energy-save"),
        ("After a change, measure again, and fail what uses more", judge),
    ]
    if gate == "count":
        add = f"git add {shlex.quote(project.configured.baselines)}"
        steps.insert(1, ("Commit these files, and what CI compares with", add))
    return steps


def _joules(findings: Sequence[Finding]) -> str:
    found = sensed(findings)
    kinds: dict[str, list[str]] = {}
    for kind, name in found.items():
        kinds.setdefault(name, []).append(_KINDS.get(kind, kind))
    parts = [f"{' and '.join(said)} by {name}" for name, said in kinds.items()]
    if parts:
        cpu = "" if "cpu" in found else "; the CPU is estimated from its time"
        return f"sensed: {', '.join(parts)}{cpu}"
    doctor = "why, and the fix: pytest-greenops doctor"
    if any(each.sensor for each in findings):
        return (
            f"estimated from CPU time, {ESTIMATE_BAND}: no energy counter can be read here "
            f"({doctor})"
        )
    return f"nothing can be measured here ({doctor})"


def _work(project: Project) -> str:
    if project.uses.torch is None:
        return "not counted: no file of this project imports torch"
    file, library = project.uses.torch
    if (version := project.torch_version) is None:
        return (
            f"{file} imports {library}, but torch is not installed in this Python: install what "
            "the project needs, then run this command again"
        )
    known = f"torch ({version})" if library == "torch" else f"{library} (torch {version})"
    return f"counted exactly, on any machine: {file} imports {known}"
