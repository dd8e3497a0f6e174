"""Events to be taken away: all of them, or those of a time, a user, an app, a run or a rule, in the order in which they were written.

They are read in pages by position. Time and run narrow the stretch of positions beforehand, a user's events are found by the user's chain;
an app and a rule are looked for in the text of every event of the stretch, where each has one spelling, as the text is canonical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select
from sqlmodel import Session, col

from mastering.store.tables import HistoryEvent

_COLUMNS = ("position", "id", "subject", "seq", "at", "type", "run_id", "body", "values_json", "hash")


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """Which events; every part that is given must hold. Instants as the wire writes them, `until` exclusive; the others by id or name."""

    since: str | None = None
    until: str | None = None
    user: str | None = None
    app: str | None = None
    run: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions from behind `after` up to `end`."""

    after: int
    end: int


def stretch(session: Session, wanted: WantedEvents) -> Stretch:
    """Where the events are that are wanted; what is written from now on is not among them."""
    position, at = col(HistoryEvent.position), col(HistoryEvent.at)
    query = select(func.coalesce(func.min(position), 1), func.coalesce(func.max(position), 0))
    first, last = session.execute(query).one()
    if wanted.since is not None or wanted.until is not None or wanted.run is not None:
        narrow = [] if wanted.run is None else [col(HistoryEvent.run_id) == wanted.run]
        narrow += [at >= wanted.since] if wanted.since is not None else []
        narrow += [at < wanted.until] if wanted.until is not None else []
        first, last = session.execute(query.where(*narrow)).one()
    return Stretch(first - 1, last)


def page(session: Session, wanted: WantedEvents, where: Stretch, limit: int) -> Sequence[Row[Any]]:
    """The next events of a stretch."""
    position = col(HistoryEvent.position)
    query = select(*(getattr(HistoryEvent, name) for name in _COLUMNS)).where(position > where.after, position <= where.end)
    query = query.where(*_conditions(wanted)).limit(limit)
    order = position if wanted.user is None else col(HistoryEvent.seq)  # the same order, and the index of the chain
    return session.execute(query.order_by(order)).all()


def _conditions(wanted: WantedEvents) -> list[ColumnElement[bool]]:
    body = col(HistoryEvent.body)
    found: list[ColumnElement[bool]] = []
    if wanted.user is not None:
        found.append(col(HistoryEvent.subject) == wanted.user)
    if wanted.run is not None:
        found.append(func.coalesce(col(HistoryEvent.run_id), "") == wanted.run)  # the stretch is walked, not the run's index
    if wanted.since is not None:
        found.append(func.coalesce(col(HistoryEvent.at), "") >= wanted.since)
    if wanted.until is not None:
        found.append(func.coalesce(col(HistoryEvent.at), "") < wanted.until)
    if wanted.app is not None:
        found.append(body.contains(f'"{wanted.app}"', autoescape=True))
    if wanted.rule is not None:
        found.append(body.contains(f'"rule":"{wanted.rule}"', autoescape=True))
    return found
