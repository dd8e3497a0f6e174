"""Connections: where an app's own server is, and how the service proves to it who it is (SPEC §11). One to an app.

The secret is text that `mastering.vault` sealed; what is no secret is a document beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Enum, Text, select
from sqlmodel import Field, Session, SQLModel, col

from mastering.store.documents import dump


class Method(StrEnum):
    """How the service proves who it is."""

    HEADER = "HEADER"
    BASIC = "BASIC"
    CLIENT_CREDENTIALS = "CLIENT_CREDENTIALS"


class Connection(SQLModel, table=True):
    """An app's connection. `secret_at`: when its secret was last replaced; `version` grows with every change of anything."""

    __tablename__: ClassVar[Any] = "connections"
    app_id: str = Field(primary_key=True, foreign_key="apps.id")
    enabled: bool = False
    base_url: str
    method: Method = Field(sa_type=Enum(Method, native_enum=False, create_constraint=True, name="connectionmethod", length=32))
    terms: str = Field(default="{}", sa_type=Text)
    secret: str | None = Field(default=None, sa_type=Text)
    secret_at: str | None = None
    version: int = 1
    created: str
    last_updated: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What is no secret about a connection. Of the parts of a method only those of the present one say anything."""

    header: str = "Authorization"
    prefix: str = "Bearer"
    username: str | None = None
    client_id: str | None = None
    token_url: str | None = None
    scope: str | None = None
    secret_in_body: bool = False
    authority: str | None = None
    """PEM of a private authority that is trusted beside the public ones."""
    allow_http: bool = False


_TERMS = msgspec.json.Decoder(Terms)


def terms_of(row: Connection) -> Terms:
    """What is no secret about a connection."""
    return _TERMS.decode(row.terms)


def terms_text(terms: Terms) -> str:
    """The same as it is kept."""
    return dump(terms)


def connection(session: Session, app_id: str, *, lock: bool = False) -> Connection | None:
    """An app's connection; `lock` keeps others from changing it until the transaction ends."""
    query = select(Connection).where(col(Connection.app_id) == app_id)
    found: Connection | None = session.execute(query.with_for_update() if lock else query).scalar()
    return found


def connections(session: Session) -> list[Connection]:
    """All connections, ascending by app."""
    return list(session.execute(select(Connection).order_by(col(Connection.app_id))).scalars())
