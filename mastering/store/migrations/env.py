"""Alembic's entry: the connection comes from `engine.migrate`, the target is what `tables` declares.

A migration names SQLAlchemy's own types only, so that it does not change when another library does.
"""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from mastering.store import (  # noqa: F401  they declare the tables
    befores,
    checkpoints,
    connections,
    figures,
    outbound,
    owed,
    previews,
    readings,
    received,
    reconciliations,
    schedules,
    spans,
    tables,
)

connection = context.config.attributes["connection"]


def render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """How a new migration writes SQLModel's own text type."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_item=render,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
