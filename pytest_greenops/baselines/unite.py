"""Results of shards into one document; baselines of shards into one: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.baselines.accept import stands_beside
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.model.baseline import MAX_SESSIONS, SCHEMA, Baseline, Series, Session
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import Results

_AGAIN = "merge what one machine measured, machine by machine"
#: What is kept of two that cannot stand together, and the mend where it is not what was wanted.
_KEPT = "saved last is kept; delete the wrong one of the two and merge again"


class United(NamedTuple):
    """One document out of several, and what a reader has to know of how it came about.

    replaced  how many measurements stood in more than one; the last counts
    policies  what the shards' policies differ in, where they do
    """

    results: Results
    replaced: int
    policies: tuple[str, ...]


def unite_results(shards: Sequence[tuple[str, Results]]) -> United:
    """The results of shards, each with its name, in their order; chances are those of the whole.

    Raises `ResultsError` that names the difference for shards of different machines.
    """
    (first_name, first), *others = shards
    for name, results in others:
        there, here = (Environment(r.environment.machine) for r in (first, results))
        if differences := here.differences(there):
            raise ResultsError(
                f"{name}: of another machine than {first_name} ({', '.join(differences)}); {_AGAIN}"
            )
    latest = max((results for _, results in shards), key=lambda results: results.created_at)
    found = {(r.test, r.name): r for _, results in shards for r in results.results}
    recorded = [results.environment.recorded.items() for _, results in shards]
    agreed = dict(kv for kv in recorded[0] if all(kv in facts for facts in recorded))
    united = Results(
        schema=first.schema,
        created_at=latest.created_at,
        version=latest.version,
        environment=replace(first.environment, recorded=agreed),
        policy=first.policy,
        results=adjusted(found.values()),
    )
    total = sum(len(results.results) for _, results in shards)
    policies = (results.policy for _, results in shards)
    differing = {
        field
        for policy in policies
        for field in policy.__struct_fields__
        if getattr(policy, field) != getattr(first.policy, field)
    }
    return United(united, total - len(found), tuple(sorted(differing)))


def unite_baselines(baselines: Sequence[Baseline]) -> tuple[Baseline, tuple[str, ...]]:
    """One file of a test out of several, and what could not stand together, in a line for each.

    Of each name all sessions are kept that can stand in one series, the last ten of them, with the
    oldest anchor. Where series cannot, the one that was saved last is kept: other counters,
    conditions or units of work; or one that began anew, so that the level before it is not what
    was accepted.
    """
    newest = max(baselines, key=_saved_at)
    measurements: dict[str, Series] = {}
    dropped: list[str] = []
    alike = [b for b in baselines if b.machine == newest.machine]
    if len(alike) < len(baselines):
        dropped.append(f"other facts of the machine: the one that was {_KEPT}")
    for name in dict.fromkeys(name for baseline in alike for name in baseline.measurements):
        series = [b.measurements[name] for b in alike if name in b.measurements]
        measurements[name], why = _united(series)
        dropped += [f"{name}: {reason}" for reason in dict.fromkeys(why)]
    return Baseline(SCHEMA, newest.test, newest.machine, measurements), tuple(dropped)


def _saved_at(baseline: Baseline) -> str:
    return max(map(_last, baseline.measurements.values()), default="")


def _last(series: Series) -> str:
    return series.sessions[-1].saved_at


def _united(all_series: Sequence[Series]) -> tuple[Series, list[str]]:
    newest, *older = sorted(all_series, key=_last, reverse=True)
    why = []
    for series in older:
        if not stands_beside(newest, series):
            why.append(f"other counters, conditions or units of work: the series that was {_KEPT}")
        elif _began_anew(newest, series):
            why.append(f"one began anew at another level: the series that was {_KEPT}")
        else:
            newest = _joined(newest, series)
    return newest, why


def _joined(newer: Series, older: Series) -> Series:
    sessions = list(_distinct((*older.sessions, *newer.sessions)))
    sessions.sort(key=lambda session: session.saved_at)
    first, second = sorted((older.anchor, newer.anchor), key=lambda anchor: anchor.saved_at)
    return replace(
        newer,
        conditions={**older.conditions, **newer.conditions},
        anchor=replace(first, quality={**second.quality, **first.quality}),
        sessions=tuple(sessions[-MAX_SESSIONS:]),
    )


def _began_anew(newer: Series, older: Series) -> bool:
    """Whether one of two series that come of the same first level has left the other's sessions.

    A series that begins anew keeps its anchor, and none of its sessions. It also looks so where ten
    sessions have rolled over all of the other's: these would not be kept either.
    """
    if replace(newer.anchor, quality={}) != replace(older.anchor, quality={}):
        return False
    known = set(map(_identity, older.sessions))
    return not any(_identity(session) in known for session in newer.sessions)


def _distinct(sessions: Sequence[Session]) -> Iterator[Session]:
    yield from {_identity(session): session for session in sessions}.values()


def _identity(session: Session) -> tuple[object, ...]:
    return session.saved_at, session.revision.commit, session.revision.dirty, repr(session.rounds)
