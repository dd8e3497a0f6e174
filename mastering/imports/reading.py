"""Reading what a run received: first the heads of all lines, then, of the lines that matter, the records (SPEC §5.2).

The first pass looks only at a line's external id, its `active` and its digest. That settles which lines are unchanged, which are of a
linked account, which are of nobody yet, which external ids come twice, and who is absent. It leaves one byte a line behind; the passes
that plan read only the lines that need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET
from sqlmodel import Session

from mastering.connectors.lines import Line, decode_unusable, leading_external_id
from mastering.imports.spool import unpack
from mastering.rules.record import AccountState, Mode, Record, Unusable, external_id_of
from mastering.store import imports as store
from mastering.store.documents import canonical

_TWICE = "duplicate_external_id"


class Path(IntEnum):
    """What a line needs."""

    UNCHANGED = 0
    LINKED = 1
    UNLINKED = 2
    UNUSABLE = 3
    REPEATED = 4
    TWICE = 5


class _Head(msgspec.Struct):
    externalId: Any = None  # noqa: N815 - the wire's word
    active: Any = UNSET  # left out is not null


class _Body(_Head):
    profile: Any = msgspec.field(default_factory=dict)


_head = msgspec.json.Decoder(_Head).decode
_body = msgspec.json.Decoder(_Body).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def digest_of(payload: bytes) -> bytes:
    """The digest by which an unchanged record is known again."""
    return sha256(payload).digest()[:16]


@dataclass(slots=True)
class Survey:
    """What the first pass found: the path of every line, every external id seen, and how many rows have none.

    `known`: how many of those seen are of accounts that a snapshot could miss.
    """

    paths: list[bytearray] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    known: int = 0
    lines: int = 0
    unchanged: int = 0
    unidentified: int = 0


def survey(session: Session, run_id: str, app_id: str, mode: Mode) -> Survey:
    """The first pass over all chunks of a run."""
    found = Survey()
    suspects: set[str] = set()
    for lines in _chunks(session, run_id):
        heads = [_glance(line.payload) for line in lines]
        known = store.heads(session, app_id, {external_id for external_id, _ in heads if external_id})
        paths = bytearray(len(lines))
        for at, (line, (external_id, active)) in enumerate(zip(lines, heads, strict=True)):
            paths[at] = _path(found, suspects, line.payload, external_id, active, known, mode)
        found.paths.append(paths)
        found.lines += len(lines)
    if suspects:
        _settle_duplicates(session, run_id, found, suspects)
    found.unchanged = sum(paths.count(Path.UNCHANGED) for paths in found.paths)
    return found


_MALFORMED = object()


def _glance(payload: bytes) -> tuple[str | None, Any]:
    """The external id and what `active` says. A line that breaks off further on still names its account if it begins with it."""
    if payload[:1] != b"{":
        return external_id_of(decode_unusable(payload)[2]), _MALFORMED
    try:
        head = _head(payload)
    except _UNREADABLE:
        return external_id_of(leading_external_id(payload)), _MALFORMED
    return external_id_of(head.externalId), head.active


def _path(
    found: Survey, suspects: set[str], payload: bytes, external_id: str | None, active: Any, known: dict[str, store.Head], mode: Mode
) -> Path:
    if external_id is None:
        found.unidentified += 1
        return Path.UNUSABLE
    head = known.get(external_id)
    if external_id in found.seen:
        suspects.add(external_id)  # which of them count is settled when all are known
    else:
        found.seen.add(external_id)
        found.known += head is not None and (head.linked or head.waiting or head.ignored)
    if active is not UNSET and not isinstance(active, bool):
        return Path.UNUSABLE
    if head is None or not head.linked:
        return Path.UNLINKED
    if head.digest == digest_of(payload) and head.account != AccountState.MISSING and not head.waiting:
        says = active if active is not UNSET else (mode is Mode.FULL or head.account == AccountState.ACTIVE)
        if says == (head.account == AccountState.ACTIVE):
            return Path.UNCHANGED
    return Path.LINKED


def _settle_duplicates(session: Session, run_id: str, found: Survey, suspects: set[str]) -> None:
    """External ids that came more than once: the same content is one record, different content makes each of them INVALID."""
    places: dict[str, list[tuple[int, int, Any]]] = {}
    for chunk, lines in enumerate(_chunks(session, run_id)):
        for at, line in enumerate(lines):
            external_id, _ = _glance(line.payload)
            if external_id in suspects:
                places.setdefault(external_id, []).append((chunk, at, _content(line.payload)))
    for rows in places.values():
        first = rows[0][2]
        same = all(content == first for _, _, content in rows)
        for number, (chunk, at, _) in enumerate(rows):
            if not same:
                found.paths[chunk][at] = Path.TWICE
            elif number:
                found.paths[chunk][at] = Path.REPEATED


def _content(payload: bytes) -> Any:
    """What a row says, comparable: the order of keys means nothing, while 1 and true, which Python takes for equal, differ."""
    try:
        body = _body(payload)
    except _UNREADABLE:
        return payload
    return repr(body.active), canonical(body.profile)


def records(session: Session, run_id: str, found: Survey, paths: frozenset[Path]) -> Iterator[list[Record | Unusable]]:
    """Of each chunk the lines of these paths, decoded; chunks without any are not even read."""
    for chunk, marks in enumerate(found.paths):
        if not any(mark in paths for mark in marks):
            continue
        payload = store.chunk(session, run_id, chunk) or b""
        yield [
            _twice(line) if mark == Path.TWICE else decode(line) for line, mark in zip(unpack(payload), marks, strict=True) if mark in paths
        ]


def _chunks(session: Session, run_id: str) -> Iterator[list[Line]]:
    seq = 0
    while (payload := store.chunk(session, run_id, seq)) is not None:
        yield list(unpack(payload))
        seq += 1


def decode(line: Line) -> Record | Unusable:
    """A line as a record, or why it cannot be one."""
    if line.payload[:1] != b"{":
        reason, detail, _ = decode_unusable(line.payload)
        return _unusable(line, reason.value, detail)
    try:
        body = _body(line.payload)
    except RecursionError:
        return _unusable(line, "not_json", "the record is nested too deeply")
    except UnicodeDecodeError:
        return _unusable(line, "not_utf8", "the line is not UTF-8 text")
    except msgspec.DecodeError as error:
        return _unusable(line, "not_json", str(error))
    external_id = external_id_of(body.externalId)
    if external_id is None:
        return _unusable(line, "no_external_id", "externalId: must be a text of 1 to 512 characters, or an integer")
    if body.active is not UNSET and not isinstance(body.active, bool):
        return _unusable(line, "bad_active", "active: must be true or false")
    if not isinstance(body.profile, dict):
        return _unusable(line, "bad_profile", "profile: must be an object")
    return Record(line.number, external_id, None if body.active is UNSET else body.active, body.profile, digest_of(line.payload))


def _unusable(line: Line, reason: str, detail: str) -> Unusable:
    external_id, active = _glance(line.payload)
    return Unusable(line.number, reason, detail, external_id, leaver=active is False)


def _twice(line: Line) -> Unusable:
    external_id, _ = _glance(line.payload)
    detail = "externalId: several records of this import have this external id and differ"
    return Unusable(line.number, _TWICE, detail, external_id)
