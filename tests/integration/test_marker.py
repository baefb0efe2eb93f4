"""The marker `energy_budget`: mistakes are found at collection, marks merge downwards."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

#: What a mark holds that cannot be used, and what is said of it.
MISTAKES = {
    '"1 J", max_increas="5%"': "unknown keyword 'max_increas'; did you mean 'max_increase'?",
    '"1 J", "2 J"': "takes one positional argument, the energy, but got 2",
    '"1 J", energy="2 J"': "the energy is given twice, by position and by keyword",
    '"2.5"': "energy: '2.5' has no unit of energy; one of: J, mJ, kJ, Wh, mWh, kWh",
    '"2.5 cal"': "energy: '2.5 cal' has unknown unit 'cal' of energy; one of: J, mJ, *",
    "2.5": "energy: 2.5 is no energy; write it like '2.5 J'",
    '"-1 J"': "energy: '-1 J' is negative; *",
    'domain="gpus"': "domain: unknown domain 'gpus'; did you mean 'gpu'?; *",
    'max_increase="5"': "max_increase: '5' has no unit of percentage; one of: %",
    "max_quality_drop=0.01": "max_quality_drop: 0.01 is no percentage; write it like '5%'",
    'max_power="2 J"': "max_power: '2 J' has unknown unit 'J' of power; one of: W, mW, kW",
    'max_carbon="2"': "max_carbon: '2' has no unit of mass; one of: g, mg, kg",
    'action="ignore"': "action: 'ignore' is neither 'fail' nor 'warn'",
    "min_rounds=0": "min_rounds: 0 is no number of rounds; *",
    "max_rounds=2.5": "max_rounds: 2.5 is no number of rounds; *",
    "min_rounds=7, max_rounds=5": "min_rounds=7 is more than max_rounds=5",
    "max_time=60": "max_time: 60 is no time; write it like '60 s'",
    'per="a token"': "per: 'a token' is no name of a unit; write one like 'token'",
}


def test_mistakes_are_errors_of_collection(project: Project) -> None:
    """Each wrong mark is named with its test, keyword and mend, without --energy too."""
    for number, arguments in enumerate(MISTAKES):
        project.write(
            f"test_{number}.py",
            f"""
            import pytest

            @pytest.mark.energy_budget({arguments})
            @pytest.mark.parametrize("x", [1, 2])
            def test_wrong(x): pass

            def test_right(): raise AssertionError("ran")
            """,
        )
    ran = project.run()
    assert ran.code == pytest.ExitCode.INTERRUPTED
    assert ran.outcomes == {"errors": len(MISTAKES)}
    for number, said in enumerate(MISTAKES.values()):
        wanted = f"test_{number}.py::test_wrong: energy_budget: {said.replace('[', '?')}"
        ran.stdout.fnmatch_lines([wanted])


def test_mistakes_stop_workers_too(project: Project) -> None:
    """Under pytest-xdist a wrong mark is the same error, and the run fails."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("1 J", domian="cpu")
        class TestWrong:
            def test_it(self): raise AssertionError("ran")
        """,
    )
    ran = project.run("-n2", plugins=True)
    assert ran.code != pytest.ExitCode.OK
    assert ran.outcomes["errors"] >= 1
    assert "failed" not in ran.outcomes
    ran.stdout.fnmatch_lines(
        [
            "test_it.py::TestWrong::test_it: energy_budget: unknown keyword 'domian'; "
            "did you mean 'domain'?"
        ]
    )


MERGED = """
    import pytest

    pytestmark = pytest.mark.energy_budget("10 J", domain="cpu", max_rounds=2, action="warn")


    def test_module(work):
        work()


    @pytest.mark.energy_budget("5 J")
    class TestClass:
        def test_class(self, work):
            work()

        @pytest.mark.energy_budget("1 J", max_rounds=3)
        def test_function(self, work):
            work()

        @pytest.mark.energy_budget(action="fail")
        @pytest.mark.energy_budget("1.5 J")
        def test_two_marks(self, work):
            work()
