"""One row of an import, decoded, and the state of the account it speaks of (SPEC §§1, 5.2).

*Absent is not null*: `active` is `None` when the row does not carry it, and `merge` keeps what the row leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from struct import Struct
from typing import Any, NamedTuple

from mastering.rules.expressions import Value

MAX_EXTERNAL_ID = 512
"""Characters of an external id at the most."""
_TOO_LARGE = 10 ** (MAX_EXTERNAL_ID - 1)
"""From here on an integer's text, sign and all, may be too long."""


class Mode(StrEnum):
    """What an import run is: a complete snapshot, or a delta that concludes nothing from absence."""

    FULL = "FULL"
    INCREMENTAL = "INCREMENTAL"


class AccountState(StrEnum):
    """What the app says of its account: there and active, there and inactive, or gone from a full snapshot."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    MISSING = "MISSING"


class Record(NamedTuple):
    """A usable row: its place in the body, the account's key, what it says, and the digest of its raw content."""

    line: int
    external_id: str
    active: bool | None
    profile: dict[str, Value]
    digest: bytes

    def says_active(self, mode: Mode, known: AccountState | None) -> bool:
        """Whether the account is active after this record (SPEC §5.2).

        An absent `active` means true, except in a delta of an account known as inactive or missing: a change of department does not
        bring back a leaver.
        """
        if self.active is not None:
            return self.active
        return not (mode is Mode.INCREMENTAL and known is not None and known is not AccountState.ACTIVE)


MARK = 17
"""Bytes of a mark."""
_mark = Struct(f"{MARK}s")


def mark_of(digest: bytes, *, active: bool) -> bytes:
    """A row's digest and what it says of the account, in one: by it a line is known again that brings nothing new."""
    return digest + (b"+" if active else b"-")


def marks_in(joined: bytes) -> list[bytes]:
    """Marks that lie one after the other."""
    return [mark for (mark,) in _mark.iter_unpack(joined)]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that cannot be used: where it stands, why, and its external id if that much could be read."""

    line: int
    reason: str
    detail: str
    external_id: str | None = None
    leaver: bool = False
    """The row has an external id and says `active: false`: for a linked account that much is enough (SPEC §5.2)."""


def external_id_of(value: Any) -> str | None:
    """The exact external id: a string as it is, an integer as its decimal text, anything else is none (SPEC §1)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < _TOO_LARGE else None
    if isinstance(value, str):
        return value if value and len(value) <= MAX_EXTERNAL_ID and "\0" not in value else None
    return None


def merge(known: Mapping[str, Value], carried: Mapping[str, Value]) -> dict[str, Value]:
    """The app profile after a record: what it carries replaces, an empty string counts as null, the rest stays (SPEC §4)."""
    merged = dict(known)
    for name, value in carried.items():
        merged[name] = None if value == "" else value
    return merged
