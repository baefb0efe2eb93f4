"""Joules from power that is sampled: by a clock of the test, each sample is taken by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.nvidia import power_integral
from pytest_greenops.sensors.nvidia.power_integral import PowerIntegral
from pytest_greenops.sensors.ticks import Edge

PERIOD_S = 0.1
#: By how many microjoules energy is off for each watt that is told late.
LATE_UJ = EDGE_ERROR * PERIOD_S * 1e6


class Device:
    """Draws `watts`, at a time that the test moves; its integral's thread never gets to sample."""

    def __init__(self) -> None:
        self.watts: float | None = 70.0
        self.time_ns = 5_000_000_000
        self.integral = PowerIntegral(lambda: self.watts, PERIOD_S)

    def draw(self, watts: float | None, seconds: float = 0.0) -> None:
        """Let time pass, and take a sample of so many watts."""
        self.time_ns += round(seconds * 1e9)
        self.watts = watts
        self.integral.take()

    @property
    def joules(self) -> float | None:
        """What was counted so far."""
        edge = self.integral.edge()
        return None if edge is None else edge.count_uj * 1e-6


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """A device of 70 W whose clock is still."""
    made = Device()
    monkeypatch.setattr(power_integral, "PAUSE_S", 10_000.0)
    clock = SimpleNamespace(monotonic_ns=lambda: made.time_ns)
    monkeypatch.setattr(power_integral, "time", clock)
    yield made
    made.integral.stop()


def threads() -> list[threading.Thread]:
    """The threads that sample power."""
    return [each for each in threading.enumerate() if each.name == "pytest-greenops-power"]


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_constant_power_for_a_second(device: Device, samples: int) -> None:
    """70 W for a second are 70 J, from the samples at the edges or from fifty more."""
    device.integral.begin()
    for _ in range(samples - 1):
        device.draw(70.0, 1 / samples)
    device.time_ns += round(1e9 / samples)
    assert device.integral.end() == Edge(70_000_000, pytest.approx(70.0 * LATE_UJ))


def test_a_new_reading_stands_for_the_time_before_it(device: Device) -> None:
    """As far back as readings are apart: of a second at first the last tenth, then of every."""
    device.watts = 10.0
    device.integral.begin()
    device.draw(10.0, 0.95)
    device.draw(300.0, 0.05)
    device.draw(300.0, 0.05)
    device.draw(200.0, 0.05)
    # 0.9 s of 10 W; the tenth up to the first new reading is left to the second, with its own.
    assert device.joules == pytest.approx(10.0 * 0.9 + 200.0 * 0.2)


def test_the_first_new_reading_serves_where_there_is_no_second(device: Device) -> None:
    """A short window has no more than one: all of it is taken at that."""
    device.watts = 10.0
    device.integral.begin()
    device.draw(300.0, 0.05)
    device.time_ns += 20_000_000
    edge = device.integral.end()
    assert edge is not None
    assert edge.count_uj == pytest.approx(300.0 * 0.07 * 1e6)


def test_how_often_readings_come_is_learnt(device: Device) -> None:
    """After some new readings their spacing, and no longer the usual one, bounds the error."""
    device.integral.begin()
    for number in range(1 + power_integral.LEARNT + 1):
        device.draw(70.0 + number % 2, 0.02)
    assert device.integral.period_s == pytest.approx(0.02)


def test_the_edges_are_in_it(device: Device) -> None:
    """A sample is taken at the beginning and one at the end: what came before or later is not."""
    device.draw(500.0, 3.0)
    device.watts = 10.0
    device.integral.begin()
    device.time_ns += 1_000_000_000
    edge = device.integral.end()
    device.time_ns += 1_000_000_000
    assert edge is not None
    assert (edge.count_uj, device.joules) == (10_000_000, 10.0)


def test_each_beginning_starts_from_zero(device: Device) -> None:
    """Neither joules nor the spread of powers of an earlier window are left."""
    device.integral.begin()
    device.draw(500.0, 1.0)
    device.watts = 70.0
    device.integral.begin()
    assert device.integral.edge() == Edge(0, 0.0)
    device.draw(70.0, 1.0)
    assert device.integral.edge() == Edge(70_000_000, pytest.approx(70.0 * LATE_UJ))


@pytest.mark.parametrize(
    ("watts", "joules", "late_w"),
    [((270.0,), 90.0, 200.0), ((80.0,), 71.0, 71.0), ((0.0,), 63.0, 70.0)],
)
def test_the_error_is_of_power_that_is_told_late(
    device: Device, watts: tuple[float, float], joules: float, late_w: float
) -> None:
    """As of a counter that moves so often; more where power changed by more than its mean."""
    device.integral.begin()
    for power in watts:
        device.draw(power, 1.0)
    edge = Edge(round(joules * 1e6), pytest.approx(late_w * LATE_UJ))
    assert device.integral.edge() == edge


def test_a_device_that_once_did_not_answer_has_no_joules(device: Device) -> None:
    """Not from then on, answer as it may, until it is begun again."""
    device.integral.begin()
    device.draw(None, 0.5)
    assert device.joules is None
    device.draw(70.0, 0.5)
    assert (device.joules, device.integral.end()) == (None, None)
    device.integral.begin()
    device.draw(70.0, 1.0)
    assert device.joules == 70.0


def test_a_device_that_never_answered_has_no_joules(device: Device) -> None:
    """Without a single sample nothing is known, not even zero."""
    assert device.joules is None
    device.watts = None
    device.integral.begin()
    assert device.integral.end() is None


def test_stopping_ends_the_thread(device: Device) -> None:
    """Twice is no harm, nor is it before the beginning; beginning twice leaves one thread."""
    device.integral.stop()
    device.integral.begin()
    device.integral.begin()
    assert len(threads()) == 1
    device.integral.stop()
    device.integral.stop()
    assert threads() == []


def test_the_thread_samples_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the edges power is followed: a peak that both ends miss is seen."""
    asked = threading.Semaphore(0)
    seen = iter([10.0, 990.0])

    def sample() -> float:
        asked.release()
        return next(seen, 10.0)

    monkeypatch.setattr(power_integral, "PAUSE_S", 0.0001)
    integral = PowerIntegral(sample, PERIOD_S)
    integral.begin()
    for _ in range(3):
        assert asked.acquire(timeout=10)
    edge = integral.end()
    assert edge is not None
    assert edge.error_uj >= (990.0 - 10.0) * LATE_UJ * 0.999


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_leaves_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Energy that nobody sampled is not known, and is not taken from the last power."""
    asked = threading.Event()
    monkeypatch.setattr(power_integral, "PAUSE_S", 0.0001)

    def sample() -> float:
        if threading.current_thread().name == "pytest-greenops-power":
            asked.set()
            raise RuntimeError("a driver that nobody knows")
        return 70.0

    integral = PowerIntegral(sample, PERIOD_S)
    integral.begin()
    assert asked.wait(timeout=10)
    assert integral.end() is None
