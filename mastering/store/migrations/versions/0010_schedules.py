"""Schedules: what fires when, and who has taken a firing"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("next_due", sa.String(), nullable=True),
        sa.Column("last_due", sa.String(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "kind"),
    )
    op.create_index("ix_schedules_next_due", "schedules", ["next_due"])


def downgrade() -> None:
    op.drop_index("ix_schedules_next_due", table_name="schedules")
    op.drop_table("schedules")
