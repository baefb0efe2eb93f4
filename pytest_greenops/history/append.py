"""Append a run to a history: its rows, in one transaction."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pytest_greenops.history.database import writing
from pytest_greenops.history.migrate import upgrade
from pytest_greenops.history.tables import Tables, tables
from pytest_greenops.model.errors import HistoryError, ResultsError, encodable, shown
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import Origin, Result, Results

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

#: SQLite allows 999 parameters of a statement in old versions, and 64-bit integers.
_AT_ONCE, _MOST = 500, (1 << 63) - 1
Row = dict[str, Any]


def append(url: HistoryUrl, documents: Sequence[Results]) -> list[bool]:
    """Append runs, each in one transaction; return for each whether it was not there yet.

    A history without tables gets them, and one of an older version is migrated. Raises
    `HistoryError`, and then the run at fault and those after it are not there.
    """
    done = []
    for results in documents:
        with writing(url) as connection:
            _upgrade(url, connection)
            done.append(_append(connection, results))
    return done


def _upgrade(url: HistoryUrl, connection: Connection) -> None:
    try:
        upgrade(connection)
    except HistoryError as error:
        raise HistoryError(f"{url}: {error}") from None


def run_id(results: Results) -> str:
    """Return the id of a run; of a document without one, a hash of its content."""
    if results.origin is not None:
        return results.origin.id
    import msgspec

    return hashlib.sha256(msgspec.json.encode(results, order="sorted")).hexdigest()[:32]


def _append(connection: Connection, results: Results) -> bool:
    import sqlalchemy as sa

    of, uid = tables(), run_id(results)
    known = sa.select(of.runs.c.id).where(of.runs.c.uid == uid)
    if connection.execute(known).first() is not None:
        return False
    origin = results.origin or Origin(uid, project="")
    machine = _machine(connection, of, results)
    row = {
        "uid": uid,
        "created_at": _moment(results.created_at),
        "project": _text(origin.project),
        "commit": origin.commit,
        "dirty": origin.dirty,
        "branch": origin.branch and _text(origin.branch),
        "version": results.version,
        "versions": _storable(origin.versions),
        "machine_id": machine,
    }
    run = _inserted(connection, of.runs, row)
    keyed = {_key(origin.project, result): result for result in results.results}
    ids = _series(connection, of, origin.project, keyed)
    place = {"machine_id": machine, "run_id": run}
    rows = [{"series_id": ids[key], **place, **_figures(r)} for key, r in keyed.items()]
    if rows:
        connection.execute(sa.insert(of.figures), rows)
    return True


def _machine(connection: Connection, of: Tables, results: Results) -> int:
    import sqlalchemy as sa

    label = results.environment.slug
    found = connection.execute(sa.select(of.machines.c.id).where(of.machines.c.label == label))
    if (known := found.scalar()) is not None:
        return int(known)
    row = {"label": label, "facts": _storable(results.environment.machine)}
    return _inserted(connection, of.machines, row)


def _inserted(connection: Connection, table: Table, row: Row) -> int:
    """Insert a row, and return its number."""
    import sqlalchemy as sa

    made = connection.execute(sa.insert(table), row).inserted_primary_key
    assert made is not None
    return int(made[0])


def _series(
    connection: Connection, of: Tables, project: str, keyed: Mapping[str, Result]
) -> dict[str, int]:
    """Return the number of each measurement of a test by its key; make those that are new."""
    import sqlalchemy as sa

    def known() -> Iterator[tuple[str, int]]:
        keys = list(keyed)
        for begin in range(0, len(keys), _AT_ONCE):
            part = of.series.c.key.in_(keys[begin : begin + _AT_ONCE])
            query = sa.select(of.series.c.key, of.series.c.id).where(part)
            yield from ((key, number) for key, number in connection.execute(query))

    found = dict(known())
    new = [
        {
            "key": key,
            "project": _text(project),
            "test": _text(result.test.node_id),
            "name": _text(result.name),
        }
        for key, result in keyed.items()
        if key not in found
    ]
    if not new:
        return found
    connection.execute(sa.insert(of.series), new)
    return dict(known())


def _key(project: str, result: Result) -> str:
    """Return a short key of a measurement: the names themselves may be too long for an index."""
    names = "\0".join((project, result.test.node_id, result.name))
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()


def _figures(result: Result) -> Row:
    verdict = result.verdict
    row: Row = {
        "outcome": verdict.outcome.value,
        "cause": verdict.cause and _text(verdict.cause),
        "domain": _text(result.domain),
        "unit": _text(result.unit),
        "estimated": verdict.estimated or result.provenance.estimated,
        "saved": result.accepted,
        "call_j": _known(result.joules),
        "watts": _known(result.watts),
        "seconds": _known(result.seconds),
        "change": verdict.change and _known(verdict.change.relative),
        "rounds": sum(map(len, result.sessions)),
        "sessions": len(result.sessions),
        "per_unit": _storable(result.per_unit),
        "by_domain": _storable(result.by_domain),
        "quality": _storable(result.quality),
        "conditions": _storable(result.conditions),
    }
    return {**row, **_judged(result), **_work(result)}


def _judged(result: Result) -> Row:
    """Return the joules of the judged unit of work, and their interval."""
    if math.isnan(result.joules):
        return dict.fromkeys(("energy_j", "low_j", "high_j"))
    judged_j = result.judged_j
    scale = judged_j / result.joules if result.joules else math.nan
    low_j, high_j = result.interval or (math.nan, math.nan)
    return {
        "energy_j": _known(judged_j),
        "low_j": _known(low_j * scale),
        "high_j": _known(high_j * scale),
    }


def _work(result: Result) -> Row:
    work, verdict = result.work, result.verdict.work
    if work is None:
        names = ("weighted", "weights", "flop", "moved_bytes", "calls", "peak_bytes", "coverage")
        nothing: Row = {f"work_{name}": None for name in names}
        return {**nothing, "work_outcome": verdict and verdict.outcome.value}
    totals = work.totals
    return {
        "work_outcome": verdict and verdict.outcome.value,
        "work_weighted": _known(work.weighted),
        "work_weights": work.weights,
        "work_flop": min(totals.all_flop, _MOST),
        "work_moved_bytes": min(totals.moved, _MOST),
        "work_calls": totals.calls,
        "work_peak_bytes": totals.peak_bytes,
        "work_coverage": work.coverage.share,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(text: str) -> str:
    """Return a text that a database can hold: no NUL, no lone surrogate."""
    return encodable(text).replace("\0", "\\x00")


def _storable(values: Mapping[str, str] | Mapping[str, float]) -> Row:
    """Return a mapping that JSON in a database can hold."""
    return {
        _text(name): _text(value) if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, str) or math.isfinite(value)
    }


def _moment(iso: str) -> datetime:
    """Return a time in UTC. Raises `ResultsError` for what is no time."""
    text = f"{iso[:-1]}+00:00" if iso.endswith("Z") else iso  # Python 3.10 reads no Z
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ResultsError(f"{shown(iso)}: expected the time of a run in ISO 8601") from None
