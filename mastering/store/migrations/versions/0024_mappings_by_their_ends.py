"""The mappings of a source, and to a target, by an index in the order of their pages.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_mappings_source", "mappings", ["source_id", "id"])
    op.create_index("ix_mappings_target", "mappings", ["target_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_mappings_target", "mappings")
    op.drop_index("ix_mappings_source", "mappings")
