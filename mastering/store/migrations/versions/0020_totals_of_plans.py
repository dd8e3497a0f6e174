"""Totals of all plans as the metrics tell them, so that they are read without the runs; and the runs that were taken over by index.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TAKEN_OVER = sa.text("takeovers > 0")


def upgrade() -> None:
    op.create_table(
        "plan_totals",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_index("ix_import_runs_taken_over", "import_runs", ["takeovers"], sqlite_where=_TAKEN_OVER, postgresql_where=_TAKEN_OVER)
    if op.get_bind().dialect.name == "sqlite":
        _add_up("situation", "json_each(situations)", "NOT dry_run")
        _add_up("hook", "json_each(hook, '$.outcomes')", "hook IS NOT NULL")
    else:
        _add_up("situation", "json_each_text(situations::json)", "NOT dry_run")
        _add_up("hook", "json_each_text(hook::json -> 'outcomes')", "hook IS NOT NULL")


def _add_up(kind: str, pairs: str, which: str) -> None:
    """What the runs that are there say: a sum for each key of their documents."""
    total = f"SELECT '{kind}', told.key, sum(CAST(told.value AS BIGINT)) FROM import_runs, {pairs} AS told WHERE {which} GROUP BY told.key"
    op.execute(f"INSERT INTO plan_totals (kind, name, rows) {total}")


def downgrade() -> None:
    op.drop_index("ix_import_runs_taken_over", "import_runs")
    op.drop_table("plan_totals")
