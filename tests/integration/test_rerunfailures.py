"""pytest-rerunfailures: each attempt is a trial of its own, the last one counts."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

FLAKY = """
    ATTEMPTS = []

    def test_works(energy, work):
        ATTEMPTS.append(1)
        energy(work)
        assert len(ATTEMPTS) > 1
"""
RERUN = ("-p", "pytest_rerunfailures", "--reruns=2")


def test_last_attempt_counts(project: Project) -> None:
    """A flaky test that passes at last is measured, saved and counted once."""
    project.write("test_it.py", FLAKY)
    ran = project.energy("--energy-save", *RERUN)
    assert ran.outcomes == {"passed": 1, "rerun": 1}
    assert ran.closing == (
        "1 measured, 0 compared: nothing was gated; 1 no baseline; 0 not comparable; "
        "1 baseline saved"
    )
    assert not [line for line in ran.energy_lines if line.startswith("not saved")]
    [session] = project.baseline().measurements["call"].sessions
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
