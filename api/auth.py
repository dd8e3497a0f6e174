"""Who calls, and whether they may (API.md, habits).

A caller shows a token as `Authorization: SSWS <token>`, with or without the blank, or as `Bearer <token>`. Every path asks for one but
those marked `public`: health, and the description of the API, which is the same on every server.

=========  ==============================================================================
admin      everything
auditor    every GET, and what `AUDITOR_MAY` lists: POSTs that change nothing
importer   what `IMPORTER_MAY` lists, of the apps that its token names
=========  ==============================================================================
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from mastering.clock import now
from mastering.errors import Forbidden, Unauthenticated
from mastering.ledger import Actor
from mastering.store.tables import Role
from mastering.tokens import Caller, identify

PUBLIC = {"public": True}
"""The options of a handler that asks for no token."""

IMPORTER_MAY = frozenset(
    {
        ("GET", "/api/v1/apps"),
        ("GET", "/api/v1/apps/{app_id}"),
        ("GET", "/api/v1/apps/{app_id}/imports"),
        ("POST", "/api/v1/apps/{app_id}/imports"),
        ("GET", "/api/v1/identity-sources/{identity_source_id}/sessions"),
        ("POST", "/api/v1/identity-sources/{identity_source_id}/sessions"),
        ("GET", "/api/v1/identity-sources/{identity_source_id}/sessions/{session_id}"),
        ("DELETE", "/api/v1/identity-sources/{identity_source_id}/sessions/{session_id}"),
        ("POST", "/api/v1/identity-sources/{identity_source_id}/sessions/{session_id}/bulk-upsert"),
        ("POST", "/api/v1/identity-sources/{identity_source_id}/sessions/{session_id}/bulk-delete"),
        ("POST", "/api/v1/identity-sources/{identity_source_id}/sessions/{session_id}/start-import"),
        ("GET", "/api/v1/imports"),
        ("GET", "/api/v1/imports/{run_id}"),
        ("GET", "/api/v1/imports/{run_id}/changes"),
    }
)
"""Method and path of what an importer may call. Which apps and runs, the handlers ask by `require_app` and `importable_apps`."""

AUDITOR_MAY = frozenset({("POST", "/api/v1/history/verify")})
_SHOWN = re.compile(r"(?:SSWS ?|Bearer )(\S+)", re.IGNORECASE)
_NO_PERMISSION = "You do not have permission to perform the requested action"


class Authentication(ASGIMiddleware):
    """Puts the `Caller` on the request, or refuses it with `Unauthenticated`."""

    def should_bypass_for_scope(self, scope: Scope) -> bool:
        """Public handlers ask nobody."""
        return bool(scope["route_handler"].opt.get("public"))

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look the token up, and go on."""
        secret = secret_of(scope)
        caller = await sync_to_thread(identify, scope["litestar_app"].state.engine, now(), secret) if secret else None
        if caller is None:
            raise Unauthenticated("Invalid token provided")
        scope["user"] = scope["auth"] = caller
        await next_app(scope, receive, send)


def secret_of(scope: Scope) -> str | None:
    """The token that a request shows."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            shown = _SHOWN.fullmatch(value.decode("latin-1").strip())
            return shown[1] if shown else None
    return None


def authorise(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: lets a caller's role decide; raises `Forbidden`."""
    if handler.opt.get("public"):
        return
    caller: Caller = connection.auth
    method = connection.scope.get("method", "")
    asked = (method, _plain(connection.scope["path_template"]))
    allowed = {
        Role.admin: True,
        Role.auditor: method == "GET" or asked in AUDITOR_MAY,
        Role.importer: asked in IMPORTER_MAY,
    }
    if not allowed[caller.role]:
        raise Forbidden(_NO_PERMISSION, f"a token of role {caller.role} may not do this")


def _plain(template: str) -> str:
    return template.replace(":str", "").rstrip("/")


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Who calls."""
    caller: Caller = request.auth
    return caller


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """The caller as history names it."""
    return caller_of(request).actor


def importable_apps(request: Request[Any, Any, Any]) -> list[str] | None:
    """The apps whose imports the caller may see; `None` for all."""
    caller = caller_of(request)
    return sorted(caller.apps) if caller.role is Role.importer else None


def require_app(request: Request[Any, Any, Any], app_id: str) -> None:
    """Refuse an importer whose token does not name this app; raises `Forbidden`."""
    caller = caller_of(request)
    if caller.role is Role.importer and app_id not in caller.apps:
        raise Forbidden(_NO_PERMISSION, f"this token is not for the app {app_id}")
