"""Joules from power that is sampled, by a clock that the tests move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.clock import SYSTEM_CLOCK
from pytest_greenops.sensors.nvidia import sampled_power
from pytest_greenops.sensors.nvidia.sampled_power import LEARNT, PowerSampler, SampledStart
from pytest_greenops.sensors.ticks import Edge
from tests.simulated_host.simulated_clock import SimulatedClock

PERIOD_S = 0.1
#: By how many microjoules energy is off for each watt that is reported late.
LATE_UJ = EDGE_ERROR * PERIOD_S * 1e6


class Device:
    """Draws `watts`; only samples that the test takes are taken."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.watts: float | None = 70.0
        self.clock = clock
        self.sampler = PowerSampler(lambda: self.watts, PERIOD_S, clock)

    def begin(self, watts: float | None = 70.0) -> None:
        """Begin a window at this power."""
        self.watts = watts
        self.sampler.start()

    def draw(self, watts: float | None, seconds: float = 0.0) -> None:
        """Let time pass, and take a sample of this power."""
        self.clock.sleep(seconds)
        self.watts = watts
        self.sampler.take()

    @property
    def joules(self) -> float | None:
        """What was counted so far."""
        edge = self.sampler.edge()
        return None if edge is None else edge.count_uj * 1e-6


@pytest.fixture
def clock(tmp_path: Path) -> SimulatedClock:
    """A clock that only the test moves."""
    return SimulatedClock(tmp_path / "clock", read_cost_ns=0)


