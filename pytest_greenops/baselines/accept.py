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
    improved, it replaces the series but keeps the anchor. If it has other counters, conditions or
    units of work, it replaces the series and the anchor. If the drop of a quality is limited,
    earlier values expire once a value is accepted that differs by more.
    """
    series = dict(baseline.measurements) if baseline else {}
    for result, session in results:
        known = series.get(result.name)
        grown = _with_session(known, result, _storable(session))
        anchor = replace(grown.anchor, quality=_first_qualities(known, grown))
        series[result.name] = replace(grown, anchor=anchor)
    return Baseline(SCHEMA, test, machine, series)


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


def _with_session(series: Series | None, result: Result, session: Session) -> Series:
    change = result.verdict.change
    if series is None or not _same_work(series, result, session):
        return Series(result.domains, result.conditions, _anchor(session), (session,))
    if change and change.outcome in (Outcome.REGRESSED, Outcome.IMPROVED):
        return Series(result.domains, result.conditions, series.anchor, (session,))
    sessions = (*_earlier(series, result), session)[-MAX_SESSIONS:]
    conditions = {**series.conditions, **result.conditions}
    return Series(result.domains, conditions, series.anchor, sessions)


def _earlier(series: Series, result: Result) -> Iterator[Session]:
    """Yield the sessions accepted before, without the qualities that expire."""
    limit = next((quality.limit for quality in result.verdict.qualities), None)
    known = [session.quality for session in series.sessions]
    gone = set() if limit is None else expired(result.quality, known, limit)
    for session in series.sessions:
        quality = {name: value for name, value in session.quality.items() if name not in gone}
        yield replace(session, quality=quality)


def _same_work(series: Series, result: Result | Series, session: Session) -> bool:
    """Return whether a session has the counters, conditions and units of a series."""
    known = series.conditions.keys() & result.conditions.keys()
    return (
        list(map(_identity, series.domains)) == list(map(_identity, result.domains))
        and all(series.conditions[name] == result.conditions[name] for name in known)
        and series.sessions[-1].rounds[0].units.keys() == session.rounds[0].units.keys()
    )


def _identity(domain: Domain) -> tuple[object, ...]:
    """Return what identifies a counter; not its highest plausible power."""
    return domain.name, domain.kind, domain.range_uj, domain.counted, domain.idle


def _storable(session: Session) -> Session:
    """Return a session without what no later comparison needs, to keep files small.

    That is: qualities that JSON cannot hold (a loss that became NaN), the errors of rounds' edges,
    and the state of devices except their throttle reasons.
    """
    quality = {name: value for name, value in session.quality.items() if math.isfinite(value)}
    rounds = tuple(replace(r, error_uj={}, devices=_throttled(r.devices)) for r in session.rounds)
    return replace(session, quality=quality, rounds=rounds)


def _throttled(devices: Mapping[str, DeviceState]) -> dict[str, DeviceState]:
    return {
        name: DeviceState(throttle_reasons=state.throttle_reasons)
        for name, state in devices.items()
        if state.throttle_reasons
    }


def _anchor(session: Session) -> Anchor:
    units = ("call", *session.rounds[0].units)
    joules = {unit: _joules_by_domain(session.rounds, unit) for unit in units}
    return Anchor(session.saved_at, joules)


def _joules_by_domain(rounds: Sequence[Round], unit: str) -> dict[str, float]:
    """Return the joules of a unit of work by counter, over all rounds."""
    work = sum(work_done(round_, unit) for round_ in rounds)
    names = rounds[0].energy_uj
    return {name: sum(r.energy_uj[name] for r in rounds) * MICROJOULES / work for name in names}
