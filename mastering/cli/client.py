"""The service, seen from the command line: HTTP with a token, and refusals as sentences.

A refusal of the server (4xx) ends a command with `Exit.BAD_INPUT`, no answer or a fault of the server (5xx) with `Exit.FAILED`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from mastering.cli.exits import Exit, Stop
from mastering.cli.wire import App, Problem

T = TypeVar("T")

DEFAULT_SERVER = "http://127.0.0.1:8000"
TOKEN_FILE = "admin-token"  # noqa: S105 - the name of a file
_PATIENCE = httpx.Timeout(60, read=600)
"""Seconds; reading is given longer, for an upload is answered after its last record has been stored."""
_AN_APP_ID = "0oa"


class Client:
    """One server, one token. Closes its connection at the end of a `with` block."""

    def __init__(self, server: str, token: str) -> None:
        try:
            url = httpx.URL(server)
        except httpx.InvalidURL:
            raise _no_server(server) from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise _no_server(server)
        self.server = server.rstrip("/")
        self.token = token
        self._http = httpx.Client(
            base_url=self.server,
            headers={"Authorization": f"SSWS {token}"},
            timeout=_PATIENCE,
            trust_env=not _is_here(url.host),  # a proxy that the environment names does not lead to this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """Send a request below `/api/v1`; the answer, if it is a good one. Raises `Stop`."""
        try:
            answer = self._http.request(method, f"/api/v1{path}", **parts)
        except httpx.LocalProtocolError as fault:
            raise Stop(Exit.FAILED, f"The request could not be sent: {fault}. Did the file change meanwhile?") from fault
        except httpx.TransportError as fault:
            raise Stop(
                Exit.FAILED, f"{self.server} does not answer ({fault}). Is the server running? Start it with: mastering serve"
            ) from fault
        if answer.is_success:
            return answer
        raise _refused(answer)

    def get(self, path: str, kind: type[T], params: Mapping[str, str] | None = None) -> T:
        """Read one thing. Raises `Stop`."""
        return decode(self.ask("GET", path, params=params), kind)

    def post(self, path: str, kind: type[T]) -> T:
        """Have something done. Raises `Stop`."""
        return decode(self.ask("POST", path), kind)

    def stream(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[bytes]:
        """Read something long, piece by piece. Raises `Stop`, also where it breaks off."""
        try:
            with self._http.stream("GET", f"/api/v1{path}", params=params) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield from answer.iter_bytes()
        except httpx.TransportError as fault:
            raise Stop(Exit.FAILED, f"{self.server} does not answer, or no longer ({fault}); what came is not all there is") from fault

    def pages(self, path: str, kind: type[T], params: Mapping[str, str] | None = None) -> Iterator[T]:
        """Read a list to its end, page by page along the `Link` headers. Raises `Stop`."""
        answer = self.ask("GET", path, params=params)
        while True:
            yield from decode(answer, list[kind])  # type: ignore[valid-type]
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            answer = self.ask("GET", path, params=httpx.URL(following).params)

    def app(self, wanted: str) -> App:
        """The app of this id or label. Raises `Stop` where there is none, or more than one of the label."""
        found = [app for app in self.pages("/apps", App, {"limit": "200"}) if wanted in {app.id, app.label}]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(app.id for app in found)
            raise Stop(Exit.BAD_INPUT, f"{len(found)} apps are labelled {wanted!r}; name one by its id: {ids}")
        raise Stop(Exit.BAD_INPUT, f"There is no app {wanted!r}; `mastering apps` lists those there are")

    def app_id(self, wanted: str) -> str:
        """The id of an app named by id or label; an id is taken as it is, so that an importer's token need not list apps."""
        return wanted if wanted.startswith(_AN_APP_ID) and len(wanted) == 20 else self.app(wanted).id


def decode(answer: httpx.Response, kind: type[T]) -> T:
    """The body of a good answer. Raises `Stop` where it is not what the API promises: that is another server."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as fault:
        raise Stop(Exit.FAILED, f"{answer.request.url} did not answer as this service does: {fault}") from fault


def segment(name: str) -> str:
    """A login or an id as one segment of a path. Raises `Stop` for what a path would swallow."""
    if name.strip(".") == "":
        raise Stop(Exit.BAD_INPUT, f"{name!r} is no login and no id")
    return quote(name, safe="@")


def find_token(given: str | None, data_dir: Path) -> str:
    """The token to call with: the one given, `MASTERING_TOKEN`, `MASTERING_ADMIN_TOKEN` or its file, or the file that the first start left."""
    preset = os.environ.get("MASTERING_ADMIN_TOKEN_FILE")
    spoken = (given, os.environ.get("MASTERING_TOKEN"), os.environ.get("MASTERING_ADMIN_TOKEN"))
    for token in (*spoken, _in_file(Path(preset)) if preset else None, _in_file(data_dir / TOKEN_FILE)):
        if token:
            if not (token.isascii() and token.isprintable() and " " not in token):
                raise Stop(Exit.BAD_INPUT, "The token has characters that no token has; was it copied whole, and nothing else?")
            return token
    raise Stop(
        Exit.BAD_INPUT,
        f"No token: set MASTERING_TOKEN, or name with --data-dir the server's data folder ({data_dir / TOKEN_FILE} is not there)",
    )


def _in_file(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _refused(answer: httpx.Response) -> Stop:
    code = Exit.FAILED if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else Exit.BAD_INPUT
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError:
        return Stop(code, f"{answer.request.url} answered {answer.status_code} and not as this service does")
    summary = f"{problem.error_summary} ({problem.error_code})"
    if code is Exit.FAILED:
        summary += f"; the server's log has the details under {problem.error_id}"
    causes = [cause.error_summary for cause in problem.error_causes if cause.error_summary != problem.error_summary]
    return Stop(code, summary, *causes)


def _no_server(server: str) -> Stop:
    return Stop(Exit.BAD_INPUT, f"{server!r} is no address of a server; write it as {DEFAULT_SERVER}")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
