"""A SCIM server of the tests' own: a real HTTP server on loopback that behaves well, or as badly as a test wants it to.

`users` are its resources, in the order of its pages. `behaves` sees each request first and may answer it; what it leaves is answered as
RFC 7644 has it. Its token server is at `/token`.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.hook_server import Reply

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Asked:
    """A request that came: its path without the query, the query's parts, and the body."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def start(self) -> int:
        return int(self.params.get("startIndex", "1"))

    @property
    def count(self) -> int:
        return int(self.params.get("count", "100"))


Behaviour = Callable[[Asked], Reply | None]


def user(name: str, *, active: bool = True, modified: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    """A person's resource, with the id `id-NAME`."""
    return {
        "schemas": [USER],
        "id": f"id-{name}",
        "externalId": name,
        "userName": f"{name}@example.com",
        "name": {"givenName": name.title(), "familyName": "Doe"},
        "emails": [{"value": f"{name}@example.com", "primary": True}],
        "active": active,
        "meta": {"resourceType": "User", "lastModified": modified},
        **more,
    }


class ScimServer:
    """The server. Every request must show one of `credentials`, values of the `Authorization` header; empty lets everybody in."""

    def __init__(self) -> None:
        self.users: list[dict[str, Any]] = []
        self.behaves: Behaviour = lambda _: None
        self.credentials: set[str] = set()
        self.seen: list[Asked] = []
        self.tokens = 0
        self.filters = True
        self.over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def pages(self) -> list[tuple[int, int]]:
        """Start and count of every page of users that was asked for."""
        return [(asked.start, asked.count) for asked in self.seen if asked.path == "/v2/Users"]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: Asked) -> Reply:
        """What a server answers that keeps to the standard."""
        if asked.path == "/token":
            self.tokens += 1
            self.credentials = {f"Bearer token-{self.tokens}"}
            return Reply(body={"access_token": f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 3600})
        if self.credentials and asked.headers.get("Authorization") not in self.credentials:
            return error(401, "who are you")
        if asked.path == "/v2/ServiceProviderConfig":
            able = {"supported": True}
            return Reply(body={"patch": able, "filter": {"supported": self.filters, "maxResults": 200}, "authenticationSchemes": []})
        if asked.path == "/v2/Users" and asked.method == "GET":
            return Reply(body=self.page(self.found(asked.params.get("filter")), asked.start, asked.count))
        return error(404, "there is nothing here")

    def found(self, filter_: str | None) -> list[dict[str, Any]]:
        """The users that a filter finds, of the two that are understood."""
        if filter_ is None:
            return self.users
        name = re.fullmatch(r'userName eq "(.*)"', filter_)
        since = re.fullmatch(r'meta\.lastModified gt "(.*)"', filter_)
        if name:
            return [each for each in self.users if each["userName"] == name[1]]
        assert since is not None, filter_
        return [each for each in self.users if each["meta"]["lastModified"] > since[1]]

    def page(self, users: list[dict[str, Any]], start: int, count: int) -> dict[str, Any]:
        """A page of these users."""
        shown = users[start - 1 : start - 1 + count]
        return {"schemas": [LIST], "totalResults": len(users), "startIndex": start, "itemsPerPage": len(shown), "Resources": shown}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                params = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                asked = Asked(self.command, parts.path, params, dict(self.headers.items()), body)
                server.seen.append(asked)
                try:
                    self._reply(server.behaves(asked) or server.answer(asked))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def _reply(self, reply: Reply) -> None:
                if reply.hangs:
                    server.over.wait()
                    self.close_connection = True
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                headers = {"Content-Type": "application/scim+json", **reply.headers}
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) if reply.promise is None else reply.promise))
                self.send_header("Connection", "close")  # or the next test's server, on the same port, would be answered for by this one
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    """Callers that hang up are what many of the tests are about, and nothing to print."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def error(status: int, detail: str, **headers: str) -> Reply:
    """A SCIM error (RFC 7644 §3.12)."""
    schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"]
    return Reply(status, {"schemas": schemas, "status": str(status), "detail": detail}, headers)


@contextmanager
def scim_server() -> Iterator[ScimServer]:
    """A server for the time of the block."""
    server = ScimServer()
    try:
        yield server
    finally:
        server.close()
