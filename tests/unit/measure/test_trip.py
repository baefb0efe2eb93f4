"""One trip through the work: its windows, summed by name."""

from __future__ import annotations

import pytest

from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Reading, Round
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, GPU, FakeClock


def trip_of(*sensors: FakeSensor, iterations: int = 1) -> Trip:
    """Return a trip that waits for no device."""
    return Trip(Instruments(sensors), lambda: None, iterations)


@pytest.fixture
def cpu() -> FakeSensor:
    """Return a CPU whose counter moves every millisecond: windows err by 0.78 ms."""
    return FakeSensor(CPU)


@pytest.fixture
def gpu() -> FakeSensor:
    """Return a card."""
    return FakeSensor(GPU, name="card")


def test_a_window_holds_what_happens_inside() -> None:
    """It excludes energy and time before and after it."""
    sensor = FakeSensor()
    trip = trip_of(sensor)
    sensor.spend(5.0, seconds=9.0)
    with trip.window("call"):
        sensor.spend(2.0, seconds=0.5)
        sensor.spend(1.0, "dram:0", seconds=0.0)
    sensor.spend(7.0, seconds=9.0)
    error_uj = {"cpu:0": pytest.approx(3120.0), "dram:0": pytest.approx(1560.0)}
    assert trip.rounds() == {
        "call": Round({"cpu:0": 2_000_000, "dram:0": 1_000_000}, 0.5, 1, error_uj=error_uj)
    }


def test_windows_of_one_name_are_summed(cpu: FakeSensor) -> None:
    """Three windows are one round: their energy, time and number, without what lies between."""
    trip = trip_of(cpu, iterations=3)
    for _ in range(3):
        cpu.spend(10.0)
        with trip.window("step"):
            cpu.spend(2.0, seconds=0.25)
    error_uj = {"cpu:0": pytest.approx(6240.0 * 3**0.5)}
    assert trip.rounds() == {
        "step": Round({"cpu:0": 6_000_000}, 0.75, iterations=3, windows=3, error_uj=error_uj)
    }


def test_windows_of_several_names_are_separate(cpu: FakeSensor) -> None:
    """Names are in the order in which their first window closed; a window may be nested."""
    trip = trip_of(cpu)
    with trip.window("decode"):
        cpu.spend(1.0)
        with trip.window("inner"):
            cpu.spend(2.0)
    with trip.window("prefill"):
        cpu.spend(4.0)
    energy_uj = {name: round_.energy_uj["cpu:0"] for name, round_ in trip.rounds().items()}
    assert trip.names == ("inner", "decode", "prefill")
    assert energy_uj == {"decode": 3_000_000, "inner": 2_000_000, "prefill": 4_000_000}


def test_a_window_reads_every_sensor(cpu: FakeSensor, gpu: FakeSensor) -> None:
    """One round has the counters of all sensors."""
    trip = trip_of(cpu, gpu)
    with trip.window("call"):
        cpu.spend(1.0, "cpu:0")
        gpu.spend(2.0, "gpu:0")
    assert trip.rounds()["call"].energy_uj == {"cpu:0": 1_000_000, "gpu:0": 2_000_000}


def test_both_edges_wait_for_queued_work(cpu: FakeSensor) -> None:
    """The window excludes what was queued before, and includes what it queued itself."""
    queue = [100.0]

    def synchronize() -> None:
        while queue:
            cpu.spend(queue.pop())

    trip = Trip(Instruments([cpu]), synchronize, 1)
    with trip.window("call"):
        queue.append(3.0)
    assert trip.rounds()["call"].energy_uj == {"cpu:0": 3_000_000}


def test_a_device_that_cannot_be_waited_for_voids_the_trip(cpu: FakeSensor) -> None:
    """A test may load a stub of torch: it goes on, and its energy is unknown."""

    def synchronize() -> None:
        raise AttributeError("no is_initialized")

    trip = Trip(Instruments([cpu]), synchronize, 1)
    with trip.window("call"):
        cpu.spend(1.0)
    assert trip.failure == "waiting for a device failed (AttributeError: no is_initialized)"


def test_every_round_has_the_work_that_was_done(cpu: FakeSensor) -> None:
    """Units belong to the trip, so the joules of each window can be divided by them."""
    trip = trip_of(cpu)
    for name in ("prefill", "decode"):
        with trip.window(name):
            cpu.spend(1.0)
    trip.units = {"token": 7.0}
    assert [round_.units for round_ in trip.rounds().values()] == [{"token": 7.0}] * 2


def test_a_counter_that_fails_in_one_window_is_missing(cpu: FakeSensor) -> None:
    """The trip has the reason; without such a window no counter is missing."""
    trip = trip_of(cpu)
    with trip.window("good"):
        cpu.spend(1.0)
    assert trip.missing == {}
    with trip.window("bad"):
        cpu.fail()
    cpu.recover()
    with trip.window("good"):
        cpu.spend(1.0)
    assert trip.missing == {"cpu:0": "cpu:0 could not be read"}


