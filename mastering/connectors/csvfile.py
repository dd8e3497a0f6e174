"""CSV with a header line: rows become records by the `csv` part of the app's policy.

* The *external id* is the cell of the column that the policy names, untouched. If it names several, their cells joined by ``|`` are the
  key (a ``|`` or a backslash inside a cell gets a backslash before it there, so that different cells never make the same key). A row whose
  key cells are all empty has no external id.
* *Active* is whether the cell of the active column, trimmed and casefolded, is one of the policy's values. An empty cell says nothing,
  which is ``null``, which no record may say (SPEC §5.2): a blank does not end anybody's job. If there is no column of the default name
  ``active``, everybody is active; any other name must be in the header.
* The *profile* has every column by its name, as text, so that mappings and matching can use key and status columns as well. Only columns
  that have the record's own names, ``externalId`` and ``active``, are left out of it. An empty cell stays ``""``, null by the rules.

What a row must not be: of another length than the header, of other text than UTF-8, with a NUL in it, with text behind a closing quote, or
longer than `MAX_LINE`. Such a row is refused by itself. The body as a whole is malformed if the header does not serve or a quote is
never closed.

An external id is repeated in a refusal only if it is certain. In a row of the wrong length it is so only where the key columns come first
and the row is one line: behind a missing delimiter or quote every cell may be another's.
"""

import codecs
import csv
import io
from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from mastering.connectors.csvrecords import Overlong, RecordCutter, Records
from mastering.connectors.lines import MAX_LINE, Line, Unusable, record_line, refusal, too_long
from mastering.errors import MalformedBody
from mastering.rules.policy import Csv

_BLOCK = 65_536
"""Bytes worked on at a time, however they arrive: a long record is looked at once a block, not once a packet."""

_DEFAULT_ACTIVE = "active"
_OWN_NAMES = ("externalId", "active")

# The reader's own limit is one for the whole process, and lower than ours; the length of a record is bounded before it gets there.
csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))


class _Columns:
    """The header, and what the policy makes of it. Raises MalformedBody if the one does not fit the other."""

    def __init__(self, names: list[str], policy: Csv, line: int) -> None:
        self.names = [name.strip() for name in names]
        self._check_names(line)
        key = (policy.external_id,) if isinstance(policy.external_id, str) else policy.external_id
        self._key = [self._index(name, "external id", line) for name in key]
        self._active: int | None = None
        self._values: frozenset[str] = frozenset()
        if policy.active and (policy.active.column in self.names or policy.active.column != _DEFAULT_ACTIVE):
            self._active = self._index(policy.active.column, "active", line)
            self._values = frozenset(value.strip().casefold() for value in policy.active.values)
        self._left_out = [name for name in _OWN_NAMES if name in self.names]
        self.key_comes_first = sorted(self._key) == list(range(len(self._key)))

    def _check_names(self, line: int) -> None:
        if any("\0" in name or not _is_text(name) for name in self.names):
            raise MalformedBody("the header is not UTF-8 text", line)
        if not all(self.names):
            raise MalformedBody(f"column {self.names.index('') + 1} of the header has no name", line)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise MalformedBody(f"the header names a column twice: {', '.join(twice)}", line)

    def _index(self, name: str, role: str, line: int) -> int:
        if name not in self.names:
            found = ", ".join(self.names)
            raise MalformedBody(f"the header has no column {name!r}, which the policy gives as the {role} column; it has: {found}", line)
        return self.names.index(name)

    def profile(self, row: list[str]) -> dict[str, object]:
        values: dict[str, object] = dict(zip(self.names, row, strict=True))
        for name in self._left_out:
            del values[name]
        return values

    def external_id(self, row: list[str]) -> str | UnsetType:
        if len(self._key) == 1:
            return row[self._key[0]] or UNSET
        cells = [row[index] for index in self._key]
        return "|".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) if any(cells) else UNSET

    def certain_id(self, row: list[str]) -> str | None:
        """The external id of a row that is not usable otherwise, if it has all the key cells and they are readable."""
        if max(self._key) >= len(row):
            return None
        key = self.external_id(row)
        return key if isinstance(key, str) and "\0" not in key and _is_text(key) else None

    def active(self, row: list[str]) -> bool | UnsetType | None:
        if self._active is None:
            return UNSET
        word = row[self._active].strip().casefold()
        return word in self._values if word or "" in self._values else None


