"""The meter: warm-up, calibration, rounds and looks of one measurement.

The meter does not call what it measures. It yields trips, and the code that holds the work repeats
it as often as a trip says, inside windows. So one meter serves functions, coroutines, loops and
whole tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_greenops.measure.garbage import Garbage
from pytest_greenops.measure.observer import Load, NoLoad, ObservedTrip, Observer
from pytest_greenops.measure.redo_policy import RedoPolicy
from pytest_greenops.measure.round_book import RoundBook
from pytest_greenops.measure.self_checks import edge_error, edge_limit, stays_too_short
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import Measurement, Round, belonging
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments

#: No round is shorter: timer, caches and clock governor need some time to average out.
MIN_ROUND_S = 0.1
#: By how much one step of the calibration may multiply the iterations.
GROWTH = 100
#: By how much rounds are longer than the counter needs: later rounds may run faster.
SPARE = 1.2


@dataclass(frozen=True)
class Plan:
    """How long one measurement may continue.

    looks       after how many rounds to check whether they are enough; the last look ends it
    least       rounds that must fit into the time: calibration makes none longer than that allows
    max_time_s  no round begins that would end later than this after the warm-up
    margin      the change that matters: sizes the windows, and limits the drift
    warmup      trips before the first that counts; None makes one, or none of a single round
    iterations  calls in a round; None lets the meter choose
    once        the work must run exactly once: no warm-up, no calibration, one round
    fixed       the test sets both its rounds and its iterations
    """

    looks: tuple[int, ...]
    least: int = 5
    max_time_s: float = 60.0
    margin: float = 0.05
    warmup: int | None = None
    iterations: int | None = None
    once: bool = False
    fixed: bool = False


class AnyMeter(Protocol):
    """Makes the trips of one measurement."""

    def trips(self) -> Iterator[Trip]:
        """Yield every trip that the work shall make."""


class Meter:
    """The measurement of one piece of work, or of several named windows of one loop."""

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        enough: Callable[[Mapping[str, Measurement], int], bool],
        *,
        synchronize: Callable[[], None] = lambda: None,
        load: Load | None = None,
        between: Callable[[float], None] = lambda seconds: None,
        progress: Callable[[int, int], None] = lambda done, most: None,
        instrumented: str | None = None,
        garbage: Garbage | None = None,
        clock: Clock = SYSTEM_CLOCK,
        joined: Callable[[ObservedTrip], ObservedTrip] = lambda trip: trip,
    ) -> None:
        """Prepare a measurement.

        enough        called at each look with its number from 1; returns whether to stop there
        synchronize   waits for the devices that the work uses
        between       called with the seconds of each round that is kept, outside of its windows;
                      not if the work runs once
        progress      called after each round, and after each trip before the first, with the
                      rounds done and the most there may be
        instrumented  what traces this process, or None
        garbage       of the run; collected before the measurement
        joined        makes a trip of this process one of several processes
        """
        self._instruments = instruments
        self._plan = plan
        self._enough = enough
        self._between = between
        self._garbage = garbage or Garbage()
        self._progress = progress
        self._observer = Observer(instruments, synchronize, load or NoLoad(), clock, joined)
        self._redo = RedoPolicy(not plan.once, clock)
        self._book = RoundBook(instruments, plan.margin, plan.warmup != 0, instrumented)
        self._broken = False

    def trips(self) -> Iterator[Trip]:
        """Yield every trip that the work shall make."""
        plan = self._plan
        self._garbage.collect()
        if plan.once:
            yield from self._warm_up(plan.warmup or 0)
            yield from self._round(plan.iterations or 1)
            self._enough(self.measurements(), 1)
            return
        yield from self._warm_up(1 if plan.warmup is None else plan.warmup)
        self._redo.set_deadline(plan.max_time_s)
        iterations = plan.iterations or (yield from self._calibrate())
        if not iterations:
            self._enough(self.measurements(), len(plan.looks))
            return
        yield from self._until(plan.looks[0], iterations)
        if plan.warmup != 0 and self._book.drifts() and not self._ended:
            self._book.drop_rounds()
        for number, rounds in enumerate(plan.looks, 1):
            yield from self._until(rounds, iterations)
            if self._enough(self.measurements(), number) or self._ended:
                return

    def measurements(self) -> dict[str, Measurement]:
        """Return what is known so far, by window name, with its self-checks."""
        return self._book.measurements()

    @property
    def _ended(self) -> bool:
        return self._broken or (self._book.number > 0 and self._redo.late)

    def _warm_up(self, trips: int) -> Iterator[Trip]:
        first = None
        for number in range(trips):
            trip = yield from self._trip(self._plan.iterations or 1)
            self._show_progress()
            first = trip if number == 0 else first
        self._book.end_warm_up(first)

    def _until(self, rounds: int, iterations: int) -> Iterator[Trip]:
        while self._book.number < rounds and not self._ended:
            yield from self._round(iterations)
            self._show_progress()

    def _show_progress(self) -> None:
        self._progress(self._book.number, self._plan.looks[-1])

    def _round(self, iterations: int) -> Iterator[Trip]:
        """Make one round, repeated while it is contended and redos are left."""
        while True:
            trip = yield from self._sound_trip(iterations)
            if trip is None:
                return
            if not (trip.contended and self._redo.repeats_contended()):
                break
        self._keep(trip)
        if not trip.contended:
            self._redo.restore()

    def _calibrate(self) -> Generator[Trip, None, int]:
        """Increase the iterations until a round is long enough, and return them.

        The trip that is long enough counts as a round. Windows that stay too short in the time
        that there is size no round; if all do, and in more than one short call, the trip is the
        only round, and 0 is returned.
        """
        iterations = 1
        while True:
            trip = yield from self._sound_trip(iterations)
            if trip is None:
                return iterations
            self._show_progress()
            fitting = self._plan.max_time_s / (self._plan.least + 1) / max(trip.seconds, 1e-9)
            possible = list(self._possible(trip, fitting))
            if not possible and (iterations > 1 or fitting <= 1):
                self._keep(trip)
                return 0
            shortfall = max(map(self._shortfall, possible), default=math.inf)
            if min(shortfall, fitting) <= 1:
                if trip.trip.stepped == self._observer.stepped and not trip.contended:
                    self._keep(trip)
                return iterations
            factor = min(shortfall, fitting, GROWTH)
            iterations = math.ceil(iterations * max(factor, 1.1))

    def _possible(self, trip: ObservedTrip, growth: float) -> Iterator[Round]:
        """Yield the rounds that can be judged if they become `growth` times as long."""
        domains, judged = self._instruments.domains, self._instruments.judged
        names = belonging(domains, judged)
        judged_domains = [domain for domain in domains if domain.name in names]
        for name, round_ in trip.rounds.items():
            check = stays_too_short(round_, judged_domains, self._plan.margin, growth)
            if check is not None:
                self._book.hopeless[name] = check
            else:
                self._book.hopeless.pop(name, None)
                yield round_

    def _shortfall(self, round_: Round) -> float:
        """Return by how much the iterations of a round must be multiplied; at most 1 if enough."""
        if round_.seconds <= 0:
            return math.inf
        error = edge_error(round_, self._instruments.domains)
        edges = SPARE * error / edge_limit(self._plan.margin)
        return max(edges**2 if round_.windows > 1 else edges, MIN_ROUND_S / round_.seconds)

    def _keep(self, trip: ObservedTrip) -> None:
        self._book.keep(trip)
        if not self._plan.once:
            self._between(trip.seconds)

    def _sound_trip(self, iterations: int) -> Generator[Trip, None, ObservedTrip | None]:
        """Make a trip until it is not void; return None where the measurement breaks off.

        If only some counters failed in the last try, the measurement continues without them.
        """
        tries = 0
        while True:
            trip = yield from self._trip(iterations)
            if not trip.void:
                return trip
            tries += 1
            if not self._redo.repeats_void(tries):
                break
        if self._book.continue_without(trip):
            return trip
        self._broken = True
        return None

    def _trip(self, iterations: int) -> Generator[Trip, None, ObservedTrip]:
        expected_s = None if self._plan.once else self._redo.trip_s or None
        trip = yield from self._observer.observe(iterations, expected_s, self._book.lost)
        self._redo.trip_s = trip.seconds
        self._book.enter(trip)
        if not trip.void:
            self._observer.keep_out_of_step(trip)
        return trip
