"""One trip through the work: its windows, added up by name."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Domain, Reading, Round
from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor

#: By how many seconds a counter that moves every millisecond is late, at both edges together.
LATE = EDGE_ERROR * 0.001


def a_pass(*sensors: FakeSensor, iterations: int = 1) -> Trip:
    """A trip that nothing has to be waited for."""
    return Trip(Instruments(sensors), lambda: None, iterations)


def test_a_window_holds_what_happens_inside() -> None:
    """Energy and time before and after it are not in it."""
    sensor = FakeSensor()
    trip = a_pass(sensor)
    sensor.spend(5.0, seconds=9.0)
    with trip.window("call"):
        sensor.spend(2.0, seconds=0.5)
        sensor.spend(1.0, "dram:0", seconds=0.0)
    sensor.spend(7.0, seconds=9.0)
    assert trip.rounds() == {
        "call": Round(
            {"cpu:0": 2_000_000, "dram:0": 1_000_000},
            0.5,
            iterations=1,
            error_uj={
                "cpu:0": pytest.approx(2_000_000 * LATE / 0.5),
                "dram:0": pytest.approx(1e6 * LATE / 0.5),
            },
        )
    }


def test_windows_of_one_name_are_added_up() -> None:
    """Three windows are one round: their energy, time and number, not what lies between."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    trip = a_pass(sensor, iterations=3)
    for _ in range(3):
        sensor.spend(10.0)
        with trip.window("step"):
            sensor.spend(2.0, seconds=0.25)
    error_uj = {"cpu:0": pytest.approx(2_000_000 * LATE / 0.25 * 3**0.5)}
    assert trip.rounds() == {
        "step": Round({"cpu:0": 6_000_000}, 0.75, iterations=3, windows=3, error_uj=error_uj)
    }


def test_windows_of_several_names_are_kept_apart() -> None:
    """Names come in the order of their first window; a window may lie inside another."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    trip = a_pass(sensor)
    with trip.window("decode"):
        sensor.spend(1.0)
        with trip.window("inner"):
            sensor.spend(2.0)
    with trip.window("prefill"):
        sensor.spend(4.0)
    energy = {name: round_.energy_uj["cpu:0"] / 1e6 for name, round_ in trip.rounds().items()}
    assert trip.names == ("inner", "decode", "prefill")
    assert energy == {"decode": 3.0, "inner": 2.0, "prefill": 4.0}


def test_a_window_reads_every_sensor() -> None:
    """The counters of all sensors are in one round."""
    cpu, gpu = FakeSensor(Domain("cpu:0", "cpu")), FakeSensor(Domain("gpu:0", "gpu"), name="card")
    trip = a_pass(cpu, gpu)
    with trip.window("call"):
        cpu.spend(1.0, "cpu:0")
        gpu.spend(2.0, "gpu:0")
    assert trip.rounds()["call"].energy_uj == {"cpu:0": 1_000_000, "gpu:0": 2_000_000}


def test_queued_work_is_waited_for_at_both_edges() -> None:
    """What was queued before is not charged to the window; what it queued itself is."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    queue = [100.0]

    def synchronize() -> None:
        while queue:
            sensor.spend(queue.pop())

    trip = Trip(Instruments([sensor]), synchronize, 1)
    with trip.window("call"):
        queue.append(3.0)
    assert trip.rounds()["call"].energy_uj == {"cpu:0": 3_000_000}


