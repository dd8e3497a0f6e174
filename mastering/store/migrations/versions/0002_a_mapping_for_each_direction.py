"""A mapping for each direction: apps made before get their outbound one, with the rules of a new app"""

import json

import sqlalchemy as sa
from alembic import op

from mastering.ids import new_id

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DIRECTORY = "otyMastering00000001"
ATTRIBUTES = (
    "firstName", "lastName", "middleName", "honorificPrefix", "honorificSuffix", "email", "title", "displayName", "nickName", "profileUrl",
    "secondEmail", "mobilePhone", "primaryPhone", "streetAddress", "city", "state", "zipCode", "countryCode", "postalAddress",
    "preferredLanguage", "locale", "timezone", "userType", "employeeNumber", "costCenter", "organization", "division", "department",
    "managerId", "manager",
)  # fmt: skip


def upgrade() -> None:
    mappings = sa.table(
        "mappings", *(sa.column(name) for name in ("id", "source_id", "target_id", "properties", "version", "created", "last_updated"))
    )
    apps = sa.table("apps", sa.column("id"), sa.column("created"))
    rules = json.dumps({name: {"expression": f"user.{name}", "pushStatus": "PUSH"} for name in ATTRIBUTES}, separators=(",", ":"))
    without = sa.select(apps.c.id, apps.c.created).where(~sa.exists().where(mappings.c.target_id == apps.c.id))
    connection = op.get_bind()
    for app_id, created in connection.execute(without).all():
        connection.execute(
            sa.insert(mappings).values(
                id=new_id("prm"), source_id=DIRECTORY, target_id=app_id, properties=rules, version=1, created=created, last_updated=created
            )
        )


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM mappings WHERE source_id = :directory").bindparams(directory=DIRECTORY))
