"""Where a CSV record ends: cutting a stream of text behind complete records.

A line feed inside quotes does not end a record, so the end of a record is not the end of a line, and the standard library's reader cannot
be asked: it wants the rest of a record at once. What ends a record is small enough for a regular expression, though::

    record  = *( cell D ) ( quoted garbage | plain [ CR garbage ] ) LF      D: the delimiter
    quoted  = QUOTE *( not a quote | QUOTE QUOTE ) QUOTE
    plain   = nothing, or text without D, CR and LF that does not begin with a quote
    garbage = anything up to the LF

which is the reader's own strict grammar, with what it would complain about let in as *garbage*: there it gives up on the line, and begins
afresh on the next. Exactly one way of matching fits any text, so backing up never finds another.

A record longer than `MAX_LINE` is not held. Its unfinished text is replaced by the shortest text that leaves the grammar at the same
place (inside quotes, behind a quote that may be the first of two, in plain text, in garbage), and so its end is found like any other's.
A quote that never closes makes the rest of the body one such record: little memory is spent on it, and the end of the body tells.
"""

import re
from typing import NamedTuple

from mastering.connectors.lines import MAX_LINE
from mastering.errors import MalformedBody

_OPEN_QUOTE = r'"[^"]*+(?:""[^"]*+)*+'
_QUOTED = _OPEN_QUOTE + '"'


class Records(NamedTuple):
    """Complete records, the first of which begins in line `line` of the body."""

    line: int
    text: str


class Overlong(NamedTuple):
    """One record of more than `MAX_LINE` characters, its line ending included: how it began. `broken` if it ends in garbage, so that nothing in it is certain."""

    line: int
    head: str
    broken: bool


class RecordCutter:
    """Cuts one body. Pieces of text pushed in must not be longer than `MAX_LINE`."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter)
        plain = rf'(?:[^"\r\n{d}][^\r\n{d}]*)?'
        cells = rf"(?:(?:{_QUOTED}|{plain}){d})*"
        record = rf'{cells}(?:{_QUOTED}(?!["{d}])([^\n]*)\n|{plain}(\r[^\n]*)?\n)'
        self._delimiter = delimiter
        self._cells = re.compile(cells)
        self._record = re.compile(record)
        self._open_quote = re.compile(_OPEN_QUOTE)
        self._records = re.compile(rf"(?:{record})*")
        self._text = ""  # the unfinished record
        self._cell = 0  # where its last cell begins: reading goes on from there
        self._line = 1  # the line it begins in, or, if it was shortened, the line it has come to
        self._quote_line = 1  # the line in which the quote that is open was opened
        self._overlong: Overlong | None = None  # what it was before it was shortened

    def push(self, text: str) -> list[Records | Overlong]:
        """The records that this text completes, in order."""
        text = self._text + text
        first = self._record.match(text, self._cell)
        if first is None:
            self._keep(text)
            return []
        cut: list[Records | Overlong] = []
        start = 0
        if self._overlong or first.end() > MAX_LINE:  # no other can be overlong: the others fit into the piece that was pushed
            garbage = (first[1] or first[2] or "").strip("\r")
            cut.append((self._overlong or self._begun(text))._replace(broken=bool(garbage)))
            start = first.end()
            self._line += text.count("\n", 0, start)
            self._overlong = None
        end = self._end_of_records(text, first.end())
        if end > start:
            cut.append(Records(self._line, text[start:end]))
            self._line += text.count("\n", start, end)
        self._cell = 0
        self._keep(text[end:])
        return cut

    def close(self) -> list[Records | Overlong]:
        """The last record, where no line feed ends it. Raises MalformedBody if a quote is still open, naming the line that opened it."""
        cut = self.push("\n") if self._text else []
        if self._text:
            self._shorten()
            raise MalformedBody("a quote is opened here and never closed, so where the rows end is not known", self._quote_line)
        return cut

    def _begun(self, text: str) -> Overlong:
        return Overlong(self._line, text[:MAX_LINE], broken=False)

    def _end_of_records(self, text: str, at: int) -> int:
        """Where the complete records end of which one begins at `at`, or would."""
        if '"' not in text:
            return text.rfind("\n") + 1
        found = self._records.match(text, at)
        return found.end() if found else at

    def _keep(self, text: str) -> None:
        """Remember the unfinished record, shortened if it is overlong by now."""
        cells = self._cells.match(text, self._cell)
        self._text, self._cell = text, cells.end() if cells else self._cell
        if self._overlong or len(text) > MAX_LINE:
            self._overlong = self._overlong or self._begun(text)
            self._shorten()

    def _shorten(self) -> None:
        """Replace the unfinished record by the shortest text that leaves the grammar at the same place."""
        last = self._text[self._cell :]
        quote = self._open_quote.match(last)
        if quote and (self._cell or self._overlong is None or self._overlong.line == self._line):
            self._quote_line = self._line + self._text.count("\n", 0, self._cell)
        self._line += self._text.count("\n")
        if quote:
            behind = last[quote.end() :]  # begins with a quote, if there is anything
            self._text, self._cell = '"' + behind[:1] + _gist(behind[1:]), 0
        elif last:
            plain, _, _ = last.partition("\r")
            self._text, self._cell = "x" + _gist(last[len(plain) :]), 0
        else:
            self._text, self._cell = self._delimiter, len(self._delimiter)


def _gist(garbage: str) -> str:
    """Enough of what stands behind a cell to tell garbage from a line ending that is not finished: carriage returns alone are none."""
    return garbage[:1] + garbage[1:].lstrip("\r")[:1]
