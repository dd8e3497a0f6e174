"""Connections: where an app's own server is, and how the service proves to it who it is (SPEC §11). One to an app.

The secret is text that `mastering.vault` sealed; what is no secret is a document beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Enum, Text, select
from sqlmodel import Field, Session, SQLModel, col

from mastering.store.documents import dump, load

_LONGEST_INSTANT = 60


class Method(StrEnum):
    """How the service proves who it is."""

    HEADER = "HEADER"
    BASIC = "BASIC"
    CLIENT_CREDENTIALS = "CLIENT_CREDENTIALS"


class Connection(SQLModel, table=True):
    """An app's connection. `secret_at`: when its secret was last replaced; `version` grows with every change that an admin makes.

    `mark`: the newest `meta.lastModified` that a completed import has seen of this server, as it wrote it.
    """

    __tablename__: ClassVar[Any] = "connections"
    app_id: str = Field(primary_key=True, foreign_key="apps.id")
    enabled: bool = False
    base_url: str
    method: Method = Field(sa_type=Enum(Method, native_enum=False, create_constraint=True, name="connectionmethod", length=32))
    terms: str = Field(default="{}", sa_type=Text)
    secret: str | None = Field(default=None, sa_type=Text)
    secret_at: str | None = None
    mark: str | None = None
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


def advance(session: Session, app_id: str, pull: str | None, *, whole: bool) -> None:
    """Remember how far a completed pull has seen the changes of its server: a delta only if it is further than what is known.

    A pull of another server than the connection's present one says nothing about this one.
    """
    told = load(pull) if pull else {}
    row = connection(session, app_id, lock=True) if told.get("newest") else None
    if row is None or row.base_url != told["server"]:
        return
    known, newest = instant_of(row.mark), instant_of(told["newest"])
    if whole or known is None or (newest is not None and newest > known):
        row.mark = told["newest"]
        session.add(row)


def instant_of(said: object) -> datetime | None:
    """The instant that a server writes; `None` for what is none. Without a zone it is taken for UTC."""
    if not isinstance(said, str) or len(said) > _LONGEST_INSTANT:
        return None
    try:
        at = datetime.fromisoformat(said.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def connection(session: Session, app_id: str, *, lock: bool = False) -> Connection | None:
    """An app's connection; `lock` keeps others from changing it until the transaction ends."""
    query = select(Connection).where(col(Connection.app_id) == app_id)
    found: Connection | None = session.execute(query.with_for_update() if lock else query).scalar()
    return found


def edition(session: Session, app_id: str) -> tuple[int, bool] | None:
    """Which version of an app's connection holds, and whether it is switched on: all that has to be seen before each call."""
    query = select(col(Connection.version), col(Connection.enabled)).where(col(Connection.app_id) == app_id)
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1])


def connections(session: Session) -> list[Connection]:
    """All connections, ascending by app."""
    return list(session.execute(select(Connection).order_by(col(Connection.app_id))).scalars())
