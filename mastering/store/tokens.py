"""Access tokens, found by the hash of their secret."""

from __future__ import annotations

from sqlalchemy import exists, select, update
from sqlmodel import Session, col

from mastering.store.tables import Token


def by_hash(session: Session, secret_hash: bytes) -> Token | None:
    """The token with this secret, a revoked one included."""
    found: Token | None = session.execute(select(Token).where(col(Token.secret_hash) == secret_hash)).scalar()
    return found


def named(session: Session, name: str) -> list[Token]:
    """The tokens of this name that are not revoked."""
    return list(session.execute(select(Token).where(col(Token.name) == name, col(Token.revoked).is_(None))).scalars())


def page(session: Session, after: str, limit: int) -> list[Token]:
    """The next tokens, ascending by id, revoked ones included."""
    return list(session.execute(select(Token).where(col(Token.id) > after).order_by(col(Token.id)).limit(limit)).scalars())


def there_are_any(session: Session) -> bool:
    """Whether a token has ever been made."""
    return bool(session.execute(select(exists(select(col(Token.id))))).scalar())


def note_use(session: Session, token_id: str, at: str) -> None:
    """Remember when a token was used."""
    session.execute(update(Token).where(col(Token.id) == token_id).values(last_used=at))
