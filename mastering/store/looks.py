"""What a transaction has looked at and could not lock: looked at again in the instant in which it is committed (docs/decisions/0035).

A row that is there is locked, and nobody changes it meanwhile. A person who is not there yet cannot be: "nobody has this address" may be
true when it is asked and untrue when what follows from it is committed, and the history would tell of a decision that nobody would have
made at that place of it. So whoever decides on such an answer leaves a *look*: since which event it was asked, and what to ask of those of
whom events have been committed since. History is committed by one transaction at a time, so that the answer given under its lock holds
until the commit. Where it has changed the transaction is rolled back, and made again on what is there by now.

On SQLite there is one writer at a time, and nothing to look at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import ColumnElement, func, select
from sqlmodel import Session, col

from mastering.store.tables import HistoryEvent

_LOOKS = "looks"
Stands: TypeAlias = Callable[[set[str]], bool]
"""Whether what was decided stands, although others have told of these people and accounts since."""


class OvertakenError(Exception):
    """Others have committed what should have been seen: nothing of the transaction is kept, and the same again sees it."""


def looked(session: Session, since: int, stands: Stands) -> None:
    """Have `stands` asked when this transaction is committed, if others have committed anything after `since`.

    That is the position of the newest event (`imports.last_event`) before anything was asked that `stands` has to answer for.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.info.setdefault(_LOOKS, []).append((since, stands))


def told_since(position: int) -> ColumnElement[bool]:
    """Of an event, that it was written after this position and up to the newest one there is.

    Both ends are named for PostgreSQL's sake: of a range without an end it believes, while it does not know the table well, that a third of all
    history lies in it, and reads all of it to find the few events at its end.
    """
    written, newest = col(HistoryEvent.position), select(func.max(col(HistoryEvent.position))).scalar_subquery()
    return (written > position) & (written <= newest)


def look_again(session: Session) -> None:
    """Raise `OvertakenError` if what was looked at has changed. The caller holds the lock of history."""
    told: dict[int, set[str]] = {}
    for since, stands in session.info.pop(_LOOKS, ()):
        if since not in told:
            query = select(col(HistoryEvent.subject)).distinct().where(told_since(since))
            told[since] = set(session.execute(query).scalars())
        if told[since] and not stands(told[since]):
            raise OvertakenError