def test_a_window_whose_work_raises_is_forgotten(cpu: FakeSensor) -> None:
    """The error of the work is raised, and half a window is not kept."""
    trip = trip_of(cpu)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        cpu.spend(1.0 / 0)
    with trip.window("other"):
        cpu.spend(1.0)
    assert trip.names == ("other",)


def test_a_lost_counter_is_not_missing(cpu: FakeSensor, gpu: FakeSensor) -> None:
    """A counter that was given up voids no later trip, and is in no round."""
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
        (18, True, True, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]),
        (2, True, True, [1, 1]),
    ],
)
def test_iterations_are_spread_over_windows(
    cpu: FakeSensor, iterations: int, together: bool, stepped: bool, batches: list[int]
) -> None:
    """They share one window, have one each, or have many if they could keep in step."""
    trip = Trip(Instruments([cpu]), lambda: None, iterations, stepped=stepped)
    assert list(trip.batches(together)) == batches


def test_work_is_done_together_unless_it_cannot(cpu: FakeSensor) -> None:
    """Work whose results nobody counts shares one window."""
    assert list(trip_of(cpu, iterations=3).batches()) == [3]


class Edged(FakeSensor):
    """A sensor that makes its own edges, and records the calls."""

    phase_period_s = 0.1

    def __init__(self) -> None:
        super().__init__(CPU)
        self.calls: list[str | float] = []

    def begin(self, phase_s: float) -> Reading:
        """Record the phase to wait for."""
        self.calls.append(phase_s)
        return super().read()

    def end(self) -> Reading:
        """Record the end of a window."""
        self.calls.append("end")
        return super().read()

    def read(self) -> Reading:
        """Record a reading that does not wait."""
        self.calls.append("read")
        return super().read()


def test_a_window_whose_work_raises_is_ended() -> None:
    """A sensor that samples while a window is open does not continue after it."""
    sensor = Edged()
    trip = trip_of(sensor)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        sensor.spend(1.0 / 0)
    assert sensor.calls == [0.0, "end"]


def test_stepped_windows_begin_at_different_phases() -> None:
    """Each waits for a phase a quarter of the period later, however long the last one was."""
    sensor, clock = Edged(), FakeClock()
    trip = Trip(Instruments([sensor]), lambda: None, 2, stepped=True, clock=clock)
    for seconds in (0.01, 0.02, 0.0):
        with trip.window("call"):
            clock.sleep(seconds)
    waits_s = [call for call in sensor.calls if call != "end"]
    assert waits_s == pytest.approx([0.025, 0.04, 0.045])


def test_a_window_that_is_left_measures_nothing() -> None:
    """Its sensors stop at once; what follows in it is not waited for, and ends no window."""
    sensor, waits = Edged(), []
    trip = Trip(Instruments([sensor]), lambda: waits.append(1), 1)
    with trip.window("call"):
        trip.leave()
        trip.leave()
        sensor.spend(1.0)
    assert sensor.calls == [0.0, "end"]
    assert (len(waits), trip.rounds(), trip.failure) == (1, {}, None)


def test_a_left_window_whose_work_raises_is_ended_once() -> None:
    """The sensors have stopped already."""
    sensor = Edged()
    trip = trip_of(sensor)

    def leaves() -> None:
        with trip.window("call"):
            trip.leave()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leaves()
    assert sensor.calls == [0.0, "end"]


def test_a_trip_is_left_between_its_windows() -> None:
    """No sensor is at work there."""
    sensor = Edged()
    trip = trip_of(sensor)
    with trip.window("call"):
        sensor.spend(1.0)
    trip.leave()
    assert sensor.calls == [0.0, "end"]
    assert list(trip.rounds()) == ["call"]


def test_a_window_inside_another_waits_for_nothing() -> None:
    """The outer window would contain the wait, so the inner one reads the counts as they are."""
    sensor = Edged()
    trip = trip_of(sensor)
    with trip.window("outer"), trip.window("inner"):
        sensor.spend(1.0)
    assert sensor.calls == [0.0, "read", "read", "end"]


def test_work_without_a_window_is_an_error(cpu: FakeSensor) -> None:
    """The error says what to write."""
    with pytest.raises(GreenopsError) as raised:
        _ = trip_of(cpu).names
    assert str(raised.value) == (
        "energy.rounds(): no window was opened in the loop; put the measured work into "
        '`with energy.measure("name"):`'
    )


def test_a_sensor_that_raises_does_not_end_the_work(
    cpu: FakeSensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window has no energy, and the trip knows why."""

    def fails() -> Reading:
        raise OSError("no such card")

    monkeypatch.setattr(cpu, "read", fails)
    trip, worked = trip_of(cpu), []
    with trip.window("call"):
        worked.append(1)
    assert worked
    assert trip.names == ("call",)
    assert trip.rounds() == {}
    assert trip.failure == "a sensor failed (OSError: no such card)"
