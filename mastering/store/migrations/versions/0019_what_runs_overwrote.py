"""What runs overwrote of accounts, so that they can be undone.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_befores",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"]),
        sa.PrimaryKeyConstraint("run_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_import_runs_origin", "import_runs", ["origin"])
    op.create_index("ix_run_befores_account_id", "run_befores", ["account_id"])


def downgrade() -> None:
    op.drop_table("run_befores")
    op.drop_index("ix_import_runs_origin", "import_runs")
