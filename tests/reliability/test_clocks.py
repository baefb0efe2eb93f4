"""Clocks of the system that step or stand still while a test is measured.

Tests that replace Python's clocks are in `tests/integration/hostile.py`.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from tests.integration.projects import ALONE, Project
from tests.reliability import injector
from tests.simulated_host import native

pytestmark = pytest.mark.skipif(not native.POSSIBLE, reason=native.WHY_NOT)

#: What happens to a clock at a call of the work: whether it stands still, or by how much it steps.
#: A monotonic clock that steps forward cannot be told from a process that was stopped meanwhile.
FROZEN, BACK, FORWARD = (True, 0.0), (False, -7200.0), (False, 7200.0)
EVENTS = [
    *((time.CLOCK_REALTIME, event) for event in (FROZEN, BACK, FORWARD)),
    *((time.CLOCK_MONOTONIC, event) for event in (FROZEN, BACK)),
]
#: The clock is right again before the next test.
TESTS = """
    import os

    import pytest

    from tests.reliability.injector import set_clock

    LIBRARY = os.environ["LD_PRELOAD"]

    @pytest.mark.parametrize("at", {at!r})
    @pytest.mark.parametrize("clock, event", {events!r})
    def test_it(energy, work, at, clock, event):
        calls = []

        def act():
            calls.append(1)
            if len(calls) == at:
                set_clock(LIBRARY, clock, frozen=event[0], step_s=event[1])
            work()

        try:
            energy(act)
        finally:
            set_clock(LIBRARY, clock)
"""
WITHOUT_SENSOR = """
    import pytest

    @pytest.fixture
    def work():
        return lambda: sum(i * i for i in range(2_000))
"""


@pytest.fixture
def stepping(project: Project, tmp_path: Path) -> Project:
    """Return a project whose processes have clocks that a test can set."""
    root = str(Path(__file__).parents[2])
    project.monkeypatch.setenv("PYTHONPATH", root)
    project.monkeypatch.setenv("LD_PRELOAD", str(injector.build(tmp_path)))
    return project


def write(project: Project, at: tuple[int, ...]) -> int:
    """Write a test for each event at each of these calls; return how many there are."""
    project.write("test_it.py", TESTS.format(events=EVENTS, at=at))
    return len(at) * len(EVENTS)


def test_the_clock_of_a_sensor_is_what_counts(stepping: Project) -> None:
    """Joules and seconds of a sensor with its own clock stay right; each test ends and passes."""
    count = write(stepping, at=(1, 2, 3, 5, 8))
    ran = stepping.energy(*ALONE)
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.OK, {"passed": count})
    assert len(ran.results) == count
    for name, result in ran.results.items():
        if result.verdict.outcome.value == "not measured":
            assert result.verdict.cause, name
            continue
        assert result.joules == pytest.approx(2.0, rel=1e-6), name
        assert result.watts == pytest.approx(20.0, rel=1e-6), name


def test_an_estimate_by_the_clock_is_right_or_missing(stepping: Project) -> None:
    """Where the clock of the estimate fails, a test has its reason, or the joules of the others."""
    stepping.write("conftest.py", WITHOUT_SENSOR)
    count = write(stepping, at=(3,))
    ran = stepping.energy(
        *ALONE, "-o", "energy_sensors=estimate", "--energy-max-time=2 s", "--energy-max-rounds=5"
    )
    assert (ran.code, ran.outcomes) == (pytest.ExitCode.OK, {"passed": count})
    joules = {name: result.joules for name, result in ran.results.items()}
    known = sorted(each for each in joules.values() if math.isfinite(each))
    assert len(known) >= count // 2
    usual = known[len(known) // 2]
    for name, each in joules.items():
        result = ran.results[name]
        if math.isfinite(each):
            assert usual / 3 < each < usual * 3, (name, each, usual)
            assert 0 < result.seconds < 1, name
        else:
            assert result.verdict.cause, name


def test_a_save_after_the_clock_stepped_back_keeps_all_sessions(
    saved: Project, tmp_path: Path
) -> None:
    """A session that claims to be older than the one before it replaces nothing."""
    saved.monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    saved.monkeypatch.setenv("LD_PRELOAD", str(injector.build(tmp_path)))
    saved.baseline_path().unlink()
    for step_s in (0.0, -86_400.0, -43_200.0):
        saved.write(
            "test_it.py",
            f"""
            import os

            from tests.reliability.injector import set_clock

            def test_works(energy, work):
                energy(work)
                set_clock(os.environ["LD_PRELOAD"], {time.CLOCK_REALTIME}, step_s={step_s})
            """,
        )
        ran = saved.save(*ALONE)
        assert ran.counts["baseline saved"] == 1
    sessions = saved.baseline().measurements["call"].sessions
    assert len(sessions) == 3
    assert sessions[1].saved_at < sessions[2].saved_at < sessions[0].saved_at
    assert saved.energy(*ALONE).verdicts == {"test_works": "passed"}
    assert saved.energy(*ALONE, joules=3.0).verdicts == {"test_works": "regressed"}
