"""The control workload: the same work after each round of a measurement."""

from __future__ import annotations

import time

import pytest

from pytest_greenops.measure.control import Control, kernel
from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor, ReplaySensor
from tests.unit.builders import CPU


def test_the_work_is_the_same_in_every_run() -> None:
    """It ends with the same number each time, so no step of it was left out."""
    assert kernel() == kernel() == 1_073_892_025


def test_an_estimate_sees_the_work() -> None:
    """Every counter of CPUs and memory on the clock of this process has joules."""
    control = Control(discover(["estimate"])[0])
    control.sample()
    joules = control.joules(1)
    assert set(joules) == {"cpu:0", "dram:0"}
    assert min(joules.values()) > 0


@pytest.mark.parametrize(("rounds", "joules"), [(2, {"cpu:0": 6.0}), (1, {"cpu:0": 3.0}), (0, {})])
def test_the_joules_are_those_of_one_call_in_the_last_rounds(
    rounds: int, joules: dict[str, float]
) -> None:
    """Samples of rounds that were dropped do not count; here they used 9 J and 3 J a call."""
    now_ns = time.monotonic_ns()
    counts_j = [0, 0, 27, 27, 36]  # the first is read to compare clocks, the others at edges
    sensor = ReplaySensor([CPU], [Reading(now_ns, [j * 1_000_000]) for j in counts_j])
    control = Control(Instruments([sensor]))
    control.sample()
    control.sample()
    assert control.joules(rounds) == joules


def test_sensors_with_a_clock_of_their_own_are_ignored() -> None:
    """They do not count this work."""
    control = Control(Instruments([FakeSensor()]))
    control.sample()
    assert control.joules(1) == {}
