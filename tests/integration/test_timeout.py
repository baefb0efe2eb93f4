"""pytest-timeout: a measurement fits into the time that its test has."""

from __future__ import annotations

import psutil
import pytest

from tests.integration.projects import NOISY, Project

TIMEOUT = ("-p", "pytest_timeout")
#: A fresh process that starts however little time is left, notes its id in `began` and never ends.
#: A timeout of 60 s leaves it one second, and the rest for the parent, however slow the machine is.
SLEEPS = """
from pathlib import Path

from pytest_greenops.hooks import fresh_parent as asking
from pytest_greenops.system import SYSTEM

asking.START_S = 0.0
asking.RESERVE_S = 59.0
SPAWN = SYSTEM.posix_spawn


def started(*args, **more):
    process_id = SPAWN(*args, **more)
    with open("began", "a") as began:
        print(process_id, file=began)
    return process_id


object.__setattr__(SYSTEM, "posix_spawn", started)


@pytest.fixture
def work():
    seen = Path("seen")
    if seen.exists():
        import time
        time.sleep(60)
    def work():
        seen.touch()
        SENSOR.spend(float(os.environ["JOULES"]))
    return work
"""


@pytest.mark.parametrize("func_only", ["false", "true"])
def test_a_measurement_takes_half_of_what_is_left(project: Project, func_only: str) -> None:
    """Rounds that would not fit are not begun, so that the test ends before its timeout."""
    project.write(
        "test_it.py",
        """
        import time

        def test_it(energy, work):
            energy(lambda: work() or time.sleep(0.3))
        """,
    )
    ran = project.energy(
        *TIMEOUT, "--timeout=6", "-o", f"timeout_func_only={func_only}", "--energy-min-rounds=25"
    )
    assert ran.outcomes == {"passed": 1}
    assert 1 <= len(ran.results["test_it"].rounds) <= 10


def test_no_fresh_process_where_too_little_is_left(grown: Project) -> None:
    """The verdict stays open, and the message names the timeout to raise."""
    ran = grown.energy(*TIMEOUT, "--timeout=5", joules=2.12)
    result = ran.results["test_works"]
    assert (result.verdict.outcome, result.fresh) == ("inconclusive", ())
    [check] = result.checks
    assert check.finding.startswith("its timeout leaves ")
    assert check.finding.endswith("; raise the timeout")


def test_a_timeout_that_is_long_enough(grown: Project) -> None:
    """The fresh process has the same timeout, and keeps to it."""
    ran = grown.energy(*TIMEOUT, "--timeout=60", joules=2.1)
    assert len(ran.results["test_works"].fresh) == 1


def test_a_fresh_process_does_not_outlast_the_timeout(grown: Project) -> None:
    """A fresh process that takes too long is ended before the timeout of its test."""
    grown.sensor(NOISY, SLEEPS)
    ran = grown.energy(*TIMEOUT, "--timeout=60", joules=2.1)
    assert ran.outcomes == {"passed": 1}
    [check] = ran.results["test_works"].checks
    assert check.finding.startswith("it did not end within ")
    [process] = grown.log("began")
    assert not psutil.pid_exists(int(process))
