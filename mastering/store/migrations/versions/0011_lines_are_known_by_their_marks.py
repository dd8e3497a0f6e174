"""What a run receives is kept with the marks of its lines, by which those are known again that bring nothing new.

Before the lines, so that SQLite reads them without the lines. Pieces that were received before have none, and are read line by line.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    marks = sa.Column("marks", sa.LargeBinary(), nullable=True)
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("run_chunks", recreate="always") as table:
            table.add_column(marks, insert_before="payload")
    else:
        op.add_column("run_chunks", marks)


def downgrade() -> None:
    op.drop_column("run_chunks", "marks")
