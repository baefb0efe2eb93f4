"""A meter over fake sensors, in the time of their clock, and work that spends energy on them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import DeviceState, Domain, LoadShare, Measurement
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU, GPU, FakeClock

#: A counter that moves so often that any round of 0.1 s is long enough.
OFTEN_S = 0.0001
QUIET = LoadShare(0.0, 0.0)
BUSY = LoadShare(0.2, 0.0, idle=0.5)
#: A call takes 0.2 s, so that calibration also stops at one iteration.
CALIBRATED, FIVE, ONCE = Plan((5,)), Plan((5,), iterations=1), Plan((1,), once=True)

#: What a call does: it returns its joules, or None for one.
Work = Callable[[int], float | None]


class FakeLoad:
    """A probe that reports prepared shares, one for each trip, and then a quiet machine."""

    def __init__(self, *shares: LoadShare) -> None:
        self._shares = iter(shares)
        self._watching = False

    def start(self) -> None:
        """Begin to watch."""
        self._watching = True

    def stop(self) -> LoadShare:
        """Return the next share."""
        assert self._watching
        self._watching = False
        return next(self._shares, QUIET)


def load_of(*shares: LoadShare) -> FakeLoad:
    """Return a load with these shares in the trips after the warm-up."""
    return FakeLoad(QUIET, *shares)


class Card(FakeSensor):
    """A card that reports its state, and may contradict its own power."""

    def __init__(self, state: DeviceState | None = None, doubt: str | None = None) -> None:
        super().__init__(GPU, name="card", update_period_s=OFTEN_S)
        self.doubts = {"gpu:0": doubt} if doubt else {}
        self.state = state or DeviceState()

    def states(self) -> dict[str, DeviceState]:
        """Return the state that the test set."""
        return {"gpu:0": self.state}

    def become(self, state: DeviceState) -> None:
        """Change the state."""
        self.state = state


class Lab(FakeClock):
    """A meter on the clock of a fake sensor.

    Attributes:
        more: further sensors, on which the work spends as much in the same time.
        calls: how often the work was called.
        trips: the iterations of every trip, warm-up included.
        stepped: whether the windows of each trip begin at different phases.
        looks: the numbers of the looks.
        seen: the measurements at the last look.
        progress: the rounds done and the most there may be, at each report.
    """

    def __init__(self, *more: FakeSensor, judged: str = "total", **sensor: Any) -> None:
        self.sensor = FakeSensor(CPU, **{"update_period_s": OFTEN_S, **sensor})
        self.more = more
        self.judged = judged
        self.calls = 0
        self.trips: list[int] = []
        self.stepped: list[bool] = []
        self.looks: list[int] = []
        self.seen: dict[str, Measurement] = {}
        self.progress: list[tuple[int, int]] = []

    def now_ns(self) -> int:
        """Return the time of the sensor."""
        return self.sensor.read().time_ns

    def limit_power(self, watts: float) -> None:
        """Let the CPU have a power limit."""
        self.sensor = FakeSensor(Domain("cpu:0", "cpu", max_power_w=watts), update_period_s=OFTEN_S)

    def spend(self, joules: float, seconds: float = 0.2) -> None:
        """Spend on every sensor."""
        for sensor in (self.sensor, *self.more):
            sensor.spend(joules, sensor.domains[0].name, seconds)

    def run(
        self,
        plan: Plan,
        make_trip: Callable[[Trip, int], None],
        enough: Callable[[Mapping[str, Measurement], int], bool] = lambda seen, number: False,
        instruments: Instruments | None = None,
        **options: Any,
    ) -> dict[str, Measurement]:
        """Measure work that makes each trip, given its number from 1, and opens its windows."""

        def look(seen: Mapping[str, Measurement], number: int) -> bool:
            self.looks.append(number)
            self.seen = dict(seen)
            return enough(seen, number)

        def report(done: int, most: int) -> None:
            self.progress.append((done, most))

        instruments = instruments or Instruments([self.sensor, *self.more])
        instruments.judge_by(self.judged)
        meter = Meter(instruments, plan, look, progress=report, clock=self, **options)
        for number, trip in enumerate(meter.trips(), 1):
            self.trips.append(trip.iterations)
            self.stepped.append(trip.stepped)
            make_trip(trip, number)
        return meter.measurements()

    def measure(
        self,
        plan: Plan = FIVE,
        work: Work = lambda call: None,
        seconds: float = 0.2,
        **options: Any,
    ) -> Measurement:
        """Measure a function whose call takes `seconds`."""

        def make_trip(trip: Trip, number: int) -> None:
            with trip.window("call"):
                for _ in range(trip.iterations):
                    self.calls += 1
                    joules = work(self.calls)
                    self.spend(1.0 if joules is None else joules, seconds)

        return self.run(plan, make_trip, **options)["call"]


def fails(sensor: FakeSensor, calls: Container[int]) -> Work:
    """Return work during which a sensor begins to fail in some calls, and recovers in others.

    It recovers within a call, so the call after a failed one has no reading at its beginning.
    """

    def work(call: int) -> None:
        (sensor.fail if call in calls else sensor.recover)()

    return work


def numbered(call: int) -> float:
    """Return joules that identify a call, and hardly rise."""
    return 1.0 + call * 1e-4


def calls_of(measurement: Measurement) -> list[int]:
    """Return which numbered calls the rounds were."""
    return [round((energy - 1.0) * 1e4) for energy in joules(measurement)]


def joules(measurement: Measurement) -> list[float]:
    """Return the joules of one call in each round."""
    return [r.energy_uj["cpu:0"] / 1e6 / r.iterations for r in measurement.rounds]


def counters(measurement: Measurement) -> list[list[str]]:
    """Return the counters of each round."""
    return [list(round_.energy_uj) for round_ in measurement.rounds]


def names(measurement: Measurement) -> list[str]:
    """Return the names of the failed self-checks."""
    return [check.name for check in measurement.checks]


def within(values: Iterable[float], least: float) -> bool:
    """Return whether values are at least `least`, and at most 60 % more."""
    return all(least <= value <= least * 1.6 for value in values)
