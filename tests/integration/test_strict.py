"""`--energy-strict`: a test that is not shown to be within its limits fails too."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

UNPROVEN = """
    import sys

    import pytest


    def test_works(energy, work):
        energy(work)


    def test_no_baseline(energy, work):
        energy(work)


    @pytest.mark.energy_budget("3 J", max_rounds=1)
    def test_inconclusive(work, spend):
        spend(2.0, seconds=0.001)


    def test_not_measured(energy):
        pass


    @pytest.fixture
    def profiled():
        sys.setprofile(lambda *event: None)
        yield
        sys.setprofile(None)


    def test_not_comparable(energy, work, profiled):
        energy(work)


    def test_not_of_energy():
        pass
"""
NAMES = {
    "test_works": "passed",
    "test_no_baseline": "no baseline",
    "test_inconclusive": "inconclusive",
    "test_not_measured": "not measured",
    "test_not_comparable": "not comparable",
}


def test_unproven_tests_fail(saved: Project) -> None:
    """A test that is not shown to be within its limits fails with a line that says why."""
    saved.write("test_it.py", UNPROVEN)
    ran = saved.energy("--energy-strict")
    assert ran.verdicts == NAMES
    assert ran.outcomes == {"passed": 2, "failed": 4}
    said = [line for line in ran.lines if line.startswith("EnergyUnproven: ")]
    assert said == [
        "EnergyUnproven: call could not be judged, and --energy-strict is on: no baseline on this "
        "machine; save one",
        "EnergyUnproven: call could not be judged, and --energy-strict is on: inconclusive because "
        "a self-check failed (too short: a round spans 1.00 ms, and its edges are off by up to "
        "78 % of its cpu energy); make one call longer, then measure again",
        "EnergyUnproven: call could not be judged, and --energy-strict is on: not measured: "
        "the test never called energy",
        "EnergyUnproven: call could not be judged, and --energy-strict is on: not comparable "
        "(instrumented: test_it (sys.setprofile)); measure without it",
    ]
    labels = ("decide it ", "try again ", "accept it ")
    assert [line for line in ran.lines if line.startswith(labels)] == [
        "try again       pytest --energy-strict --energy test_it.py::test_no_baseline",
        "accept it       pytest --energy-strict --energy-save test_it.py::test_no_baseline",
        "try again       pytest --energy-strict --energy test_it.py::test_inconclusive",
        "try again       pytest --energy-strict --energy test_it.py::test_not_measured",
        "try again       pytest --energy-strict --energy test_it.py::test_not_comparable",
    ]
    assert len([line for line in ran.lines if line.startswith("UNPROVEN test_it.py::")]) == 4


def test_without_it_they_pass(saved: Project) -> None:
    """Without `--energy-strict` the same tests pass, and the closing line counts them."""
    saved.write("test_it.py", UNPROVEN)
    ran = saved.energy()
    assert ran.outcomes == {"passed": 6}
    assert ran.verdicts == NAMES
    assert ran.counts == {
        "measured": 4,
        "compared": 2,
        **dict.fromkeys(NAMES.values(), 1),
    }


def test_a_gate_that_compared_nothing_fails(project: Project) -> None:
    """A run that compares nothing exits with 1, and says that nothing was gated."""
    project.write("test_it.py", "def test_it(): pass")
    ran = project.energy("--energy-strict")
    assert ran.outcomes == {"passed": 1}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "0 compared: nothing was gated" in ran.closing
    assert ran.closing.endswith("exit status 1: --energy-strict is on, and nothing was compared")
    assert project.energy().code == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "option", ["--energy-strict", "--energy-sessions=2", "--energy-estimates=fail"]
)
def test_without_measuring_it_is_an_error(project: Project, option: str) -> None:
    """An option that needs a measurement does not pass in silence."""
    ran = project.run(option)
    name = option.partition("=")[0]
    assert ran.errors == [f"ERROR: {name} has no effect without --energy: pytest --energy {option}"]
    assert ran.code == pytest.ExitCode.USAGE_ERROR


def test_its_ini_twin_may_stand_alone(project: Project) -> None:
    """So may the option in `addopts`."""
    project.write("test_it.py", "def test_it(): pass")
    ini = "[pytest]\nenergy_strict = true\naddopts = --energy-estimates=fail\n"
    project.write("pytest.ini", ini)
    assert project.run().code == pytest.ExitCode.OK
