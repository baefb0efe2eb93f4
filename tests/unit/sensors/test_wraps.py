"""Counters that wrap in a long trip: read while it is open, by a thread that is there only then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pytest_greenops.model.measurement import Domain, Reading
from pytest_greenops.sensors import wraps
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.sensors.wraps import LEAST_PERIOD_S, WrapWatch
from pytest_greenops.testing import FakeSensor

CPU = Domain("cpu:0", "cpu", range_uj=1_000_000, max_power_w=100.0)


def threads() -> list[threading.Thread]:
    """The threads that watch for wraps."""
    return [each for each in threading.enumerate() if each.name == "pytest-greenops-wraps"]


def ranged(*ranges_j: float | None) -> FakeSensor:
    """A sensor of counters that wrap after so many joules, at 100 W at the most."""
    return FakeSensor(
        *(
            Domain(f"cpu:{place}", "cpu", None if j is None else round(j * 1e6), 100.0)
            for place, j in enumerate(ranges_j)
        )
    )


# --- how often -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sensors", "period_s"),
    [
        ([ranged(65_536.0)], 163.84),
        ([ranged(65_536.0, 4_000.0)], 10.0),
        ([ranged(65_536.0), ranged(None), ranged(4_000.0)], 10.0),
        ([ranged(1.0)], LEAST_PERIOD_S),
        ([ranged(None)], None),
        ([], None),
    ],
)
def test_counters_are_read_four_times_in_a_range(
    sensors: list[FakeSensor], period_s: float | None
) -> None:
    """Of the one that wraps soonest, but not every moment; what never wraps is not read."""
    assert WrapWatch(sensors).period_s == pytest.approx(period_s)


def test_a_hotter_counter_wraps_sooner() -> None:
    """The range is used up at the highest plausible power."""
    hot = FakeSensor(Domain("cpu:0", "cpu", 4_000_000_000, 400.0))
    assert WrapWatch([hot]).period_s == pytest.approx(2.5)


# --- the thread ------------------------------------------------------------------------------


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
    """From half a period on, or of a length that nobody knows; and none where nothing wraps."""
    with WrapWatch([sensor]).watching(expected_s):
        assert len(threads()) == watched
    assert threads() == []


def test_work_that_raises_leaves_no_thread() -> None:
    """The error goes through, and nothing stays behind."""
    with pytest.raises(ZeroDivisionError), WrapWatch([ranged(4_000.0)]).watching(None):
        raise ZeroDivisionError
    assert threads() == []


def test_one_watch_serves_trip_after_trip() -> None:
    """It begins anew, as it did before."""
    watch = WrapWatch([ranged(4_000.0)])
    for _ in range(2):
        with watch.watching(None):
            assert len(threads()) == 1
        assert threads() == []


# --- what it reads ---------------------------------------------------------------------------


class Counter(FakeSensor):
    """A sensor that two threads may ask; its clock goes on by a microsecond with each reading."""

    def __init__(self, *domains: Domain) -> None:
        super().__init__(*domains)
        self._asked = threading.Condition()
        self.readings = 0

    def read(self) -> Reading:
        """The counts now."""
        with self._asked:
            self.readings += 1
            super().spend(0.0, self.domains[0].name, seconds=1e-6)
            self._asked.notify_all()
            return super().read()

    def use(self, joules: float) -> None:
        """Spend, and wait until that was seen."""
        with self._asked:
            super().spend(joules, self.domains[0].name, seconds=1e-6)
            seen = self.readings
            assert self._asked.wait_for(lambda: self.readings > seen, timeout=10)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters are read every few milliseconds."""
    monkeypatch.setattr(wraps, "LEAST_PERIOD_S", 0.002)
    monkeypatch.setattr(wraps, "SHARE", 0.0)


@pytest.mark.usefixtures("often")
def test_no_wrap_of_a_long_window_is_missed() -> None:
    """Seven times nine tenths of the range are 6.3 ranges, to the microjoule."""
    counter = Counter(CPU)
    instruments = Instruments([counter])
    with instruments.watching(None):
        before = instruments.begin()
        for _ in range(7):
            counter.use(0.9)
        after = instruments.end()
    window = instruments.window(before, after)
    assert (window.energy_uj, window.missing) == ({"cpu:0": 6_300_000}, {})


