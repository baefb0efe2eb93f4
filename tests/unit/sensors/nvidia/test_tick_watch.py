"""What watching counters shows, of counters that are Python objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_greenops.sensors.nvidia.tick_watch import Watched, watch_ticks
from pytest_greenops.sensors.ticks import Tick
from tests.unit.builders import FakeClock

NAME = "NVML total energy counter"


class Counter:
    """A counter that ticks every so many milliseconds, between two moments.

    watts  what the card reports after so many milliseconds
    gain   how much is counted of 100 W
    """

    why = None
    used = True

    def __init__(
        self,
        clock: FakeClock,
        every_ms: int = 100,
        watts: Callable[[float], float | None] = lambda ms: 100.0,
        gain: float = 1.0,
        from_ms: int = 0,
        until_ms: float = math.inf,
        name: str = "gpu:0",
    ) -> None:
        self.clock, self.began_ns, self.period_s = clock, clock.now_ns(), math.nan
        self.domain = SimpleNamespace(name=name)
        self.moments_ms = every_ms, from_ms, until_ms
        self.power, self.gain = watts, gain
        self.watts: float | None = None
        self.ticks = 0

    def look(self) -> Tick | None:
        """Return a tick if there was one since the last look."""
        now_ns = self.clock.now_ns()
        ms = (now_ns - self.began_ns) / 1e6
        every_ms, from_ms, until_ms = self.moments_ms
        before, self.ticks = self.ticks, int(max(0, min(ms, until_ms) - from_ms) // every_ms)
        self.watts = self.power(ms)
        if before == self.ticks:
            return None
        return Tick(now_ns, 0, round(self.gain * 100e3 * self.ticks * every_ms))


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the counters."""
    return FakeClock()


Watching = Callable[..., tuple[Watched, float]]


@pytest.fixture
def watching(clock: FakeClock) -> Watching:
    """Watches a counter like this; returns what that showed, and the seconds that it took."""

    def watching(**how: object) -> tuple[Watched, float]:
        began_ns = clock.now_ns()
        watched = watch_ticks([Counter(clock, **how)], clock)
        return watched, (clock.now_ns() - began_ns) / 1e9

    return watching


@pytest.mark.parametrize(
    ("every_ms", "took_s"), [(20, 0.32), (75, 0.375), (76, 0.38), (100, 0.5), (240, 1.0)]
)
def test_counters_are_watched_for_five_ticks_and_a_third_of_a_second(
    watching: Watching, every_ms: int, took_s: float
) -> None:
    """For a second at most; the period is the time between the ticks."""
    watched, seconds = watching(every_ms=every_ms)
    assert seconds == pytest.approx(took_s, abs=0.002)
    assert watched.method == [NAME, f"ticks every {every_ms} ms"]
    assert watched.moving[0].period_s == pytest.approx(every_ms / 1000, abs=0.001)
    assert (watched.stuck_w, watched.doubts) == ({}, {})


@pytest.mark.parametrize(
    ("watts", "stuck_w"),
    [(100.0, {"gpu:0": 100.0}), (1.01, {"gpu:0": 1.01}), (1.0, {}), (0.0, {}), (None, {})],
)
def test_a_counter_without_a_tick_is_stuck_if_its_card_draws_power(
    watching: Watching, watts: float | None, stuck_w: dict[str, float]
) -> None:
    """More than a watt. It is not among those that move, after a second look at it."""
    watched, seconds = watching(from_ms=10_000, watts=lambda ms: watts)
    assert watched.stuck_w == stuck_w
    assert len(watched.moving) == 1 - len(stuck_w)
    assert seconds == pytest.approx(2.0 if stuck_w else 1.0, abs=0.002)


def test_the_power_of_a_stuck_counter_is_the_last(watching: Watching) -> None:
    """Of the second time that it was watched."""
    watched, seconds = watching(from_ms=10_000, watts=lambda ms: 300.0 - ms / 10)
    assert watched.stuck_w["gpu:0"] == pytest.approx(300.0 - 100 * seconds, abs=0.01)


