"""A trip through the work with what the machine did meanwhile: load, device states, faults."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_greenops.measure.background import BackgroundThreads
from pytest_greenops.measure.faults import Fault, decisive_counters, implausible, throttled
from pytest_greenops.measure.self_checks import contended, in_step, intruded
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import CheckName, DeviceState, LoadShare, Round
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments


class Load(Protocol):
    """A probe of the CPU time that others use."""

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> LoadShare:
        """Return what others used since `start`."""


class NoLoad:
    """A probe that reports nothing, for machines where the load is unknown."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> LoadShare:
        """Return that others used nothing."""
        return LoadShare(0.0, 0.0)


@dataclass(frozen=True)
class ObservedTrip:
    """A finished trip, with the load and the devices of the machine during it.

    seconds  its duration, inside and outside of windows
    thread   a thread of this process that computed beside the work, and went on after it
    """

    trip: Trip
    instruments: Instruments
    share: LoadShare
    devices: dict[str, DeviceState]
    seconds: float
    thread: str | None = None
    _made: dict[int, dict[str, Round]] = field(default_factory=dict)
    _void: dict[int, str | None] = field(default_factory=dict)

    @property
    def rounds(self) -> dict[str, Round]:
        """The round of each window name, without the counters that are lost by now."""
        lost = len(self.trip.lost)
        if lost not in self._made:
            self._made[lost] = self.trip.rounds(self.devices)
        return self._made[lost]

    @property
    def contended(self) -> bool:
        """Whether others ran meanwhile, on the CPUs or on a card that the trip used."""
        return contended(self.share) or intruded(self.devices)

    @property
    def void(self) -> str | None:
        """Why the judged energy of this trip is unknown, or None.

        No window is so short that it takes no time: the clock of the sensor stands still then.
        """
        lost = len(self.trip.lost)
        if lost not in self._void:
            self._void[lost] = self._why_void()
        return self._void[lost]

    def _why_void(self) -> str | None:
        if why := self.trip.failure or next(iter(self.trip.missing.values()), None):
            return why
        if any(round_.seconds <= 0 for round_ in self.rounds.values()):
            sensors = self.instruments.sensors
            return f"the clock of the sensor {sensors[0].name} stood still or went back"
        judged = decisive_counters(self.instruments.domains, self.instruments.judged)
        faults = (fault.finding for fault in self.faults() if fault.domain.name in judged)
        return next(faults, None)

    @property
    def dispensable(self) -> set[str]:
        """The counters that enter no total: not counted, or of devices that had no work."""
        unused = {name for name, state in self.devices.items() if state.used is False}
        return unused | {domain.name for domain in self.instruments.domains if not domain.counted}

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of single devices; an estimate has no counter that could be wrong."""
        instruments, rounds = self.instruments, self.rounds.values()
        for domain in instruments.domains:
            state = self.devices.get(domain.name, DeviceState())
            if why := throttled(domain.name, state):
                yield Fault(domain, CheckName.THROTTLED, why)
            if domain.name in instruments.estimated or state.used is False:
                continue
            for round_ in rounds:
                if why := implausible(round_, domain, instruments.rest, self.share.idle):
                    yield Fault(domain, CheckName.IMPLAUSIBLE, why)
                    break


class Observer:
    """Makes the trips of one measurement, `stepped` if need be, and observes the machine."""

    def __init__(
        self,
        instruments: Instruments,
        synchronize: Callable[[], None],
        load: Load,
        clock: Clock = SYSTEM_CLOCK,
        joined: Callable[[ObservedTrip], ObservedTrip] = lambda trip: trip,
    ) -> None:
        """Observe by these; `joined` makes a trip of this process one of several processes."""
        self.stepped = False
        self._instruments = instruments
        self._synchronize = synchronize
        self._load = load
        self._clock = clock
        self._joined = joined
        self._threads = BackgroundThreads()

    def observe(
        self, iterations: int, expected_s: float | None, lost: Mapping[str, str]
    ) -> Generator[Trip, None, ObservedTrip]:
        """Yield one trip of about `expected_s`, if that is known; return what was observed.

        Counters in `lost`, which may grow later, are ignored.
        """
        instruments, clock = self._instruments, self._clock
        before = instruments.states()
        begun_ns = clock.now_ns()
        trip = Trip(
            instruments, self._synchronize, iterations, stepped=self.stepped, lost=lost, clock=clock
        )
        self._load.start()
        self._threads.start()
        with instruments.watching(expected_s):
            yield trip
        share = self._load.stop()
        seconds = (clock.now_ns() - begun_ns) * 1e-9
        devices = {
            name: state.after(before.get(name, state))
            for name, state in instruments.states().items()
        }
        thread = self._threads.stop()
        return self._joined(ObservedTrip(trip, instruments, share, devices, seconds, thread))

    def keep_out_of_step(self, observed: ObservedTrip) -> None:
        """Step the windows of later trips if the work may keep in step with a sampling period."""
        period_s = self._instruments.phase_period_s
        self.stepped = self.stepped or any(
            round_.windows > 1 or in_step(round_.seconds / round_.iterations, period_s)
            for round_ in (observed.rounds.values() if period_s else ())
        )
