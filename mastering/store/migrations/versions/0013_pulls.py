"""How a run fetched its records, and how far the changes of an app's server have been imported

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_runs", sa.Column("pull", sa.Text(), nullable=True))
    op.add_column("connections", sa.Column("mark", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("connections", "mark")
    op.drop_column("import_runs", "pull")
