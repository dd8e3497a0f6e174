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
from api.negotiation import OTHER_THAN_JSON
from mastering.errors import NotFound

_STATIC = Path(__file__).parent / "static"
_ASSETS = {
    "docs.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OPEN = {**PUBLIC, **OTHER_THAN_JSON}


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
        state.description = _with_errors(request.app.openapi_schema.to_schema())
    description: dict[str, Any] = state.description
    return description


@get("/docs", opt=_OPEN, include_in_schema=False, sync_to_thread=True)
def show_page() -> Response[bytes]:
    """The page that draws the description."""
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
    return Response(_file("docs.html"), media_type="text/html; charset=utf-8", headers=headers)


@get("/docs/assets/{name:str}", opt=_OPEN, include_in_schema=False, sync_to_thread=True)
def show_asset(name: FromPath[str]) -> Response[bytes]:
    """A file of the page; only those it names."""
    if name not in _ASSETS:
        raise NotFound(f"Not found: Resource not found: {name} (asset)")
    return Response(_file(name), media_type=_ASSETS[name], headers={"Cache-Control": "max-age=3600"})


def _with_errors(description: dict[str, Any]) -> dict[str, Any]:
    """With what any operation may answer instead of its success, in place of what the framework would have answered."""
    (_, components) = msgspec.json.schema_components([ErrorEnvelope], ref_template="#/components/schemas/{name}")
    description["components"].setdefault("schemas", {}).update(components)
    refused = {
        "description": "A refusal, or a fault of the server",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}},
    }
    for operations in description["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = refused
    return description


@cache
def _file(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


HANDLERS = [describe, show_page, show_asset]
