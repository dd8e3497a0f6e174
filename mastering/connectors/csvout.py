"""CSV for spreadsheets: a cell never begins with what one of them would take for a formula; such a cell gets an apostrophe in front."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the signs of the width that CJK has: some spreadsheets compute them as well."""


def csv_rows(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as lines of CSV, in UTF-8."""
    text = StringIO()
    csv.writer(text).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet computes."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
