"""How a baseline changes when a measurement is accepted: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.judge.quality import expired
from pytest_greenops.model.baseline import (
    MAX_SESSIONS,
    SCHEMA,
    Anchor,
    Baseline,
    Series,
    Session,
    TestKey,
)
from pytest_greenops.model.environment import differing
from pytest_greenops.model.measurement import MICROJOULES, DeviceState, Domain, Round, work_done
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome


def accept(
    baseline: Baseline | None,
    test: TestKey,
    machine: dict[str, str],
    results: Iterable[tuple[Result, Session]],
) -> Baseline:
    """Return a baseline with the session of each result, as its last or as its only session.

    A session joins its series, which keeps the last ten, if it agrees with it. If it regressed or
    improved, it replaces the series and moves the anchor by that step. If it has other counters,
    conditions or units of work, it replaces the series and the anchor. If the drop of a quality is
    limited, earlier values expire once a value is accepted that differs by more.
    """
    series = dict(baseline.measurements) if baseline else {}
    for result, session in results:
        known = series.get(result.name)
        kept = _storable(session)
        grown = _with_session(known, result, kept)
        first = _first_qualities(known, grown)
        moved = _moved_qualities(known, result, kept, first) if known else {}
        anchor = replace(grown.anchor, quality={**first, **moved})
        if moved:
            anchor = replace(anchor, moved_at=kept.saved_at)
        series[result.name] = replace(grown, anchor=anchor)
    return Baseline(SCHEMA, test, machine, series)


def acknowledge(series: Series) -> Series:
    """Return a series whose anchor is its accepted level, so that nothing has crept up."""
    last = series.sessions[-1]
    names = {name for session in series.sessions for name in session.quality}
    quality = {name: _mean_quality(series, name) for name in sorted(names)}
    anchor = Anchor(series.anchor.saved_at, _level(series), quality, moved_at=last.saved_at)
    return replace(series, anchor=anchor)


def can_join(series: Series, other: Series) -> bool:
    """Return whether the sessions of another series can join a series."""
    return _same_work(series, other, other.sessions[-1])


def _first_qualities(before: Series | None, grown: Series) -> dict[str, float]:
    """Return the first accepted value of each current quality, on whatever counters it was."""
    first: dict[str, float] = {}
    for series in (before, grown) if before else (grown,):
        for quality in (series.anchor.quality, *(each.quality for each in series.sessions)):
            first = {**quality, **first}
    current = {name for session in grown.sessions for name in session.quality}
    return {name: value for name, value in first.items() if name in current}


def _moved_qualities(
    series: Series, result: Result, session: Session, first: Mapping[str, float]
) -> dict[str, float]:
    """Return the anchor of each quality that an accepted step beyond its limit has moved."""
    return {
        name: first[name] + session.quality[name] - _mean_quality(series, name)
        for name in sorted(_expired(series, result) & session.quality.keys())
    }


def _mean_quality(series: Series, name: str) -> float:
    known = [session.quality[name] for session in series.sessions if name in session.quality]
    return math.fsum(known) / len(known)


def _with_session(series: Series | None, result: Result, session: Session) -> Series:
    change = result.verdict.change
    if series is None or not _same_work(series, result, session):
        return Series(result.domains, result.conditions, _anchor(session), (session,))
    if change and change.outcome in (Outcome.REGRESSED, Outcome.IMPROVED):
        anchor = _moved(series, session)
        return Series(result.domains, result.conditions, anchor, (session,))
    sessions = (*_earlier(series, result), session)[-MAX_SESSIONS:]
    conditions = {**series.conditions, **result.conditions}
    return Series(result.domains, conditions, series.anchor, sessions)


def _earlier(series: Series, result: Result) -> Iterator[Session]:
    """Yield the sessions accepted before, without the qualities that expire."""
    gone = _expired(series, result)
    for session in series.sessions:
        quality = {name: value for name, value in session.quality.items() if name not in gone}
        yield replace(session, quality=quality)


def _expired(series: Series, result: Result) -> set[str]:
    limit = next((quality.limit for quality in result.verdict.qualities), None)
    known = [session.quality for session in series.sessions]
    return set() if limit is None else expired(result.quality, known, limit)


def _same_work(series: Series, result: Result | Series, session: Session) -> bool:
    """Return whether a session has the counters, conditions and units of a series."""
    return (
        list(map(_identity, series.domains)) == list(map(_identity, result.domains))
        and not differing(series.conditions, result.conditions)
        and series.sessions[-1].rounds[0].units.keys() == session.rounds[0].units.keys()
    )


def _identity(domain: Domain) -> tuple[object, ...]:
    """Return what identifies a counter; not its highest plausible power."""
    return domain.name, domain.kind, domain.range_uj, domain.counted, domain.idle


def _storable(session: Session) -> Session:
    """Return a session without what no later comparison needs, to keep files small.

    That is: qualities that JSON cannot hold (a loss that became NaN), the errors of rounds' edges,
    power over time, and the state of devices except their throttle reasons.
    """
    quality = {name: value for name, value in session.quality.items() if math.isfinite(value)}
    rounds = tuple(
        replace(each, error_uj={}, power={}, devices=_throttled(each.devices))
        for each in session.rounds
    )
    return replace(session, quality=quality, rounds=rounds)


def _throttled(devices: Mapping[str, DeviceState]) -> dict[str, DeviceState]:
    return {
        name: DeviceState(throttle_reasons=state.throttle_reasons)
        for name, state in devices.items()
        if state.throttle_reasons
    }


def _anchor(session: Session) -> Anchor:
    return Anchor(session.saved_at, _joules_per_unit(session))


def _moved(series: Series, session: Session) -> Anchor:
    """Return the anchor moved by the step to a session: what crept up before it remains."""
    before, now = _level(series), _joules_per_unit(session)
    moved = {
        unit: {
            name: joules * now[unit][name] / before[unit][name] if before[unit][name] else joules
            for name, joules in by_domain.items()
            if name in now[unit]
        }
        for unit, by_domain in series.anchor.joules_per_unit.items()
        if unit in before and unit in now
    }
    return replace(series.anchor, joules_per_unit=moved, moved_at=session.saved_at)


def _level(series: Series) -> dict[str, dict[str, float]]:
    """Return the mean joules of a unit of work over the sessions, by unit and counter."""
    each = [_joules_per_unit(session) for session in series.sessions]
    return {
        unit: {
            name: math.fsum(joules[unit][name] for joules in each) / len(each) for name in by_domain
        }
        for unit, by_domain in each[-1].items()
        if all(unit in joules for joules in each)
    }


def _joules_per_unit(session: Session) -> dict[str, dict[str, float]]:
    units = ("call", *session.rounds[0].units)
    return {unit: _joules_by_domain(session.rounds, unit) for unit in units}


def _joules_by_domain(rounds: Sequence[Round], unit: str) -> dict[str, float]:
    """Return the joules of a unit of work by counter, over all rounds."""
    work = sum(work_done(round_, unit) for round_ in rounds)
    names = rounds[0].energy_uj
    return {name: sum(r.energy_uj[name] for r in rounds) * MICROJOULES / work for name in names}
