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

    _in_head = True  # whether the next byte belongs to a request's line and headers
    _turned = False  # whether a head or a body has ended in the bytes at hand
    _head = 0  # bytes of a head that has not ended

    def data_received(self, data: bytes) -> None:
        """Take the next bytes; a head that outgrows its bound ends the connection."""
        self._turned = False
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head and not self._turned else 0
        if self._head > MAX_HEAD:
            self._refuse(HTTPException(status_code=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def on_headers_complete(self) -> None:
        """The head has ended, the body begins."""
        self._in_head, self._turned = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body has ended; another request may follow."""
        self._in_head = self._turned = True
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
