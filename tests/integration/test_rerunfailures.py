"""pytest-rerunfailures: each attempt is a trial of its own, the last one counts."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.integration.projects import Project

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
    """A flaky test that passes at last is measured, saved and counted once."""
    project.write("test_it.py", FLAKY)
    ran = project.energy("--energy-save", *RERUN)
    assert ran.outcomes == {"passed": 2, "rerun": 2}
    assert ran.closing == (
        "2 measured, 0 compared: nothing was gated; 2 no baseline; 0 not comparable; "
        "2 baselines saved"
    )
    assert not [line for line in ran.energy_lines if line.startswith("not saved")]
    for baseline in project.baselines().values():
        [session] = baseline.measurements["call"].sessions
        assert len(session.rounds) == 10


def test_regressions_are_run_again(saved: Project) -> None:
    """A regression is tried again as any failure, and fails once in the end."""
    ran = saved.energy(*RERUN, joules=3.0)
    assert ran.outcomes == {"failed": 1, "rerun": 2}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    assert ran.closing.startswith("1 measured, 1 compared: 0 passed, 1 regressed, 0 inconclusive")
    assert len([line for line in ran.lines if line.startswith("EnergyRegression: ")]) == 1
    [letters] = [line.split()[1] for line in ran.lines if line.startswith("test_it.py ")]
    assert letters == "RRJ"


def test_earlier_attempts_are_told(saved: Project) -> None:
    """What an attempt came to stays in the JSON, beneath the row and under the failure."""
    ran = saved.energy(*RERUN, joules=3.0)
    attempts = ran.results["test_works"].attempts
    assert [(attempt.outcome, attempt.joules) for attempt in attempts] == [("regressed", 3.0)] * 2
    told = [line.split() for line in ran.lines if "earlier attempt" in line]
    assert told == [["earlier", "attempt:", "regressed", "3.00", "J"]] * 2


def test_a_test_that_passes_at_last_keeps_what_failed_before(saved: Project) -> None:
    """A regression that the next attempt did not have is not lost."""
    saved.sensor(
        more="""
SPENT = []

@pytest.fixture
def work():
    SPENT.append(3.0 if not SPENT else 2.0)
    return lambda: SENSOR.spend(SPENT[-1])
"""
    )
    ran = saved.energy(*RERUN)
    assert ran.outcomes == {"passed": 1, "rerun": 1}
    result = ran.results["test_works"]
    assert (result.verdict.outcome, result.joules) == ("passed", 2.0)
    assert [(a.outcome, a.joules) for a in result.attempts] == [("regressed", 3.0)]
    ran.stdout.fnmatch_lines(["*earlier attempt: regressed*3.00 J*"])


def test_a_first_attempt_has_none_before_it(saved: Project) -> None:
    """A test that passes at once says nothing of attempts."""
    ran = saved.energy(*RERUN)
    assert ran.results["test_works"].attempts == ()
    assert "earlier attempt" not in ran.text


def test_regressions_are_left_alone_on_request(saved: Project) -> None:
    """`--rerun-except EnergyRegression` fails a regression at once."""
    ran = saved.energy(*RERUN, "--rerun-except=EnergyRegression", joules=3.0)
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


def test_nothing_is_kept_of_an_earlier_attempt(saved: Project) -> None:
    """A test that regressed, and skips itself as it is run again, has no verdict and no figures."""
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
    ran = saved.energy(*RERUN, "--junitxml=junit.xml", joules=3.0)
    assert ran.outcomes == {"skipped": 1, "rerun": 1}
    assert ran.verdicts == {}
    assert ran.closing.startswith("0 measured")
    junit = ElementTree.parse(saved.path / "junit.xml")
    *_, last = junit.iter("testcase")
    assert [p.get("name") for p in last.iter("property")] == []
