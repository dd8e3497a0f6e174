"""Reading what a run received: first which lines need a look at all, then, of those, the records (SPEC §5.2).

The survey settles which lines are unchanged, which are of a linked account, which are of nobody yet, which external ids come twice, and
who is absent. It leaves one byte a line behind; the passes that plan read only the lines that need them.

Most lines of most snapshots say what is known already. So a snapshot is surveyed by the marks of its lines (`rules.record.mark_of`)
against those of all accounts, by the set and without reading a line; only lines without a match, and the lines of a delta, are looked
at one by one. A mark speaks for its external id: the digest in it is that of the whole line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from msgspec import UNSET
from sqlmodel import Session

from mastering.connectors.lines import Line
from mastering.imports.lines import content_of, decode, digest_of, glance, twice
from mastering.imports.spool import payloads, unpack
from mastering.rules.record import AccountState, Mode, Record, Unusable, marks_in
from mastering.store import heads as head_store
from mastering.store import imports as store
from mastering.store.heads import Head
from mastering.store.tables import ImportRun


class Path(IntEnum):
    """What a line needs."""

    UNCHANGED = 0
    LINKED = 1
    UNLINKED = 2
    UNUSABLE = 3
    REPEATED = 4
    TWICE = 5
    UNREAD = 6
    """A look: no line has this path when the survey is done."""


@dataclass(slots=True)
class Survey:
    """What the survey found: the path of every line, whose accounts were carried, and how many rows have no external id.

    `seen`: the external ids of the lines that were looked at. `left`: the marks of accounts of which no line came that says nothing new;
    `None` for a delta. `accounts`, `waiting`: how many accounts a snapshot could miss, and how many of them wait; `known`: how many of
    them it carried.
    """

    paths: list[bytearray] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    left: set[bytes] | None = None
    accounts: int = 0
    waiting: int = 0
    known: int = 0
    lines: int = 0
    unchanged: int = 0
    unidentified: int = 0

    def carried(self, head: Head) -> bool:
        """Whether a line of this account came."""
        return head.external_id in self.seen or self.recognised(head)

    def forget(self) -> None:
        """Forget who was carried."""
        self.seen.clear()
        self.left = None

    def recognised(self, head: Head) -> bool:
        """Whether a line of this account came that was known by its mark."""
        return self.left is not None and head.mark is not None and head.mark not in self.left


def survey(session: Session, run: ImportRun, beat: Callable[[], None]) -> Survey:
    """Which path every line of a run goes. `beat` is called in between."""
    found = Survey()
    if run.mode is Mode.FULL:
        _remember(session, run.app_id, found)
    for lines, marks in store.chunk_marks(session, run.id, marked=bool(found.left)):
        found.paths.append(_recognise(found, marks) if marks else bytearray([Path.UNREAD]) * lines)
        found.lines += lines
    suspects: set[str] = set()
    for seq, paths in enumerate(found.paths):
        if Path.UNREAD in paths:
            beat()
            _look(session, run, found, suspects, seq)
    if suspects:
        _settle_duplicates(session, run.id, found, suspects)
    found.unchanged = sum(paths.count(Path.UNCHANGED) for paths in found.paths)
    return found


def _remember(session: Session, app_id: str, found: Survey) -> None:
    """The marks of the lines that would say nothing new, of all accounts of the app."""
    found.left = set()
    for swept in head_store.sweep(session, app_id):
        found.left.update(swept.marks)
        found.accounts += swept.accounts
        found.waiting += swept.waiting


def _recognise(found: Survey, marks: bytes) -> bytearray:
    """The paths of a chunk's lines as far as their marks tell: of several lines alike, the first is unchanged."""
    left, told = found.left or set(), marks_in(marks)
    if left.issuperset(told):
        before = len(left)
        left.difference_update(told)
        if before - len(left) == len(told):  # as most chunks of most snapshots: all of them known, and each but once
            found.known += len(told)
            return bytearray(len(told))
        left.update(told)
    hit = left.intersection(told)
    left -= hit
    found.known += len(hit)
    paths = bytearray([Path.UNREAD]) * len(told)
    for at, mark in enumerate(told if hit else ()):
        if mark in hit:
            hit.discard(mark)
            paths[at] = Path.UNCHANGED
    return paths


def _look(session: Session, run: ImportRun, found: Survey, suspects: set[str], seq: int) -> None:
    """Look at the lines of a chunk that have not been read."""
    paths = found.paths[seq]
    places = [at for at, path in enumerate(paths) if path == Path.UNREAD]
    lines = payloads(store.chunk(session, run.id, seq) or b"", places)
    heads = [glance(line) for line in lines]
    asked = {external_id for external_id, _ in heads if external_id} if found.accounts or found.left is None else set[str]()
    known = head_store.heads(session, run.app_id, asked)
    for at, line, (external_id, active) in zip(places, lines, heads, strict=True):
        paths[at] = _path(found, suspects, line, external_id, active, known, run.mode)


def _path(
    found: Survey, suspects: set[str], payload: bytes, external_id: str | None, active: Any, known: dict[str, Head], mode: Mode
) -> Path:
    if external_id is None:
        found.unidentified += 1
        return Path.UNUSABLE
    head = known.get(external_id)
    if external_id in found.seen or (head is not None and found.recognised(head)):
        suspects.add(external_id)  # which of them count is settled when all are known
    else:
        found.known += head is not None and (head.linked or head.waiting or head.ignored)
    found.seen.add(external_id)
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
            external_id, _ = glance(line.payload)
            if external_id in suspects:
                places.setdefault(external_id, []).append((chunk, at, content_of(line.payload)))
    for rows in places.values():
        first = rows[0][2]
        same = all(content == first for _, _, content in rows)
        for number, (chunk, at, _) in enumerate(rows):
            if not same:
                found.paths[chunk][at] = Path.TWICE
            elif number:
                found.paths[chunk][at] = Path.REPEATED


def records(session: Session, run_id: str, found: Survey, paths: frozenset[Path]) -> Iterator[list[Record | Unusable]]:
    """Of each chunk the lines of these paths, decoded; chunks without any are not even read."""
    for chunk, marks in enumerate(found.paths):
        if not any(mark in paths for mark in marks):
            continue
        payload = store.chunk(session, run_id, chunk) or b""
        yield [
            twice(line) if mark == Path.TWICE else decode(line) for line, mark in zip(unpack(payload), marks, strict=True) if mark in paths
        ]


def _chunks(session: Session, run_id: str) -> Iterator[list[Line]]:
    seq = 0
    while (payload := store.chunk(session, run_id, seq)) is not None:
        yield list(unpack(payload))
        seq += 1
