"""`--energy-estimates`: whether a red verdict fails or warns if joules are estimated."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, Project

MODULE = """
    import pytest

    @pytest.mark.energy_budget("1 J", domain="cpu")
    def test_estimated(work):
        work()

    @pytest.mark.energy_budget("1 J", domain="cpu", action="fail")
    def test_own(work):
        work()

    @pytest.mark.energy_budget("1 J", domain="gpu")
    def test_sensed(spend):
        spend(2.0, "gpu:0")
"""
#: A sensor that senses, in addition to the one that estimates.
GPU = """
    GPU = FakeSensor(Domain("gpu:0", "gpu"), name="card")
    spend_cpu = SENSOR.spend

    def pytest_energy_sensors(config):
        return [SENSOR, GPU]

    @pytest.fixture
    def spend():
        def spend(joules, domain="cpu:0", seconds=0.1):
            spend_cpu(joules if domain == "cpu:0" else 0, "cpu:0", seconds)
            GPU.spend(joules if domain == "gpu:0" else 0, "gpu:0", seconds)

        return spend

    @pytest.fixture
    def work(spend):
        return lambda: spend(float(os.environ["JOULES"]))
"""


def test_estimates_warn(project: Project) -> None:
    """An estimate warns unless its test names an action; a sensed excess still fails."""
    project.sensor('Domain("cpu:0", "cpu"), source="estimated"', more=GPU)
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake,card\n")
    project.write("test_it.py", MODULE)
    ran = project.energy(*ALONE)
    assert ran.energy_lines[:2] == [
        "sensed by card (gpu:0)",
        "ESTIMATED, not sensed, ±50 %: cpu:0 from spent by a test",
    ]
    assert ran.outcomes == {"passed": 1, "failed": 2}
    assert {name: (r.verdict.action, r.verdict.estimated) for name, r in ran.results.items()} == {
        "test_estimated": ("warn", True),
        "test_own": ("fail", True),
        "test_sensed": ("fail", False),
    }
    assert ran.counts == {"measured": 3, "compared": 3, "over budget": 3}
    assert "3 over budget (1 warned)" in ran.closing


def test_estimates_fail_on_request(project: Project) -> None:
    """`--energy-estimates=fail` treats an estimate like a sensed figure, and still labels it."""
    project.sensor('source="estimated"')
    project.write("test_it.py", MODULE.replace("gpu", "dram"))
    ran = project.energy("--energy-estimates=fail", *ALONE)
    assert ran.outcomes == {"failed": 3}
    assert "an increase over +5 % fails (estimates)" in ran.energy_lines
    ran.stdout.fnmatch_lines(
        ["EnergyBudgetExceeded: call used 2.00 J (cpu, estimated, ±50 %), budget 1.00 J *"]
    )
    warned = project.energy("--energy-estimates=fail", "--energy-action=warn", *ALONE)
    assert warned.outcomes == {"passed": 2, "failed": 1}


def test_mistake(project: Project) -> None:
    """Another word is a usage error that names the option."""
    ran = project.run("--energy-estimates=maybe")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == ["ERROR: --energy-estimates: 'maybe': expected 'fail' or 'warn'"]
