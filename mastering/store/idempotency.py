"""Idempotency keys: who works under a key, and the answer that was given (API.md, habits)."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlmodel import Session, col

from mastering.store.tables import IdempotencyKey


def claim(session: Session, token_id: str, key: str, at: str, oldest: str) -> IdempotencyKey | None:
    """Take a key; `None` if it was free, else what is kept under it. Keys from before `oldest` are forgotten."""
    session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.created) < oldest))
    found = session.get(IdempotencyKey, (token_id, key))
    if found is None:
        session.add(IdempotencyKey(token_id=token_id, key=key, request_hash=b"", created=at))
    return found


def keep(session: Session, token_id: str, key: str, *, request_hash: bytes, status: int, headers: str, answer: bytes) -> None:
    """Keep the answer to the request that a key was claimed for."""
    session.execute(
        update(IdempotencyKey)
        .where(col(IdempotencyKey.token_id) == token_id, col(IdempotencyKey.key) == key)
        .values(request_hash=request_hash, status=status, headers=headers, answer=answer)
    )


def release(session: Session, token_id: str, key: str) -> None:
    """Give a key back: nothing was done under it."""
    session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.token_id) == token_id, col(IdempotencyKey.key) == key))
