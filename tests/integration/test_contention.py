"""While another process keeps a CPU busy, its energy is not reported as a regression."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.projects import Project

pytestmark = pytest.mark.real_time

#: The real machine is watched, and the work takes some of its time.
WATCHED = """
    import time

    from pytest_greenops.machine.load import LoadProbe

    machine.LoadProbe = LoadProbe


    @pytest.fixture
    def work():
        def work():
            SENSOR.spend(float(os.environ["JOULES"]))
            time.sleep(0.15)
            with open("log.txt", "a") as log:
                log.write("called\\n")

        return work
"""


@pytest.fixture
def _neighbours() -> Iterator[None]:
    """Busy processes that are not children of the pytest that measures.

    They take more than 3 % of a machine of any size: one alone takes less on about thirty CPUs.
    """
    with ExitStack() as running:
        for _ in range(1 + (os.cpu_count() or 1) // 16):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            running.enter_context(busy)
            running.callback(busy.kill)
        yield


@pytest.mark.usefixtures("_neighbours")
def test_a_busy_neighbour_makes_a_regression_inconclusive(saved: Project) -> None:
    """The counters include its joules: rounds are repeated three times, then kept and flagged."""
    saved.sensor(more=WATCHED)
    rounds = "--energy-min-rounds=5", "--energy-max-rounds=5"
    ran = saved.energy(*rounds, joules=3.0)
    result = ran.results["test_works"]
    [check] = [check for check in result.checks if check.name == "contention"]
    assert check.finding.startswith("other processes used up to ")
    assert check.finding.endswith(" in 5 of 5 rounds")
    assert (check.untrusted, result.verdict.outcome.value) == (True, "inconclusive")
    assert result.verdict.cause == f"contention: {check.finding}"
    assert ran.outcomes == {"passed": 1}
    # A warm-up, a calibration call, three repeated rounds and five kept ones.
    assert len(saved.log()) == 1 + 1 + 3 + 5


@pytest.mark.usefixtures("_neighbours")
def test_a_measurement_with_a_busy_neighbour_is_not_saved(saved: Project) -> None:
    """A baseline that includes its joules would hide regressions."""
    saved.sensor(more=WATCHED)
    before = saved.files()
    ran = saved.save("--energy-min-rounds=5", "--energy-max-rounds=5")
    assert saved.files() == before
    not_saved = ran.results["test_works"].not_saved
    assert (not_saved or "").startswith("contention: other processes used up to ")
