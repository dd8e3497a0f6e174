"""Searching users: a checked filter becomes SQL, with every value bound, and never an unbounded look through everybody.

A property is *indexed* (status, id, the instants, login, e-mail, and the attributes that have a column of their own) or it is one of the
profile's others, which only looking at each profile answers. How a page is found depends on how many users the indexed part of the filter
leaves, counted only as far as it must be:

==========================================  =========================================================================================
the filter                                  how
==========================================  =========================================================================================
all of it indexed, some thousands match     they are looked up and put in order
all of it indexed, more match               the order's own index is walked on from where the last page ended, past who does not match
some of it, or the order, is not indexed    at most `LOOK_THROUGH` users are looked at; where the indexed part leaves more, `NotIndexed`
==========================================  =========================================================================================

An absent attribute is an empty text throughout (no profile keeps empty texts), so that every comparison is true or false and pages go on
by (value, id) without a null in the way.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    SQLColumnExpression,
    String,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Session, col

from mastering.rules.filters import Comparison, Denial, Either, Every, Node, Operand, comparisons
from mastering.rules.lifecycle import OKTA_STATUS
from mastering.rules.schema import Schema
from mastering.rules.text import fold_login, fold_name
from mastering.store import tables
from mastering.store.catalog import USER_TYPE_ID

LOOK_THROUGH = 50_000
"""Users that a search without an index may look at."""
SORTED = 5_000
"""Users that are looked up and sorted for a page; more are walked in order instead."""
_LAST = "\U0010ffff"
_LOWEST = -1.7976931348623157e308
PROFILE = "profile."

Compared = ColumnElement[bool]
Column = SQLColumnExpression[Any]
User = tables.User

_NONE: ColumnElement[str] = literal_column("''")  # written out, as the indexes over it are
_STATUSES = {shown: status for status, shown in OKTA_STATUS.items()}
_HOLDS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


def _as_it_is(text: str) -> str:
    return text


INDEXED: Mapping[str, tuple[Column, Callable[[str], str]]] = {
    "id": (col(User.id), _as_it_is),
    "created": (col(User.created), _as_it_is),
    "activated": (func.coalesce(col(User.activated), _NONE), _as_it_is),
    "statusChanged": (func.coalesce(col(User.status_changed), _NONE), _as_it_is),
    "lastUpdated": (col(User.last_updated), _as_it_is),
    "profile.login": (col(User.login_key), fold_login),
    "profile.email": (col(User.email_key), fold_login),
    **{f"{PROFILE}{name}": (getattr(User, column), fold_name) for name, column in tables.SEARCHED_ATTRIBUTES.items()},
}
"""Properties with an index of their own: what is compared, and how a value is folded to be compared with it."""


class NotIndexed(Exception):
    """More users than may be looked through would have to be, for want of an index over this property. `position` as in the filter."""

    def __init__(self, name: str, position: int | None) -> None:
        super().__init__(name)
        self.name = name
        self.position = position


@dataclass(frozen=True, slots=True)
class Sort:
    """By which property a search is sorted; users with the same value by id."""

    name: str = "id"
    descending: bool = False


BY_ID = Sort()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the sorted property's value there, and the id."""

    value: str | float
    id: str


def look(
    session: Session,
    schema: Schema,
    narrow: Sequence[Compared],
    leave_out: Compared,
    node: Node | None,
    sort: Sort,
    after: Cursor | None,
    limit: int,
) -> list[tuple[str, Any]]:
    """The next users' ids with the values they are sorted by: all of `narrow`, which indexes answer, and the filter hold of them, and
    `leave_out` does not. Raises `NotIndexed`.

    No statement leaves the database a choice that could end in a look at everybody: what is looked up is asked for without an order, and
    what is walked in order without anything else that has an index.
    """
    wording = _Wording(session.get_bind().dialect.name, schema)
    key, user_id = wording.key(sort.name), col(User.id)
    match = and_(true(), *narrow, *([] if node is None else [wording.condition(node)]))
    here = _passed_over(not_(leave_out))
    most = _most(session, wording, narrow, node, sort)
    if most:
        found = [(row[0], row[1]) for row in session.execute(select(user_id, key).where(match, here).limit(most + 1))]
        if len(found) <= most:
            return _page_of(found, sort, after, limit)
    order = (key.desc(), user_id.desc()) if sort.descending else (key, user_id)
    query = select(user_id, key).where(here, _passed_over(match)).order_by(*order)
    found = []
    for part in _parts(key, sort, after):
        found += [(row[0], row[1]) for row in session.execute(query.where(part).limit(limit - len(found)))]
        if len(found) == limit:
            break
    return found


