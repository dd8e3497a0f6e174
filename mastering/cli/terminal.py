"""The terminal: everything that is printed goes through here, and nothing that came from outside is trusted on the way.

A name may hold what moves a cursor, sets a title, hides the rest of a line, reads as the markup of the library that prints it, or turns
a line around. So text from outside becomes a `Text` (which has no markup) of printable characters alone: `plain` writes every control,
format, unassigned or private character as its escape, as Python would. Text that runs from right to left is kept, between isolates, so
that it cannot reorder the columns beside it.

What was found goes to standard output; sentences about it, progress and errors go to standard error, so that a pipe gets the former alone.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console
from rich.table import Table
from rich.text import Text

LONGEST = 300
"""Characters of one value that are shown; the rest is only counted."""
_LONGEST_SENTENCE = 3_000
_WIDTH_OF_A_PIPE = 140
_JOINERS = "\u200c\u200d"  # Persian, the scripts of India and some signs are spelled with them
_IDS = frozenset({"id", "goes back to"})
"""What stands under these is an id, which is there to be copied."""
_HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_ISOLATE, _POP = "\u2068", "\u2069"


def plain(value: object, longest: int = LONGEST) -> str:
    """A value from outside as one line of printable text that has no effect but being read."""
    text = str(value)
    shown = "".join(map(_printable, text[:longest]))
    if len(text) > longest:
        shown += f"… ({len(text):,} characters)"
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        return f"{_ISOLATE}{shown}{_POP}"
    return shown


def _printable(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def counted(number: int, noun: str) -> str:
    """So many of something: `1 event`, `2,000 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def words(*parts: object, style: str = "") -> Text:
    """Parts as one text: a `Text` as it is, anything else made plain."""
    text = Text(style=style)
    for part in parts:
        text.append_text(part) if isinstance(part, Text) else text.append(plain(part))
    return text


def lines(parts: Iterable[Text]) -> Text:
    """Texts below each other."""
    return Text("\n").join(parts)


def grid(*headings: str) -> Table:
    """A table without a frame: it reads well, copies well, and survives a narrow terminal. Its headings are the program's own words."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim", show_header=any(headings))
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _IDS)
    return table


def console(*, error: bool = False) -> Console:
    """Where to print. A pipe is as wide as a row needs, and a stream that cannot write a character escapes it."""
    stream = sys.stderr if error else sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, width=_WIDTH_OF_A_PIPE if piped else None, highlight=False, markup=False, emoji=False)


def tell(*parts: object, style: str = "") -> None:
    """A sentence on standard error; one may be longer than a value. The terminal breaks it, so that what is copied out of it is one line."""
    said = (part if isinstance(part, Text) else Text(plain(part, _LONGEST_SENTENCE)) for part in parts)
    console(error=True).print(words(*said, style=style), soft_wrap=True)
