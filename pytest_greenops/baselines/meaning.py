"""Whether figures that were read from a file mean something: what no measurement can have left."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

from pytest_greenops.model.baseline import Baseline, Series
from pytest_greenops.model.measurement import MICROJOULES, Round, work_done

#: No unit of work uses fewer joules or more; ratios of such values stay finite.
LEAST_J, MOST_J = 1e-30, 1e30
_EXPECTED = f"expected 0 or {LEAST_J:g} to {MOST_J:g}"


def why_meaningless(baseline: Baseline) -> str | None:
    """Return what is wrong with the figures of a baseline, if anything."""
    for name, series in baseline.measurements.items():
        if why := next(_faults_of(series), None):
            return f"{name}: {why}"
    return None


def _faults_of(series: Series) -> Iterator[str]:
    names = [domain.name for domain in series.domains]
    if not any(domain.counted for domain in series.domains):
        yield "no counted domain"
    if len(set(names)) < len(names):
        yield "a domain twice"
    for session in series.sessions:
        yield from round_faults(session.rounds, names, session.rounds[0].units)
        if not all(map(_is_joules, session.control_j.values())):
            yield f"control_j: {_EXPECTED}"
    for unit, joules in series.anchor.joules_per_unit.items():
        for domain, value in joules.items():
            if not _is_joules(value):
                yield f"anchor: {value:g} J of {domain} per {unit}, {_EXPECTED}"


def round_faults(
    rounds: Iterable[Round], names: Collection[str], units: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with rounds that have these counters and units of work."""
    for round_ in rounds:
        if missing := (set(names) - round_.energy_uj.keys()) | (set(units) - round_.units.keys()):
            yield f"a round without {min(missing)}"
        elif not math.isfinite(round_.seconds):
            yield f"a round of {round_.seconds} s"
        else:
            yield from _absurd(round_, units)


def _absurd(round_: Round, units: Collection[str]) -> Iterator[str]:
    for unit in ("call", *units):
        work = work_done(round_, unit)
        for name, microjoules in round_.energy_uj.items():
            try:
                joules = microjoules * MICROJOULES / work
            except OverflowError:
                joules = math.inf
            if not _is_joules(joules) or (microjoules and not joules):
                energy = f"{str(microjoules)[:20]} uJ of {name}"
                yield f"a round with {energy} for {str(work)[:20]} {unit}"


def _is_joules(value: float) -> bool:
    return value == 0 or LEAST_J <= value <= MOST_J
