"""Requests that are refused before anybody looks for a handler, because what they say could be taken for something else.

* A path with an encoded slash. The server decodes a path before it is cut at its slashes, so that an id could say `x%2Flifecycle%2Fsuspend`
  and be a call of its own. A login with a slash in it is asked for by id, as with Okta.
* A NUL in the path or in the query: no id and no text has one, and databases refuse it each in its own way.
* A `Host` that names none. It is written into `Link` headers and links.
* A body in another encoding: nothing here unpacks one, and packed lines would count as records that cannot be read.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api.errors import refusal
from mastering.errors import Invalid, MasteringError, NotFound, UnsupportedMediaType

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65_535


class Admission:
    """An ASGI application that only unambiguous requests get to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request on, or refuse it."""
        objection = _objection(scope) if scope["type"] == ScopeType.HTTP else None
        if objection is None:
            await self._app(scope, receive, send)
            return
        status, envelope, _ = refusal(objection, scope["path"])
        body = msgspec.json.encode(envelope)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _objection(scope: HTTPScope) -> MasteringError | None:
    path, query = scope.get("raw_path") or b"", scope["query_string"]
    if b"%2f" in path.lower():
        return NotFound(f"Not found: Resource not found: {scope['path']}", "path: an id with a slash in it cannot be asked for in a path")
    if b"%00" in path:
        return NotFound(f"Not found: Resource not found: {scope['path']}", "path: has a NUL character")
    if b"%00" in query:
        return Invalid("Api validation failed: query", "query: has a NUL character")
    for name, value in scope["headers"]:
        if name == b"host" and value and not _names_a_host(value.decode("latin-1")):
            return Invalid("Api validation failed: Host", "Host: is not the name of a host")
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            said = value.decode("latin-1")
            return UnsupportedMediaType(f"Content-Encoding {said[:100]} is not read", "Content-Encoding: send the body as it is")
    return None


def _names_a_host(text: str) -> bool:
    """Whether an address can be built of it: a name or an IP address, and a port there is."""
    found = _HOST.fullmatch(text)
    if found is None or int(found["port"] or 0) > _LAST_PORT:
        return False
    try:
        IPv6Address(found["address"] or "::")
    except AddressValueError:
        return False
    return True
