"""A JSON document that has to be whole before it can be read: what the JSON and the SCIM decoder have in common.

Neither format says where its records are before its end, so the body is kept, up to a limit. Whether it is UTF-8 is seen as it arrives;
everything else when it is complete. The records inside stay bytes (`msgspec.Raw`) until they are handed on one by one, so that the
document is never a second time in memory as Python objects.
"""

import codecs
import re
from typing import TypeVar

import msgspec

from mastering.errors import MalformedBody

MAX_DOCUMENT = 64 * 1_048_576
"""Bytes of one document. Who has more to send sends NDJSON, which has no limit."""

_POSITION = re.compile(r"^(?:JSON is malformed: )?(.*?) \(byte (\d+)\)$")

T = TypeVar("T")


class Document:
    """The body of one request, as it grows. Every failure is a MalformedBody that names the line, where there is one to name."""

    def __init__(self, limit: int = MAX_DOCUMENT) -> None:
        self._limit = limit
        self._body = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> None:
        """Keep `data`. Raises MalformedBody at the first byte that is not UTF-8, and beyond the limit."""
        pending = len(self._utf8.getstate()[0])
        try:
            self._utf8.decode(data)
        except UnicodeDecodeError as error:
            at = len(self._body) - pending + error.start
            self._body += data
            raise self._malformed("not UTF-8 text", at) from None
        self._body += data
        if len(self._body) > self._limit:
            raise MalformedBody(f"the document is longer than {self._limit} bytes: send so many records as application/x-ndjson")

    def read(self, decoder: msgspec.json.Decoder[T], expected: str) -> T:
        """The complete document, decoded. `expected` says in words what the decoder's type demands."""
        mark = len(codecs.BOM_UTF8) if self._body.startswith(codecs.BOM_UTF8) else 0
        try:
            return decoder.decode(memoryview(self._body)[mark:])
        except msgspec.ValidationError:
            raise MalformedBody(f"the body must be {expected}") from None
        except msgspec.DecodeError as error:
            found = _POSITION.match(str(error))
            if found is None:
                raise self._malformed("it ends before it is complete", len(self._body)) from None
            raise self._malformed(found[1], int(found[2]) + mark) from None
        except RecursionError:
            raise MalformedBody("the body is not usable JSON: it is nested too deeply") from None

    def _malformed(self, what: str, at: int) -> MalformedBody:
        line = 1 + self._body.count(b"\n", 0, at)
        return MalformedBody(f"the body is not well-formed JSON: {what} (byte {at})", line)