"""


def test_function_beats_class_beats_module(project: Project) -> None:
    """The nearest mark decides each keyword; what it leaves open comes from those above it."""
    project.write("test_it.py", MERGED)
    ran = project.energy()
    assert ran.outcomes == {"passed": 3, "failed": 1}
    assert {
        name: (r.verdict.limits[0].limit, r.domain, len(r.rounds), r.verdict.action)
        for name, r in ran.results.items()
    } == {
        "test_module": (10.0, "cpu", 2, "warn"),
        "TestClass.test_class": (5.0, "cpu", 2, "warn"),
        "TestClass.test_function": (1.0, "cpu", 3, "warn"),
        "TestClass.test_two_marks": (1.5, "cpu", 2, "fail"),
    }
    assert ran.closing == (
        "4 measured, 4 compared: 2 passed, 0 regressed, 2 over budget (1 warned), 0 inconclusive; "
        "0 no baseline; 0 not comparable"
    )


DOMAINS = """
    import pytest

    budget = pytest.mark.energy_budget


    @pytest.fixture
    def work(spend):
        def work():
            spend(1.0, "cpu:0", seconds=0)
            spend(2.0, "cpu:1", seconds=0)
            spend(4.0, "dram:0", seconds=0)
            spend(8.0, "gpu:0", seconds=0)
            spend(16.0, "psys")

        return work


    @budget("99 J")
    def test_total(work): work()

    @budget("99 J", domain="cpu")
    def test_cpu(work): work()

    @budget("99 J", domain="cpu:1")
    def test_one_cpu(work): work()

    @budget("99 J", domain="dram")
    def test_dram(work): work()

    @budget("99 J", domain="gpu")
    def test_gpu(work): work()

    @budget("99 J", domain="psys")
    def test_psys(work): work()

    @budget("99 J", domain="gpu:1")
    def test_not_there(work): work()
"""


def test_domains(project: Project) -> None:
    """A budget judges the joules of its domain; one that no sensor reads is not measured."""
    project.sensor(
        'Domain("cpu:0", "cpu"), Domain("cpu:1", "cpu"), Domain("dram:0", "dram"), '
        'Domain("gpu:0", "gpu"), Domain("psys", "psys", counted=False)'
    )
    project.write("test_it.py", DOMAINS)
    ran = project.energy()
    measured = dict(ran.results)
    absent = measured.pop("test_not_there")
    assert {name: result.joules for name, result in measured.items()} == {
        "test_total": 15.0,
        "test_cpu": 3.0,
        "test_one_cpu": 2.0,
        "test_dram": 4.0,
        "test_gpu": 8.0,
        "test_psys": 16.0,
    }
    assert absent.verdict.outcome == "not measured"
    assert absent.verdict.cause == (
        "no sensor reads gpu:1 here, only cpu:0, cpu:1, dram:0, gpu:0, psys"
    )


LIMITS = """
    import pytest


    @pytest.mark.energy_budget("0.15 J", per="token", max_power="30 W")
    def test_within(energy, work):
        energy.units(token=20)
        energy(work)


    @pytest.mark.energy_budget("0.05 J", per="token")
    def test_per_token(energy, work):
        energy.units(request=2, token=20)
        energy(work)


    @pytest.mark.energy_budget(max_power="15 W")
    def test_power(work):
        work()


    @pytest.mark.energy_budget("0.3 mWh")
    def test_watt_hours(work):
        work()
"""


def test_absolute_limits(project: Project) -> None:
    """Energy of a call or of a unit, and power, each fail with the limit that they are over."""
    project.write("test_it.py", LIMITS)
    ran = project.energy()
    assert ran.outcomes == {"passed": 1, "failed": 3}
    assert ran.verdicts == {
        "test_within": "passed",
        "test_per_token": "over budget",
        "test_power": "over budget",
        "test_watt_hours": "over budget",
    }
    ran.stdout.fnmatch_lines(
        [
            "EnergyBudgetExceeded: call used 100 mJ/token, budget 50.0 mJ/token *",
            "EnergyBudgetExceeded: call drew 20.0 W, budget 15.0 W *",
            "EnergyBudgetExceeded: call used 2.00 J, budget 1.08 J *",
        ]
    )


ADDS_WRONG_MARKS = """
    def pytest_collection_modifyitems(items):
        for item in items:
            item.add_marker(pytest.mark.energy_budget("1 cal"))
"""


def test_mistakes_of_a_hook_stop_workers_too(project: Project) -> None:
    """Under pytest-xdist a wrong mark that a hook adds is an error of collection."""
    project.sensor(more=ADDS_WRONG_MARKS)
    project.write("test_it.py", "def test_it(): raise AssertionError('ran')")
    ran = project.run("-n2", plugins=True)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "failed" not in ran.outcomes
    ran.stdout.fnmatch_lines(["test_it.py::test_it: energy_budget: energy: '1 cal' has unknown*"])
    assert "INTERNALERROR" not in ran.text


@pytest.mark.parametrize("option", [(), ("--energy",)], ids=["plain", "measured"])
def test_mistakes_of_a_hook_are_refused(project: Project, option: tuple[str, ...]) -> None:
    """A wrong mark that a hook adds to what was collected is a usage error, before any test."""
    project.sensor(more=ADDS_WRONG_MARKS)
    project.write("test_it.py", "def test_it(): raise AssertionError('ran')")
    ran = project.run(*option)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [line] = ran.errors
    assert line.startswith("ERROR: test_it.py::test_it: energy_budget: energy: '1 cal' has unknown")
    assert "AssertionError" not in ran.text
