"""An inline hook of the tests' own: a real HTTP server on loopback that answers as it is told, also badly."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server answers: `body` as bytes or a document; `promise` is a content length that is not kept, -1 none at all."""

    status: int = 200
    body: bytes | dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    promise: int | None = None
    hangs: bool = False
    """Nothing comes after what has been said so far, until the test is over."""
    drips: bool = False
    """The body comes byte by byte, each soon after the other, without an end."""


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    document: dict[str, Any]


Behaviour = Callable[[Seen], Reply]


class _Server(ThreadingHTTPServer):
    """Callers that hang up are what many of the tests are about, and nothing to print."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class HookServer:
    """The server; `behaves` decides about each request, `seen` has all of them."""

    def __init__(self) -> None:
        self.behaves: Behaviour = lambda _: Reply()
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.over = threading.Event()
        self._inside = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/import"

    def commands(self, *commands: tuple[str, dict[str, Any]]) -> None:
        """Answer every request with these commands."""
        self.behaves = lambda _: Reply(body=commanded(*commands))

    def asked_about(self) -> list[str]:
        """Whom the server was asked about, by the e-mail address in the app's profile, in alphabetical order."""
        return sorted(seen.document["data"]["appUser"]["profile"]["email"] for seen in self.seen)

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _enter(self, seen: Seen) -> None:
        with self._lock:
            self.seen.append(seen)
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen = Seen(self.command, self.path, dict(self.headers.items()), json.loads(body))
                server._enter(seen)
                try:
                    self._reply(server.behaves(seen))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    server._leave()

            do_PUT = do_GET = do_POST

            def _reply(self, reply: Reply) -> None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                if reply.hangs and not body:
                    server.over.wait()
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204 and reply.promise != -1:
                    self.send_header("Content-Length", str(len(body) if reply.promise is None else reply.promise))
                self.end_headers()
                if reply.status != 204:
                    self.wfile.write(body)
                while reply.drips and not server.over.wait(0.02):
                    self.wfile.write(b" ")
                if reply.hangs:
                    server.over.wait()
                self.close_connection = reply.promise is not None

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def commanded(*commands: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """An answer of these commands, their types without the part that all have."""
    return {"commands": [{"type": f"com.okta.{kind}", "value": value} for kind, value in commands]}


def linking(user_id: str) -> dict[str, Any]:
    """The answer that links to a user."""
    return commanded(("action.update", {"result": "LINK_USER"}), ("user.update", {"id": user_id}))


def hanging() -> Reply:
    """No answer at all."""
    return Reply(body=b"", hangs=True)


@contextmanager
def hook_server() -> Iterator[HookServer]:
    """A server for the time of the block."""
    server = HookServer()
    try:
        yield server
    finally:
        server.close()