@pytest.fixture
def device(clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """A device of 70 W."""
    made = Device(clock)
    monkeypatch.setattr(sampled_power, "PAUSE_S", 10_000.0)
    yield made
    made.sampler.stop()


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_constant_power_for_a_second(device: Device, samples: int) -> None:
    """70 W for a second are 70 J, from the samples at the edges or from fifty more."""
    device.begin()
    for _ in range(samples - 1):
        device.draw(70.0, 1 / samples)
    device.clock.sleep(1 / samples)
    assert device.sampler.edge_now() == Edge(70_000_000, pytest.approx(70.0 * LATE_UJ))


def test_a_new_reading_counts_for_the_time_before_it(device: Device) -> None:
    """It counts as far back as readings are apart: here a tenth of a second."""
    device.begin(10.0)
    for watts, seconds in ((10.0, 0.95), (300.0, 0.05), (300.0, 0.05), (200.0, 0.05)):
        device.draw(watts, seconds)
    # 0.9 s of 10 W; the tenth up to the first new reading is left to the second, with its own.
    assert device.joules == pytest.approx(10.0 * 0.9 + 200.0 * 0.2)


def test_the_first_new_reading_counts_if_there_is_no_second(device: Device) -> None:
    """A short window has only one, so all of the window counts at its power."""
    device.begin(10.0)
    device.draw(300.0, 0.05)
    device.clock.sleep(0.02)
    edge = device.sampler.edge_now()
    assert edge is not None
    assert edge.count_uj == pytest.approx(300.0 * 0.07 * 1e6)


def test_how_often_readings_come_is_learnt(device: Device) -> None:
    """After some new readings their spacing, not the usual one, bounds the error."""
    device.begin()
    for number in range(LEARNT + 2):
        device.draw(70.0 + number % 2, 0.02)
    assert device.sampler.period_s == pytest.approx(0.02)


def test_a_window_of_a_card_is_from_its_first_sample_to_its_last(device: Device) -> None:
    """It starts from zero, forgets why an earlier one failed, and samples no more at its end."""
    counter: Any = SimpleNamespace(why="could not be read")
    window = SampledStart(device.sampler, counter).open(0)
    assert (window.edge, counter.why) == (Edge(0, 0.0), None)
    device.draw(70.0, 1.0)
    device.clock.sleep(1.0)
    ended_ns = device.clock.now_ns()
    end = window.end(ended_ns)
    assert (end.last_ns, end.edge()) == (ended_ns, Edge(140_000_000, pytest.approx(70.0 * LATE_UJ)))
    curve = end.curve()
    assert curve is not None
    assert (curve.until_s, curve.watts) == ((2.0,), (70.0,))


def test_a_window_that_misses_a_sample_has_no_power(device: Device) -> None:
    """Neither at its end nor over time."""
    counter: Any = SimpleNamespace(why=None)
    window = SampledStart(device.sampler, counter).open(0)
    device.watts = None
    end = window.end(0)
    assert (end.edge(), end.curve()) == (None, None)


def test_each_window_has_its_own_energy(device: Device) -> None:
    """Neither earlier or later joules nor the spread of earlier powers are in it."""
    device.begin()
    device.draw(500.0, 3.0)
    device.begin(70.0)
    assert device.sampler.edge() == Edge(0, 0.0)
    device.draw(70.0, 1.0)
    device.clock.sleep(1.0)
    assert device.sampler.edge() == Edge(70_000_000, pytest.approx(70.0 * LATE_UJ))


@pytest.mark.parametrize(
    ("watts", "joules", "late_w"), [(270.0, 90.0, 200.0), (80.0, 71.0, 71.0), (0.0, 63.0, 70.0)]
)
def test_the_error_is_of_power_that_is_reported_late(
    device: Device, watts: float, joules: float, late_w: float
) -> None:
    """As for a counter that moves as often; more if power changed by more than its mean."""
    device.begin()
    device.draw(watts, 1.0)
    edge = Edge(round(joules * 1e6), pytest.approx(late_w * LATE_UJ))
    assert device.sampler.edge() == edge


def test_a_device_that_once_did_not_answer_has_no_joules(device: Device) -> None:
    """It has none in this window, even if it answers again, but in the next one."""
    device.begin()
    device.draw(None, 0.5)
    assert device.joules is None
    device.draw(70.0, 0.5)
    assert (device.joules, device.sampler.edge_now()) == (None, None)
    device.begin()
    device.draw(70.0, 1.0)
    assert device.joules == 70.0


def test_a_device_that_never_answered_has_no_joules(device: Device) -> None:
    """Without a sample nothing is known, not even zero."""
    assert device.joules is None
    device.begin(None)
    assert device.sampler.edge_now() is None


def test_power_is_sampled_between_the_edges(clock: SimulatedClock) -> None:
    """A peak that both edges miss is seen in the background, until sampling stops."""
    powers = iter([10.0, 10.0, 990.0])
    asked: list[int] = []

    def watts() -> float:
        asked.append(clock.now_ns())
        return next(powers, 10.0)

    sampler = PowerSampler(watts, PERIOD_S, clock)
    sampler.start()
    clock.sleep(0.2)
    sampler.stop()
    edge = sampler.edge()
    assert edge is not None
    assert edge.error_uj >= (990.0 - 10.0) * LATE_UJ * 0.999
    assert len(asked) == pytest.approx(100, rel=0.2)
    clock.sleep(0.2)
    assert asked[-1] < clock.now_ns() - 0.19e9


def threads() -> list[str]:
    """Return the names of the threads that sample power."""
    return [name for name in SYSTEM_CLOCK.running if name == "pytest-greenops-power"]


def test_sampling_has_one_thread_until_it_stops() -> None:
    """On the real clock; starting or stopping twice does no harm."""
    asked = threading.Semaphore(0)

    def watts() -> float:
        asked.release()
        return 70.0

    sampler = PowerSampler(watts, PERIOD_S)
    sampler.stop()
    sampler.start()
    sampler.start()
    assert len(threads()) == 1
    assert all(asked.acquire(timeout=10) for _ in range(4))
    sampler.stop()
    sampler.stop()
    assert threads() == []


def test_a_thread_that_fails_leaves_no_figure() -> None:
    """Energy that was not sampled is unknown, and is not computed from the last power."""
    asked, here = threading.Event(), threading.get_ident()

    def watts() -> float:
        if threading.get_ident() != here:
            asked.set()
            raise RuntimeError("an unknown driver")
        return 70.0

    sampler = PowerSampler(watts, PERIOD_S)
    sampler.start()
    assert asked.wait(timeout=10)
    sampler.stop()
    assert sampler.edge_now() is None


def test_the_period_is_learnt_from_enough_renewals(device: Device) -> None:
    """The lower quartile of the time between renewals replaces the usual period."""
    device.begin()
    for number in range(sampled_power.LEARNT + 1):
        assert device.sampler.period_s == PERIOD_S
        device.draw(100.0 + number, 0.02)
    assert device.sampler.period_s == pytest.approx(0.02)
