"""The control workload: the same work after each round of a measurement."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.control import Control, kernel
from pytest_greenops.model.measurement import Source
from pytest_greenops.sensors.discover import discover
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import FakeClock


def test_the_work_is_the_same_in_every_run() -> None:
    """It ends with the same number each time, so no step of it was left out."""
    assert kernel() == kernel() == 1_073_892_025


def test_an_estimate_sees_the_work() -> None:
    """Every counter of CPUs and memory on the clock of this process has joules."""
    control = Control(discover(["estimate"])[0])
    control.accompany(10.0)
    joules = control.joules(1)
    assert set(joules) == {"cpu:0", "dram:0"}
    assert min(joules.values()) > 0


class Worked(FakeClock):
    """A control workload on the clock of a test: one call takes 10 ms and uses 1 J."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, call_s: float = 0.01, source: Source = "sensed"
    ) -> None:
        super().__init__()
        self.call_s, self.call_j = call_s, 1.0
        self.calls = 0
        self.rounds_s = 0.0
        monkeypatch.setattr("pytest_greenops.measure.control.kernel", self.call)
        monkeypatch.setattr("pytest_greenops.measure.control.on_our_clock", lambda sensor: True)
        self.sensor = FakeSensor(source=source)
        self.control = Control(Instruments([self.sensor]), self)

    def call(self) -> None:
        """Call the kernel."""
        self.calls += 1
        self.sleep(self.call_s)
        self.sensor.spend(self.call_j)

    def rounds(self, number: int, seconds: float = 0.1) -> None:
        """Make rounds of the measured work."""
        for _ in range(number):
            self.rounds_s += seconds
            self.control.accompany(seconds)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 7.0])
@pytest.mark.parametrize("call_s", [0.004, 0.01, 0.05])
def test_it_takes_a_twentieth_of_the_rounds(
    monkeypatch: pytest.MonkeyPatch, seconds: float, call_s: float
) -> None:
    """However long a round and a call are, all samples together take at most 5 %."""
    work = Worked(monkeypatch, call_s)
    work.rounds(40, seconds)
    work.control.complete()
    taken_s = work.calls * call_s
    assert 0 < taken_s <= 0.05 * work.rounds_s
    assert work.control.joules(40) == {"cpu:0": 1.0}


def test_a_short_measurement_has_one_short_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of rounds allows two calls; they are made when the rounds are judged."""
    work = Worked(monkeypatch)
    work.rounds(5)
    assert work.calls == 0
    work.control.complete()
    assert work.calls == 2
    work.control.complete()
    assert work.calls == 2


def test_rounds_that_allow_no_call_have_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rounds of a millisecond are measured without a control."""
    work = Worked(monkeypatch)
    work.rounds(5, 0.001)
    work.control.complete()
    assert work.calls == 0
    assert work.control.joules(5) == {}


@pytest.mark.parametrize(("rounds", "joules"), [(14, {"cpu:0": 2.0}), (4, {"cpu:0": 3.0}), (0, {})])
def test_the_joules_are_those_of_one_call_in_the_last_rounds(
    monkeypatch: pytest.MonkeyPatch, rounds: int, joules: dict[str, float]
) -> None:
    """Samples of rounds that were dropped do not count; here a call used 1 J, later 3 J."""
    work = Worked(monkeypatch)
    work.rounds(7)
    work.call_j = 3.0
    work.rounds(7)
    assert work.control.joules(rounds) == joules


@pytest.mark.parametrize(("source", "calls"), [("sensed", 3), ("estimated", 1)])
def test_a_sample_is_short(monkeypatch: pytest.MonkeyPatch, source: Source, calls: int) -> None:
    """A counter needs three calls for small errors at its edges, an estimate has none there."""
    work = Worked(monkeypatch, source=source)
    work.rounds(1, 10.0)
    assert work.calls == calls
    assert work.control.joules(1) == {"cpu:0": 1.0}


def test_a_sample_ends_early_if_calls_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another call would take more than is left of the share."""
    work = Worked(monkeypatch, call_s=0.02)
    work.rounds(1, 0.7)
    assert work.calls == 1


def test_the_last_round_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample before it belongs to another round."""
    work = Worked(monkeypatch)
    work.rounds(1, 1.0)
    work.call_j = 3.0
    work.rounds(1, 1.0)
    assert work.control.joules(1) == {"cpu:0": 3.0}


def test_a_counter_that_fails_in_a_sample_has_no_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement continues."""
    work = Worked(monkeypatch)
    work.sensor.fail()
    work.rounds(1, 1.0)
    assert (work.calls, work.control.joules(1)) == (3, {})


def test_counters_that_move_too_seldom_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter of a smart plug does not move within a sample, or by the joules of a minute."""
    work = Worked(monkeypatch)
    work.sensor.update_period_s = 1.0
    work.rounds(14)
    assert (work.calls, work.control.joules(1)) == (0, {})


def test_sensors_with_a_clock_of_their_own_are_ignored() -> None:
    """They do not count this work."""
    control = Control(Instruments([FakeSensor()]))
    control.accompany(10.0)
    assert control.joules(1) == {}
