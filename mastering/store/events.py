"""Events of every chain in the order in which they were written, for those who watch everything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlmodel import Session, col

from mastering.store.tables import HistoryEvent


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """Which events a list asks for: every part that is given must hold. Instants as the wire writes them, `until` exclusive."""

    since: str | None = None
    until: str | None = None
    types: Collection[str] | None = None
    subject: str | None = None
    words: tuple[str, ...] = ()
    """Each of them occurs in the event, in either case. Personal values are not looked at."""


def page(session: Session, wanted: WantedEvents, after: int | None, limit: int, *, newest_first: bool) -> list[HistoryEvent]:
    """The next events. `after` is the position of the last one seen."""
    position = col(HistoryEvent.position)
    query = select(HistoryEvent).where(*_conditions(wanted))
    if after is not None:
        query = query.where(position < after if newest_first else position > after)
    return list(session.execute(query.order_by(position.desc() if newest_first else position).limit(limit)).scalars())


def _conditions(wanted: WantedEvents) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(col(HistoryEvent.at) >= wanted.since)
    if wanted.until is not None:
        found.append(col(HistoryEvent.at) < wanted.until)
    if wanted.types is not None:
        found.append(col(HistoryEvent.type).in_(wanted.types))
    if wanted.subject is not None:
        found.append(col(HistoryEvent.subject) == wanted.subject)
    found += [func.lower(col(HistoryEvent.body)).contains(word.lower(), autoescape=True) for word in wanted.words]
    return found
