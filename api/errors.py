"""Everything that is not a success, in Okta's error envelope (API.md, habits).

What the program refuses is a `MasteringError`, whose class decides status and code. What the framework refuses, before a handler is
reached, has a status of its own that is put into words here. Anything else is a fault of the program: 500, and a log line that the
`errorId` leads to. No answer says more of a fault than that.

One cause per fault: where one thing is wrong its sentence is the cause, too, unless it only repeats the summary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from msgspec import Struct

from api.bodies import in_words
from mastering.errors import (
    AlreadyActive,
    AttributeMastered,
    Busy,
    Forbidden,
    IllegalMove,
    Invalid,
    KeyReused,
    MalformedBody,
    MasteringError,
    NotFound,
    PlanChanged,
    PreconditionFailed,
    Unauthenticated,
    UnsupportedMediaType,
    WrongState,
)
from mastering.ids import new_id
from mastering.store.outage import is_outage

_log = structlog.get_logger("mastering.api")

REFUSALS: Mapping[type[MasteringError], tuple[int, str]] = {
    Invalid: (400, "E0000001"),
    MalformedBody: (400, "E0000003"),
    Unauthenticated: (401, "E0000011"),
    Forbidden: (403, "E0000006"),
    AlreadyActive: (403, "E0000016"),
    AttributeMastered: (403, "E0000023"),
    IllegalMove: (403, "E0000038"),
    WrongState: (403, "E0000107"),
    NotFound: (404, "E0000007"),
    PlanChanged: (409, "M0000001"),
    KeyReused: (409, "M0000002"),
    PreconditionFailed: (412, "E0000231"),
    UnsupportedMediaType: (415, "E0000021"),
    Busy: (429, "E0000047"),
}
"""Status and code of what the program refuses, by the nearest class."""

OF_THE_FRAMEWORK: Mapping[int, tuple[str, str]] = {
    400: ("E0000003", "The request body was not well-formed."),
    401: ("E0000011", "Invalid token provided"),
    403: ("E0000006", "You do not have permission to perform the requested action"),
    404: ("E0000007", "Not found: Resource not found: "),
    405: ("E0000022", "The endpoint does not support the provided HTTP method"),
    406: ("E0000019", "Bad request. Accept and/or Content-Type headers likely do not match supported values."),
    413: ("E0000003", "The request body is too large."),
    415: ("E0000021", "Bad request. Accept and/or Content-Type headers likely do not match supported values."),
    429: ("E0000047", "API call exceeded rate limit due to too many requests."),
    431: ("E0000003", "The address and the headers of the request are too large."),
    503: ("E0000009", "The database does not answer."),
}
"""Code and summary of what the framework refuses, by status."""

_LACKING = re.compile(r"Missing required (?:\w+ )?parameter '([^']+)'")
_FAULT = ("E0000009", "Internal Server Error")
_LONGEST = 1_000
_AWAY = ("E0000009", "The database cannot do this at the moment. Look whether it took effect, then ask again")
_MOST_CAUSES = 100
_WITH: Mapping[int, Mapping[str, str]] = {401: {"WWW-Authenticate": "SSWS"}, 429: {"Retry-After": "5"}}
"""The header that goes with a status."""


class Cause(Struct, rename="camel"):
    """One fault, in a sentence that names the field."""

    error_summary: str


class ErrorEnvelope(Struct, rename="camel"):
    """What every answer that is not a success says."""

    error_code: str
    error_summary: str
    error_link: str
    error_id: str
    error_causes: list[Cause]


@dataclass(frozen=True, slots=True)
class _Problem:
    status: int
    code: str
    summary: str
    causes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(request: Request[Any, Any, Any], fault: Exception) -> Response[ErrorEnvelope]:
    """The answer to a request that raised. Every one is in the log under its error id; faults of the program with where they were raised."""
    status, envelope, headers = refusal(fault, request.scope["path"])
    return Response(envelope, status_code=status, headers=dict(headers), media_type="application/json")


def refusal(fault: Exception, path: str) -> tuple[int, ErrorEnvelope, Mapping[str, str]]:
    """Status, envelope and headers of the answer to a request for a path; it is in the log from now on."""
    problem = _problem(fault, path)
    error_id = new_id("oae")
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", error_id=error_id, exc_info=fault)
    else:
        _log.info("request refused", error_id=error_id, code=problem.code)
    causes = [Cause(_bounded(cause)) for cause in problem.causes[:_MOST_CAUSES]]
    return problem.status, ErrorEnvelope(problem.code, _bounded(problem.summary), problem.code, error_id, causes), problem.headers


def code_of(refusal: MasteringError) -> str:
    """The code of a refusal that is one result among several."""
    return _refusal(refusal).code


def _bounded(sentence: str) -> str:
    """A sentence may repeat what was sent, and that may be of any length."""
    return sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"


def _problem(fault: Exception, path: str) -> _Problem:
    if isinstance(fault, MasteringError):
        return _refusal(fault)
    if isinstance(fault, ValidationException):
        return _invalid(fault)
    if isinstance(fault, HTTPException) and fault.status_code in OF_THE_FRAMEWORK:
        code, summary = OF_THE_FRAMEWORK[fault.status_code]
        if fault.status_code == HTTPStatus.NOT_FOUND:
            summary += path
        return _Problem(fault.status_code, code, summary, headers=fault.headers or {})
    if is_outage(fault):
        return _Problem(503, *_AWAY, headers={"Retry-After": "1"})
    return _Problem(500, *_FAULT)


def _refusal(refusal: MasteringError) -> _Problem:
    for kind in type(refusal).__mro__:
        if kind in REFUSALS:
            status, code = REFUSALS[kind]
            return _Problem(status, code, refusal.summary, refusal.causes, _WITH.get(status, {}))
    return _Problem(500, *_FAULT)


def _invalid(refusal: ValidationException) -> _Problem:
    """Parameters of path, query and headers that are missing or of another type; bodies are looked at by `api.bodies`."""
    found: list[Any] = refusal.extra if isinstance(refusal.extra, list) else []
    if any(fault.get("key") == "data" for fault in found):
        return _Problem(400, "E0000003", "The request body was not well-formed: there is none")
    lacking = _LACKING.match(refusal.detail)
    causes = [f"{lacking[1]}: is required"] if lacking else []
    causes += [f"{_on_the_wire(fault.get('key', 'request'))}: {in_words(str(fault.get('message', '')))}" for fault in found]
    return _Problem(400, "E0000001", f"Api validation failed: {_field(causes)}", tuple(causes))


def _on_the_wire(name: str) -> str:
    """A parameter as the caller wrote it, from what the handler calls it."""
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def _field(causes: list[str]) -> str:
    return causes[0].partition(":")[0] if causes else "request"


HANDLERS: ExceptionHandlersMap = {Exception: answer}