@pytest.mark.usefixtures("often")
def test_without_the_readings_between_wraps_are_missed() -> None:
    """What the next trip asks of the same window, its readings forgotten, is what is left over."""
    counter = Counter(CPU)
    instruments = Instruments([counter])
    with instruments.watching(None):
        before = instruments.begin()
        for _ in range(7):
            counter.use(0.9)
        after = instruments.end()
    with instruments.watching(0.0):
        assert instruments.window(before, after).energy_uj == {"cpu:0": 300_000}


@pytest.mark.usefixtures("often")
def test_a_counter_beside_it_that_never_wraps_is_left_alone() -> None:
    """It is read at the edges only."""
    wrapping, beside = Counter(CPU), Counter(Domain("gpu:0", "gpu"))
    instruments = Instruments([beside, wrapping])
    with instruments.watching(None):
        before = instruments.begin()
        wrapping.use(0.9)
        wrapping.use(0.9)
        after = instruments.end()
    window = instruments.window(before, after)
    assert window.energy_uj == {"gpu:0": 0, "cpu:0": 1_800_000}
    assert beside.readings == 2


@pytest.mark.usefixtures("often")
def test_a_counter_that_fails_in_between_is_missing() -> None:
    """It may have wrapped unseen meanwhile, though it can be read at both edges."""
    counter = Counter(CPU)
    instruments = Instruments([counter])
    with instruments.watching(None):
        before = instruments.begin()
        counter.fail()
        counter.use(0.1)
        counter.recover()
        after = instruments.end()
    assert instruments.window(before, after).missing == {"cpu:0": "cpu:0 could not be read"}


@pytest.mark.usefixtures("often")
def test_each_window_of_a_trip_has_its_own_readings() -> None:
    """Those between its edges, and no others: also where windows are told of afterwards."""
    counter = Counter(CPU)
    instruments = Instruments([counter])
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


# --- when it reads ---------------------------------------------------------------------------


class VirtualTime:
    """Stands for `time` and `threading`: waits pass at once, one after the other, at the join.

    opens  when windows are opened meanwhile, told to `open`
    """

    def __init__(self, opens: list[float], until_s: float) -> None:
        self.now_s = 0.0
        self.opens = opens
        self.until_s = until_s
        self.open: Callable[[float], None] = lambda time_s: None

    def monotonic(self) -> float:
        """The time."""
        return self.now_s

    def wait(self, seconds: float) -> bool:
        """Let time pass; whether the trip has ended."""
        self.now_s += seconds
        while self.opens and self.opens[0] <= self.now_s:
            self.open(self.opens.pop(0))
        return self.now_s > self.until_s

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of both modules in `wraps`."""
        event = SimpleNamespace(wait=self.wait, set=lambda: None, clear=lambda: None)

        class Thread:
            def __init__(self, target: Callable[[], None], **more: object) -> None:
                self.start = lambda: None
                self.join = target

        monkeypatch.setattr(wraps, "time", SimpleNamespace(monotonic=self.monotonic))
        monkeypatch.setattr(
            wraps,
            "threading",
            SimpleNamespace(Event=lambda: event, Thread=Thread, Lock=threading.Lock),
        )


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
    monkeypatch: pytest.MonkeyPatch, opens: list[float], read_at: list[float]
) -> None:
    """Short windows one after the other are never; a long one is, once in each period."""
    time = VirtualTime(opens, until_s=35.0)
    time.install(monkeypatch)
    read: list[float] = []

    class Noting(FakeSensor):
        def read(self) -> Reading:
            read.append(time.now_s)
            return super().read()

    watch = WrapWatch([Noting(Domain("cpu:0", "cpu", 4_000_000_000, 100.0))])
    time.open = lambda time_s: setattr(watch, "opened_s", time_s)
    with watch.watching(None):
        pass
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
