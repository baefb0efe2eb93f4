"""Power over time of cards, read through the unmodified `pynvml` from a simulated driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.model.measurement import Measurement
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.nvidia.nvml import open_sensor
from tests.simulated_host import nvml
from tests.simulated_host.nvml import Card, Work
from tests.simulated_host.simulated_clock import SimulatedClock

pytestmark = pytest.mark.skipif(not nvml.POSSIBLE, reason="needs Linux and a C compiler")

#: A card that reports only its power, which it renews every 20 ms.
SAMPLED = Card(
    power_w=((0.0, 60.0),), counter=False, average_s=0.0, power_tick_s=0.02, processes=(0,)
)
COUNTED = Card(uuid="GPU-2222bbbb-0000-0000-0000-000000000000", power_w=((0.0, 80.0),))

Measure = Callable[..., Measurement]


@pytest.fixture
def clock(tmp_path: Path) -> SimulatedClock:
    """The clock of the cards and of the sensor."""
    return SimulatedClock(tmp_path / "clock")


@pytest.fixture
def measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: SimulatedClock
) -> Iterator[Measure]:
    """Measures three rounds of some seconds each at 250 W, and as many at 100 W."""
    sensors = []

    def measure(*cards: Card, seconds: float = 0.4) -> Measurement:
        nvml.load(monkeypatch, tmp_path, cards, clock)
        sensors.append(open_sensor({}, clock))
        instruments, plan = Instruments(sensors, clock), Plan(looks=(3,), iterations=1)
        work, meter = Work(), Meter(instruments, plan, lambda *asked: True, clock=clock)
        for trip in meter.trips():
            for _ in trip.batches():
                with trip.window("call"):
                    for watts in (250.0, 100.0):
                        work.draw(watts)
                        clock.sleep(seconds)
                work.draw(60.0)
            clock.sleep(0.3)
        return meter.measurements()["call"]

    yield measure
    for sensor in sensors:
        sensor.close()


def watts_at(of: Measurement, place: int, seconds: float) -> float:
    """Return the power of a round at a time, as its curve has it."""
    curve = of.rounds[place].power["gpu:0"]
    return next(w for s, w in zip(curve.until_s, curve.watts, strict=True) if seconds <= s)


def test_sampled_power_is_over_time(measure: Measure) -> None:
    """Each round shows when its card drew how much, and no more energy than it counts."""
    found = measure(SAMPLED)
    assert len(found.rounds) == 3
    for place, round_ in enumerate(found.rounds):
        assert watts_at(found, place, 0.2) == pytest.approx(250.0, rel=0.05)
        assert watts_at(found, place, 0.7) == pytest.approx(100.0, rel=0.05)
        curve = round_.power["gpu:0"]
        assert curve.until_s[-1] == pytest.approx(round_.seconds, abs=0.001)
        assert curve.joules == pytest.approx(round_.energy_uj["gpu:0"] * 1e-6, rel=0.002)


def test_a_card_that_counts_has_no_power_over_time(measure: Measure) -> None:
    """Its power is not read while the work runs; the one beside it has its own."""
    assert [[*round_.power] for round_ in measure(SAMPLED, COUNTED).rounds] == [["gpu:0"]] * 3


def test_a_long_window_keeps_few_parts(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is, and however often the card renews its power."""
    monkeypatch.setattr("pytest_greenops.sensors.nvidia.sampled_power.MOST_COUNTS", 40)
    noisy = replace(SAMPLED, power_noise=0.01)
    found = measure(noisy, seconds=10.0)
    curve = found.rounds[0].power["gpu:0"]
    assert 15 <= len(curve.until_s) <= 42
    assert max(later - until for until, later in pairwise(curve.until_s)) < 3.0
    assert watts_at(found, 0, 5.0) == pytest.approx(250.0, rel=0.02)
    assert watts_at(found, 0, 16.0) == pytest.approx(100.0, rel=0.02)
    assert curve.joules == pytest.approx(found.rounds[0].energy_uj["gpu:0"] * 1e-6, rel=0.002)


def test_a_card_that_fails_has_none(measure: Measure) -> None:
    """Where a sample is missing, neither energy nor power is known."""
    failing = replace(SAMPLED, fail_between=((0.5, 1000.0, 999),))
    found = measure(failing, COUNTED)
    assert [*found.lost] == ["gpu:0"]
    assert [(list(each.energy_uj), each.power) for each in found.rounds] == [(["gpu:1"], {})] * 3
