"""What a run came from that no records were sent for.

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
    op.add_column("import_runs", sa.Column("origin", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_runs", "origin")
