"""Users are searched by index"""

import json

import sqlalchemy as sa
from alembic import op

from mastering.rules.text import fold_name

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = {
    "firstName": "search_first_name",
    "lastName": "search_last_name",
    "department": "search_department",
    "employeeNumber": "search_employee_number",
}
INDEXED = {
    "created": "created",
    "activated": "coalesce(activated, '')",
    "status_changed": "coalesce(status_changed, '')",
    "last_updated": "last_updated",
    **{column: column for column in COLUMNS.values()},
}
AT_ONCE = 5_000


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    kind = sa.String(collation="C") if postgresql else sa.String()
    for column in COLUMNS.values():
        op.add_column("users", sa.Column(column, kind, nullable=False, server_default=""))
    if postgresql:
        op.alter_column("users", "login_key", type_=kind)
        op.alter_column("users", "email_key", type_=kind)
    _fill()
    for column, value in INDEXED.items():
        op.create_index(f"ix_users_{column}", "users", [sa.text(value), "id"])


def _fill() -> None:
    """The folded attributes of the users there are, some thousands at a time."""
    connection, after = op.get_bind(), ""
    page = sa.text("SELECT id, profile FROM users WHERE id > :after ORDER BY id LIMIT :most")
    fill = sa.text(f"UPDATE users SET {', '.join(f'{column} = :{column}' for column in COLUMNS.values())} WHERE id = :id")
    while rows := connection.execute(page, {"after": after, "most": AT_ONCE}).all():
        profiles = [(user_id, json.loads(profile)) for user_id, profile in rows]
        connection.execute(fill, [{"id": user_id, **_folded(profile)} for user_id, profile in profiles])
        after = rows[-1][0]


def _folded(profile: dict[str, object]) -> dict[str, str]:
    return {column: fold_name(value) if isinstance(value := profile.get(name), str) else "" for name, column in COLUMNS.items()}


def downgrade() -> None:
    for column in INDEXED:
        op.drop_index(f"ix_users_{column}", "users")
    for column in COLUMNS.values():
        op.drop_column("users", column)
