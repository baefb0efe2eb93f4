"""Verdicts: what pytest does with a test whose energy changed since it was accepted."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.integration.projects import ALONE, WORKS, Project

MESSAGE = re.compile(
    r"EnergyRegression: call used 2\.\d\d J, baseline 2\.00 J \(\+(19|20|21) %, "
    r"95 % CI \+\d+…\+\d+ %, limit \+5 %\)"
)
OTHERS = """

def test_other():
    pass


def test_last():
    pass
"""


def test_regression_fails_in_the_call_phase(grown: Project) -> None:
    """+20 % fails the test with one line, a section, its own letter and word, and exit code 1."""
    grown.write("test_it.py", WORKS + OTHERS)
    ran = grown.energy(joules=2.4, seed=6)
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert ran.outcomes == {"passed": 2, "failed": 1}
    assert ran.verdicts == {"test_works": "regressed"}
    assert ["test_it.py", "J..", "[100%]"] in [line.split() for line in ran.lines]
    failure, section = ran.failure("test_works").split("\n", 1)
    assert MESSAGE.fullmatch(failure), failure
    assert re.match(r"-+ energy -+\n", section)
    assert not re.search(r"\.py:\d", section)
    [summary] = [line for line in ran.lines if line.startswith("REGRESSED ")]
    assert summary.startswith("REGRESSED test_it.py::test_works - EnergyRegression: call used ")
    assert ran.counts == {"measured": 1, "compared": 1, "regressed": 1}


def test_quiet_keeps_verdict_and_section(grown: Project) -> None:
    """`-q` keeps the message, its section, one line for the verdict and the closing line."""
    ran = grown.energy("-q", joules=2.4, seed=6)
    assert ran.lines[0].split() == ["J", "[100%]"]
    failure, section = ran.failure("test_works").split("\n", 1)
    assert MESSAGE.fullmatch(failure), failure
    assert re.match(r"-+ energy -+\n", section)
    assert not any(line.startswith("regressed") for line in ran.lines)
    assert ran.counts == {"measured": 1, "compared": 1, "regressed": 1}


def test_unchanged_passes(grown: Project) -> None:
    """The same work passes in other sessions, and not provisionally."""
    for seed in (6, 7):
        ran = grown.energy(seed=seed)
        assert ran.outcomes == {"passed": 1}
        assert ran.verdicts == {"test_works": "passed"}
        change = ran.results["test_works"].verdict.change
        assert change is not None
        assert (change.sessions, change.provisional) == (5, False)
        assert abs(change.relative) < 0.02


def test_improved(grown: Project) -> None:
    """-20 % passes as improved."""
    ran = grown.energy(joules=1.6, seed=6)
    assert ran.code == pytest.ExitCode.OK
    assert ran.verdicts == {"test_works": "improved"}
    assert ran.counts == {"measured": 1, "compared": 1, "improved": 1}


def test_few_sessions_are_provisional(saved: Project) -> None:
    """With one session a small change passes provisionally, with the smallest detectable change."""
    ran = saved.energy(joules=2.04)
    change = ran.results["test_works"].verdict.change
    assert change is not None
    assert ran.verdicts == {"test_works": "passed"}
    assert (change.sessions, change.provisional) == (1, True)
    assert change.smallest == pytest.approx(0.2, abs=0.02)
    ran.stdout.fnmatch_lines(["1 passed provisionally: only increases of at least *"])


def test_pytest_sees_a_failed_test(saved: Project) -> None:
    """`-v` names it, `-x` stops at it, `--lf` runs it again, and JUnit XML has its figures."""
    saved.write("test_it.py", WORKS + OTHERS)
    junit = ("--junitxml=junit.xml", "-o", "junit_family=xunit1")
    ran = saved.energy("-x", "-v", *ALONE, *junit, joules=3.0)
    assert ran.outcomes == {"failed": 1}
    ran.stdout.re_match_lines([r"test_it.py::test_works REGRESSED +\[ 33%\]"])
    [case] = ElementTree.parse(saved.path / "junit.xml").iter("testcase")
    [failure] = case.iter("failure")
    message = failure.get("message", "")
    assert message.startswith("EnergyRegression: call used 3.00 J, baseline 2.00 J (+50 %, ")
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    expected = {
        "energy.verdict": "regressed",
        "energy.joules": "3.0",
        "energy.watts": "30.0",
        "energy.seconds": "0.1",
        "energy.domain": "total",
        "energy.unit": "call",
        "energy.rounds": "10",
        "energy.estimated": "False",
        "energy.by_domain.cpu:0": "3.0",
        "energy.change": "0.5",
        "energy.max_increase": "0.05",
        "energy.baseline": "2.0",
        "energy.baseline_sessions": "1",
        "energy.provisional": "True",
        "energy.action": "fail",
    }
    assert properties.items() >= expected.items()
    assert saved.save("--lf", joules=3.0).outcomes == {"passed": 1}
    assert saved.energy("--lf", joules=3.0).outcomes == {"passed": 3}


def test_a_failure_without_a_terminal(project: Project) -> None:
    """Neither a missing terminal plugin nor the environment of the test breaks the report."""
    project.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("1 J")
        def test_red(work, monkeypatch):
            monkeypatch.setenv("PYTEST_ADDOPTS", '"')
            work()
        """,
    )
    ran = project.run("--energy", "-p", "no:terminal", "--junitxml=junit.xml", *ALONE)
    assert ran.code == 1
    assert "EnergyBudgetExceeded: call used 2.00 J" in (project.path / "junit.xml").read_text()


