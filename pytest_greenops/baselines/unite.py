"""Merge the results, and the baselines, of sharded runs: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.baselines.accept import can_join
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.model.baseline import (
    MAX_SESSIONS,
    SCHEMA,
    Baseline,
    Series,
    Session,
    TestKey,
)
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import Origin, Result, Results

_SEPARATELY = "merge the results of each machine separately"
#: Which of two baselines that cannot be merged is kept, and the fix if that is the wrong one.
_KEPT = "saved last is kept: if that is wrong, delete it and merge again"


class United(NamedTuple):
    """The merged results of several files, and what a reader must know about them.

    replaced  number of measurements in more than one file; the last is used
    policies  the fields in which the policies of the runs differ
    """

    results: Results
    replaced: int
    policies: tuple[str, ...]


def unite_results(shards: Iterable[tuple[str, Results]]) -> United:
    """Merge the results of named files in order, and adjust p values for all of them.

    The files are taken one after the other, and none is kept: as many as there are fit in memory
    that the merged results fit in. Raise `ResultsError` if they are of different machines.
    """
    merging: _Merging | None = None
    for name, results in shards:
        if merging is None:
            merging = _Merging(name, results)
        merging.add(name, results)
    if merging is None:
        raise ValueError("no results to merge")
    return merging.united()


class _Merging:
    """What is known of the files so far."""

    def __init__(self, name: str, first: Results) -> None:
        self._name = name
        self._first = replace(first, results=())
        self._latest = self._first
        self._found: dict[tuple[TestKey, str], Result] = {}
        self._agreed = first.environment.recorded
        self._origins: list[Origin | None] = []
        self._policies: set[str] = set()
        self._results = 0

    def add(self, name: str, results: Results) -> None:
        """Add a file; its results replace those of the same names."""
        there, here = (Environment(r.environment.machine) for r in (self._first, results))
        if differences := here.differences(there):
            raise ResultsError(
                f"{name}: another machine than {self._name} ({', '.join(differences)}): "
                f"{_SEPARATELY}"
            )
        if results.created_at > self._latest.created_at:
            self._latest = replace(results, results=())
        self._found.update({(r.test, r.name): r for r in results.results})
        self._results += len(results.results)
        recorded = results.environment.recorded.items()
        self._agreed = dict(kv for kv in self._agreed.items() if kv in recorded)
        self._origins.append(results.origin)
        policy, first = results.policy, self._first.policy
        fields = policy.__struct_fields__
        self._policies |= {f for f in fields if getattr(policy, f) != getattr(first, f)}

    def united(self) -> United:
        """Return the merged results."""
        first, latest = self._first, self._latest
        merged = Results(
            schema=first.schema,
            created_at=latest.created_at,
            version=latest.version,
            environment=replace(first.environment, recorded=self._agreed),
            policy=first.policy,
            results=adjusted(self._found.values()),
            origin=_united_origin(self._origins),
        )
        return United(merged, self._results - len(self._found), tuple(sorted(self._policies)))


def _united_origin(given: Sequence[Origin | None]) -> Origin | None:
    """Return the origin of merged results: the same parts give the same id."""
    origins = [origin for origin in given if origin is not None]
    if len(origins) < len(given):
        return None
    first = origins[0]
    ids = sorted({origin.id for origin in origins})
    if len(ids) == 1:
        return first
    same_code = all(o.commit == first.commit for o in origins)
    return replace(
        first,
        id=hashlib.sha256(" ".join(ids).encode()).hexdigest()[:32],
        commit=first.commit if same_code else None,
        dirty=any(o.dirty for o in origins) if same_code else None,
        versions={
            name: version
            for name, version in first.versions.items()
            if all(origin.versions.get(name) == version for origin in origins)
        },
    )


def unite_baselines(baselines: Sequence[Baseline]) -> tuple[Baseline, tuple[str, ...]]:
    """Merge the baselines of one test; also return a line for each part that cannot be merged.

    The sessions of each name join in one series: the last ten of them, with the oldest anchor. Two
    series cannot be merged if they differ in counters, conditions or units of work, or if one
    replaced the level of the other. Then the one saved last is kept.
    """
    newest = max(baselines, key=_saved_at)
    measurements: dict[str, Series] = {}
    dropped: list[str] = []
    alike = [b for b in baselines if b.machine == newest.machine]
    if len(alike) < len(baselines):
        dropped.append(f"the machine differs: the baseline {_KEPT}")
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
        if not can_join(newest, series):
            why.append(f"counters, conditions or units of work differ: the series {_KEPT}")
        elif _replaced(newest, series):
            why.append(f"one replaced the other at another level: the series {_KEPT}")
        else:
            newest = _joined(newest, series)
    return newest, why


def _joined(newer: Series, older: Series) -> Series:
    distinct = {_identity(session): session for session in (*older.sessions, *newer.sessions)}
    sessions = sorted(distinct.values(), key=lambda session: session.saved_at)
    anchors = sorted((newer.anchor, older.anchor), key=lambda a: a.moved_at or "", reverse=True)
    first, second = sorted(anchors, key=lambda anchor: anchor.saved_at)
    conditions = {**older.conditions, **newer.conditions}
    anchor = replace(first, quality={**second.quality, **first.quality})
    last = tuple(sessions[-MAX_SESSIONS:])
    return replace(newer, conditions=conditions, anchor=anchor, sessions=last)


def _replaced(newer: Series, older: Series) -> bool:
    """Return whether one of two series with the same anchor dropped the other's sessions.

    A series that regressed or improved keeps the time of its anchor, and none of its sessions. Ten
    new sessions drop all older ones too, which a merge would not keep either.
    """
    one, other = newer.anchor, older.anchor
    same_level = one.joules_per_unit == other.joules_per_unit
    if one.saved_at != other.saved_at or (one.moved_at == other.moved_at and not same_level):
        return False
    known = set(map(_identity, older.sessions))
    return not any(_identity(session) in known for session in newer.sessions)


def _identity(session: Session) -> tuple[object, ...]:
    return session.saved_at, session.revision.commit, session.revision.dirty, repr(session.rounds)