def _most(session: Session, wording: _Wording, narrow: Sequence[Compared], node: Node | None, sort: Sort) -> int:
    """How many users may be looked up and sorted; none where everybody is wanted, in an order with an index. Raises `NotIndexed`."""
    lacking = None if node is None else _unindexed(node)
    unsorted = sort.name != "status" and sort.name not in INDEXED
    if lacking is None and not unsorted:
        return SORTED if narrow or node is not None else 0
    narrowed = and_(true(), *narrow, *([] if node is None else [wording.relaxed(node)]))
    counted = select(func.count()).select_from(select(col(User.id)).where(narrowed).limit(LOOK_THROUGH + 1).subquery())
    if session.execute(counted).scalar_one() > LOOK_THROUGH:
        raise NotIndexed(sort.name, None) if lacking is None else NotIndexed(lacking.property, lacking.position)
    return LOOK_THROUGH


def _page_of(found: list[tuple[str, Any]], sort: Sort, after: Cursor | None, limit: int) -> list[tuple[str, Any]]:
    """The page after a cursor, of everybody that matches."""
    beyond = operator.lt if sort.descending else operator.gt
    later = found if after is None else [each for each in found if beyond((each[1], each[0]), (after.value, after.id))]
    return sorted(later, key=lambda each: (each[1], each[0]), reverse=sort.descending)[:limit]


def _parts(key: Column, sort: Sort, after: Cursor | None) -> list[Compared]:
    """What comes after a cursor: the rest of those with the same value, then the other values. Each is one range of the order's index."""
    if after is None:
        return [true()]
    beyond = operator.lt if sort.descending else operator.gt
    others: Compared = beyond(key, after.value)
    return [others] if sort.name == "id" else [and_(key == after.value, beyond(col(User.id), after.id)), others]


def _passed_over(condition: Compared) -> Compared:
    """A condition that is only held against the users whom an index leads to: none answers a function."""
    return func.coalesce(condition, false())


def _unindexed(node: Node) -> Comparison | None:
    """The first comparison that no index answers."""
    match node:
        case Comparison():
            return None if _is_indexed(node) else node
        case Denial(_, part):
            if isinstance(part, Comparison):
                return None if part.operator == "pr" and _is_indexed(part) else part
            return next(iter(comparisons(part)))
        case Every(parts) | Either(parts):
            return next((found for part in parts if (found := _unindexed(part)) is not None), None)


def _is_indexed(term: Comparison) -> bool:
    return term.operator != "co" and (term.property in INDEXED or term.property in {"status", "type.id"})