class CsvIntake:
    """One body of `text/csv`. A line's number is that of the physical line where its row begins; the header is in line 1."""

    def __init__(self, policy: Csv) -> None:
        self._policy = policy
        self._bytes = bytearray()
        # bytes that are not UTF-8 become lone surrogates, which no UTF-8 text contains: the row they are in is found by them
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._cutter = RecordCutter(policy.delimiter)
        self._columns: _Columns | None = None

    def feed(self, data: bytes) -> list[Line]:
        """The rows that are complete. Raises MalformedBody if the header does not serve."""
        self._bytes += data
        lines: list[Line] = []
        while len(self._bytes) >= _BLOCK:
            block = bytes(self._bytes[:_BLOCK])
            del self._bytes[:_BLOCK]
            lines += self._lines(self._cutter.push(self._decoder.decode(block)))
        return lines

    def close(self) -> list[Line]:
        """The rows that are left. Raises MalformedBody if a quote is still open, or there was no header."""
        lines = self._lines(self._cutter.push(self._decoder.decode(bytes(self._bytes), final=True)))
        lines += self._lines(self._cutter.close())
        if self._columns is None:
            raise MalformedBody("the body has no header line")
        return lines

    def _lines(self, cut: list[Records | Overlong]) -> list[Line]:
        lines: list[Line] = []
        for piece in cut:
            if isinstance(piece, Overlong):
                lines.append(self._overlong(piece))
            else:
                lines += self._rows(piece)
        return lines

    def _rows(self, records: Records) -> Iterator[Line]:
        has_nul = "\0" in records.text
        reader = csv.reader(io.StringIO(records.text, newline="\n"), delimiter=self._policy.delimiter, strict=True)
        while True:
            line = records.line + reader.line_num
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield self._unreadable(line, error)
                continue
            if row is None:
                return
            if not row or (len(row) == 1 and not row[0].strip()):
                continue  # a blank line
            if self._columns is None:
                self._columns = _Columns(row, self._policy, line)
            elif len(row) != len(self._columns.names):
                yield self._wrong_length(line, row, self._columns, one_line=records.line + reader.line_num == line + 1)
            elif has_nul and any("\0" in cell for cell in row):
                yield refusal(line, Unusable.nul_character, "the row has a NUL character in it", self._columns.certain_id(row))
            else:
                yield self._record(line, row, self._columns)

    def _record(self, line: int, row: list[str], columns: _Columns) -> Line:
        try:
            return record_line(line, columns.profile(row), columns.external_id(row), columns.active(row))
        except UnicodeEncodeError:
            return refusal(line, Unusable.not_utf8, "the row is not UTF-8 text", columns.certain_id(row))

    def _wrong_length(self, line: int, row: list[str], columns: _Columns, *, one_line: bool) -> Line:
        detail = f"the row has {len(row)} columns, the header has {len(columns.names)}"
        certain = columns.certain_id(row) if one_line and columns.key_comes_first else None
        return refusal(line, Unusable.wrong_number_of_columns, detail, certain)

    def _unreadable(self, line: int, error: csv.Error) -> Line:
        if self._columns is None:
            raise MalformedBody(f"the header is not readable CSV: {_in_words(error)}", line)
        return refusal(line, Unusable.not_csv, f"the row is not readable CSV: {_in_words(error)}")

    def _overlong(self, record: Overlong) -> Line:
        if self._columns is None:
            raise MalformedBody(f"the header is longer than {MAX_LINE} bytes", record.line)
        if record.broken:
            return too_long(record.line)
        row = next(csv.reader(io.StringIO(record.head, newline="\n"), delimiter=self._policy.delimiter))
        return too_long(record.line, self._columns.certain_id(row[:-1]))  # the last cell may be cut


def _is_text(text: str) -> bool:
    """Whether UTF-8 can write it, that is whether it came as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_words(error: csv.Error) -> str:
    """What the reader complains of. Of a bare carriage return it speaks to the programmer who opened the file."""
    said = str(error)
    return "lines end with LF or CR LF, a CR alone ends none" if said.startswith("new-line character") else said
