"""pytest-xdist: absent, `-n0` and `-n2`."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.integration.projects import ALONE, Project

#: Only this plugin and ours, which starts faster than all installed plugins.
XDIST = ("-p", "xdist")
SUITE = """
    import pytest

    pytestmark = pytest.mark.energy_budget("9 J")

    @pytest.mark.parametrize("joules", [1, 2, 3, 4])
    def test_it(energy, spend, joules):
        energy(spend, joules)

    @pytest.mark.energy_budget("1 J", action="fail")
    def test_over(work):
        work()

    def test_crashes():
        raise RuntimeError("its own")
"""


def test_sensed_counters_do_not_share(project: Project) -> None:
    """With counters of the whole machine `-n2` is a usage error that names both fixes."""
    project.write("test_it.py", SUITE)
    ran = project.energy(*XDIST, "-n2")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert (
        "ERROR: -n 2: energy counters count the whole machine, so parallel tests would be "
        "charged for each other; measure with -n0, or --energy-sensors estimate"
    ) in ran.errors
    assert "test_over" not in ran.text


def test_workers_of_tx_are_counted(project: Project) -> None:
    """`--tx 2*popen` is two workers, like `-n2`."""
    project.write("test_it.py", SUITE)
    ran = project.energy(*XDIST, "-d", "--tx", "2*popen")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert any(line.startswith("ERROR: -n 2: energy counters count") for line in ran.errors)


def test_no_workers(project: Project) -> None:
    """`-n0` measures like a run without pytest-xdist."""
    project.write("test_it.py", SUITE)
    ran = project.energy(*XDIST, *ALONE, "-n0")
    assert ran.outcomes == {"passed": 4, "failed": 2}
    assert ran.verdicts == {
        "test_it[1]": "passed",
        "test_it[2]": "passed",
        "test_it[3]": "passed",
        "test_it[4]": "passed",
        "test_over": "over budget",
    }


def test_workers_share_estimates(project: Project) -> None:
    """With estimates `-n2` works: table, closing line, JSON, JUnit and baselines are complete."""
    project.sensor('source="estimated"')
    project.write("test_it.py", SUITE)
    ran = project.save(*XDIST, "-n2", "--energy-estimates=fail", "--junitxml=junit.xml")
    assert ran.outcomes == {"passed": 4, "failed": 2}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert {name: result.joules for name, result in ran.results.items()} == {
        "test_it[1]": 1.0,
        "test_it[2]": 2.0,
        "test_it[3]": 3.0,
        "test_it[4]": 4.0,
        "test_over": 2.0,
    }
    expected = {"measured": 5, "compared": 5, "passed": 4, "over budget": 1, "baselines saved": 4}
    assert ran.counts == expected
    ran.stdout.fnmatch_lines(
        [
            "EnergyBudgetExceeded: call used 2.00 J (estimated, ±50 %), budget 1.00 J *",
            "test_it[[]3] * ~passed (saved)",
            "OVER BUDGET test_it.py::test_over - EnergyBudgetExceeded: *",
        ]
    )
    assert sorted(project.files()) == [f"test_it.py/test_it[{n}].json" for n in (1, 2, 3, 4)]
    energies = {}
    for case in ElementTree.parse(project.path / "junit.xml").iter("testcase"):
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        energies[case.get("name")] = properties.get("energy.joules")
    assert energies == {
        "test_it[1]": "1.0",
        "test_it[2]": "2.0",
        "test_it[3]": "3.0",
        "test_it[4]": "4.0",
        "test_over": "2.0",
        "test_crashes": None,
    }
    again = project.energy("-n2", "--energy-strict", *ALONE, plugins=True)
    assert again.outcomes == {"passed": 4, "failed": 2}
    assert again.verdicts["test_it[1]"] == "passed"


def test_plain_runs_on_workers(project: Project) -> None:
    """Without `--energy` workers run the suite once, and its budgets are counted."""
    project.write("test_it.py", SUITE)
    ran = project.run(*XDIST, "-n2")
    assert ran.outcomes == {"passed": 5, "failed": 1}
    [line] = ran.energy_lines
    assert line.startswith("6 budgets not enforced; measure them: pytest --energy ")


def test_a_worker_starts_fresh_processes(project: Project) -> None:
    """They start like the controller, and find tests whose ids have a group appended."""
    project.sensor(
        'source="estimated"',
        """
def pytest_addoption(parser):
    parser.addoption("--size", type=float)

@pytest.fixture
def work(pytestconfig):
    return lambda: SENSOR.spend(pytestconfig.getoption("size"))
""",
    )
    project.write(
        "test_it.py",
        """
        import os

        import pytest

        @pytest.mark.parametrize(
            "number", [1, pytest.param(2, marks=pytest.mark.xdist_group("a@b"))]
        )
        def test_works(energy, work, number):
            print(os.environ.get("PYTEST_XDIST_WORKER"), file=open("log.txt", "a"))
            energy(work)
        """,
    )
    ran = project.energy(
        *(*XDIST, "-n2", "--dist=loadgroup", "--size=7", "test_it.py"),
        *("--energy-save", "--energy-sessions=2"),
    )
    assert {name: (r.joules, len(r.fresh), r.checks) for name, r in ran.results.items()} == {
        "test_works[1]": (7.0, 1, ()),
        "test_works[2]": (7.0, 1, ()),
    }
    assert project.log().count("None") == 2
    for baseline in project.baselines().values():
        assert len(baseline.measurements["call"].sessions) == 2
