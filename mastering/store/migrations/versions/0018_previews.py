"""Previews of changed options, and their rows.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_STATUSES = ("QUEUED", "COMPUTING", "COMPLETED", "FAILED")


def upgrade() -> None:
    op.create_table(
        "previews",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("wishes", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column(
            "status", sa.Enum(*_STATUSES, name="previewstatus", native_enum=False, create_constraint=True, length=32), nullable=False
        ),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("completed", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.String(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_previews_status", "previews", ["status", "id"])
    op.create_table(
        "preview_rows",
        sa.Column("preview_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("effect", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("login", sa.String(), nullable=True),
        sa.Column("app_id", sa.String(), nullable=True),
        sa.Column("app_user_id", sa.String(), nullable=True),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("from_value", sa.String(), nullable=True),
        sa.Column("to_value", sa.String(), nullable=True),
        sa.Column("trigger", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["preview_id"], ["previews.id"]),
        sa.PrimaryKeyConstraint("preview_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_preview_rows_user", "preview_rows", ["user_id"])


def downgrade() -> None:
    op.drop_table("preview_rows")
    op.drop_table("previews")
