"""Reconciliations read the users of connected apps.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reconciliations", sa.Column("read_apps", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("reconciliations", sa.Column("reading", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("reconciliations", sa.Column("readings", sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "reconciliation_app_users",
        sa.Column("reconciliation_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["reconciliation_id"], ["reconciliations.id"]),
        sa.PrimaryKeyConstraint("reconciliation_id", "app_id", "external_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("reconciliation_app_users")
    op.drop_column("reconciliations", "readings")
    op.drop_column("reconciliations", "reading")
    op.drop_column("reconciliations", "read_apps")
