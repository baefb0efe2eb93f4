"""The control workload: the same work, beside what it is measured, and when it is not believed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.suite import control_checks
from pytest_greenops.measure.control import Control, kernel
from pytest_greenops.model.baseline import Series
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import rounds, series, session


@pytest.fixture(scope="module")
def estimated() -> Instruments:
    """The estimate of this machine, which counts whatever runs."""
    return discover(["estimate"])[0]


def history(joules: float) -> list[Series]:
    """A series whose five days had controls of about so many joules."""
    controls = [joules * factor for factor in (0.99, 0.995, 1.0, 1.005, 1.01)]
    days = (
        replace(session(rounds(), day), control_j={"cpu:0": j, "dram:0": j})
        for day, j in enumerate(controls, 1)
    )
    return [series(*days)]


def test_the_work_is_the_same_in_every_run() -> None:
    """It ends with the same number each time, so that no step of it was left out."""
    assert kernel() == kernel() == 1_073_892_025


def test_it_is_measured_beside_each_round(estimated: Instruments) -> None:
    """The joules of a call are those beside the last rounds, of every counter that saw them."""
    control = Control(estimated)
    assert control.joules(5) == {}
    for _ in range(3):
        control.sample()
    assert set(control.joules(3)) == {"cpu:0", "dram:0"}
    assert all(joules > 0 for joules in control.joules(3).values())
    assert control.joules(0) == {}


def test_rounds_that_were_dropped_have_none(estimated: Instruments) -> None:
    """Samples beside a warm-up that was repeated do not count."""
    control = Control(estimated)
    control._samples = [{"cpu:0": 9_000_000}] * 5 + [{"cpu:0": 3_000_000}] * 5
    assert control.joules(5) == {"cpu:0": 1.0}


def test_sensors_with_a_clock_of_their_own_have_none() -> None:
    """What does not count this work is left alone."""
    control = Control(Instruments([FakeSensor()]))
    control.sample()
    assert control.joules(1) == {}


@pytest.mark.parametrize("trusting", [False, True])
def test_a_machine_far_from_its_history_is_not_trusted(trusting: bool) -> None:
    """Fixed work that used twice its history forbids verdicts, unless all is accepted."""
    [check] = control_checks(history(1.0), {"cpu:0": 2.0, "dram:0": 2.0}, 0.03, trusting)
    assert (check.name, check.untrusted) == ("control", not trusting)
    assert check.finding.startswith("fixed work used +100 % against earlier runs, which differ by")


def test_a_machine_as_ever_has_nothing_against_it() -> None:
    """Within what earlier runs differed by, or without any, nothing is said."""
    assert control_checks(history(1.0), {"cpu:0": 1.0, "dram:0": 1.0}, 0.03, trusting=False) == ()
    assert control_checks([], {"cpu:0": 1.0}, 0.03, trusting=False) == ()
    assert control_checks(history(1.0), {}, 0.03, trusting=False) == ()
