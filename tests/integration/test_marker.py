"""The marker `energy_budget`: mistakes are errors of collection, and marks merge downwards."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, Project

#: Wrong arguments of a mark, and their error.
MISTAKES = {
    '"1 J", max_increas="5%"': "(max_increas=...): unknown keyword: did you mean 'max_increase'?",
    '"1 J", "2 J"': "('1 J', '2 J'): expected one positional argument, the energy",
    '"1 J", energy="2 J"': "('1 J', energy='2 J'): expected the energy only once",
    '"2.5"': "(energy='2.5'): expected an energy in J, mJ, kJ, Wh, mWh or kWh, such as '2.5 J'",
    '"-1 J"': "(energy='-1 J'): expected an energy >= 0, *",
    'domain="gpus"': "(domain='gpus'): expected total, cpu, *; did you mean 'gpu'?",
    'max_increase="5"': "(max_increase='5'): expected a percentage, such as '5%'",
    "max_quality_drop=0.01": "(max_quality_drop=0.01): expected a percentage, such as '5%'",
    'max_power="2 J"': "(max_power='2 J'): expected a power in W, mW or kW, *",
    'max_carbon="2"': "(max_carbon='2'): expected a mass in g, mg or kg, *",
    'action="ignore"': "(action='ignore'): expected 'fail' or 'warn'",
    "min_rounds=0": "(min_rounds=0): expected a whole number >= 1",
    "max_rounds=2.5": "(max_rounds=2.5): expected a whole number >= 1",
    "min_rounds=7, max_rounds=5": "(min_rounds=7, max_rounds=5): expected min_rounds <= *",
    "max_time=60": "(max_time=60): expected a time in s, ms, min or h, such as '60 s'",
    'max_work="1"': "(max_work='1'): expected a percentage, such as '5%'",
    'max_flop="2 gflop"': "(max_flop='2 gflop'): expected *FLOP, *; did you mean 'GFLOP'?",
    'max_memory="2"': "(max_memory='2'): expected a size in B, kB, MB, GB, *, such as '1.5 GB'",
    'per="a token"': "(per='a token'): expected the name of a unit of work, such as 'token'",
}


def test_mistakes_are_errors_of_collection(project: Project) -> None:
    """Each wrong mark is reported with its test, keyword and fix, without --energy too."""
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
        error = f"test_{number}.py::test_wrong: energy_budget{said.replace('[', '?')}"
        ran.stdout.fnmatch_lines([error])


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
    ran = project.run("-p", "xdist", "-n2")
    assert ran.code != pytest.ExitCode.OK
    assert ran.outcomes["errors"] >= 1
    assert "failed" not in ran.outcomes
    ran.stdout.fnmatch_lines(
        [
            "test_it.py::TestWrong::test_it: energy_budget(domian=...): unknown keyword: "
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
    """The nearest mark decides each keyword; the marks above it decide the others."""
    project.write("test_it.py", MERGED)
    ran = project.energy(*ALONE)
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
    assert ran.counts == {"measured": 4, "compared": 4, "passed": 2, "over budget": 2}
    assert "2 over budget (1 warned)" in ran.closing


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
    """A budget judges the joules of its domain; a domain without a sensor is not measured."""
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
    """Energy of a call or of a unit, and power, fail with the limit that they exceed."""
    project.write("test_it.py", LIMITS)
    ran = project.energy(*ALONE)
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
    ran = project.run("-p", "xdist", "-n2")
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert "failed" not in ran.outcomes
    ran.stdout.fnmatch_lines(["test_it.py::test_it: energy_budget(energy='1 cal'): expected an*"])
    assert "INTERNALERROR" not in ran.text


@pytest.mark.parametrize("option", [(), ("--energy",)], ids=["plain", "measured"])
def test_mistakes_of_a_hook_are_refused(project: Project, option: tuple[str, ...]) -> None:
    """A wrong mark that a hook adds to what was collected is a usage error, before any test."""
    project.sensor(more=ADDS_WRONG_MARKS)
    project.write("test_it.py", "def test_it(): raise AssertionError('ran')")
    ran = project.run(*option)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [line] = ran.errors
    assert line.startswith("ERROR: test_it.py::test_it: energy_budget(energy='1 cal'): expected ")
    assert "AssertionError" not in ran.text
