"""NDJSON: the format that a directory of any size can be sent in. Bytes are cut at line feeds and go on as they came.

Nothing is parsed here but what is plainly no object, so receiving costs little more than splitting, and of the body no more than one
unfinished line is ever held. Of a line that outgrows `MAX_LINE` only the beginning is kept, to read the external id from; the rest is
let go as it arrives.
"""

import codecs

import msgspec

from mastering.connectors.lines import MAX_LINE, Line, Unusable, leading_external_id, refusal, too_long

_HEAD = 8_192
"""Bytes kept of an overlong line: room for the member that comes first."""


class NdjsonIntake:
    """One body of `application/x-ndjson`. Blank lines count, and are skipped; a byte order mark at the very beginning is dropped."""

    def __init__(self) -> None:
        self._number = 0  # of the line last finished
        self._unfinished: list[bytes] = []
        self._size = 0  # bytes of the unfinished line, kept or let go
        self._start: bytes | None = b""  # the first bytes, while they could still be a byte order mark

    def feed(self, data: bytes) -> list[Line]:
        """The lines that these bytes finish."""
        data = self._without_mark(data)
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return []
        first, *others = data[:end].split(b"\n")
        self._keep(first)
        lines = self._finish()
        lines += self._numbered(others)
        self._keep(data[end + 1 :])
        return lines

    def close(self) -> list[Line]:
        """The last line, where no line feed ends it."""
        if self._start is not None:
            self._keep(self._start)
        return self._finish()

    def _without_mark(self, data: bytes) -> bytes:
        if self._start is None:
            return data
        start = self._start + data
        if len(start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(codecs.BOM_UTF8)

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._size += len(part)
        self._unfinished.append(part)
        if self._size > MAX_LINE:
            self._unfinished = [b"".join(self._unfinished)[:_HEAD]]

    def _finish(self) -> list[Line]:
        line, size = b"".join(self._unfinished), self._size
        self._unfinished, self._size = [], 0
        if size > MAX_LINE:
            self._number += 1
            return [too_long(self._number, leading_external_id(line.lstrip()))]
        return self._numbered([line])

    def _numbered(self, raw: list[bytes]) -> list[Line]:
        lines = []
        for number, line in enumerate(raw, self._number + 1):
            payload = line.strip()
            if payload[:1] == b"{" and len(line) <= MAX_LINE:
                lines.append(Line(number, payload))
            elif payload:
                lines.append(_refused(number, line))
        self._number += len(raw)
        return lines


def _refused(number: int, line: bytes) -> Line:
    if len(line) > MAX_LINE:
        return too_long(number, leading_external_id(line[:_HEAD].lstrip()))
    try:
        msgspec.json.decode(line.decode())
    except UnicodeDecodeError:
        return refusal(number, Unusable.not_utf8, "the line is not UTF-8 text")
    except (msgspec.DecodeError, RecursionError):
        return refusal(number, Unusable.not_json, "the line is not JSON")
    return refusal(number, Unusable.not_an_object, "the line is JSON, but not an object")
