"""Inline hooks, and what they are asked while a run is planned"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inline_hooks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "status", sa.Enum("ACTIVE", "INACTIVE", name="hookstatus", native_enum=False, create_constraint=True, length=32), nullable=False
        ),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("auth_key", sa.String(), nullable=True),
        sa.Column("auth_value", sa.Text(), nullable=True),
        sa.Column(
            "on_failure",
            sa.Enum("CONTINUE", "HOLD", name="onfailure", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created", sa.String(), nullable=False),
        sa.Column("last_updated", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "hook_calls",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("contested", sa.Boolean(), nullable=False),
        sa.Column("word", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["import_runs.id"]),
        sa.PrimaryKeyConstraint("run_id", "external_id"),
    )
    with op.batch_alter_table("import_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("hook", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("import_runs", schema=None) as batch_op:
        batch_op.drop_column("hook")
    op.drop_table("hook_calls")
    op.drop_table("inline_hooks")
