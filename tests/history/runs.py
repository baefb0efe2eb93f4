"""Runs to append, and what a history holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pytest_greenops.history.database import reading
from pytest_greenops.history.tables import tables
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import Origin, Result, Results
from tests.unit.builders import key
from tests.unit.report import samples


def url(written: str) -> HistoryUrl:
    """Return the address of a history."""
    return HistoryUrl(written, Path.cwd())


def run(
    number: int,
    results: Sequence[Result] = (),
    *,
    joules: float = 2.0,
    machine: str = "AMD EPYC 9654",
    branch: str | None = "main",
    **of_origin: Any,
) -> Results:
    """Return the run of a day, of one test unless there are `results`."""
    results = results or [samples.result(test=key("test_works"), joules=joules)]
    given = {"project": "demo", "commit": f"{number:040x}", "dirty": False, "branch": branch}
    origin = Origin(id=f"{number:032x}", **{**given, **of_origin})
    return replace(
        samples.run(results),
        created_at=(datetime(2026, 1, 1, 12, tzinfo=timezone.utc) + timedelta(number)).isoformat(),
        environment=Environment({"cpu": machine, "cores": "4", "sensors": "powercap"}),
        origin=origin,
    )


def counts(written: str) -> dict[str, int]:
    """Return the number of rows of each table."""
    import sqlalchemy as sa

    of = tables()
    with reading(url(written)) as connection:
        return {
            name.removeprefix("greenops_"): int(
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0
            )
            for name, table in of.metadata.tables.items()
        }


def rows(written: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    import sqlalchemy as sa

    with reading(url(written)) as connection:
        found = connection.execute(sa.select(tables().metadata.tables[f"greenops_{table}"]))
        return [dict(row) for row in found.mappings()]
