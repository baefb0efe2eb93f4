"""Which processes are ours in a job: each rank's own for estimates, all of a host for its load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count

import pytest

from pytest_greenops.machine.load import _best_reader
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.base import ProcessSensor
from pytest_greenops.sensors.brought import Brought
from pytest_greenops.sensors.cpu_estimate.core_watts import CorePower
from pytest_greenops.sensors.cpu_estimate.estimate import EstimateSensor
from pytest_greenops.sensors.subset import narrowed
from pytest_greenops.testing import FakeSensor

#: Works for a moment, says so, and stays.
WORKS = "n = sum(i * i for i in range(3_000_000)); print('done', flush=True); input()"


class Seconds:
    """A clock of which each look is a second later."""

    def __init__(self) -> None:
        self._looks = count()

    def now_ns(self) -> int:
        """Return the time."""
        return next(self._looks) * 1_000_000_000

    def sleep(self, seconds: float) -> None:
        """Do nothing."""


@pytest.fixture
def rank() -> Iterator[int]:
    """Another rank on this host, a process that is no descendant: its parent has ended."""
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {WORKS!r}]).pid)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}\nsys.stdout.flush()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout
        process_id = int(parent.stdout.readline())
        assert parent.stdout.readline() == "done\n"
        yield process_id
        process_tree.adopt(())


def test_other_ranks_are_ours(rank: int) -> None:
    """A card that only another rank uses is used by the job, and by no stranger."""
    assert rank not in process_tree.tree()
    process_tree.adopt([rank])
    assert rank in process_tree.tree()


def test_the_work_of_other_ranks_is_no_load(rank: int) -> None:
    """Their CPU time counts as this run's own; that of one that has ended as nothing."""
    read = _best_reader()
    alone_s = read().own_s
    process_tree.adopt([rank])
    assert read().own_s > alone_s + 0.05
    process_tree.adopt([2**22 + 1])
    assert read().own_s < alone_s + 0.05


def test_one_rank_of_a_host_charges_waiting() -> None:
    """Another one charges CPU time alone: here there is none."""
    core = CorePower(10.0, "a test")
    sensor = EstimateSensor(core, 0.0, lambda: 0, Seconds(), lambda: 0)
    waited = sensor.read().energy_uj[0], sensor.read().energy_uj[0]
    assert waited[0] is not None
    assert waited[1] is not None
    assert waited[1] - waited[0] == 100_000
    sensor.charges_waiting = False
    assert sensor.read().energy_uj[0] == 0


def test_a_part_of_an_estimate_and_a_brought_one_are_of_processes_too() -> None:
    """What a run sets in them reaches the sensor; a counter of the machine has no such thing."""
    sensor = FakeSensor()
    assert not isinstance(narrowed(sensor, sensor.domains[:1]), ProcessSensor)
    assert not isinstance(Brought(sensor), ProcessSensor)
    sensor.charges_waiting = True  # type: ignore[attr-defined]
    part, brought = narrowed(sensor, sensor.domains[:1]), Brought(sensor)
    for each in (part, brought):
        assert isinstance(each, ProcessSensor)
        assert each.charges_waiting
    part.charges_waiting = False  # type: ignore[attr-defined]
    assert not sensor.charges_waiting  # type: ignore[attr-defined]
    sensor.charges_waiting = True  # type: ignore[attr-defined]
    brought.charges_waiting = False
    assert not sensor.charges_waiting  # type: ignore[attr-defined]