def test_both_a_budget_and_a_baseline(saved: Project) -> None:
    """A test over its budget that also regressed fails once, by the budget."""
    saved.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.energy_budget("2.5 J", max_increase="5%")
        def test_works(energy, work): energy(work)
        """,
    )
    ran = saved.energy(*ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 1}
    ran.stdout.fnmatch_lines(["EnergyBudgetExceeded: call used 3.00 J, budget 2.50 J *"])


def test_a_busy_machine_is_inconclusive(saved: Project) -> None:
    """An increase measured next to other work is inconclusive, with the cause."""
    saved.sensor(
        more="""
        from pytest_greenops.model.measurement import LoadShare

        class Busy(NoLoad):
            def stop(self):
                return LoadShare(0.5, 0.0)

        machine.LoadProbe = Busy
        """
    )
    ran = saved.energy(joules=3.0)
    assert ran.outcomes == {"passed": 1}
    verdict = ran.results["test_works"].verdict
    assert verdict.outcome == "inconclusive"
    assert (verdict.cause or "").startswith("contention: other processes used up to 50 %")


def test_other_facts_are_not_comparable(project: Project) -> None:
    """Where a fact of the machine or of the test differs, the test passes and it is named."""
    project.sensor(
        more="""
        def pytest_energy_facts(config):
            return {"cooling": os.environ["COOLING"]}
        """
    )
    project.write("test_it.py", WORKS)
    project.monkeypatch.setenv("OMP_NUM_THREADS", "2")
    project.monkeypatch.setenv("COOLING", "air")
    project.save()
    project.monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ran = project.energy(joules=4.0)
    assert ran.results["test_works"].verdict.cause == "threads: 2 -> 1"
    ran.stdout.fnmatch_lines(["not comparable: test_it.py::test_works"])
    project.monkeypatch.setenv("OMP_NUM_THREADS", "2")
    project.monkeypatch.setenv("COOLING", "water")
    ran = project.save(joules=4.0)
    assert ran.outcomes == {"passed": 1}
    assert ran.results["test_works"].verdict.cause == "cooling: air -> water"
    assert ran.counts == {"measured": 1, "not comparable": 1, "baseline saved": 1}
    project.monkeypatch.setenv("COOLING", "air")
    assert project.energy(*ALONE, joules=4.0).verdicts == {"test_works": "regressed"}


def test_other_unit_is_not_comparable(saved: Project) -> None:
    """Joules per a unit that the baseline never counted are not compared with those of a call."""
    saved.write(
        "test_it.py",
        """
        def test_works(energy, work):
            energy.units(token=10)
            energy(work)
        """,
    )
    verdict = saved.energy().results["test_works"].verdict
    assert (verdict.outcome.value, verdict.cause) == (
        "not comparable",
        "unit: the baseline counts no token",
    )


def test_work_is_compared_by_unit(project: Project) -> None:
    """Twice the joules for twice the tokens is not a regression; the message is per token."""
    project.write(
        "test_it.py",
        """
        import os

        def test_it(energy, work):
            energy.units(token=int(os.environ["TOKENS"]))
            energy(work)
        """,
    )
    project.monkeypatch.setenv("TOKENS", "10")
    project.save(joules=2.0)
    ran = project.energy(*ALONE, joules=4.0)
    ran.stdout.fnmatch_lines(
        ["EnergyRegression: call used 400 mJ/token, baseline 200 mJ/token (+100 %, *"]
    )
    project.monkeypatch.setenv("TOKENS", "20")
    assert project.energy(joules=4.0).verdicts == {"test_it": "passed"}


PARAMETRIZED = """
    import pytest

    @pytest.mark.parametrize("size", [{ids}])
    def test_it(energy, work, size):
        energy(work)
