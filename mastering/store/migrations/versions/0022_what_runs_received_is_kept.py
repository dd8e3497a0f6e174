"""What planned runs received is kept, deflated; and a run says up to which event its plan saw the directory.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_chunks",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"]),
        sa.PrimaryKeyConstraint("run_id", "seq"),
    )
    op.add_column("import_runs", sa.Column("planned_as_of", sa.BigInteger(), nullable=True))
    op.add_column("import_runs", sa.Column("planned_now", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_runs", "planned_now")
    op.drop_column("import_runs", "planned_as_of")
    op.drop_table("kept_chunks")
