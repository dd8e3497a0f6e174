"""Checkpoints: what the history was at an instant, signed, so that nobody can write it anew without being found out (SPEC §13).

Making one takes two short transactions and a long look in between, so that nobody waits for it: the first keeps the heads of the chains
that have grown, the second what was signed over them. What only the first was done of is finished by whoever comes next, and comes to the
same: everything that is signed was fixed by the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

import msgspec
import structlog
from sqlalchemy import Engine

from mastering.clock import wire
from mastering.errors import Invalid, NotFound
from mastering.ledger import Actor
from mastering.merkle import Step, Tree
from mastering.proof import Kept, Signed, Statement, digest_of, leaf_of, order_of, root_of, signed
from mastering.store import checkpoints as store
from mastering.store.checkpoints import Head
from mastering.store.documents import canonical, dump, load
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold
from mastering.vault import Vault

EVERY = timedelta(days=1)
"""How old the newest checkpoint may grow while there is something new."""
_HEADS = 2_000
"""Heads in one piece of an export."""
T = TypeVar("T")
_log = structlog.get_logger("mastering.checkpoints")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That a chain ended with this head at a checkpoint: the way from the head to the root that was signed."""

    signed: Signed
    head: Head
    index: int
    path: tuple[Step, ...]


def make(engine: Engine, vault: Vault, actor: Actor, now: datetime) -> Signed:
    """Make a checkpoint over all that has been written by now, and sign it."""
    while True:
        row = _begin(engine, actor, now)
        made = _finish(engine, vault, row)
        if (row.at, load(row.made_by)) == (wire(now), actor.document()):
            return made


def make_if_due(engine: Engine, vault: Vault, actor: Actor, now: datetime) -> Signed | None:
    """Make one if the newest is a day old and something has been written since, or if one was begun and not finished."""
    with reading(engine) as session:
        newest = store.latest(session)
        if newest is not None and newest.statement is not None:
            if newest.at > wire(now - EVERY) or store.last_position(session) == newest.position:
                return None
        elif newest is None and store.last_position(session) == 0:
            return None
    return make(engine, vault, actor, now)


def _begin(engine: Engine, actor: Actor, now: datetime) -> store.Checkpoint:
    """Fix what is going to be signed; or go on with one that was begun."""
    with writing(engine) as session:
        hold(session.connection(), Lock.CHECKPOINT)
        newest = store.latest(session)
        if newest is not None and newest.statement is None:
            return newest
        number, after = (newest.number, newest.position) if newest else (0, 0)
        return store.begin(session, number + 1, wire(now), dump(actor.document()), after)


def _finish(engine: Engine, vault: Vault, row: store.Checkpoint) -> Signed:
    """Look at all that a checkpoint is about, sign it, and keep what was signed."""
    with reading(engine) as session:
        previous = store.one(session, row.number - 1)
        before = signed(previous) if previous else None
        events, order = order_of(session, previous.position if previous else 0, row.position)
        chains, root = root_of(store.heads(session, row.number))
    statement = Statement(
        number=row.number,
        at=row.at,
        by=load(row.made_by),
        position=row.position,
        events=events,
        order=order,
        chains=chains,
        root=root,
        previous=digest_of(before.statement) if before else None,
        key=vault.public_key,
    )
    with writing(engine) as session:
        hold(session.connection(), Lock.CHECKPOINT)
        kept = session.get_one(store.Checkpoint, row.number)
        if kept.statement is None:
            kept.statement, kept.signature = statement.text.decode(), vault.sign(statement.text)
            session.add(kept)
        made = signed(kept)
    if made is None:
        raise ValueError(f"checkpoint {row.number} is kept as something else than a statement")
    _log.info("checkpoint", number=row.number, events=events, chains=chains, root=root)
    return made


# -- reading --------------------------------------------------------------------------------------------------------------


def page(engine: Engine, before: int | None, limit: int) -> Sequence[Signed]:
    """Checkpoints, newest first, from below a number on."""
    with reading(engine) as session:
        return [found for row in store.newest_first(session, before, limit) if (found := signed(row)) is not None]


def read(engine: Engine, number: int) -> Signed:
    """A checkpoint; raises `NotFound`."""
    with reading(engine) as session:
        row = store.one(session, number)
        found = signed(row) if row else None
    if found is None:
        raise not_found(str(number))
    return found


def not_found(number: str) -> NotFound:
    """There is no such checkpoint."""
    return NotFound(f"Not found: Resource not found: {number} (Checkpoint)")


def exported(engine: Engine, found: Signed) -> Iterator[bytes]:
    """A checkpoint as it is kept elsewhere: a line of its statement and signature, and a line for the head of each chain, as JSON.

    In pieces of many lines. The heads are in the order of the tree's leaves, and between two pieces no transaction is open.
    """
    yield canonical(msgspec.to_builtins(found)) + b"\n"
    after = ""
    while True:
        with reading(engine) as session:
            part = list(islice(store.heads(session, found.statement.number, after), _HEADS))
        if not part:
            return
        yield b"".join(canonical({"subject": head.subject, "seq": head.seq, "hash": head.hash.hex()}) + b"\n" for head in part)
        after = part[-1].subject


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    subject: str
    seq: int
    hash: str


def kept_from(lines: Iterator[bytes]) -> Kept:
    """What `exported` made, read again; the heads as they are asked for. Raises `Invalid` where a line is none of it."""
    found = _read(next(lines, b""), Signed, 1)
    return Kept(found, _heads_from(lines, found.statement.number))


def _heads_from(lines: Iterator[bytes], checkpoint: int) -> Iterator[Head]:
    for number, line in enumerate(lines, 2):
        told = _read(line, _Line, number)
        try:
            yield Head(told.subject, checkpoint, told.seq, bytes.fromhex(told.hash))
        except ValueError:
            raise _no_export(number) from None


def _read(line: bytes, kind: type[T], number: int) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError:
        raise _no_export(number) from None


def _no_export(number: int) -> Invalid:
    return Invalid("This is no checkpoint as it is exported", f"line {number}: is not what such a file has there")


def inclusion(engine: Engine, found: Signed, subject: str) -> Inclusion:
    """The proof that a chain ended so at a checkpoint; raises `NotFound` where there was no such chain. It reads all heads."""
    number = found.statement.number
    with reading(engine) as session:
        place = next(((index, head) for index, head in enumerate(store.heads(session, number)) if head.subject == subject), None)
        if place is None:
            raise NotFound(f"Not found: Resource not found: {subject} (Chain) at checkpoint {number}")
        tree = Tree(watch=place[0])
        for head in store.heads(session, number):
            tree.add(leaf_of(head))
        tree.close()
    return Inclusion(found, place[1], place[0], tree.path)