"""


def test_renamed_parameters_are_reported(project: Project) -> None:
    """A new param id next to a baseline that lost its test is reported as a rename."""
    project.write("test_it.py", PARAMETRIZED.format(ids='"a", "old"'))
    project.save()
    project.write("test_it.py", PARAMETRIZED.format(ids='"a", "new"'))
    ran = project.energy()
    assert ran.verdicts == {"test_it[a]": "passed", "test_it[new]": "no baseline"}
    cause = ran.results["test_it[new]"].verdict.cause or ""
    assert cause.startswith("test_it[old] has one and was not collected; if it was renamed: git mv")
    old, new = cause.rpartition("git mv ")[2].split()
    (project.path / old.strip("'")).rename(project.path / new.strip("'"))
    assert project.energy().verdicts == {"test_it[a]": "passed", "test_it[new]": "passed"}


def test_deselected_parameters_are_not_renamed_ones(project: Project) -> None:
    """The baseline of a test that `-k` deselects is not offered for another name."""
    project.write("test_it.py", PARAMETRIZED.format(ids='"old"'))
    project.save()
    project.write("test_it.py", PARAMETRIZED.format(ids='"old", "new"'))
    ran = project.energy("-k", "new")
    assert ran.verdicts == {"test_it[new]": "no baseline"}
    assert ran.results["test_it[new]"].verdict.cause is None


def test_self_checks_of_a_passed_test_are_reported(project: Project) -> None:
    """A failed self-check follows the table and is in JUnit XML, even if the test passed."""
    project.sensor(
        more="""
        from pytest_greenops.measure import self_checks
        from pytest_greenops.model.measurement import Check, CheckName

        self_checks.drift = lambda *_: Check(CheckName.DRIFT, "+9.0 % over the rounds", "flagged")
        """
    )
    project.write(
        "test_it.py",
        """
        def test_one(energy, work): energy(work)
        def test_two(energy, work): energy(work)
        """,
    )
    ran = project.energy("--junitxml=junit.xml")
    assert ran.outcomes == {"passed": 2}
    assert "2 measurements: drift (+9.0 % over the rounds); flagged" in ran.lines
    case = next(ElementTree.parse(project.path / "junit.xml").iter("testcase"))
    assert {p.get("name"): p.get("value") for p in case.iter("property")}[
        "energy.checks"
    ] == "drift"


def test_junit_has_what_a_failed_test_measured(project: Project) -> None:
    """The figures of a test that fails by itself are in JUnit XML, with its own properties."""
    project.write(
        "test_it.py",
        """
        def test_it(energy, work, record_property):
            record_property("energy.mine", 1)
            energy(work)
            assert False
        """,
    )
    project.energy("--junitxml=junit.xml")
    [case] = ElementTree.parse(project.path / "junit.xml").iter("testcase")
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["energy.joules"] == "2.0"
    assert properties["energy.mine"] == "1"


def test_skipped_tests_have_no_result(project: Project) -> None:
    """A marked test that skips itself has no result, not even `not measured`."""
    project.write(
        "test_it.py",
        """
        import unittest

        import pytest

        pytestmark = pytest.mark.energy_budget("3 J")

        def test_function(): pytest.skip("not here")

        class TestCase(unittest.TestCase):
            def test_raises(self): raise unittest.SkipTest("not here")
            def test_method(self): self.skipTest("not here")
        """,
    )
    ran = project.energy()
    assert ran.outcomes == {"skipped": 3}
    assert ran.verdicts == {}
