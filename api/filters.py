"""The filter of `GET /users`: comparisons that must all hold, such as `status eq "ACTIVE" and profile.login eq "jane@example.com"`.

Okta's own `filter` knows few properties, and so does this. What it does not know is refused with a sentence: a filter that is silently
ignored returns everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mastering.errors import Invalid
from mastering.rules.lifecycle import OKTA_STATUS
from mastering.store.users import Wanted

_TERM = re.compile(r'\s*([A-Za-z.]+)\s+([A-Za-z]+)\s+"((?:[^"\\]|\\.)*)"\s*')
_AND = re.compile(r"and\b", re.IGNORECASE)
_FIELDS = {"id": "id", "status": "status", "profile.login": "login", "profile.email": "email"}
_STATUSES = {shown: status for status, shown in OKTA_STATUS.items()}


def wanted_by(q: str | None, expression: str | None) -> Wanted:
    """What a list of users asks for. Without a filter it leaves out deactivated users, as Okta's does. Raises `Invalid`."""
    terms = _terms(expression) if expression else {}
    status = terms.get("status")
    if status is not None and status not in _STATUSES:
        raise _refusal(f"status: no user is ever {status}; the statuses are {', '.join(_STATUSES)}")
    return Wanted(
        starts_with=q or None,
        status=_STATUSES[status] if status else None,
        not_status=None if terms else _STATUSES["DEPROVISIONED"],
        id=terms.get("id"),
        login=terms.get("login"),
        email=terms.get("email"),
    )


def _terms(expression: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    position = 0
    while True:
        term = _TERM.match(expression, position)
        if term is None:
            raise _refusal(f'filter: at character {position + 1}: write name eq "value", several joined by and')
        name, operator, value = term.groups()
        field = _FIELDS.get(name)
        if field is None:
            raise _refusal(f"filter: {name} cannot be filtered by; {', '.join(_FIELDS)} can")
        if operator.lower() != "eq":
            raise _refusal(f"filter: {operator} is no operator here; eq is")
        if field in found:
            raise _refusal(f"filter: {name} is asked for twice")
        found[field] = re.sub(r"\\(.)", r"\1", value)
        if term.end() == len(expression):
            return found
        joined = _AND.match(expression, term.end())
        if joined is None:
            raise _refusal(f"filter: at character {term.end() + 1}: only and joins comparisons")
        position = joined.end()


def _refusal(cause: str) -> Invalid:
    return Invalid("The list of users cannot be filtered so", cause)
