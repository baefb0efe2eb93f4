"""Counters that wrap in a long trip: read while it is open, by a thread that exists only then."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pytest_greenops.model.measurement import Domain, Reading
from pytest_greenops.sensors.clock import SYSTEM_CLOCK
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.wraps import LEAST_PERIOD_S, WrapWatch
from pytest_greenops.testing import FakeSensor
from tests.simulated_host.simulated_clock import SimulatedClock

CPU = Domain("cpu:0", "cpu", range_uj=1_000_000, max_power_w=1.0)


@pytest.fixture
def clock(tmp_path: Path) -> SimulatedClock:
    """A clock that tests move."""
    return SimulatedClock(tmp_path / "clock")


def threads() -> list[str]:
    """Return the names of the threads that watch for wraps."""
    return [name for name in SYSTEM_CLOCK.running if name == "pytest-greenops-wraps"]


def ranged(*ranges_j: float | None) -> FakeSensor:
    """Return a sensor of counters that wrap after these joules, at 100 W at most."""
    return FakeSensor(
        *(
            Domain(f"cpu:{place}", "cpu", None if j is None else round(j * 1e6), 100.0)
            for place, j in enumerate(ranges_j)
        )
    )


@pytest.mark.parametrize(
    ("sensors", "period_s"),
    [
        ([ranged(65_536.0)], 163.84),
        ([ranged(65_536.0, 4_000.0)], 10.0),
        ([ranged(65_536.0), ranged(None), ranged(4_000.0)], 10.0),
        ([ranged(1.0)], LEAST_PERIOD_S),
        ([FakeSensor(Domain("cpu:0", "cpu", 4_000_000_000, 400.0))], 2.5),
        ([ranged(None)], None),
        ([], None),
    ],
)
def test_counters_are_read_four_times_in_a_range(
    sensors: list[FakeSensor], period_s: float | None
) -> None:
    """The fastest at its highest plausible power decides; one that never wraps is not read."""
    assert WrapWatch(sensors).period_s == pytest.approx(period_s)


@pytest.mark.parametrize(
    ("sensor", "expected_s", "watched"),
    [
        (ranged(4_000.0), 0.0, False),
        (ranged(4_000.0), 4.9, False),
        (ranged(4_000.0), 5.1, True),
        (ranged(4_000.0), None, True),
        (ranged(None), None, False),
    ],
)
def test_only_a_long_trip_has_a_thread(
    sensor: FakeSensor, expected_s: float | None, watched: bool
) -> None:
    """One of half a period or more, or of unknown length; none if nothing wraps."""
    with WrapWatch([sensor]).watching(expected_s):
        assert len(threads()) == watched
    assert threads() == []


def test_work_that_raises_leaves_no_thread() -> None:
    """The error propagates."""
    with pytest.raises(ZeroDivisionError), WrapWatch([ranged(4_000.0)]).watching(None):
        raise ZeroDivisionError
    assert threads() == []


def test_one_watch_serves_trip_after_trip() -> None:
    """Each has a thread of its own."""
    watch = WrapWatch([ranged(4_000.0)])
    for _ in range(2):
        with watch.watching(None):
            assert len(threads()) == 1
        assert threads() == []


class Counter(FakeSensor):
    """A sensor on a simulated clock, which is also the clock of its readings."""

    def __init__(self, clock: SimulatedClock, *domains: Domain) -> None:
        super().__init__(*domains)
        self._simulated = clock
        self.readings = 0

    def read(self) -> Reading:
        """Return the counts now."""
        self.readings += 1
        return super().read()._replace(time_ns=self._simulated.now_ns())

    def use(self, joules: float) -> None:
        """Spend within a period."""
        super().spend(joules, self.domains[0].name, seconds=0.0)
        self._simulated.sleep(LEAST_PERIOD_S)


def test_no_wrap_of_a_long_window_is_missed(clock: SimulatedClock) -> None:
    """Seven times nine tenths of the range are 6.3 ranges; without the readings it is void."""
    counter = Counter(clock, CPU)
    instruments = Instruments([counter], clock)
    with instruments.watching(None):
        before = instruments.begin()
        for _ in range(7):
            counter.use(0.9)
        after = instruments.end()
    window = instruments.window(before, after)
    assert (window.energy_uj, window.missing) == ({"cpu:0": 6_300_000}, {})
    power = window.power["cpu:0"]  # a mean between each two readings
    assert len(power.until_s) >= 7
    assert power.joules == pytest.approx(6.3)
    assert power.watts[3] == pytest.approx(0.9 / LEAST_PERIOD_S, rel=0.05)
    with instruments.watching(0.0):  # the next trip forgets the readings
        missing = instruments.window(before, after).missing
    assert missing == {"cpu:0": "cpu:0 may have wrapped unseen in a window of 7 s"}


def test_readings_in_between_do_not_change_the_error(clock: SimulatedClock) -> None:
    """The error of a window is that of its own two edges."""
    errors_uj = iter([3.0, 50.0, 60.0, 4.0])

    class Stating(Counter):
        def read(self) -> Reading:
            return super().read()._replace(error_uj=[next(errors_uj)])

    counter = Stating(clock, CPU)
    instruments = Instruments([counter], clock)
    with instruments.watching(None):
        before = instruments.begin()
        counter.use(0.9)
        counter.use(0.9)
        after = instruments.end()
    window = instruments.window(before, after)
    assert (window.energy_uj, window.error_uj) == ({"cpu:0": 1_800_000}, {"cpu:0": 5.0})


def test_another_counter_that_never_wraps_is_left_alone(clock: SimulatedClock) -> None:
    """It is read at the edges only."""
    wrapping, other = Counter(clock, CPU), Counter(clock, Domain("gpu:0", "gpu"))
    instruments = Instruments([other, wrapping], clock)
    with instruments.watching(None):
        before = instruments.begin()
        wrapping.use(0.9)
        wrapping.use(0.9)
        after = instruments.end()
    window = instruments.window(before, after)
    assert window.energy_uj == {"gpu:0": 0, "cpu:0": 1_800_000}
    assert other.readings == 2


def test_a_counter_that_fails_in_between_is_missing(clock: SimulatedClock) -> None:
    """It may have wrapped unseen meanwhile, although it can be read at both edges."""
    counter = Counter(clock, CPU)
    instruments = Instruments([counter], clock)
    with instruments.watching(None):
        before = instruments.begin()
        counter.fail()
        counter.use(0.1)
        counter.recover()
        after = instruments.end()
    assert instruments.window(before, after).missing == {"cpu:0": "cpu:0 could not be read"}


def test_each_window_of_a_trip_has_its_own_readings(clock: SimulatedClock) -> None:
    """Only those between its edges, also if the window is computed later."""
    counter = Counter(clock, CPU)
    instruments = Instruments([counter], clock)
    edges = []
    with instruments.watching(None):
        for times in (2, 3):
            before = instruments.begin()
            for _ in range(times):
                counter.use(0.9)
            edges.append((before, instruments.end()))
            counter.use(0.7)
    joules = [instruments.window(*pair).energy_uj["cpu:0"] for pair in edges]
    assert joules == [1_800_000, 2_700_000]


@pytest.mark.parametrize(
    ("opens", "read_at"),
    [
        ([], [10.0, 20.0, 30.0]),
        ([3.0], [13.0, 23.0, 33.0]),
        ([float(each) for each in range(0, 36, 4)], []),
        ([4.0, 8.0, 12.0, 16.0, 19.0], [29.0]),
        ([12.0], [10.0, 22.0, 32.0]),
    ],
)
def test_a_window_is_not_disturbed_before_it_is_a_period_old(
    clock: SimulatedClock, opens: list[float], read_at: list[float]
) -> None:
    """Short windows in a row never are; a long one is, once in each period."""
    read: list[float] = []

    class Noting(FakeSensor):
        def read(self) -> Reading:
            read.append(round(clock.time_s - began_s, 3))
            return super().read()

    watch = WrapWatch([Noting(Domain("cpu:0", "cpu", 4_000_000_000, 100.0))], clock)
    began_s = clock.time_s
    with watch.watching(None):
        for open_s in opens:
            clock.sleep(began_s + open_s - clock.time_s)
            watch.opened_ns = clock.now_ns()
        clock.sleep(began_s + 35.0 - clock.time_s)
    assert read_at == read


def test_no_reading_overtakes_another() -> None:
    """While the thread reads, an edge waits: a count older than its time would look like a wrap."""
    sensor = FakeSensor(Domain("cpu:0", "cpu", range_uj=10**9))
    instruments = Instruments([sensor])
    ended = threading.Event()
    with instruments._wraps.lock:
        edge = threading.Thread(target=lambda: (instruments.end(), ended.set()))
        edge.start()
        assert not ended.wait(timeout=0.05)
    assert ended.wait(timeout=10)
    edge.join()
