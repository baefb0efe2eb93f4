"""The counter of a card between its ticks, from a driver that is a Python object."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pytest_greenops.sensors.nvidia.ticking_counter import (
    Beginning,
    Ending,
    Opened,
    TickingCounter,
    Watch,
)
from pytest_greenops.sensors.nvidia.visible_cards import Card
from pytest_greenops.sensors.ticks import Edge, PowerSample
from tests.unit.builders import FakeClock

MS = 1_000_000
STUCK = "it is stuck (reload the driver)"


class NVMLError(Exception):
    """What NVML raises."""

    value = 3


class Driver:
    """The driver of one card, of the generation before Ampere, whose power limit is 300 W."""

    NVMLError = NVMLError
    NVML_DEVICE_ARCH_AMPERE = 7
    NVML_ERROR_NOT_SUPPORTED = 3

    def __init__(self) -> None:
        self.joules: float | None = 5.0
        self.watts: float | None = 100.0

    def __getattr__(self, question: str) -> Any:
        """Any question about the card: in milliwatts and millijoules, as NVML answers."""
        answer = {
            "nvmlDeviceGetArchitecture": 0.006,  # Turing: its power is that of the moment
            "nvmlDeviceGetEnforcedPowerLimit": 300.0,
            "nvmlDeviceGetTotalEnergyConsumption": self.joules,
            "nvmlDeviceGetPowerUsage": self.watts,
        }.get(question)

        def answered(*arguments: object) -> int:
            if answer is None:
                raise NVMLError("GPU is lost")
            return round(answer * 1000)

        return answered


class Bench:
    """A card whose power and count a test sets, and its counter."""

    def __init__(self) -> None:
        self.driver, self.clock = Driver(), FakeClock()
        card = Card(0, "GPU-0", "a card")
        self.counter = TickingCounter(self.driver, card, None, self.clock)

    def see(
        self, watch: Watch | TickingCounter, joules: float | None, watts: float | None, ms: float
    ) -> None:
        """Let time pass, and look at a card of this count and this power."""
        self.clock.sleep(ms / 1000)
        self.driver.joules, self.driver.watts = joules, watts
        watch.look()

    def opened(self, resting_w: float | None = 50.0, exact: bool = True) -> Opened:
        """Return a window that began at 5 J, on a card that drew some power just before."""
        self.counter.watts = resting_w
        return Opened(self.counter, self.clock.now_ns(), Edge(5_000_000, 0.0), exact)


@pytest.fixture
def bench() -> Bench:
    """A card of 5 J."""
    return Bench()


def off(*causes_uj: float) -> Any:
    """Return how far a count may be off for these independent causes, and its last digit."""
    return pytest.approx(math.hypot(*causes_uj, 1000.0))


def test_a_count_between_ticks_misses_up_to_one(bench: Bench) -> None:
    """In a tick of 20 ms a card of 360 W at most uses up to 7.2 J, of which 78 % are the error."""
    bench.counter.period_s = 0.02
    edge = Edge(5_000_000, pytest.approx(0.78 * 7_200_000))
    assert (bench.counter.count_now(), bench.counter.why) == (edge, None)


def test_a_count_that_cannot_be_read_says_why(bench: Bench) -> None:
    """It has the words of the driver, until the counter answers again."""
    bench.driver.joules = None
    assert bench.counter.count_now() is None
    assert bench.counter.why == "could not be read: GPU is lost (nvidia-smi -q shows more)"
    bench.driver.joules = 6.0
    assert bench.counter.count_now() is not None
    assert bench.counter.why is None


@pytest.mark.parametrize("watts", [0.0, 0.009])
def test_a_card_that_draws_almost_nothing_has_its_last_count(bench: Bench, watts: float) -> None:
    """In 100 ms it uses less than the counter shows: a millijoule."""
    bench.see(bench.counter, 5.0, watts, 1.0)
    assert bench.counter.count_without_tick() == Edge(5_000_000, 1000.0)
    assert bench.counter.why is None


@pytest.mark.parametrize(
    ("watts", "why"),
    [
        (0.011, f"does not move although the card draws 0 W: {STUCK}"),
        (90.0, f"does not move although the card draws 90 W: {STUCK}"),
        (None, f"does not move: {STUCK}"),
    ],
)
def test_a_counter_that_does_not_move_is_stuck(bench: Bench, watts: float, why: str) -> None:
    """If its card draws more than that, or nobody knows what it draws, there is no count."""
    bench.see(bench.counter, 5.0, watts, 1.0)
    assert (bench.counter.count_without_tick(), bench.counter.why) == (None, why)


def test_a_counter_that_failed_is_not_called_stuck(bench: Bench) -> None:
    """The reason stays that of the driver."""
    bench.see(bench.counter, None, 90.0, 1.0)
    assert bench.counter.count_without_tick() is None
    assert str(bench.counter.why).startswith("could not be read: GPU is lost")


def test_a_window_begins_exactly_after_a_sharp_tick(bench: Bench) -> None:
    """One whose time is known to 5 ms of 100: what the card drew since then is added."""
    watch = bench.counter.start()
    bench.see(watch, 6.0, 100.0, 12.0)
    assert (len(watch.ticks), watch.done) == (1, False)
    bench.see(watch, 7.0, 100.0, 10.0)
    assert (len(watch.ticks), watch.done) == (2, True)
    opened = watch.open(bench.clock.now_ns() + 5 * MS)
    # The tick was 5 ms ago, give or take 5 ms, and the window begins in 5 ms.
    assert opened.edge == Edge(8_000_000, off(500_000, 0.05 * 1_000_000))
    assert (opened.exact, opened.resting_w) == (True, 100.0)


def test_a_window_without_a_tick_is_not_exact(bench: Bench) -> None:
    """That of a card without work begins at its last count, however late, and waits for nothing."""
    bench.counter.used = False
    watch = bench.counter.start()
    assert watch.done
    opened = watch.open(0)
    assert opened.edge == Edge(5_000_000, pytest.approx(0.78 * 36_000_000))
    assert not opened.exact
    bench.counter.used = None
    opened = Beginning(bench.counter).open(0)
    assert (opened.edge, opened.exact) == (None, False)


def test_a_card_without_power_draws_none_that_is_known(bench: Bench) -> None:
    """Nothing is added to its tick."""
    watch = Watch(bench.counter)
    watch.samples.clear()
    assert watch.power(7) == [PowerSample(7, 0.0)]


def test_the_tick_of_a_card_that_rests_again_ends_the_window(bench: Bench) -> None:
    """It drew 100 W in the window and 50 W before and after it: 50 W up to the tick are taken off.

    The tick was 1 ms after the end, give or take 1 ms.
    """
    opened = bench.opened()
    bench.see(bench.counter, 5.0, 50.0, 99.0)
    ending = opened.end(bench.clock.now_ns())
    assert not ending.done
    bench.see(ending, 15.0, 50.0, 2.0)
    assert ending.done
    assert ending.edge() == Edge(14_950_000, off(50_000, 0.05 * 50_000))


@pytest.mark.parametrize(
    ("resting_w", "exact", "instant", "watts"),
    [
        (200.0, True, True, 200.0),
        (50.0, True, True, 200.0),
        (50.0, True, True, 55.1),
        (50.0, False, True, 50.0),
        (50.0, True, False, 50.0),
        (None, True, True, 50.0),
    ],
    ids=["busy before", "busy after", "more after", "no exact begin", "a mean", "unknown before"],
)
def test_one_tick_is_not_enough_unless_the_card_rests(
    bench: Bench, resting_w: float | None, exact: bool, instant: bool, watts: float
) -> None:
    """What is taken off may then be of another power: all of it is in doubt."""
    bench.counter.power.instant = instant
    opened = bench.opened(resting_w, exact)
    bench.see(bench.counter, 5.0, watts, 99.0)
    ending = opened.end(bench.clock.now_ns())
    bench.see(ending, 15.0, watts, 2.0)
    tail_uj = watts * 1000
    assert not ending.done
    edge = ending.edge()
    assert edge is not None
    assert edge.count_uj == 15_000_000 - round(tail_uj)
    assert edge.error_uj == pytest.approx(
        tail_uj + math.hypot(tail_uj, 0.05 * tail_uj, 1000.0), rel=1e-4
    )


@pytest.mark.parametrize(("instant", "doubt_uj"), [(True, 200_000), (False, 100_000)])
def test_the_second_tick_shows_what_the_card_drew(
    bench: Bench, instant: bool, doubt_uj: float
) -> None:
    """400 W between two ticks were 400 W before the first, unless the card reports 600 W."""
    bench.counter.power.instant = instant
    opened = bench.opened(600.0)
    bench.see(bench.counter, 5.0, 600.0, 99.0)
    ending = opened.end(bench.clock.now_ns())
    bench.see(ending, 15.0, 600.0, 2.0)
    bench.see(ending, 15.0, 600.0, 98.0)
    bench.see(ending, 55.0, 600.0, 2.0)
    assert ending.done
    tail_uj = 400 * 1000
    assert ending.edge() == Edge(15_000_000 - tail_uj, off(400_000, 0.05 * tail_uj, doubt_uj))


def test_a_window_whose_end_no_tick_shows_has_no_end(bench: Bench) -> None:
    """A card that works and does not count has no figure; one without work has its last count."""
    opened = bench.opened()
    ending = Ending(bench.counter, opened, bench.clock.now_ns())
    assert not ending.done
    assert ending.edge() is None
    bench.counter.why, bench.counter.used = None, False
    ending = opened.end(bench.clock.now_ns())
    assert ending.done
    assert ending.edge() == Edge(5_000_000, pytest.approx(0.78 * 36_000_000))
