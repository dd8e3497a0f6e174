"""Who had which status from when until when, as the history tells it.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_in_bytes = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_STATUSES = ("PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "DEACTIVATED")


def upgrade() -> None:
    op.create_table(
        "status_spans",
        sa.Column("status", sa.Enum(*_STATUSES, name="status", native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column("user_id", _in_bytes, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("since", sa.String(), nullable=False),
        sa.Column("until", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("status", "user_id", "seq"),
        sqlite_with_rowid=False,
    )
    told = "body::json ->> '{}'" if op.get_bind().dialect.name == "postgresql" else "json_extract(body, '$.{}')"
    op.execute(f"""
        INSERT INTO status_spans (status, user_id, seq, since, until)
        SELECT status, user_id, seq, since, until FROM (
            SELECT {told.format("to")} AS status, subject AS user_id, seq, at AS since,
                   coalesce(lead(at) OVER (PARTITION BY subject ORDER BY seq), '9999-12-31T23:59:59.999Z') AS until
            FROM history
            WHERE type LIKE 'user.%' AND {told.format("trigger")} IS NOT NULL
        ) AS spans
        WHERE status <> 'deleted' AND since < until
    """)


def downgrade() -> None:
    op.drop_table("status_spans")
