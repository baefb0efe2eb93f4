"""Passes through the work go out, measurements come back: warm-up, calibration, rounds, redoing.

The meter does not call what it measures. It hands out passes; whoever holds the work repeats it as
often as the pass says, inside windows. So one meter serves functions, coroutines, loops of a test
and whole tests.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from pytest_greenops.measure import plausible
from pytest_greenops.measure import self_checks as selfchecks
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    DeviceState,
    Domain,
    LoadShare,
    Measurement,
    Round,
    Uncounted,
)
from pytest_greenops.sensors.instruments import Instruments

#: No round is shorter: timer, caches and clock governor need some time to average out.
MIN_ROUND_S = 0.1
#: How often a spoilt round is done again before it is kept with a flag, or given up.
REDOS = 3
#: How much one step of the calibration may grow the number of iterations.
GROWTH = 100
#: How much longer than the counter needs it makes a round: later rounds may run faster.
SPARE = 1.2


class Load(Protocol):
    """Tells what else ran on the machine."""

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> LoadShare:
        """What was seen since `start`."""


class NoLoad:
    """Sees nothing, on machines that cannot tell."""

    def start(self) -> None:
        """Begin to watch nothing."""

    def stop(self) -> LoadShare:
        """Nothing was seen."""
        return LoadShare(0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """How long one measurement may go on.

    looks       after how many rounds to ask whether they are enough; the last look ends it
    least       rounds that the time must allow: no calibration makes them longer than that
    max_time_s  no round is begun that would end later than this after the warm-up
    margin      the change that matters: sizes the windows, and bounds the drift
    warmup      passes before the first that counts; None makes one, or none of a single round
    iterations  calls in a round; None lets the meter choose
    once        the work must run exactly once: no warm-up, no calibration, one round
    """

    looks: tuple[int, ...]
    least: int = 5
    max_time_s: float = 60.0
    margin: float = 0.05
    warmup: int | None = None
    iterations: int | None = None
    once: bool = False


class Meter:
    """Measures one piece of work, or several named windows of one loop.

    enough        asked at each look (its number from 1): would further rounds be of no use?
    synchronize   waits for the devices that the work uses
    load          tells what else ran
    between       called after each round that is kept, outside of its windows
    progress      told after each round: how many are done, and how many there may be at the most
    instrumented  what traces this process, if anything does
    """

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        enough: Callable[[Mapping[str, Measurement], int], bool],
        *,
        synchronize: Callable[[], None] = lambda: None,
        load: Load | None = None,
        between: Callable[[], None] = lambda: None,
        progress: Callable[[int, int], None] = lambda done, most: None,
        instrumented: str | None = None,
    ) -> None:
        self._instruments = instruments
        self._plan = plan
        self._enough = enough
        self._synchronize = synchronize
        self._load = load or NoLoad()
        self._between = between
        self._progress = progress
        self._instrumented = instrumented
        self._rounds: dict[str, list[Round]] = {}
        self._pace_s = 0.0
        self._deadline_s = math.inf
        self._done = 0
        self._calls = self._before = 0
        self._redos = REDOS
        self._share = LoadShare(0.0, 0.0)
        self._contended: list[LoadShare] = []
        self._beside: list[selfchecks.Fault] = []
        self._voided = 0
        self._void: str | None = None
        self._broken = False
        self._stepped = False
        self._lost: dict[str, str] = {}
        self._devices: dict[str, DeviceState] = {}

    def trips(self) -> Iterator[Trip]:
        """Every trip that the work shall make."""
        plan = self._plan
        gc.collect()
        if plan.once:
            yield from self._warm_up(plan.warmup or 0)
            yield from self._round(plan.iterations or 1)
            self._enough(self.measurements(), 1)
            return
        yield from self._warm_up(1 if plan.warmup is None else plan.warmup)
        self._deadline_s = time.monotonic() + plan.max_time_s
        iterations = plan.iterations or (yield from self._calibrate())
        yield from self._until(plan.looks[0], iterations)
        if plan.warmup != 0 and self._drifts() and not self._ended():
            for kept in self._rounds.values():
                kept.clear()
            self._done = 0
            self._contended.clear()
            self._beside.clear()
        for number, rounds in enumerate(plan.looks, 1):
            yield from self._until(rounds, iterations)
            if self._enough(self.measurements(), number) or self._ended():
                return

    def measurements(self) -> dict[str, Measurement]:
        """What is known so far, by name of the window, with what it says against itself."""
        instruments = self._instruments
        measurements = {}
        for name, rounds in self._rounds.items():
            domains = self._domains(rounds)
            measurements[name] = Measurement(
                name=name,
                domains=domains,
                rounds=tuple(rounds),
                sensors=instruments.sensor_of,
                estimated=instruments.estimated,
                checks=tuple(self._checks(rounds, domains)),
                lost=dict(self._lost),
                uncounted=self._uncounted(rounds),
            )
        return measurements

    def _uncounted(self, rounds: Sequence[Round]) -> Uncounted:
        before = self._before if self._done else self._calls
        kept = sum(round_.iterations for round_ in rounds)
        return Uncounted(before, self._calls - before - kept)

    def _checks(self, rounds: Sequence[Round], domains: Sequence[Domain]) -> Iterator[Check]:
        """What the rounds of one name say against themselves."""
        margin = self._plan.margin
        single = (
            selfchecks.instrumented(self._instrumented),
            selfchecks.void(self._void, self._voided),
            selfchecks.contention(self._contended, len(rounds)),
            selfchecks.drift(self._energies(rounds), margin, self._plan.warmup != 0),
        )
        yield from (check for check in single if check)
        yield from selfchecks.warming(rounds, domains, self._plan.warmup != 0)
        yield from selfchecks.intrusion(rounds, domains)
        yield from selfchecks.lost(self._lost, domains)
        yield from selfchecks.too_short(rounds, domains, margin)
        yield from selfchecks.disagreement(self._instruments.doubts, domains)
        yield from selfchecks.beside(self._beside, domains)

    def _domains(self, rounds: Sequence[Round]) -> tuple[Domain, ...]:
        """The counters, of which those of devices that no round used stand apart."""
        used = {
            name
            for round_ in rounds
            for name, state in round_.devices.items()
            if state.used is not False
        }
        known = {name for round_ in rounds for name in round_.devices}
        return tuple(
            replace(domain, counted=False, idle=True) if domain.name in known - used else domain
            for domain in self._instruments.domains
        )

    def _warm_up(self, trips: int) -> Iterator[Trip]:
        for _ in range(trips):
            yield from self._trip(self._plan.iterations or 1)
        self._voided, self._void = 0, None

    def _until(self, rounds: int, iterations: int) -> Iterator[Trip]:
        while self._done < rounds and not self._ended():
            yield from self._round(iterations)
            self._progress(self._done, self._plan.looks[-1])

    def _round(self, iterations: int) -> Iterator[Trip]:
        """One round: a trip, made again while it is contended and there are redos left."""
        while True:
            trip = yield from self._sound_trip(iterations)
            if self._broken:
                return
            spoilt = self._shared()
            if not (spoilt and self._redos and self._may_repeat()):
                break
            self._redos -= 1
        self._keep(trip)
        if selfchecks.contended(self._share):
            self._contended.append(self._share)
        if not spoilt:
            self._redos = REDOS

    def _shared(self) -> bool:
        """Whether others ran beside the last trip, on the CPUs or on a card that it used."""
        return selfchecks.contended(self._share) or selfchecks.intruded(self._devices)

    def _sound_trip(self, iterations: int) -> Generator[Trip, None, Trip]:
        """A trip that is not void; after as many void ones as there are redos, give up.

        Where only some counters failed in the last, it goes on without them instead.
        """
        for _ in range(1 + REDOS):
            trip = yield from self._trip(iterations)
            if not self._spoilt(trip):
                return trip
            if not self._may_repeat():
                break
        self._broken = not self._go_on_without(trip.missing) or self._spoilt(trip) is not None
        if not self._broken:  # what is left of this trip is kept
            self._voided -= 1
        return trip

    def _spoilt(self, trip: Trip) -> str | None:
        """Why nothing can be said of a trip, or None."""
        judged = selfchecks.decisive(self._instruments.domains, self._instruments.judged)
        faults = (f.finding for f in self._faults(trip) if f.domain.name in judged)
        return next(iter(trip.missing.values()), None) or next(faults, None)

    def _faults(self, trip: Trip) -> Iterator[selfchecks.Fault]:
        """What spoils the energy of single devices in a trip: no counter errs that is estimated."""
        instruments = self._instruments
        rounds = trip.rounds(self._devices).values()
        for domain in instruments.domains:
            state = self._devices.get(domain.name, DeviceState())
            if why := selfchecks.throttled(domain.name, state):
                yield selfchecks.Fault(domain, CheckName.THROTTLED, why)
            if domain.name in instruments.estimated or state.used is False:
                continue
            for round_ in rounds:
                why = plausible.implausible(round_, domain, instruments.rest, self._share.idle)
                if why:
                    yield selfchecks.Fault(domain, CheckName.IMPLAUSIBLE, why)
                    break

    def _go_on_without(self, missing: Mapping[str, str]) -> bool:
        """Give some counters up for lost, unless no other would be left."""
        gone = {*self._lost, *missing}
        if all(domain.name in gone for domain in self._instruments.domains if domain.counted):
            return False
        self._lost.update(missing)
        for name, rounds in self._rounds.items():
            self._rounds[name] = [_without(round_, missing) for round_ in rounds]
        return True

    def _trip(self, iterations: int) -> Generator[Trip, None, Trip]:
        instruments = self._instruments
        expected_s = None if self._plan.once else self._pace_s or None
        before = instruments.states()
        begun = time.monotonic()
        trip = Trip(
            instruments, self._synchronize, iterations, stepped=self._stepped, lost=self._lost
        )
        self._load.start()
        with instruments.watching(expected_s):
            yield trip
        self._calls += iterations
        self._share = self._load.stop()
        self._pace_s = time.monotonic() - begun
        self._devices = {
            name: state.after(before.get(name, state))
            for name, state in instruments.states().items()
        }
        for name in trip.names:
            self._rounds.setdefault(name, [])
        aside = {domain.name for domain in instruments.domains if not domain.counted}
        aside |= {name for name, state in self._devices.items() if state.used is False}
        self._go_on_without({d: why for d, why in trip.missing.items() if d in aside})
        if void := self._spoilt(trip):
            self._voided, self._void = self._voided + 1, void
        else:
            self._keep_out_of_step(trip)
        return trip

    def _keep_out_of_step(self, trip: Trip) -> None:
        """From the next trip on spread the work over phases, if it may keep in step with one."""
        period_s = self._instruments.phase_period_s
        self._stepped = self._stepped or any(
            round_.windows > 1 or selfchecks.in_step(round_.seconds / round_.iterations, period_s)
            for round_ in (trip.rounds().values() if period_s else ())
        )

    def _calibrate(self) -> Generator[Trip, None, int]:
        """Grow the iterations until a round is long enough; the trip that is counts as a round."""
        iterations = 1
        while True:
            trip = yield from self._sound_trip(iterations)
            if self._broken:
                return iterations
            rounds = trip.rounds(self._devices).values()
            shortfall = max(self._shortfall(round_) for round_ in rounds)
            room = self._plan.max_time_s / (self._plan.least + 1) / max(self._pace_s, 1e-9)
            if min(shortfall, room) <= 1:
                if trip.stepped == self._stepped and not self._shared():
                    self._keep(trip)
                return iterations
            wanted = min(shortfall, room, GROWTH)
            iterations = math.ceil(iterations * max(wanted, 1.1))

    def _shortfall(self, round_: Round) -> float:
        """How many times more iterations a round needs."""
        if round_.seconds <= 0:
            return math.inf
        error = selfchecks.edge_error(round_, self._instruments.domains)
        edges = SPARE * error / selfchecks.edge_limit(self._plan.margin)
        return max(edges**2 if round_.windows > 1 else edges, MIN_ROUND_S / round_.seconds)

    def _keep(self, trip: Trip) -> None:
        for name, round_ in trip.rounds(self._devices).items():
            self._rounds.setdefault(name, []).append(round_)
        self._beside += self._faults(trip)
        if not self._done:
            self._before = self._calls - trip.iterations
        self._done += 1
        self._between()

    def _ended(self) -> bool:
        return self._broken or (self._done > 0 and self._late())

    def _may_repeat(self) -> bool:
        return not (self._plan.once or self._late())

    def _late(self) -> bool:
        return time.monotonic() + self._pace_s > self._deadline_s

    def _drifts(self) -> bool:
        """Whether the rounds so far were rather a warm-up: joules or devices still move."""
        return any(
            selfchecks.drifts(self._energies(rounds), self._plan.margin)
            or any(selfchecks.warming(rounds, self._domains(rounds)))
            for rounds in self._rounds.values()
        )

    def _energies(self, rounds: Sequence[Round]) -> list[float]:
        """Energy of one iteration in each round, over all counted domains."""
        counted = [domain.name for domain in self._domains(rounds) if domain.counted]
        names = [name for name in counted if name not in self._lost]
        return [sum(r.energy_uj[name] for name in names) / r.iterations for r in rounds]


def _without(round_: Round, domains: Container[str]) -> Round:
    """A round as if some counters had never been read."""
    return replace(
        round_,
        energy_uj={name: uj for name, uj in round_.energy_uj.items() if name not in domains},
        error_uj={name: uj for name, uj in round_.error_uj.items() if name not in domains},
    )
