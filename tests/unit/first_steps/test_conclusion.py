"""What is said of the sensors of a machine and the imports of a project."""

from __future__ import annotations

import pytest

from pytest_greenops.first_steps.conclusion import conclusion
from pytest_greenops.first_steps.project import Project, Uses
from pytest_greenops.first_steps.workflow import gate
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain
from pytest_greenops.sensors.base import Finding
from pytest_greenops.testing import FakeSensor

CPU, DRAM, GPU = Domain("cpu:0", "cpu"), Domain("dram:0", "dram"), Domain("gpu:0", "gpu")
PSYS = Domain("psys:0", "psys", counted=False)
RAPL = Finding("powercap", FakeSensor(CPU, DRAM, PSYS, name="powercap"))
CARD = Finding("nvml", FakeSensor(GPU, name="nvml"))
GUESS = Finding("estimate", FakeSensor(CPU, name="estimate", source="estimated"))
NONE = Finding("powercap", problem=SensorUnavailable("no counter", absent=True))
WHY = "(why, and the fix: pytest-greenops doctor)"


def project(torch: tuple[str, str] | None = None, top: object = "here") -> Project:
    """Return a project whose files import this."""
    return Project(None, None, {}, Uses(torch, None, None, frozenset()), top)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([RAPL, CARD, GUESS], "sensed: CPU and memory by powercap, GPU by nvml"),
        ([NONE, CARD, GUESS], "sensed: GPU by nvml; the CPU is estimated from its time"),
        (
            [NONE, GUESS],
            f"estimated from CPU time, ±50 %: no energy counter can be read here {WHY}",
        ),
        ([NONE], f"nothing can be measured here {WHY}"),
    ],
)
def test_joules(findings: list[Finding], said: str) -> None:
    """Each kind of joules is said with its sensor, an estimate as one, and nothing as nothing."""
    [(label, text), *_] = conclusion(project(), findings, None)
    assert (label, text) == ("joules", said)


@pytest.mark.parametrize(
    ("uses", "has_sensor", "wanted", "expected"),
    [
        (("a.py", "torch"), True, None, "count"),
        (("a.py", "transformers"), False, None, "count"),
        (None, True, None, "stored"),
        (None, False, None, "ab"),
        (None, False, "stored", "stored"),
    ],
)
def test_gate(
    uses: tuple[str, str] | None, has_sensor: bool, wanted: str | None, expected: str
) -> None:
    """Counted work where torch is used, else stored baselines with sensors, else A/B."""
    assert gate(project(uses), has_sensor, wanted) == expected
    assert gate(project(uses, top=None), has_sensor, wanted) is None
