"""What a run came from that no records were sent for.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_runs", sa.Column("origin", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_runs", "origin")
