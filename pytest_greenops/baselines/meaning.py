"""Whether figures that were read from a file mean something: what no measurement can have left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pytest_greenops.model.baseline import Baseline, Series
from pytest_greenops.model.measurement import Round

#: No figure is smaller or larger; ratios of such figures stay finite.
LEAST, MOST = 1e-30, 1e30
_EXPECTED = f"expected 0 or {LEAST:g} to {MOST:g}"


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
    rounds: Sequence[Round], names: Collection[str], units: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with rounds that have these counters and units of work."""
    counters, works = set(names), set(units)
    for round_ in rounds:
        if missing := (counters - round_.energy_uj.keys()) or (works - round_.units.keys()):
            yield f"a round without {min(missing)}"
    for what, values in (
        ("uJ", [value for round_ in rounds for value in round_.energy_uj.values()]),
        ("iterations", [round_.iterations for round_ in rounds]),
        ("units of work", [value for round_ in rounds for value in round_.units.values()]),
        ("s", [round_.seconds for round_ in rounds]),
    ):
        least, most = min(values, default=0), max(values, default=0)
        if most > MOST or 0 < least < LEAST:
            value = str(most if most > MOST else least)[:20]
            yield f"a round of {value} {what}, {_EXPECTED}"


def _is_joules(value: float) -> bool:
    return value == 0 or LEAST <= value <= MOST
