"""Beside a process that keeps a CPU busy nothing that it may have caused is called a regression."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.projects import Project

#: The machine is watched as it is, and the work takes some of its time.
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
    """Busy processes that are no children of the pytest that measures.

    As many as take more than 3 % of a machine of any size: one alone is less on about thirty CPUs.
    """
    with ExitStack() as running:
        for _ in range(1 + (os.cpu_count() or 1) // 16):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            running.enter_context(busy)
            running.callback(busy.kill)
        yield


@pytest.mark.usefixtures("_neighbours")
def test_a_busy_neighbour_makes_a_regression_inconclusive(saved: Project) -> None:
    """Its joules are in the counters: the rounds are redone three times, then kept and flagged."""
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
    # A warm-up, a call that calibrates, three rounds redone and five kept.
    assert len(saved.log()) == 1 + 1 + 3 + 5


@pytest.mark.usefixtures("_neighbours")
def test_what_was_measured_beside_a_neighbour_is_not_saved(saved: Project) -> None:
    """A baseline with its joules in it would let regressions pass."""
    saved.sensor(more=WATCHED)
    before = saved.files()
    ran = saved.save("--energy-min-rounds=5", "--energy-max-rounds=5")
    assert saved.files() == before
    not_saved = ran.results["test_works"].not_saved
    assert (not_saved or "").startswith("contention: other processes used up to ")
