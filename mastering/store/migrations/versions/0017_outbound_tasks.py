"""What goes out to apps: the queue, what is known of their accounts, and queues that are stopped

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KINDS = ("CREATE", "UPDATE", "DEACTIVATE", "REACTIVATE", "PASSWORD")
_STATUSES = ("PENDING", "DELIVERING", "DONE", "SUPERSEDED", "DEAD")
_OPEN = sa.text("status IN ('PENDING', 'DELIVERING')")
_FINISHED = sa.text("finished IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "outbound_tasks",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("kind", sa.Enum(*_KINDS, name="taskkind", native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column("status", sa.Enum(*_STATUSES, name="taskstatus", native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column("names", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("login", sa.String(), nullable=True),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.String(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("finished", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"]),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ux_outbound_tasks_id", "outbound_tasks", ["id"], unique=True)
    op.create_index("ix_outbound_tasks_open", "outbound_tasks", ["app_id", "seq"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_outbound_tasks_account", "outbound_tasks", ["account_id", "seq"])
    op.create_index("ix_outbound_tasks_status", "outbound_tasks", ["app_id", "status", "seq"])
    op.create_index("ix_outbound_tasks_finished", "outbound_tasks", ["finished"], sqlite_where=_FINISHED, postgresql_where=_FINISHED)
    op.create_table(
        "outbound_links",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("scim_id", sa.String(), nullable=False),
        sa.Column("synced", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"]),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_index("ix_outbound_links_app", "outbound_links", ["app_id", "scim_id"])
    op.create_table(
        "outbound_queues",
        sa.Column("app_id", sa.String(), nullable=False),
        sa.Column("paused", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("not_before", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"]),
        sa.PrimaryKeyConstraint("app_id"),
    )


def downgrade() -> None:
    op.drop_table("outbound_queues")
    op.drop_table("outbound_links")
    op.drop_table("outbound_tasks")
