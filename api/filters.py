"""What lists of users can be asked for: `q`, `filter`, `search`, `sortBy` (API.md, /users), with the operators that Okta documents.

===========  ==========================================================================================================
q            the beginning of a first name, last name or e-mail address; leaves out deactivated users
filter       a few properties by `eq`, `lastUpdated` also by order; `and`, `or`, parentheses
search       every property and profile attribute by `eq`, `sw`, `pr` and order; `co` of names, login and e-mail; `not`
===========  ==========================================================================================================

What cannot be answered is refused with the place and a remedy: a filter that is passed over returns everybody.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from mastering.errors import Invalid
from mastering.rules.filters import ORDERED, Comparison, Denial, Either, Every, FilterError, Kind, Node, Property, Vocabulary, read
from mastering.rules.lifecycle import OKTA_STATUS, Status
from mastering.rules.schema import Attribute, Schema
from mastering.store.search import INDEXED, PROFILE, Cursor, Sort
from mastering.store.users import Wanted

_STATUSES = frozenset(OKTA_STATUS.values()) | {"LOCKED_OUT", "PASSWORD_EXPIRED", "PROVISIONED", "RECOVERY"}
"""Every status that Okta knows; scripts ask for all of them, and some nobody ever has here."""
_EQ = frozenset({"eq"})
_TEXT = ORDERED | {"sw"}
_CONTAINS = _TEXT | {"co"}
_KINDS: Mapping[str, tuple[Kind, frozenset[str]]] = {
    "string": ("text", _TEXT),
    "boolean": ("boolean", frozenset({"eq", "pr"})),
    "integer": ("number", ORDERED),
    "number": ("number", ORDERED),
    "array": ("list", frozenset({"eq", "sw", "pr"})),
}
_STATUS = Property("exact", ORDERED, _STATUSES)
_SEARCHED: Mapping[str, Property] = {
    "id": Property("exact", ORDERED),
    "status": _STATUS,
    "created": Property("instant", ORDERED),
    "activated": Property("instant", ORDERED),
    "statusChanged": Property("instant", ORDERED),
    "lastUpdated": Property("instant", ORDERED),
    "type.id": Property("exact", frozenset({"eq", "pr"})),
    **{f"{PROFILE}{name}": Property("text", _CONTAINS) for name in ("firstName", "lastName", "email", "login")},
}
_FILTERED: Mapping[str, Property] = {
    "id": Property("exact", _EQ),
    "status": Property("exact", _EQ, _STATUSES),
    "lastUpdated": Property("instant", ORDERED - {"pr"}),
    **{f"{PROFILE}{name}": Property("text", _EQ) for name in ("firstName", "lastName", "email", "login")},
}


class Direction(StrEnum):
    """Which way a search is sorted."""

    asc = "asc"
    desc = "desc"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of a list of users says."""

    q: str | None = None
    filter: str | None = None
    search: str | None = None
    sort_by: str | None = None
    sort_order: Direction = Direction.asc


def wanted_by(asked: Asked, schema: Schema) -> Wanted:
    """What a list of users asks for. Without a filter or a search it leaves out deactivated users, as Okta's does. Raises `Invalid`."""
    if asked.search is not None and (asked.filter is not None or asked.q is not None):
        raise _refusal("search: is not combined with filter or q; write all of it as the search")
    node: Node | None = None
    if asked.search is not None:
        known = "status, id, type.id, created, activated, statusChanged, lastUpdated and profile.… can be searched by"
        node = filtered("search", asked.search, Vocabulary(lambda name: _searched(name, schema), known))
    elif asked.filter is not None:
        node = filtered(
            "filter", asked.filter, Vocabulary(_FILTERED.get, f"{', '.join(_FILTERED)} can be; search knows more", denies=False)
        )
    gone = next(status for status, shown in OKTA_STATUS.items() if shown == "DEPROVISIONED")
    return Wanted(asked.q or None, gone if node is None else None, node, _sort(asked, schema))


def statuses_by(asked: Asked) -> list[Status]:
    """The statuses that a list of the past asks for; without a filter all but deactivated. Raises `Invalid` for what else is asked."""
    others = {"q": asked.q, "search": asked.search, "sortBy": asked.sort_by}
    causes = [
        f"{name}: is not combined with asOf; lists of the past are filtered by status, in the order of ids"
        for name in others
        if others[name]
    ]
    if causes:
        raise Invalid("The list of users as of then cannot be had so", *causes)
    if asked.filter is None:
        return [status for status, shown in OKTA_STATUS.items() if shown != "DEPROVISIONED"]
    node = filtered("filter", asked.filter, Vocabulary({"status": _FILTERED["status"]}.get, "status can be, as of then"))
    return [status for status, shown in OKTA_STATUS.items() if _fits(shown, node)]


def _fits(shown: str, node: Node) -> bool:
    match node:
        case Every(parts):
            return all(_fits(shown, part) for part in parts)
        case Either(parts):
            return any(_fits(shown, part) for part in parts)
        case Denial(_, part):
            return not _fits(shown, part)
        case Comparison(_, _, operator, value):
            return (shown == value) == (operator == "eq")


def filtered(parameter: str, text: str, vocabulary: Vocabulary) -> Node:
    """The checked tree of a parameter's filter. Raises `Invalid` with the place of what is wrong."""
    try:
        return read(text, vocabulary)
    except FilterError as fault:
        raise Invalid(f"Invalid {parameter} criteria", f"{parameter}: {fault}") from fault


def cursor_text(cursor: Cursor, sort: Sort) -> str:
    """Where a page ended, as `after` shows it."""
    return cursor.id if sort.name == "id" else urlsafe_b64encode(msgspec.json.encode([cursor.value, cursor.id])).decode().rstrip("=")


def cursor_from(text: str | None, sort: Sort, schema: Schema) -> Cursor | None:
    """Where the next page begins. Raises `Invalid` for an `after` that no page of this order showed."""
    if not text:
        return None
    if sort.name == "id":
        return Cursor(text, text)
    attribute = _attribute(sort.name, schema)
    kind: Any = float if attribute is not None and attribute.type in {"integer", "number"} else str
    try:
        value, user_id = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[kind, str])
    except (msgspec.MsgspecError, binascii.Error, UnicodeError) as fault:
        raise _refusal("after: is none that a page sorted so has shown; follow the Link header") from fault
    return Cursor(value, user_id)


def _searched(name: str, schema: Schema) -> Property | None:
    if name in _SEARCHED:
        return _SEARCHED[name]
    attribute = _attribute(name, schema)
    return None if attribute is None else Property(*_KINDS[attribute.type])


def _attribute(name: str, schema: Schema) -> Attribute | None:
    return schema.attributes.get(name.removeprefix(PROFILE)) if name.startswith(PROFILE) else None


def _sort(asked: Asked, schema: Schema) -> Sort:
    if asked.sort_by is None:
        return Sort()  # as Okta does: an order without a property says nothing
    name = asked.sort_by
    attribute = _attribute(name, schema)
    if name != "status" and name not in INDEXED and attribute is None:
        raise _refusal(f"sortBy: {name[:100]} is nothing to sort by; {', '.join(n for n in INDEXED if PROFILE not in n)} and profile.… are")
    if attribute is not None and attribute.type == "array":
        raise _refusal(f"sortBy: {name} is a list and has no order")
    return Sort(name, asked.sort_order is Direction.desc)


def _refusal(cause: str) -> Invalid:
    return Invalid("The list of users cannot be asked for so", cause)
