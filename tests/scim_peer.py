"""A SCIM server that is pushed to: a real HTTP server on loopback that keeps users, remembers what it was asked, and misbehaves as it is told."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hook_server import _Server

_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_FILTER = re.compile(r'userName eq (".*")$')
Resource = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request that came. `query` is the filter, decoded."""

    method: str
    path: str
    query: dict[str, str]
    body: Resource | None
    headers: dict[str, str] = field(repr=False)

    @property
    def told(self) -> tuple[str, str]:
        """Method and path, for a test to list."""
        return self.method, self.path


Answer = tuple[int, Any]
Behaviour = Callable[[Call], "Answer | tuple[int, Any, dict[str, str]] | None"]


class ScimServer:
    """The server. `users` are its users by id; `behaves` may answer before it does; `patches` and `filters` say what it can do."""

    def __init__(self, *, patches: bool = True, filters: bool = True, keeps_external_ids: bool = True) -> None:
        self.users: dict[str, Resource] = {}
        self.calls: list[Call] = []
        self.passwords: dict[str, list[str]] = {}
        self.behaves: Behaviour = lambda _: None
        self.patches, self.filters, self.keeps_external_ids = patches, filters, keeps_external_ids
        self.most_at_once = 0
        self._inside = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v2"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, user_name: str, **more: Any) -> str:
        """A user that is there already; the id."""
        with self._lock:
            return str(self._add({"userName": user_name, "active": True, **more})["id"])

    def named(self, user_name: str) -> Resource:
        """The one user of a name."""
        (found,) = [user for user in self.users.values() if user["userName"] == user_name]
        return found

    def told(self) -> list[tuple[str, str]]:
        """What it was asked, apart from what it can do, oldest first."""
        return [call.told for call in self.calls if call.path != "/ServiceProviderConfig"]

    def writes(self) -> list[tuple[str, str]]:
        """The calls that change something."""
        return [each for each in self.told() if each[0] != "GET"]

    # -- answering ----------------------------------------------------------------------------------------------------

    def _answer(self, call: Call) -> tuple[int, Any]:
        if call.path == "/ServiceProviderConfig":
            return 200, self._config()
        if call.path == "/Users":
            return self._created(call) if call.method == "POST" else (200, self._list(call.query))
        user_id = unquote(call.path.rpartition("/")[2])
        if user_id not in self.users:
            return 404, _error(404, "no such user")
        if call.method == "GET":
            return 200, _shown(self.users[user_id])
        if call.method == "PATCH" and self.patches:
            return self._patched(user_id, call.body or {})
        if call.method == "PUT":
            return self._replaced(user_id, call.body or {})
        return 501, _error(501, "not implemented")

    def _config(self) -> Resource:
        can = {
            "patch": self.patches, "filter": self.filters, "bulk": False, "sort": False, "etag": False, "changePassword": False,
        }  # fmt: skip
        parts = {name: {"supported": on} for name, on in can.items()}
        parts["filter"]["maxResults"] = 200  # type: ignore[assignment]
        parts["bulk"] |= {"maxOperations": 0, "maxPayloadSize": 0}  # type: ignore[dict-item]
        return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"], "authenticationSchemes": [], **parts}

    def _list(self, query: dict[str, str]) -> Resource:
        found = list(self.users.values())
        if self.filters and "filter" in query:
            matched = _FILTER.match(query["filter"])
            wanted = json.loads(matched[1]).casefold() if matched else ""
            found = [user for user in found if user["userName"].casefold() == wanted]
        start, count = int(query.get("startIndex", 1)), int(query.get("count", 100))
        page = [_shown(user) for user in found[start - 1 : start - 1 + count]]
        return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(found), "Resources": page}

    def _created(self, call: Call) -> tuple[int, Any]:
        body = call.body or {}
        if any(user["userName"].casefold() == body["userName"].casefold() for user in self.users.values()):
            return 409, _error(409, "userName is taken", "uniqueness")
        return 201, _shown(self._add(body))

    def _add(self, body: Resource) -> Resource:
        number = f"u-{len(self.users) + 1}"
        kept = {name: value for name, value in body.items() if self.keeps_external_ids or name != "externalId"}
        self.users[number] = {"schemas": [_USER], **kept, "id": number, "meta": {"resourceType": "User", "version": 1}}
        self._note_password(number)
        return self.users[number]

    def _replaced(self, user_id: str, body: Resource) -> tuple[int, Any]:
        version = self.users[user_id]["meta"]["version"]
        self.users[user_id] = {**body, "id": user_id, "meta": {"resourceType": "User", "version": version + 1}}
        self._note_password(user_id)
        return 200, _shown(self.users[user_id])

    def _patched(self, user_id: str, body: Resource) -> tuple[int, Any]:
        for operation in body["Operations"]:
            _apply(self.users[user_id], operation)
        self.users[user_id]["meta"]["version"] += 1
        self._note_password(user_id)
        return 200, _shown(self.users[user_id])

    def _note_password(self, user_id: str) -> None:
        if "password" in self.users[user_id]:
            self.passwords.setdefault(user_id, []).append(self.users[user_id].pop("password"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = json.loads(self.rfile.read(length)) if length else None
                call = Call(self.command, parts.path.removeprefix("/v2"), query, body, dict(self.headers.items()))
                with server._lock:
                    server.calls.append(call)
                    server._inside += 1
                    server.most_at_once = max(server.most_at_once, server._inside)
                try:
                    told = server.behaves(call)
                    if told is None:
                        with server._lock:
                            told = server._answer(call)
                    self._reply(*told)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with server._lock:
                        server._inside -= 1

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def _reply(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/scim+json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _shown(user: Resource) -> Resource:
    return {name: value for name, value in user.items() if name != "password"}


def _error(status: int, detail: str, scim_type: str = "") -> Resource:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail, "scimType": scim_type}


def _apply(user: Resource, operation: Resource) -> None:
    """One operation with a path: an attribute, a part of one, or an attribute of an extension."""
    path: str = operation["path"]
    holder = user
    if path.startswith("urn:"):
        schema, _, path = path.rpartition(":")
        holder = user.setdefault(schema, {})
    attribute, _, part = path.partition(".")
    if part:
        holder, attribute = holder.setdefault(attribute, {}), part
    if operation["op"] == "remove":
        holder.pop(attribute, None)
    else:
        holder[attribute] = operation["value"]


@contextmanager
def scim_server(**abilities: bool) -> Iterator[ScimServer]:
    """A server for the time of the block."""
    server = ScimServer(**abilities)
    try:
        yield server
    finally:
        server.close()
