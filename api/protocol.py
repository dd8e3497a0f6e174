"""HTTP as it comes off the wire: bounded before anybody is asked who they are, and refused in the one envelope (API.md, habits).

The server under the application takes a head of any size, and says what is no HTTP in a plain sentence. Here the line and the headers of
a request together have `MAX_HEAD` bytes, so that nobody without a token can fill the memory, and both refusals look as every other.
What the application itself refuses is in `admission` and `errors`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec
from litestar.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import refusal
from mastering.errors import MalformedBody

MAX_HEAD: Final = 65_536
"""Bytes of a request's line and headers, to the nearest packet."""

_NO_HTTP = "The request is not well-formed HTTP; an address with characters that are not ASCII is one reason"


class BoundedHttp(HttpToolsProtocol):
    """One connection. The server is told of it by name: `http="api.protocol:BoundedHttp"`."""

    _understood = False  # whether the bytes at hand have ended a head, given a part of a body, or ended a request
    _pending = 0  # bytes that have not, so far: of a head, or of what may stand between and behind the chunks of a body

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; a head that outgrows its bound ends the connection."""
        self._understood = False
        super().data_received(data)
        self._pending = 0 if self._understood else self._pending + len(data)
        if self._pending > MAX_HEAD:
            self._refuse(HTTPException(status_code=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def on_headers_complete(self) -> None:
        """A head has ended."""
        self._understood = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._understood = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request has ended; another may follow."""
        self._understood = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's sentence says less than ours
        """What came is no HTTP."""
        self._refuse(MalformedBody(_NO_HTTP))

    def _refuse(self, fault: Exception) -> None:
        status, envelope, _ = refusal(fault, "")
        body = msgspec.json.encode(envelope)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
