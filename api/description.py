"""The description of the API: `/openapi.json`, and `/docs`, the page that draws it (docs/decisions/0022).

Both ask for no token and hold no data: they are the same on every server. The page and its files come from this package and lead to
nothing outside; its policy lets a browser load scripts, styles and data from this server alone. The framework's own pages are left out.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.params import FromPath

from api.auth import PUBLIC
from api.errors import ErrorEnvelope
from api.idempotency import LONGEST as LONGEST_KEY
from api.negotiation import OTHER_THAN_JSON
from mastering.errors import NotFound

_STATIC = Path(__file__).parent / "static"
_ASSETS = {
    "docs.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OPEN = {**PUBLIC, **OTHER_THAN_JSON}

_USER = "/api/v1/users/{user_id}"
_TAGGED = {
    _USER,
    "/api/v1/apps/{app_id}/import-policy",
    "/api/v1/apps/{app_id}/features/INBOUND_PROVISIONING",
    "/api/v1/apps/{app_id}/features/USER_PROVISIONING",
    "/api/v1/org/safeguard",
}
"""What has an `ETag`."""
_IMPORTS = "/api/v1/apps/{app_id}/imports"
_EXPORT = "/api/v1/history/export"
_PREVIEW_EXPORT = "/api/v1/previews/{preview_id}/export"
_FOLLOWED = frozenset({_IMPORTS, "/api/v1/previews", "/api/v1/reconciliations", "/api/v1/imports/{run_id}/lifecycle/undo"})
"""What is carried out by a worker, after the answer."""
_REFUSED = {
    "description": "A refusal, or a fault of the server",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}},
}
_RECORD = {
    "type": "object",
    "required": ["externalId"],
    "properties": {
        "externalId": {"type": ["string", "integer"], "description": "The app's immutable key of its account."},
        "active": {"type": "boolean", "default": True},
        "profile": {"type": "object"},
    },
}
_IMPORT_BODY = {
    "required": True,
    "description": "The records. One that cannot be used is a row of the plan and no fault of the request.",
    "content": {
        "application/x-ndjson": {"schema": {"type": "string", "description": "A record a line."}},
        "application/json": {
            "schema": {
                "oneOf": [
                    {"type": "array", "items": _RECORD},
                    {"type": "object", "required": ["records"], "properties": {"records": {"type": "array", "items": _RECORD}}},
                ]
            }
        },
        "text/csv": {
            "schema": {"type": "string", "description": "A header line, and a record a row, read as the policy's `csv` part says."}
        },
        "application/scim+json": {"schema": {"type": "object", "description": "A SCIM ListResponse of Users, or a BulkRequest."}},
    },
}


_ABOUT = """Imports from ranked sources decide who is active, suspended, deactivated or pending, and the history says why.

**To try calls from this page:** press *Authorize* and enter `SSWS`, a blank, and a token. The first start of the server writes an
administrator's token to `admin-token` in its data directory; `mastering token create` makes others.

Paths and shapes are Okta's where Okta has them. Every answer that is not 2xx is one envelope with `errorCode`, `errorSummary` and causes;
lists are paged by the `Link` header."""
_HOW_TO_AUTHORISE = "Enter the word SSWS, a blank, and the token: `SSWS 00abc…`. `Bearer` in the place of SSWS does as well."


class _NoPages(Router):
    """Where the framework would put its own pages: nowhere."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - whatever it is
        """Leave it out."""
        return []


CONFIG = OpenAPIConfig(
    title="Profile mastering and user lifecycle",
    version="1",
    description=_ABOUT,
    license=License(name="MIT", identifier="MIT"),
    components=Components(
        security_schemes={
            "token": SecurityScheme(type="apiKey", name="Authorization", security_scheme_in="header", description=_HOW_TO_AUTHORISE)
        }
    ),
    security=[{"token": []}],
    use_handler_docstrings=True,
    openapi_router=_NoPages(path="/", route_handlers=[]),
)


@get("/openapi.json", opt=_OPEN, include_in_schema=False, sync_to_thread=True)
def describe(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The description of the API, put together when it is first asked for."""
    state = request.app.state
    if "description" not in state:
        state.description = _completed(request.app.openapi_schema.to_schema())
    description: dict[str, Any] = state.description
    return description


@get("/docs", opt=_OPEN, include_in_schema=False, sync_to_thread=True)
def show_page() -> Response[bytes]:
    """The page that draws the description."""
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
    return Response(_file("docs.html"), media_type="text/html", headers=headers)


@get("/docs/assets/{name:str}", opt=_OPEN, include_in_schema=False, sync_to_thread=True)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    """A file of the page; only those it names."""
    if name not in _ASSETS:
        raise NotFound(f"Not found: Resource not found: {name} (asset)")
    return Response(_file(name), media_type=_ASSETS[name], headers={"Cache-Control": "max-age=3600"})


def _completed(description: dict[str, Any]) -> dict[str, Any]:
    """With what the handlers' signatures do not say: errors, the headers of API.md's habits, and the bodies of imports."""
    (_, components) = msgspec.json.schema_components([ErrorEnvelope], ref_template="#/components/schemas/{name}")
    description["components"].setdefault("schemas", {}).update(components)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = _REFUSED
            _tell_headers(path, method, operation)
    description["paths"][_IMPORTS]["post"]["requestBody"] = _IMPORT_BODY
    for path in (_EXPORT, _PREVIEW_EXPORT):
        description["paths"][path]["get"]["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return description


def _tell_headers(path: str, method: str, operation: dict[str, Any]) -> None:
    parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
    good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    if method == "post":
        key = _header("Idempotency-Key", "The same key and request within 24 hours are carried out once and answered the same.")
        parameters.append({**key, "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}})
    if method != "get" and (path in _TAGGED or path.startswith(f"{_USER}/lifecycle/")):
        parameters.append(_header("If-Match", "The ETag of what the change is made to; 412 if it has changed since."))
    for answer in good:
        told = answer.setdefault("headers", {})
        if any(parameter["name"] == "after" for parameter in parameters):
            told["Link"] = _answered('Where this page is, rel="self", and the next one, rel="next".')
        if (path in _TAGGED and method != "delete") or (path, method) == ("/api/v1/users", "post"):
            told["ETag"] = _answered("The version, for If-Match.")
        if method == "post" and path in _FOLLOWED:
            told["Location"] = _answered("Where it can be followed.")


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _answered(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


@cache
def _file(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


HANDLERS = [describe, show_page, show_asset]
