"""The tasks of an app in the order in which they were caused, by an index: pages of them are read so.

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_outbound_tasks_app", "outbound_tasks", ["app_id", "seq"])


def downgrade() -> None:
    op.drop_index("ix_outbound_tasks_app", "outbound_tasks")
