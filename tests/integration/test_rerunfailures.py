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


def test_regressions_are_left_alone_on_request(saved: Project) -> None:
    """`--rerun-except EnergyRegression` fails a regression at once."""
    ran = saved.energy(*RERUN, "--rerun-except=EnergyRegression", joules=3.0)
    assert ran.outcomes == {"failed": 1}


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
