"""Read trends from a history."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pytest_greenops.history.database import reading
from pytest_greenops.history.migrate import check_readable
from pytest_greenops.history.steps import changes, find_steps
from pytest_greenops.history.tables import Tables, tables
from pytest_greenops.model.errors import HistoryError, NotInHistory, nearest
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.trend import Trend, TrendPoint
from pytest_greenops.model.units import counted

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select


class Wanted(NamedTuple):
    """Which figures to read.

    test     a node id, a test's name, a pattern with `*` and `?`, the name of a measurement, or a
             part of a node id: the first of these that is in the history; None reads all
    last     number of runs of each measurement and machine; without a test, of all together
    machine  a part of the machine's name
    branch   the branch of the runs
    project  the project of the runs
    """

    test: str | None = None
    last: int = 50
    machine: str = ""
    branch: str | None = None
    project: str | None = None


class _Series(NamedTuple):
    """A measurement of a test."""

    number: int
    project: str
    test: str
    name: str

    @property
    def subject(self) -> str:
        return f"{self.test} · {self.name}"

    @property
    def test_name(self) -> str:
        """The test without module and class: `test_generate[8]`; a parameter may contain `::`."""
        function, bracket, param = self.test.partition("::")[2].partition("[")
        return f"{function.rpartition('::')[2]}{bracket}{param}"


class _Line(NamedTuple):
    """What comparable figures have in common: the first fields of a trend."""

    project: str
    test: str
    name: str
    machine: str
    quantity: Literal["energy", "work"]
    domain: str
    unit: str
    estimated: bool


def read_trends(url: HistoryUrl, wanted: Wanted) -> tuple[Trend, ...]:
    """Return the trends of the wanted measurements, by test; empty if it holds none of them.

    Raises `HistoryError`, and `NotInHistory` for a name that matches no test.
    """
    with reading(url) as connection:
        try:
            check_readable(connection)
        except HistoryError as error:
            raise HistoryError(f"{url}: {error}") from None
        series = list(_series(connection, wanted))
        if wanted.test is not None and not series:
            raise _no_such_test(url, connection, wanted)
        return tuple(_trends(series, _figures(connection, series, wanted)))


def _series(connection: Connection, wanted: Wanted) -> Iterator[_Series]:
    import sqlalchemy as sa

    of = tables().series
    query = sa.select(of.c.id, of.c.project, of.c.test, of.c.name)
    if wanted.project is not None:
        query = query.where(of.c.project == wanted.project)
    known = [_Series(*row) for row in connection.execute(query)]
    if wanted.test is None:
        yield from known
        return
    for matches in _ways_to_match(wanted.test):
        if found := [each for each in known if matches(each)]:
            yield from found
            return


def _ways_to_match(text: str) -> Iterator[Callable[[_Series], bool]]:
    """Yield what a name on the command line may mean, the most exact first."""
    yield lambda each: text in (each.test, each.subject)
    yield lambda each: text == each.test_name
    if any(wild in text for wild in "*?"):
        pattern = re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
        yield lambda each: any(map(pattern.fullmatch, (each.test, each.subject, each.test_name)))
    yield lambda each: text == each.name
    yield lambda each: text in each.test


def _no_such_test(url: HistoryUrl, connection: Connection, wanted: Wanted) -> NotInHistory:
    series = list(_series(connection, wanted._replace(test=None)))
    tests, names = {each.test for each in series}, sorted({each.test_name for each in series})
    near = nearest((wanted.test or "").rpartition("::")[2], names)
    hint = f"; the nearest: {near}" if near else f"; it has {counted(len(tests), 'test')}"
    return NotInHistory(f"{url}: no runs of a test or measurement named like {wanted.test}{hint}")


def _figures(
    connection: Connection, series: Sequence[_Series], wanted: Wanted
) -> Iterator[tuple[Any, ...]]:
    """Yield rows, the newest first for each measurement and machine."""
    import sqlalchemy as sa

    of = tables()
    if wanted.test is None:
        yield from connection.execute(_of_last_runs(of, wanted))
        return
    machines = sa.select(of.machines.c.id).where(*_of_machine(of, wanted))
    numbers = list(connection.execute(machines).scalars())
    for each in series:
        for machine in numbers:
            yield from connection.execute(last_figures(of, each.number, machine, wanted))


def last_figures(of: Tables, series: int, machine: int, wanted: Wanted) -> Select[Any]:
    """Return the query for the figures of the last runs of a measurement on one machine.

    The index of the figures has them in this order, so that it reads no others.
    """
    figure = of.figures.c
    return (
        _columns(of)
        .where(figure.series_id == series, figure.machine_id == machine, *_of_branch(of, wanted))
        .order_by(figure.run_id.desc())
        .limit(wanted.last)
    )


def _of_last_runs(of: Tables, wanted: Wanted) -> Select[Any]:
    """Return the query for all figures of the last runs."""
    import sqlalchemy as sa

    conditions = _of_branch(of, wanted)
    if wanted.machine:
        machines = sa.select(of.machines.c.id).where(*_of_machine(of, wanted))
        conditions.append(of.runs.c.machine_id.in_(machines))
    if wanted.project is not None:
        conditions.append(of.runs.c.project == wanted.project)
    newest = sa.select(of.runs.c.id).where(*conditions).order_by(of.runs.c.created_at.desc())
    return _columns(of).where(of.figures.c.run_id.in_(newest.limit(wanted.last)))


def _of_machine(of: Tables, wanted: Wanted) -> list[Any]:
    label = of.machines.c.label
    return [label.contains(wanted.machine, autoescape=True)] if wanted.machine else []


def _of_branch(of: Tables, wanted: Wanted) -> list[Any]:
    return [] if wanted.branch is None else [of.runs.c.branch == wanted.branch]


def _columns(of: Tables) -> Select[Any]:
    """Return a query for what a trend needs of a figure, its run and its machine."""
    import sqlalchemy as sa

    figure, run = of.figures.c, of.runs.c
    return (
        sa.select(
            *(figure.series_id, of.machines.c.label, figure.domain, figure.unit, figure.estimated),
            *(figure.energy_j, figure.low_j, figure.high_j, figure.outcome, figure.saved),
            *(figure.conditions, figure.work_weighted, figure.work_weights, figure.work_outcome),
            *(run.uid, run.created_at, run.commit, run.dirty, run.branch, run.versions),
        )
        .join_from(of.figures, of.runs, figure.run_id == run.id)
        .join(of.machines, figure.machine_id == of.machines.c.id)
    )


def _trends(series: Sequence[_Series], rows: Iterable[Any]) -> Iterator[Trend]:
    """Yield the trends that rows make, each of comparable figures."""
    known = {each.number: each for each in series}
    lines: dict[_Line, list[TrendPoint]] = {}
    for row in rows:
        if (of := known.get(row.series_id)) is None:
            continue
        alike = (of.project, of.test, of.name, row.label)
        if row.energy_j is not None:
            line = _Line(*alike, "energy", row.domain, row.unit, row.estimated)
            lines.setdefault(line, []).append(_point(row, row.energy_j, row.outcome))
        if row.work_weighted is not None:
            line = _Line(*alike, "work", row.work_weights, "call", False)
            outcome = row.work_outcome or row.outcome
            lines.setdefault(line, []).append(_point(row, row.work_weighted, outcome, False))
    for line, points in sorted(lines.items()):
        points.sort(key=lambda point: (point.at, point.run))
        values = [point.value for point in points]
        steps = changes(values) if line.quantity == "work" else find_steps(values)
        yield Trend(*line, tuple(points), steps)


def _point(row: Any, value: float, outcome: str, of_energy: bool = True) -> TrendPoint:
    return TrendPoint(
        run=row.uid,
        at=_utc(row.created_at),
        value=value,
        outcome=outcome,
        commit=row.commit,
        dirty=row.dirty,
        branch=row.branch,
        low=row.low_j if of_energy else None,
        high=row.high_j if of_energy else None,
        saved=row.saved,
        versions=row.versions,
        conditions=row.conditions,
    )


def _utc(at: datetime) -> str:
    """Return a time in UTC; SQLite keeps none with an offset."""
    aware = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)
    return aware.isoformat(timespec="seconds")
