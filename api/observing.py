"""Around every request, also those that find no handler: an id, a log line, a measurement, and the headers that protect browsers.

What is logged of an address is the handler's path with its placeholders: logins and queries stay out. The id is in the answer as
`X-Okta-Request-Id`, where Okta's clients look for it, and in every log line that the request caused. Where a request is about an import
run, the run's id is in these lines, too: by the one, an operator finds what the other did.
"""

from __future__ import annotations

from time import perf_counter

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Histogram

from mastering.ids import looks_like_id, new_id

_log = structlog.get_logger("mastering.api")
_QUIET = "/health"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""Set where the handler has not said otherwise."""


RUN_ID = "run_id"
"""What a run's id is called in log lines."""
_IN_A_PATH = (RUN_ID, "session_id")  # an upload session is a run of the same id


class Traced(ASGIMiddleware):
    """Puts the run that a path names into the log lines of its request. It stands behind the router, which knows."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Note the run, if there is one."""
        named = next((scope["path_params"][name] for name in _IN_A_PATH if name in scope["path_params"]), None)
        if named is not None and looks_like_id(named):
            structlog.contextvars.bind_contextvars(run_id=named)
        await next_app(scope, receive, send)


class Observed:
    """An ASGI application with its requests observed."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._seconds = Histogram(
            "mastering_http_request_seconds",
            "Time from a request's first byte to the end of its answer.",
            ("method", "path", "status"),
            registry=registry,
            buckets=_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id, started, status = new_id("req"), perf_counter(), 500

        async def adorned(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders(message)
                headers["x-okta-request-id"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, adorned)
            finally:
                self._tell(scope, status, perf_counter() - started)
                structlog.contextvars.unbind_contextvars(RUN_ID)

    def _tell(self, scope: HTTPScope, status: int, seconds: float) -> None:
        method, path = scope["method"], scope.get("path_template") or "(none)"
        self._seconds.labels(method, path, status).observe(seconds)
        if not path.startswith(_QUIET):
            _log.info("request", method=method, path=path, status=status, milliseconds=round(seconds * 1000, 1))
