"""Indexes in the order in which lists are read.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITING = sa.text("situation IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_users_email_key", table_name="users")
    op.create_index("ix_users_email_key", "users", ["email_key", "id"])
    op.create_index("ix_import_runs_page", "import_runs", ["app_id", "id"])
    op.create_index("ix_app_users_queue", "app_users", ["id"], sqlite_where=_WAITING, postgresql_where=_WAITING)


def downgrade() -> None:
    op.drop_index("ix_app_users_queue", table_name="app_users")
    op.drop_index("ix_import_runs_page", table_name="import_runs")
    op.drop_index("ix_users_email_key", table_name="users")
    op.create_index("ix_users_email_key", "users", ["email_key"])