def test_the_work_that_was_done_is_in_every_round() -> None:
    """Units are of the pass, so that joules of each window may be divided by them."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    trip = a_pass(sensor)
    for name in ("prefill", "decode"):
        with trip.window(name):
            sensor.spend(1.0)
    trip.units = {"token": 7.0}
    assert [round_.units for round_ in trip.rounds().values()] == [{"token": 7.0}] * 2


def test_one_void_window_makes_the_pass_void() -> None:
    """It tells which counter is missing and why; without one nothing is missing."""
    sensor = FakeSensor(Domain("cpu:0", "cpu"))
    trip = a_pass(sensor)
    with trip.window("good"):
        sensor.spend(1.0)
    assert trip.missing == {}
    with trip.window("bad"):
        sensor.fail()
    sensor.recover()
    with trip.window("good"):
        sensor.spend(1.0)
    assert trip.missing == {"cpu:0": "cpu:0 could not be read"}


def test_a_window_whose_work_raises_is_forgotten() -> None:
    """The work's own error goes through, and half a window is not kept."""
    sensor = FakeSensor()
    trip = a_pass(sensor)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        sensor.spend(1.0 / 0)
    with trip.window("other"):
        sensor.spend(1.0)
    assert trip.names == ("other",)


def test_a_lost_counter_is_not_missing() -> None:
    """What was given up for lost voids no further pass, and is in no round."""
    cpu, gpu = FakeSensor(Domain("cpu:0", "cpu")), FakeSensor(Domain("gpu:0", "gpu"), name="card")
    gpu.fail()
    trip = Trip(Instruments([cpu, gpu]), lambda: None, 1, lost={"gpu:0": "it fell off the bus"})
    with trip.window("call"):
        cpu.spend(1.0)
    assert trip.missing == {}
    assert trip.rounds()["call"].energy_uj == {"cpu:0": 1_000_000}


@pytest.mark.parametrize(
    ("iterations", "together", "stepped", "batches"),
    [
        (10, True, False, [10]),
        (3, False, False, [1, 1, 1]),
        (18, True, True, [1] * 14 + [2, 2]),
        (2, True, True, [1, 1]),
    ],
)
def test_iterations_are_spread_over_windows(
    iterations: int, together: bool, stepped: bool, batches: list[int]
) -> None:
    """All in one window; in one each if apart; over many where they could keep in step."""
    trip = Trip(Instruments([FakeSensor()]), lambda: None, iterations, stepped=stepped)
    assert list(trip.batches(together)) == batches


class Edged(FakeSensor):
    """A sensor that makes edges of its own, and remembers what it was asked."""

    phase_period_s = 0.1

    def __init__(self) -> None:
        super().__init__(Domain("cpu:0", "cpu"))
        self.asked: list[str | float] = []

    def begin(self, phase_s: float) -> Reading:
        """Asked to wait."""
        self.asked.append(phase_s)
        return super().read()

    def end(self) -> Reading:
        """Asked how it ended."""
        self.asked.append("end")
        return super().read()

    def read(self) -> Reading:
        """Asked for the counts as they stand."""
        self.asked.append("read")
        return super().read()


def test_a_window_whose_work_raises_is_ended() -> None:
    """A sensor that samples while a window is open does not go on after it."""
    sensor = Edged()
    trip = a_pass(sensor)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        sensor.spend(1.0 / 0)
    assert sensor.asked == [0.0, "end"]


def test_stepped_windows_begin_at_unlike_phases() -> None:
    """Each waits for a phase a quarter of the period later, whatever time the one before took."""
    sensor = Edged()
    trip = Trip(Instruments([sensor]), lambda: None, 2, stepped=True)
    for _ in range(2):
        with trip.window("call"):
            sensor.spend(1.0)
    waits_s = [asked for asked in sensor.asked if asked != "end"]
    assert waits_s == pytest.approx([0.025, 0.05], abs=0.02)


def test_a_window_inside_another_waits_for_nothing() -> None:
    """A wait for a counter would be in the outer window: the inner takes what stands there."""
    sensor = Edged()
    trip = a_pass(sensor)
    with trip.window("outer"), trip.window("inner"):
        sensor.spend(1.0)
    assert sensor.asked == [0.0, "read", "read", "end"]


def test_work_without_a_window_is_told_what_to_write() -> None:
    """Nothing is measured in silence: the mend is in the error."""
    with pytest.raises(GreenopsError) as raised:
        _ = a_pass(FakeSensor()).names
    assert str(raised.value) == (
        "energy.rounds(): no window was opened in the loop; put the measured work into "
        '`with energy.measure("name"):`'
    )
