"""Events of every chain in the order in which they were written, for those who watch everything.

A page is walked in that order from where the one before it ended, or from the first event of the time asked for, and passes over what a
filter does not want: time bounds the look, the filter need not. Where the filter leaves one subject, its chain is walked instead, which is
in the same order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, cast, func, not_, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Session, col

from mastering.rules.filters import Comparison, Denial, Either, Every, Node
from mastering.store.tables import HistoryEvent

_HOLDS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "sw": lambda text, start: text.startswith(start),
    "co": lambda text, part: part in text,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """How events are shown, by type: under which name, and with which outcome and severity where it is not the usual one."""

    names: Mapping[str, str]
    outcomes: Mapping[str, str]
    severities: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WantedEvents:
    """Which events a list asks for: every part that is given must hold. Instants as the wire writes them, `until` exclusive."""

    since: str
    until: str | None = None
    filter: Node | None = None
    words: tuple[str, ...] = ()
    """Each of them occurs in the event, in either case. Personal values are not looked at."""


def start(session: Session, since: str) -> int:
    """The position before the first event since an instant; that of the last event where there is none."""
    position = col(HistoryEvent.position)
    first = session.execute(select(func.min(position)).where(col(HistoryEvent.at) >= since)).scalar()
    if first is not None:
        return int(first) - 1
    return last(session)


def last(session: Session) -> int:
    """The position of the last event there is; 0 before the first."""
    return int(session.execute(select(func.coalesce(func.max(col(HistoryEvent.position)), 0))).scalar_one())


def page(session: Session, wanted: WantedEvents, shown: Shown, after: int | None, limit: int, *, newest_first: bool) -> list[HistoryEvent]:
    """The next events. `after` is the position of the last one seen, or `start`.

    Along a subject's chain the position must not look like a key (`coalesce`): a database would walk everybody's events by it.
    """
    subject = _only_subject(wanted.filter)
    position: Any = col(HistoryEvent.position)
    walked, place = (position, position) if subject is None else (col(HistoryEvent.seq), func.coalesce(position, 0))
    query = select(HistoryEvent).where(*_conditions(session, wanted, shown))
    query = query.where(place > (start(session, wanted.since) if newest_first or after is None else after))
    if newest_first and after is not None:
        query = query.where(place < after)
    mark = None if subject is None or after is None else _place_in_chain(session, subject, after)
    if mark is not None:
        query = query.where(walked < mark if newest_first else walked > mark)
    return list(session.execute(query.order_by(walked.desc() if newest_first else walked).limit(limit)).scalars())


def _only_subject(node: Node | None) -> str | None:
    """The subject that every event is of which a filter leaves, where it names one."""
    match node:
        case Comparison(_, "target.id", "eq", value):
            return str(value)
        case Every(parts):
            return next((found for part in parts if (found := _only_subject(part)) is not None), None)
        case _:
            return None


def _place_in_chain(session: Session, subject: str, position: int) -> int | None:
    """Where in its chain an event of a subject stands; `None` where that position is another's."""
    query = select(col(HistoryEvent.seq)).where(col(HistoryEvent.position) == position, col(HistoryEvent.subject) == subject)
    return session.execute(query).scalar()


def _conditions(session: Session, wanted: WantedEvents, shown: Shown) -> list[ColumnElement[bool]]:
    at = func.coalesce(col(HistoryEvent.at), "")  # the order written is walked, not the instants' index
    found: list[ColumnElement[bool]] = [at >= wanted.since]
    if wanted.until is not None:
        found.append(at < wanted.until)
    if wanted.filter is not None:
        found.append(_held(session.get_bind().dialect.name, wanted.filter, shown))
    found += [func.lower(col(HistoryEvent.body)).contains(word.lower(), autoescape=True) for word in wanted.words]
    return found


def _held(dialect: str, node: Node, shown: Shown) -> ColumnElement[bool]:
    match node:
        case Every(parts):
            return and_(*(_held(dialect, part, shown) for part in parts))
        case Either(parts):
            return or_(*(_held(dialect, part, shown) for part in parts))
        case Denial(_, part):
            return not_(_held(dialect, part, shown))
        case Comparison(_, "eventType", comparison, value):
            kind = col(HistoryEvent.type)
            return or_(_of_types(shown.names, comparison, value), and_(kind.not_in(shown.names), _compared(kind, comparison, value)))
        case Comparison(_, "outcome.result", comparison, value):
            return _of_outcomes(shown.outcomes, "SUCCESS", comparison, value)
        case Comparison(_, "severity", comparison, value):
            return _of_outcomes(shown.severities, "INFO", comparison, value)
        case Comparison(_, name, comparison, value):
            return _compared(_column(dialect, name), comparison, value)


def _column(dialect: str, name: str) -> Any:
    if name == "actor.id":
        told = cast(col(HistoryEvent.body), JSONB)["actor"]["id"].astext if dialect == "postgresql" else None
        return func.json_extract(col(HistoryEvent.body), "$.actor.id") if told is None else told
    plain = {"uuid": HistoryEvent.id, "published": HistoryEvent.at, "target.id": HistoryEvent.subject}
    return func.coalesce(col(HistoryEvent.run_id), col(HistoryEvent.id)) if name == "transaction.id" else col(plain[name])


def _compared(column: Any, comparison: str, value: Any) -> ColumnElement[bool]:
    if comparison == "sw":
        return column.startswith(value, autoescape=True)  # type: ignore[no-any-return]
    if comparison == "co":
        return column.contains(value, autoescape=True)  # type: ignore[no-any-return]
    return _HOLDS[comparison](column, value)  # type: ignore[no-any-return]


def _of_types(names: Mapping[str, str], comparison: str, value: Any) -> ColumnElement[bool]:
    return col(HistoryEvent.type).in_([kind for kind, name in names.items() if _HOLDS[comparison](name, value)])


def _of_outcomes(rare: Mapping[str, str], usual: str, comparison: str, value: Any) -> ColumnElement[bool]:
    fits = _of_types(rare, comparison, value)
    return or_(fits, col(HistoryEvent.type).not_in(rare)) if _HOLDS[comparison](usual, value) else fits
