"""A sensor that fails in the middle of a run: the others continue, and the loss is reported."""

from __future__ import annotations

import re

import pytest

from tests.integration.projects import Project, Ran

#: A card in addition to the CPU, which fails for good after `FAILS` calls of the work.
CARD = """
    CARD = FakeSensor(Domain("gpu:0", "gpu"), name="card")
    CALLS = []

    def pytest_energy_sensors(config):
        return [SENSOR, CARD]

    @pytest.fixture
    def work():
        def work():
            SENSOR.spend(float(os.environ["JOULES"]))
            CARD.spend(3.0, "gpu:0")
            CALLS.append(1)
            if len(CALLS) == int(os.environ["FAILS"]):
                CARD.fail()

        return work
"""
TESTS = """
    import pytest


    @pytest.mark.energy_budget("9 J")
    def test_total(energy, work):
        energy(work)


    @pytest.mark.energy_budget("3 J", domain="cpu")
    def test_cpu(energy, work):
        energy(work)


    @pytest.mark.energy_budget("9 J", domain="gpu")
    def test_gpu(energy, work):
        energy(work)
"""
WHY = "gpu:0 could not be read"
LOST = f"lost ({WHY}); the other counters continued; domains that include it are not judged"


@pytest.fixture
def faulty(project: Project) -> Project:
    """A project with a card that fails, and a test for each domain."""
    project.sensor('Domain("cpu:0", "cpu")', more=CARD)
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake,card\n")
    project.write("test_it.py", TESTS)
    return project


def run(faulty: Project, *args: str, fails: int) -> Ran:
    """Run, and let the card fail after this many calls; -1 is never."""
    faulty.monkeypatch.setenv("FAILS", str(fails))
    return faulty.energy(*args)


@pytest.mark.parametrize("fails", [1, 4])
def test_the_other_counters_are_judged(faulty: Project, fails: int) -> None:
    """A budget of the CPU passes; what includes the card is not measured, and does not fail."""
    ran = run(faulty, fails=fails)
    assert ran.verdicts == {
        "test_total": "not measured",
        "test_cpu": "passed",
        "test_gpu": "not measured",
    }
    assert (ran.outcomes, ran.code) == ({"passed": 3}, pytest.ExitCode.OK)
    assert ran.results["test_total"].verdict.cause == WHY
    cpu = ran.results["test_cpu"]
    assert (cpu.joules, cpu.by_domain) == (pytest.approx(2.0), {"cpu:0": pytest.approx(2.0)})


def test_the_reason_is_reported(faulty: Project) -> None:
    """Below the table: what could not be measured because of it, and where it was lost."""
    ran = run(faulty, fails=4)
    assert "\nnot measured: 2 measurements\n  gpu:0 could not be read\n" in ran.text
    assert f"1 measurement: {LOST}" in " ".join(ran.lines)
    assert ran.closing.endswith("; 2 not measured")


def test_strict_fails_what_was_not_measured(faulty: Project) -> None:
    """With `--energy-strict`, a test whose card was lost fails."""
    ran = run(faulty, "--energy-strict", fails=4)
    assert (ran.outcomes, ran.code) == ({"passed": 1, "failed": 2}, pytest.ExitCode.TESTS_FAILED)
    said = [line for line in ran.lines if line.startswith("EnergyUnproven: ")]
    assert [f"not measured: {WHY}" in line for line in said] == [True, True]


def test_nothing_of_it_is_saved(faulty: Project) -> None:
    """Not even the CPU's joules: later runs would have those of the card as well."""
    ran = run(faulty, "--energy-save", fails=4)
    assert faulty.files() == {}
    assert {name: result.not_saved for name, result in ran.results.items()} == {
        "test_total": "not measured",
        "test_cpu": f"lost ({WHY})",
        "test_gpu": "not measured",
    }
    assert [line for line in ran.energy_lines if line.startswith("not saved: ")] == [
        "not saved: test_it.py::test_total: not measured",
        f"not saved: test_it.py::test_cpu: lost ({WHY})",
        "not saved: test_it.py::test_gpu: not measured",
    ]


def test_what_ended_before_is_saved(faulty: Project) -> None:
    """A test whose rounds were done has a whole baseline."""
    ran = run(faulty, "--energy-save", fails=12)
    assert list(faulty.files()) == ["test_it.py/test_total.json"]
    assert ran.results["test_total"].saved
    assert ran.results["test_cpu"].not_saved == f"lost ({WHY})"


def test_without_a_fault_all_are_measured(faulty: Project) -> None:
    """The same project on a sound machine."""
    ran = run(faulty, fails=-1)
    assert ran.verdicts == dict.fromkeys(("test_total", "test_cpu", "test_gpu"), "passed")
    assert ran.results["test_total"].joules == pytest.approx(5.0)
    assert WHY not in ran.text


def test_the_section_of_a_failure_names_the_loss(faulty: Project) -> None:
    """The section of a CPU over its budget also names the counter that was lost."""
    faulty.write("test_it.py", TESTS.replace('"3 J"', '"1 J"'))
    ran = run(faulty, fails=4)
    assert ran.outcomes == {"passed": 2, "failed": 1}
    section = " ".join(line.strip() for line in ran.failure("test_cpu").splitlines())
    assert f" lost: {WHY}; the other counters continued" in re.sub(" +", " ", section)
