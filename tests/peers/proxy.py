"""A proxy between the service and a real SCIM server, which spoils the answers that a test wants spoilt.

It passes every request on and every answer back, unless a fault says otherwise. A fault sees what was asked and what the server answered,
and says what to send instead; each is meant for so many requests and is then over. What passed is in `seen`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

_HOPS = {"connection", "content-length", "transfer-encoding", "keep-alive", "host", "server", "date"}


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Any

    @property
    def start(self) -> int:
        return int(self.params.get("startIndex", "1"))


@dataclass(frozen=True)
class Told:
    """An answer. `cut`: so many bytes of the body are sent, then the line goes dead. `late`: seconds before anything is sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: int | None = None
    late: float = 0.0

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def saying(self, **changes: Any) -> Told:
        """The same document with other fields."""
        return replace(self, body=json.dumps({**self.document(), **changes}).encode())


Fault = Callable[[Asked, Told], Told | None]
"""What to send instead of an answer; `None` to let it pass."""


def late(seconds: float) -> Fault:
    """The answer takes its time."""
    return lambda _, told: replace(told, late=seconds)


def too_many(retry_after: str) -> Fault:
    """429, and when to come back."""
    return lambda *_: Told(429, {"Retry-After": retry_after}, b"")


def failing(status: int = 500) -> Fault:
    """The server has a bad moment. What it was asked to do it has done."""
    return lambda *_: Told(status, {}, b"")


def cut_off(_: Asked, told: Told) -> Told:
    """The line goes dead in the middle of the answer."""
    return replace(told, cut=len(told.body) // 2)


def html(*_: object) -> Told:
    """A login page, with status 200, as gateways send it."""
    return Told(200, {"Content-Type": "text/html"}, b"<html><body>Please sign in</body></html>")


def only(method: str, path: str, fault: Fault) -> Fault:
    """A fault of one kind of request; others pass."""
    return lambda asked, told: fault(asked, told) if asked.method == method and asked.path.endswith(path) else None


@dataclass
class Proxy:
    """The proxy at work. `faults` are taken in order, the first one that has something to say; a number says for how many requests."""

    target: str
    seen: list[tuple[Asked, int]] = field(default_factory=list)
    _faults: list[tuple[Fault, list[int]]] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    base_url: str = ""

    def spoil(self, fault: Fault, times: int = 1) -> None:
        """Spoil the next answers that a fault has something to say about."""
        with self._guard:
            self._faults.append((fault, [times]))

    def heal(self) -> None:
        """Spoil nothing any more, and forget what passed."""
        with self._guard:
            self._faults.clear()
            self.seen.clear()

    def asked(self, method: str, path: str = "") -> list[Asked]:
        """The requests of a method whose path ends so."""
        return [asked for asked, _ in self.seen if asked.method == method and asked.path.endswith(path)]

    def writes(self) -> list[Asked]:
        """The requests that change something."""
        return [asked for asked, _ in self.seen if asked.method != "GET"]

    def spoilt(self, asked: Asked, told: Told) -> Told:
        with self._guard:
            for fault, left in self._faults:
                instead = fault(asked, told) if left[0] else None
                if instead is not None:
                    left[0] -= 1
                    told = instead
                    break
            self.seen.append((asked, told.status))
        return told


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    """A proxy before a server, until the block ends."""
    proxy = Proxy(target)
    with httpx.Client(trust_env=False, timeout=30) as http:
        server = _Server(("127.0.0.1", 0), _handler(proxy, http))
        proxy.base_url = f"http://127.0.0.1:{server.server_address[1]}{urlsplit(target).path}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Callers that hang up are what some tests are about."""


def _handler(proxy: Proxy, http: httpx.Client) -> type[BaseHTTPRequestHandler]:
    origin = f"{urlsplit(proxy.target).scheme}://{urlsplit(proxy.target).netloc}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS | {"accept-encoding"}}
            answer = http.request(self.command, origin + self.path, headers=headers, content=body)
            parts = urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, params, json.loads(body) if body else None)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOPS | {"content-encoding"}}
            self._tell(proxy.spoilt(asked, Told(answer.status_code, kept, answer.content)))

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def _tell(self, told: Told) -> None:
            time.sleep(told.late)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            if told.status != 204:
                self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body if told.cut is None else told.body[: told.cut])
            self.close_connection = told.cut is not None

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
