"""The first schema: runs, their machines, measurements of tests, and figures.

Once released, this file does not change: a later schema is a further migration.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_DOCUMENT = sa.JSON().with_variant(JSONB, "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "greenops_machines",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("label", sa.String(100), nullable=False, unique=True),
        sa.Column("facts", _DOCUMENT, nullable=False),
    )
    op.create_table(
        "greenops_runs",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("uid", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("commit", sa.String(64)),
        sa.Column("dirty", sa.Boolean),
        sa.Column("branch", sa.Text),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("versions", _DOCUMENT, nullable=False),
        sa.Column("machine_id", _ID, sa.ForeignKey("greenops_machines.id"), nullable=False),
    )
    op.create_index("greenops_runs_created_at", "greenops_runs", ["created_at"])
    op.create_table(
        "greenops_series",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("test", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_table(
        "greenops_figures",
        sa.Column("series_id", _ID, sa.ForeignKey("greenops_series.id"), nullable=False),
        sa.Column("machine_id", _ID, sa.ForeignKey("greenops_machines.id"), nullable=False),
        sa.Column("run_id", _ID, sa.ForeignKey("greenops_runs.id"), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("cause", sa.Text),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("saved", sa.Boolean, nullable=False),
        sa.Column("energy_j", sa.Double),
        sa.Column("low_j", sa.Double),
        sa.Column("high_j", sa.Double),
        sa.Column("call_j", sa.Double),
        sa.Column("watts", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("change", sa.Double),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("per_unit", _DOCUMENT, nullable=False),
        sa.Column("by_domain", _DOCUMENT, nullable=False),
        sa.Column("quality", _DOCUMENT, nullable=False),
        sa.Column("conditions", _DOCUMENT, nullable=False),
        sa.Column("work_outcome", sa.String(40)),
        sa.Column("work_weighted", sa.Double),
        sa.Column("work_weights", sa.String(40)),
        sa.Column("work_flop", sa.BigInteger),
        sa.Column("work_moved_bytes", sa.BigInteger),
        sa.Column("work_calls", sa.BigInteger),
        sa.Column("work_peak_bytes", sa.BigInteger),
        sa.Column("work_coverage", sa.Double),
        sa.PrimaryKeyConstraint("series_id", "machine_id", "run_id"),
    )
    op.create_index("greenops_figures_run_id", "greenops_figures", ["run_id"])
