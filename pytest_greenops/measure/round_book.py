"""The book of rounds: which were kept, which were left out, and by which counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.measure import self_checks
from pytest_greenops.measure.faults import Fault
from pytest_greenops.measure.observer import ObservedTrip
from pytest_greenops.model.measurement import (
    Check,
    Domain,
    LoadShare,
    Measurement,
    Round,
    Uncounted,
)
from pytest_greenops.sensors.instruments import Instruments


class _Kept(NamedTuple):
    """A trip whose rounds count, by window name."""

    rounds: dict[str, Round]
    share: LoadShare
    faults: tuple[Fault, ...]
    thread: str | None


class RoundBook:
    """The rounds of one measurement, and why counters were `lost`, which no round contains.

    hopeless  by window name, why no round that fits into the time is long enough
    """

    def __init__(
        self, instruments: Instruments, margin: float, warms_up: bool, tracer: str | None
    ) -> None:
        self.lost: dict[str, str] = {}
        self.hopeless: dict[str, Check] = {}
        self._instruments = instruments
        self._margin = margin
        self._warms_up = warms_up
        self._tracer = tracer
        self._names: dict[str, None] = {}
        self._kept: list[_Kept] = []
        self._void: list[str] = []
        self._warmed_up: dict[str, Round] = {}
        self._calls = self._calls_before = 0

    @property
    def number(self) -> int:
        """The number of rounds that were kept."""
        return len(self._kept)

    def enter(self, trip: ObservedTrip) -> None:
        """Count the calls of a trip; give up counters that failed in it and enter no total."""
        self._calls += trip.trip.iterations
        self._names |= dict.fromkeys(trip.trip.names)
        dispensable = trip.dispensable
        missing = trip.trip.missing.items()
        self.lose({name: why for name, why in missing if name in dispensable})
        if why := trip.void:
            self._void.append(why)

    def keep(self, trip: ObservedTrip) -> None:
        """Count the rounds of a trip that was entered last."""
        if not self._kept:
            self._calls_before = self._calls - trip.trip.iterations
        self._kept.append(_Kept(trip.rounds, trip.share, tuple(trip.faults()), trip.thread))

    def drop_rounds(self) -> None:
        """Treat all rounds so far as a longer warm-up."""
        self._kept.clear()

    def end_warm_up(self, first: ObservedTrip | None) -> None:
        """Forget void trips of the warm-up, which cost no round, and remember the first."""
        self._void.clear()
        self._warmed_up = first.rounds if first is not None and not first.void else {}

    def continue_without(self, trip: ObservedTrip) -> bool:
        """Give up the counters that failed in a void trip; return whether it is sound then."""
        if not self.lose(trip.trip.missing) or trip.void:
            return False
        self._void.pop()  # what is left of this trip is kept
        return True

    def lose(self, missing: Mapping[str, str]) -> bool:
        """Give up some counters and return True, unless no counted one would be left."""
        gone = {*self.lost, *missing}
        if all(domain.name in gone for domain in self._instruments.domains if domain.counted):
            return False
        self.lost.update(missing)
        return True

    def drifts(self) -> bool:
        """Return whether joules or device temperatures still change over the rounds."""
        for name in self._names:
            rounds = self._rounds(name)
            domains = self._domains(rounds)
            if self_checks.drift(self._energies(rounds, domains), self._margin) or any(
                self_checks.warming(rounds, domains)
            ):
                return True
        return False

    def measurements(self) -> dict[str, Measurement]:
        """Return what is known so far, by window name, with its self-checks."""
        instruments = self._instruments
        measurements = {}
        for name in self._names:
            rounds = self._rounds(name)
            domains = self._domains(rounds)
            measurements[name] = Measurement(
                name=name,
                domains=domains,
                rounds=tuple(rounds),
                sensors=instruments.sensor_of,
                estimated=instruments.estimated,
                checks=tuple(self._checks(name, rounds, domains)),
                lost=dict(self.lost),
                uncounted=self._uncounted(rounds),
            )
        return measurements

    def _rounds(self, name: str) -> list[Round]:
        return [self._without_lost(kept.rounds[name]) for kept in self._kept if name in kept.rounds]

    def _without_lost(self, round_: Round) -> Round:
        """Return a round as if the lost counters had never been read."""
        if not self.lost.keys() & round_.energy_uj.keys():
            return round_
        energy_uj = {name: uj for name, uj in round_.energy_uj.items() if name not in self.lost}
        error_uj = {name: uj for name, uj in round_.error_uj.items() if name not in self.lost}
        power = {name: curve for name, curve in round_.power.items() if name not in self.lost}
        return replace(round_, energy_uj=energy_uj, error_uj=error_uj, power=power)

    def _domains(self, rounds: Sequence[Round]) -> tuple[Domain, ...]:
        """Return the counters; a device that no round used is marked as idle."""
        states = [state for round_ in rounds for state in round_.devices.items()]
        idle = {name for name, _ in states} - {n for n, s in states if s.used is not False}
        return tuple(
            replace(domain, counted=False, idle=True) if domain.name in idle else domain
            for domain in self._instruments.domains
        )

    def _energies(self, rounds: Sequence[Round], domains: Sequence[Domain]) -> list[float]:
        """Return the energy of one iteration in each round, over all counted domains."""
        names = self._names_counted(domains)
        return [sum(r.energy_uj[name] for name in names) / r.iterations for r in rounds]

    def _names_counted(self, domains: Sequence[Domain]) -> set[str]:
        return {d.name for d in domains if d.counted and d.name not in self.lost}

    def _warm_up_uj(self, name: str, domains: Sequence[Domain]) -> float:
        """Return the energy of the first call of all; 0 if it is not known."""
        round_ = self._warmed_up.get(name)
        known = round_ is not None and self._names_counted(domains) <= round_.energy_uj.keys()
        return self._energies([round_], domains)[0] if round_ is not None and known else 0.0

    def _checks(
        self, name: str, rounds: Sequence[Round], domains: Sequence[Domain]
    ) -> Iterator[Check]:
        """Yield the self-checks that the rounds of one name fail."""
        shares = [kept.share for kept in self._kept if self_checks.contended(kept.share)]
        faults = [fault for kept in self._kept for fault in kept.faults]
        single = (
            self_checks.instrumented(self._tracer),
            self_checks.void(self._void),
            self_checks.contention(shares, len(rounds)),
            self_checks.background([kept.thread for kept in self._kept if kept.thread], rounds),
            self_checks.warm_up(self._warm_up_uj(name, domains), self._energies(rounds, domains)),
            self_checks.drift(self._energies(rounds, domains), self._margin, self._warms_up),
        )
        yield from (check for check in single if check)
        yield from self_checks.warming(rounds, domains, self._warms_up)
        yield from self_checks.intrusion(rounds, domains)
        yield from self_checks.lost(self.lost, domains)
        short = list(self_checks.too_short(rounds, domains, self._margin))
        yield from [self.hopeless[name]] if short and name in self.hopeless else short
        yield from self_checks.disagreement(self._instruments.doubts, domains)
        yield from self_checks.unjudged_faults(faults, domains)

    def _uncounted(self, rounds: Sequence[Round]) -> Uncounted:
        before = self._calls_before if self._kept else self._calls
        counted = sum(round_.iterations for round_ in rounds)
        return Uncounted(before, self._calls - before - counted)
