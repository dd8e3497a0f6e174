"""When an upload session was last loaded, and the policy for what goes out to an app"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("apps", sa.Column("provisioning", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("import_runs", sa.Column("received", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_runs", "received")
    op.drop_column("apps", "provisioning")
