"""Test cases of unittest with the marker: measured as a whole, in fresh processes too."""

from __future__ import annotations

from tests.integration.projects import NOISY, Project

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
    """Its body is repeated between one setUp and one tearDown, and saved if it passed."""
    project.write("test_it.py", CASE.format(budget="9 J", joules=2.0))
    ran = project.save("-k", "test_works")
    assert ran.outcomes["passed"] == 1
    assert ran.results["TestCase.test_works"].joules == 2.0
    assert project.baseline().test.name == "TestCase.test_works"


def test_a_case_over_its_budget_fails(project: Project) -> None:
    """On its energy, with the letter and the message of any test; another keeps its own failure."""
    project.write("test_it.py", CASE.format(budget="1 J", joules=2.0))
    ran = project.energy()
    assert ran.outcomes == {"failed": 2}
    ran.stdout.fnmatch_lines(["EnergyBudgetExceeded: call used 2.00 J, budget 1.00 J *"])
    ran.stdout.fnmatch_lines(["FAILED *::test_fails - AssertionError: of its own"])


def test_a_case_has_fresh_sessions(project: Project) -> None:
    """A fresh process runs this one method of the class."""
    project.sensor(NOISY)
    project.write("test_it.py", CASE.format(budget="9 J", joules=2.0))
    ran = project.save("-k", "test_works", "--energy-sessions=2")
    assert len(ran.results["TestCase.test_works"].fresh) == 1
    assert ran.results["TestCase.test_works"].checks == ()
