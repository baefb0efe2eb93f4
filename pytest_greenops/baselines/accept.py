"""What becomes of a baseline when a measurement is accepted: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

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
from pytest_greenops.model.measurement import DeviceState, Domain, Round
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome


def accept(
    baseline: Baseline | None,
    test: TestKey,
    machine: dict[str, str],
    results: Iterable[tuple[Result, Session]],
) -> Baseline:
    """Add each result's session to what was accepted before, or begin anew with it.

    A session joins when it agrees with its series, which rolls over the last ten. It begins anew
    when it regressed or improved, keeping the anchor; and with a new anchor when it cannot stand
    beside what was accepted: other counters, conditions or units of work. Of a quality whose drop
    is limited, earlier values hold no more once one that differs by more is accepted.
    """
    series = dict(baseline.measurements) if baseline else {}
    for result, session in results:
        series[result.name] = _grown(series.get(result.name), result, _storable(session))
    return Baseline(SCHEMA, test, machine, series)


def stands_beside(series: Series, other: Series) -> bool:
    """Whether the sessions of another series can stand among those of a series."""
    return _same_work(series, other, other.sessions[-1])


def _grown(series: Series | None, result: Result, session: Session) -> Series:
    grown = _with(series, result, session)
    return replace(grown, anchor=replace(grown.anchor, quality=_first_told(series, grown)))


def _first_told(before: Series | None, grown: Series) -> dict[str, float]:
    """What was accepted first of each quality that is still held, on whatever counters it was."""
    first: dict[str, float] = {}
    for series in (before, grown) if before else (grown,):
        for quality in (series.anchor.quality, *(each.quality for each in series.sessions)):
            first = {**quality, **first}
    held = {name for session in grown.sessions for name in session.quality}
    return {name: value for name, value in first.items() if name in held}


def _with(series: Series | None, result: Result, session: Session) -> Series:
    change = result.verdict.change
    if series is None or not _same_work(series, result, session):
        return Series(result.domains, result.conditions, _anchor(session), (session,))
    if change and change.outcome in (Outcome.REGRESSED, Outcome.IMPROVED):
        return Series(result.domains, result.conditions, series.anchor, (session,))
    sessions = (*_earlier(series, result), session)[-MAX_SESSIONS:]
    conditions = {**series.conditions, **result.conditions}
    return Series(result.domains, conditions, series.anchor, sessions)


def _earlier(series: Series, result: Result) -> Iterator[Session]:
    """What was accepted before, without the qualities that hold no more."""
    limit = next((quality.limit for quality in result.verdict.qualities), None)
    known = [session.quality for session in series.sessions]
    past = set() if limit is None else expired(result.quality, known, limit)
    for session in series.sessions:
        quality = {name: value for name, value in session.quality.items() if name not in past}
        yield replace(session, quality=quality)


def _same_work(series: Series, result: Result | Series, session: Session) -> bool:
    """Whether a session can stand beside those of a series: its counters, conditions and units."""
    known = series.conditions.keys() & result.conditions.keys()
    return (
        list(map(_identity, series.domains)) == list(map(_identity, result.domains))
        and all(series.conditions[name] == result.conditions[name] for name in known)
        and series.sessions[-1].rounds[0].units.keys() == session.rounds[0].units.keys()
    )


def _identity(domain: Domain) -> tuple[object, ...]:
    """What makes two counters the same; the highest plausible power is none of it."""
    return domain.name, domain.kind, domain.range_uj, domain.counted, domain.idle


def _storable(session: Session) -> Session:
    """Without what no later comparison asks for, to keep files small.

    Left out are a quality that JSON has no number for (a loss that became NaN), how exactly the
    edges of rounds were known, and of devices all but what held their clocks down.
    """
    quality = {name: value for name, value in session.quality.items() if math.isfinite(value)}
    rounds = tuple(
        replace(round_, error_uj={}, devices=_throttled(round_.devices))
        for round_ in session.rounds
    )
    return replace(session, quality=quality, rounds=rounds)


def _throttled(devices: Mapping[str, DeviceState]) -> dict[str, DeviceState]:
    return {
        name: DeviceState(throttle_reasons=state.throttle_reasons)
        for name, state in devices.items()
        if state.throttle_reasons
    }


def _anchor(session: Session) -> Anchor:
    units = ("call", *session.rounds[0].units)
    return Anchor(session.saved_at, {unit: _level(session.rounds, unit) for unit in units})


def _level(rounds: tuple[Round, ...], unit: str) -> dict[str, float]:
    """Joules of a unit of work by counter, over all rounds."""
    work = sum(r.iterations if unit == "call" else r.units[unit] for r in rounds)
    names = rounds[0].energy_uj
    return {name: sum(r.energy_uj[name] for r in rounds) * 1e-6 / work for name in names}
