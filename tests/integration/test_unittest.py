"""Test cases of unittest with the marker: measured as a whole, and in fresh processes."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, Project

CASE = """
    import unittest

    import pytest

    from conftest import SENSOR

    class TestCase(unittest.TestCase):
        def setUp(self):
            self.made = getattr(self, "made", 0) + 1
            SENSOR.spend(50.0)

        def tearDown(self):
            SENSOR.spend(50.0)

        @pytest.mark.energy_budget("{budget}")
        def test_works(self):
            assert self.made == 1
            SENSOR.spend({joules})

        @pytest.mark.energy_budget("9 J")
        def test_fails(self):
            self.fail("of its own")
"""


def test_a_case_is_measured_without_its_setup(project: Project) -> None:
    """Its body is repeated between one setUp and one tearDown, in a fresh process too."""
    project.write("test_it.py", CASE.format(budget="9 J", joules=2.0))
    ran = project.save("-k", "test_works", "--energy-sessions=2")
    assert ran.outcomes["passed"] == 1
    result = ran.results["TestCase.test_works"]
    assert result.joules == pytest.approx(2.0)
    assert len(result.fresh) == 1
    assert result.checks == ()
    assert project.baseline().test.name == "TestCase.test_works"


def test_a_case_over_its_budget_fails(project: Project) -> None:
    """It fails with the message of any test; another test keeps its own failure."""
    project.write("test_it.py", CASE.format(budget="1 J", joules=2.0))
    ran = project.energy(*ALONE)
    assert ran.outcomes == {"failed": 2}
    ran.stdout.fnmatch_lines(["EnergyBudgetExceeded: call used 2.00 J, budget 1.00 J *"])
    ran.stdout.fnmatch_lines(["FAILED *::test_fails - AssertionError: of its own"])
