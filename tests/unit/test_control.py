"""The control workload: what it costs, how long it holds, when it is not believed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from pytest_greenops.control import LASTS_S, ControlWorkload, kernel
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import LoadShare
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import rounds, series, session

QUIET = LoadShare(0.0, 0.0, 0.9)
CROWDED = LoadShare(0.9, 0.0, 0.0)


class Seen:
    """A probe that sees the same load in each round."""

    def __init__(self, share: LoadShare) -> None:
        self._share = share

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> LoadShare:
        """What was seen."""
        return self._share


@pytest.fixture(scope="module")
def estimated() -> Instruments:
    """The estimate of this machine, which counts whatever runs."""
    return discover(["estimate"])[0]


def workload(
    instruments: Instruments,
    accepted: Iterable[Series] = (),
    *,
    share: LoadShare = QUIET,
    trusting: bool = False,
    times: Iterable[float] = (),
) -> ControlWorkload:
    """A control workload whose clock tells these times, and then the last of them."""
    left = list(times) or [0.0]
    return ControlWorkload(
        instruments,
        accepted,
        lambda: Seen(share),
        trusting,
        clock=lambda: left.pop(0) if len(left) > 1 else left[0],
    )


def history(joules: float) -> list[Series]:
    """A series whose five sessions had controls of about so many joules."""
    controls = [joules * factor for factor in (0.99, 0.995, 1.0, 1.005, 1.01)]
    return [
        series(
            *(
                replace(session(rounds(), day), control_j={"cpu:0": j, "dram:0": j})
                for day, j in enumerate(controls, 1)
            )
        )
    ]


def test_the_work_is_the_same_in_every_run() -> None:
    """It ends with the same number each time, so that no step of it was left out."""
    assert kernel() == kernel() == 1_073_892_025


def test_it_is_measured_once_a_minute(estimated: Instruments) -> None:
    """Tests that begin within a minute share what it told; a later one has it measured again."""
    control = workload(estimated, times=[0.0, 1.0, LASTS_S, LASTS_S + 2, 2 * LASTS_S])
    first, second, third = control.now(), control.now(), control.now()
    assert set(first.joules) == {"cpu:0", "dram:0"}
    assert all(joules > 0 for joules in first.joules.values())
    assert second is first
    assert third is not first


def test_sensors_with_a_clock_of_their_own_have_none() -> None:
    """What does not count this work is left alone."""
    assert workload(Instruments([FakeSensor()])).now().joules == {}


def test_on_a_crowded_machine_it_says_nothing(estimated: Instruments) -> None:
    """Where no CPU was left for it, its joules are not the machine's alone."""
    assert workload(estimated, share=CROWDED).now().joules == {}


@pytest.mark.parametrize("trusting", [False, True])
def test_a_run_far_from_history_is_not_trusted(estimated: Instruments, trusting: bool) -> None:
    """Fixed work that used a hundred times its history forbids verdicts, unless all is accepted."""
    usual = sum(workload(estimated).now().joules.values()) / 2
    check = workload(estimated, history(usual / 100), trusting=trusting).now().check
    assert check is not None
    assert (check.name, check.untrusted) == ("control", not trusting)
    assert "against earlier runs, which differ by up to" in check.finding


def test_a_run_without_history_is_trusted(estimated: Instruments) -> None:
    """The first runs have nothing to be held against."""
    assert workload(estimated).now().check is None


def test_the_control_is_not_measured_by_what_a_test_names(estimated: Instruments) -> None:
    """A test of a card alone leaves the processor's faults unjudged; the control may not."""
    estimated.judge_by("gpu")
    ControlWorkload(estimated, (), lambda: Seen(QUIET)).now()
    assert estimated.judged == "total"