@dataclass(frozen=True, slots=True)
class _Wording:
    """How one database says it, of an org with this schema."""

    dialect: str
    schema: Schema

    def condition(self, node: Node) -> Compared:
        """A tree as SQL that is true or false of every user."""
        match node:
            case Comparison():
                return self._comparison(node)
            case Every(parts):
                return and_(*(self.condition(part) for part in parts))
            case Either(parts):
                return or_(*(self.condition(part) for part in parts))
            case Denial(_, Comparison(_, name, "pr")) if name in INDEXED:
                return INDEXED[name][0] == _NONE
            case Denial(_, part):
                return not_(func.coalesce(self.condition(part), false()))

    def relaxed(self, node: Node) -> Compared:
        """What indexes can answer of a tree: true of everybody whom the tree is true of, and of others."""
        match node:
            case Every(parts):
                return and_(*(self.relaxed(part) for part in parts))
            case Either(parts) if _unindexed(node) is None:
                return or_(*(self.relaxed(part) for part in parts))
            case _:
                return self.condition(node) if _unindexed(node) is None else true()

    def key(self, name: str) -> Column:
        """What a property is sorted by: never null."""
        if name == "status":
            return type_coerce(col(User.status), String)  # our words and Okta's are in the same order
        if name in INDEXED:
            return INDEXED[name][0]
        attribute = self.schema.attributes[name.removeprefix(PROFILE)]
        if attribute.type in {"integer", "number"}:
            return func.coalesce(self._number(attribute.name), _LOWEST)
        return self._text(attribute.name)

    def _comparison(self, term: Comparison) -> Compared:
        if term.property == "status":
            return _of_status(term)
        if term.property == "type.id":
            return true() if term.operator == "pr" or term.value == USER_TYPE_ID else false()
        if term.property in INDEXED:
            column, fold = INDEXED[term.property]
            return _of_text(column, term.operator, fold(str(term.value)))
        attribute = self.schema.attributes[term.property.removeprefix(PROFILE)]
        if attribute.type == "array":
            return self._of_list(attribute.name, term)
        if attribute.type == "boolean" and term.operator != "pr":
            return self._text(attribute.name) == self._written(term.value)
        if attribute.type in {"integer", "number"} and term.operator != "pr":
            return func.coalesce(_HOLDS[term.operator](self._number(attribute.name), term.value), false())
        return _of_text(self._text(attribute.name), term.operator, self._folded(str(term.value)))

    def _of_list(self, name: str, term: Comparison) -> Compared:
        """Whether any item fits (RFC 7644 §3.4.2.2)."""
        if self.dialect == "postgresql":
            whole = cast(col(User.profile), JSONB)[name]
            listed = case((func.jsonb_typeof(whole) == "array", whole), else_=literal([], JSONB))
            items = func.jsonb_array_elements_text(listed).table_valued("value")
            item: Column = func.lower(items.c.value).collate("C")
        else:
            items = func.json_each(col(User.profile), f"$.{name}").table_valued("value")
            item = func.fold_name(cast(items.c.value, Text))
        held = true() if term.operator == "pr" else _of_text(item, term.operator, self._written(term.value))
        return select(items.c.value).where(items.c.value.is_not(None), held).exists()

    def _text(self, name: str) -> ColumnElement[str]:
        """A text or a boolean, folded; empty where there is none."""
        if self.dialect == "postgresql":
            return func.coalesce(func.lower(cast(col(User.profile), JSONB)[name].astext), "").collate("C")
        return func.coalesce(func.fold_name(cast(func.json_extract(col(User.profile), f"$.{name}"), Text)), "")

    def _number(self, name: str) -> ColumnElement[float]:
        if self.dialect == "postgresql":
            return cast(cast(col(User.profile), JSONB)[name].astext, Double)
        return func.json_extract(col(User.profile), f"$.{name}")

    def _folded(self, text: str) -> str:
        return text.lower() if self.dialect == "postgresql" else fold_name(text)

    def _written(self, value: Operand) -> str:
        """A value as it is found in a profile."""
        if isinstance(value, bool):
            return str(int(value)) if self.dialect == "sqlite" else str(value).lower()
        return self._folded(str(value))


def _of_status(term: Comparison) -> Compared:
    """Okta's words are compared by their letters, as Okta compares them."""
    if term.operator == "pr":
        return true()
    fits = [status for shown, status in _STATUSES.items() if _HOLDS[term.operator](shown, term.value)]
    return col(User.status).in_(fits)


def _of_text(column: Column, comparison: str, text: str) -> Compared:
    """A comparison of a folded text, of which an absent one is empty and fits nothing."""
    if comparison == "pr":
        return column > _NONE
    if comparison == "sw":
        return and_(column > _NONE, begins(column, text))
    if comparison == "co":
        return column.contains(text, autoescape=True)
    held: Compared = _HOLDS[comparison](column, text)
    return held if comparison in {"eq", "gt"} else and_(column > _NONE, held)


def begins(column: Column, text: str) -> Compared:
    """A range that an index answers: every text that begins so."""
    return and_(column >= text, column < text + _LAST)
