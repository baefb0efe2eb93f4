"""pytest-rerunfailures: each attempt is measured and judged, and the last one counts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.integration.projects import ALONE, Project

FLAKY = """
    ATTEMPTS = []

    def test_works(energy, work):
        ATTEMPTS.append("works")
        energy(work)
        assert ATTEMPTS.count("works") > 1

    def test_unannounced(request, work):
        ATTEMPTS.append("unannounced")
        request.getfixturevalue("energy")(work)
        assert ATTEMPTS.count("unannounced") > 1
"""
RERUN = ("-p", "pytest_rerunfailures", "--reruns=2")


def test_last_attempt_counts(project: Project) -> None:
    """A flaky test that passes in the end is saved and counted once."""
    project.write("test_it.py", FLAKY)
    ran = project.energy("--energy-save", *RERUN)
    assert ran.outcomes == {"passed": 2, "rerun": 2}
    assert ran.counts == {"measured": 2, "no baseline": 2, "baselines saved": 2}
    assert not [line for line in ran.energy_lines if line.startswith("not saved")]
    for baseline in project.baselines().values():
        [session] = baseline.measurements["call"].sessions
        assert len(session.rounds) == 10


def test_regressions_are_run_again(saved: Project) -> None:
    """A regression is run again and fails once; the report shows its earlier attempts."""
    ran = saved.energy(*RERUN, *ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 1, "rerun": 2}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert ran.counts == {"measured": 1, "compared": 1, "regressed": 1}
    assert len([line for line in ran.lines if line.startswith("EnergyRegression: ")]) == 1
    [letters] = [line.split()[1] for line in ran.lines if line.startswith("test_it.py ")]
    assert letters == "RRJ"
    attempts = ran.results["test_works"].attempts
    assert [(attempt.outcome, attempt.joules) for attempt in attempts] == [("regressed", 3.0)] * 2
    shown = [line.split() for line in ran.lines if "earlier attempt" in line]
    assert shown == [["earlier", "attempt:", "regressed", "3.00", "J"]] * 2


def test_a_passed_test_keeps_its_failed_attempts(saved: Project) -> None:
    """A regression that the next attempt does not repeat is still reported."""
    saved.sensor(
        more="""
SPENT = []

@pytest.fixture
def work():
    SPENT.append(3.0 if not SPENT else 2.0)
    return lambda: SENSOR.spend(SPENT[-1])
"""
    )
    ran = saved.energy(*RERUN, *ALONE)
    assert ran.outcomes == {"passed": 1, "rerun": 1}
    result = ran.results["test_works"]
    assert (result.verdict.outcome, result.joules) == ("passed", 2.0)
    assert [(a.outcome, a.joules) for a in result.attempts] == [("regressed", 3.0)]
    ran.stdout.fnmatch_lines(["*earlier attempt: regressed*3.00 J*"])


def test_a_first_attempt_has_no_earlier_one(saved: Project) -> None:
    """A test that passes at once reports no attempts."""
    ran = saved.energy(*RERUN)
    assert ran.results["test_works"].attempts == ()
    assert "earlier attempt" not in ran.text


def test_regressions_are_left_alone_on_request(saved: Project) -> None:
    """`--rerun-except ^Energy` fails a regression at once."""
    ran = saved.energy(*RERUN, *ALONE, "--rerun-except=^Energy", joules=3.0)
    assert ran.outcomes == {"failed": 1}


def test_a_fresh_process_does_not_try_again(grown: Project) -> None:
    """A test that fails in its fresh process is not run there a second time."""
    grown.write(
        "test_it.py",
        """
        import os

        def test_works(energy, work):
            with open("log.txt", "a") as log:
                print(os.getpid(), file=log)
            with open("log.txt") as log:
                assert len(set(log)) == 1
            energy(work)
        """,
    )
    ran = grown.energy(*RERUN, joules=2.1)
    assert ran.outcomes == {"passed": 1}
    assert len(grown.log()) == 2
    [check] = ran.results["test_works"].checks
    assert check.finding.startswith("the test failed there: ")


def test_a_skip_discards_the_earlier_attempt(saved: Project) -> None:
    """A test that regresses, and then skips itself, has no verdict and no figures."""
    saved.write(
        "test_it.py",
        """
        import pytest

        ATTEMPTS = []

        def test_works(energy, work):
            ATTEMPTS.append(1)
            if len(ATTEMPTS) > 1:
                pytest.skip("not now")
            energy(work)
        """,
    )
    ran = saved.energy(*RERUN, *ALONE, "--junitxml=junit.xml", joules=3.0)
    assert ran.outcomes == {"skipped": 1, "rerun": 1}
    assert ran.verdicts == {}
    assert ran.counts == {}
    junit = ElementTree.parse(saved.path / "junit.xml")
    *_, last = junit.iter("testcase")
    assert [p.get("name") for p in last.iter("property")] == []
