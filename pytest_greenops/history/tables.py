"""The tables of the current schema, as queries name them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

#: The revision of the last migration, which these tables describe.
SCHEMA = "0001"
#: Where a database says its revision. A database may have other tables: ours have this prefix.
VERSION_TABLE = "greenops_schema"


class Tables(NamedTuple):
    """The tables: a figure belongs to a series (a measurement of a test) and to a run."""

    metadata: MetaData
    machines: Table
    runs: Table
    series: Table
    figures: Table


@cache
def tables() -> Tables:
    """Return the tables; their migrations say the same, and a test compares the two."""
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import JSONB

    meta = sa.MetaData()
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    document = sa.JSON().with_variant(JSONB, "postgresql")
    machines = sa.Table(
        "greenops_machines",
        meta,
        sa.Column("id", number, primary_key=True),
        sa.Column("label", sa.String(100), nullable=False, unique=True),
        sa.Column("facts", document, nullable=False),
    )
    runs = sa.Table(
        "greenops_runs",
        meta,
        sa.Column("id", number, primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, index=False),
        sa.Column("project", sa.Text, nullable=False),
        *(sa.Column("commit", sa.String(64)), sa.Column("dirty", sa.Boolean)),
        sa.Column("branch", sa.Text),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("versions", document, nullable=False),
        sa.Column("machine_id", number, sa.ForeignKey(machines.c.id), nullable=False),
        sa.Index("greenops_runs_created_at", "created_at"),
    )
    series = sa.Table(
        "greenops_series",
        meta,
        sa.Column("id", number, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("project", "test", "name")),
    )
    figures = sa.Table(
        "greenops_figures",
        meta,
        sa.Column("series_id", number, sa.ForeignKey(series.c.id), primary_key=True),
        # That of the run: with the others it is the index of the last figures of one machine.
        sa.Column("machine_id", number, sa.ForeignKey(machines.c.id), primary_key=True),
        sa.Column("run_id", number, sa.ForeignKey(runs.c.id), primary_key=True),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("cause", sa.Text),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("domain", "unit")),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("estimated", "saved")),
        *(sa.Column(name, sa.Double) for name in ("energy_j", "low_j", "high_j", "call_j")),
        *(sa.Column(name, sa.Double) for name in ("watts", "seconds", "change")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("rounds", "sessions")),
        *(sa.Column(name, document, nullable=False) for name in ("per_unit", "by_domain")),
        *(sa.Column(name, document, nullable=False) for name in ("quality", "conditions")),
        sa.Column("work_outcome", sa.String(40)),
        sa.Column("work_weighted", sa.Double),
        sa.Column("work_weights", sa.String(40)),
        *(sa.Column(name, sa.BigInteger) for name in ("work_flop", "work_moved_bytes")),
        *(sa.Column(name, sa.BigInteger) for name in ("work_calls", "work_peak_bytes")),
        sa.Column("work_coverage", sa.Double),
        sa.Index("greenops_figures_run_id", "run_id"),
    )
    return Tables(meta, machines, runs, series, figures)