def test_a_card_that_rests_for_a_moment_is_not_stuck(watching: Watching) -> None:
    """It may have had nothing to count."""
    watched, seconds = watching(from_ms=10_000, watts=lambda ms: 0.0 if 500 < ms < 510 else 50.0)
    assert (watched.stuck_w, len(watched.moving)) == ({}, 1)
    assert watched.method == [NAME, "no tick of gpu:0 seen in 1 s, 100 ms assumed"]
    assert seconds == pytest.approx(1.0, abs=0.002)


def test_the_slowest_counter_is_stated_and_those_that_were_not_seen(clock: FakeClock) -> None:
    """After one tick a second is assumed."""
    counters = [
        Counter(clock, every_ms=50, name="gpu:0"),
        Counter(clock, every_ms=200, name="gpu:1"),
        Counter(clock, from_ms=10_000, watts=lambda ms: None, name="gpu:2"),
        Counter(clock, every_ms=600, name="gpu:3"),
    ]
    watched = watch_ticks(counters, clock)
    assert watched.method == [
        NAME,
        "ticks every 200 ms",
        "no tick of gpu:2, gpu:3 seen in 1 s, 1000 ms assumed",
    ]
    assert [counter.period_s for counter in counters[2:]] == [0.1, 1.0]
    assert watched.moving == counters


def test_without_counters_there_is_no_method(clock: FakeClock) -> None:
    """And nothing is waited for."""
    assert watch_ticks([], clock) == Watched([], {}, [], {})
    assert clock.now_ns() == FakeClock().now_ns()


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (1.105, "gpu:0 counts 10 % more than its integrated power"),
        (1.25, "gpu:0 counts 25 % more than its integrated power"),
        (0.5, "gpu:0 counts 50 % less than its integrated power"),
        (0.895, "gpu:0 counts 10 % less than its integrated power"),
        (1.095, None),
        (0.905, None),
    ],
)
def test_a_counter_that_disagrees_with_power_is_in_doubt(
    watching: Watching, gain: float, words: str | None
) -> None:
    """By more than 10 %, when it is watched again too; its card is measured all the same."""
    watched, seconds = watching(gain=gain)
    assert watched.doubts == ({"gpu:0": words} if words else {})
    assert len(watched.moving) == 1
    assert seconds == pytest.approx(1.0 if words else 0.5, abs=0.002)


@pytest.mark.parametrize(("span_ms", "doubted"), [(290, False), (310, True)])
def test_a_short_time_shows_no_disagreement(
    watching: Watching, span_ms: int, doubted: bool
) -> None:
    """Of less than 0.3 s between the first tick and the last."""
    last_ms = 1000 + 2 * span_ms  # it is watched again, since no tick was seen in a second
    watched, _ = watching(every_ms=span_ms, from_ms=1000, until_ms=last_ms, gain=2.0)
    assert bool(watched.doubts) == doubted


def test_power_between_the_ticks_alone_is_compared(watching: Watching) -> None:
    """What the card drew before the first tick and after the last is not counted by them."""
    peaks = watching(every_ms=240, watts=lambda ms: 100.0 if 240 <= ms <= 960 else 900.0)
    assert peaks[0].doubts == {}


def test_a_card_that_settles_is_watched_again(watching: Watching) -> None:
    """Its first second is forgotten."""
    watched, seconds = watching(watts=lambda ms: 100.0 if ms > 510 else 200.0)
    assert (watched.doubts, seconds) == ({}, pytest.approx(1.0, abs=0.002))


@pytest.mark.parametrize("watts", [None, 0.0])
def test_a_card_without_power_cannot_disagree(watching: Watching, watts: float | None) -> None:
    """There is nothing to compare its counter with."""
    watched, _ = watching(watts=lambda ms: watts)
    assert (watched.doubts, len(watched.moving)) == ({}, 1)
