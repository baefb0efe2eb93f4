"""What happens beside the work: threads, phases, faulty devices, and how long a trip may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_greenops.measure import observer
from pytest_greenops.measure.meter import Plan
from pytest_greenops.model.measurement import CheckName, DeviceState, Domain, Reading
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, GPU
from tests.unit.measure.lab import CALIBRATED, FIVE, OFTEN_S, ONCE, Card, Lab, joules, names


class Edged(FakeSensor):
    """A sensor whose windows begin at a phase of its samples."""

    def __init__(self, period_s: float) -> None:
        super().__init__(CPU, update_period_s=OFTEN_S)
        self.phase_period_s = period_s

    def begin(self, phase_s: float) -> Reading:
        """Return the count now."""
        return self.read()

    def end(self) -> Reading:
        """Return the count now."""
        return self.read()


@pytest.mark.parametrize(("seconds", "stepped"), [(0.1, True), (0.5, True), (0.07, False)])
def test_calls_keep_in_step_and_not_rounds(seconds: float, stepped: bool) -> None:
    """Ten calls in one window follow the samples as one call does."""
    lab = Lab()
    lab.sensor = Edged(period_s=0.1)
    lab.measure(Plan((5,), iterations=10), seconds=seconds)
    assert lab.stepped == [False] + [stepped] * 5


def test_a_thread_in_the_background_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check counts the rounds beside which it computed."""

    class Threads:
        def __init__(self) -> None:
            self.found = iter([None, None, "spin", "spin", None, None])

        def start(self) -> None:
            """Do nothing."""

        def stop(self) -> str | None:
            return next(self.found)

    monkeypatch.setattr(observer, "BackgroundThreads", Threads)
    [check] = Lab().measure(FIVE).checks
    assert (check.name, check.untrusted) == (CheckName.BACKGROUND, True)
    assert check.finding.startswith("thread 'spin' of this process computed during 2 of 5 rounds")


def test_trips_are_watched_for_as_long_as_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A counter that wraps within that time is read meanwhile; a first trip may take any time."""
    expected_s: list[float | None] = []

    @contextmanager
    def watching(self: Instruments, seconds: float | None) -> Iterator[None]:
        expected_s.append(seconds)
        yield

    monkeypatch.setattr(Instruments, "watching", watching)
    Lab().measure(FIVE, seconds=0.25)
    assert expected_s == [None, *[pytest.approx(0.25)] * 5]
    expected_s.clear()
    Lab().measure(ONCE)
    assert expected_s == [None]


def test_the_control_workload_follows_each_kept_round() -> None:
    """It is told how long the round took; it follows nothing that runs once."""
    kept_s: list[float] = []
    Lab().measure(FIVE, seconds=0.25, between=kept_s.append)
    assert kept_s == pytest.approx([0.25] * 5)
    Lab().measure(ONCE, between=kept_s.append)
    assert len(kept_s) == 5


def test_each_device_with_an_implausible_power_is_reported() -> None:
    """The cards draw far more than they can; the CPU is judged, and is sound."""
    lab = Lab(Card(DeviceState(power_limit_w=1.0, used=True)), judged="cpu")
    seen = lab.measure(FIVE, lambda call: 3.0)
    [check] = seen.checks
    assert (check.name, check.done) == (
        CheckName.IMPLAUSIBLE,
        "5 rounds kept, since gpu:0 is not judged",
    )


def test_a_device_without_work_shows_any_power() -> None:
    """Nobody judges it."""
    lab = Lab(Card(DeviceState(power_limit_w=1.0, used=False)), judged="cpu")
    assert names(lab.measure(FIVE, lambda call: 3.0)) == []


def test_faults_of_several_devices_are_all_reported() -> None:
    """A fault of one hides none of another."""
    cards = [FakeSensor(Domain(f"gpu:{n}", "gpu", max_power_w=1.0)) for n in range(2)]
    for card in cards:
        card.update_period_s = OFTEN_S
    seen = Lab(*cards, judged="cpu").measure(FIVE, lambda call: 3.0)
    assert [check.done for check in seen.checks] == [
        "5 rounds kept, since gpu:0 is not judged",
        "5 rounds kept, since gpu:1 is not judged",
    ]


def test_a_first_call_is_compared_with_one_call_of_a_round() -> None:
    """A round has several calls, the warm-up has one."""
    lab = Lab()
    seen = lab.measure(CALIBRATED, lambda call: 2.0 if call == 1 else 0.01, seconds=0.03)
    assert max(lab.trips) > 1
    assert names(seen) == [CheckName.WARM_UP]
    assert joules(seen) == pytest.approx([0.01] * 5)


def test_a_card_that_warms_up_without_a_warm_up() -> None:
    """The check says why nothing was done about it."""
    card = Card(DeviceState(temperature_c=40.0, used=True))

    def work(call: int) -> None:
        card.become(DeviceState(temperature_c=40.0 + 3 * call, used=True))

    [check] = Lab(card).measure(Plan((5,), warmup=0, iterations=1), work).checks
    assert (check.name, check.done) == (CheckName.DRIFT, "flagged: the test has no warm-up")
    assert GPU.name in check.finding
