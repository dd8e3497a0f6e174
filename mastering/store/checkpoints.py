"""Checkpoints: what was signed about the history up to a position, and the heads that its chains had then (SPEC §13).

Of the heads only those are kept that are new since the checkpoint before, so that one a day costs what a day brings; the head that a chain
had at a checkpoint is the last one kept up to its number. They are kept for themselves and not taken from history again: it is by them
that a chain which somebody wrote anew is found.

Everything is read in pages, since a page is all that is in memory at once, and nothing is held open between two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text, and_, cast, func, insert, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, Session, SQLModel, col

from mastering.store.documents import dump
from mastering.store.tables import HistoryEvent

_PAGE = 5_000
_PAIRS = 2_000
_SLICE = 50_000
"""Events whose chains' heads are found in one statement."""
_BEYOND = 2**31 - 1
"""No checkpoint has this number: a page that is bounded by it is found by the key as any other is."""

_in_bytes: Any = String().with_variant(String(collation="C"), "postgresql")  # the order of the tree is that of the bytes, everywhere


class Checkpoint(SQLModel, table=True):
    """A checkpoint. Begun it has no statement yet; signed, it never changes. `position` is that of the last event it covers."""

    __tablename__: ClassVar[Any] = "checkpoints"
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: str
    made_by: str = Field(sa_type=Text)
    position: int = Field(sa_type=BigInteger)
    statement: str | None = Field(default=None, sa_type=Text)
    signature: str | None = None


class CheckpointHead(SQLModel, table=True):
    """The head that a chain had at a checkpoint, where it had another at the one before."""

    __tablename__: ClassVar[Any] = "checkpoint_heads"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)
    subject: str = Field(primary_key=True, sa_type=_in_bytes)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    seq: int
    hash: bytes = Field(sa_type=LargeBinary)


class Head(NamedTuple):
    """Where a chain ends: the number and the hash of its last event; and the checkpoint that says so."""

    subject: str
    number: int
    seq: int
    hash: bytes


def latest(session: Session) -> Checkpoint | None:
    """The newest checkpoint, signed or only begun."""
    return session.execute(select(Checkpoint).order_by(col(Checkpoint.number).desc()).limit(1)).scalar()


def one(session: Session, number: int) -> Checkpoint | None:
    """A checkpoint that is signed."""
    return session.execute(select(Checkpoint).where(col(Checkpoint.number) == number, col(Checkpoint.statement).is_not(None))).scalar()


def newest_first(session: Session, before: int | None, limit: int) -> list[Checkpoint]:
    """The signed checkpoints below a number, newest first."""
    number = col(Checkpoint.number)
    below = number < (_BEYOND if before is None else before)
    query = select(Checkpoint).where(col(Checkpoint.statement).is_not(None), below).order_by(number.desc()).limit(limit)
    return list(session.execute(query).scalars())


def signed(session: Session) -> list[Checkpoint]:
    """All that are signed, in their order."""
    return list(
        session.execute(select(Checkpoint).where(col(Checkpoint.statement).is_not(None)).order_by(col(Checkpoint.number))).scalars()
    )


def last_position(session: Session) -> int:
    """The position of the last event there is; 0 where there is none."""
    return int(session.execute(select(func.coalesce(func.max(col(HistoryEvent.position)), 0))).scalar_one())


def begin(session: Session, number: int, at: str, made_by: str, after: int) -> Checkpoint:
    """Begin a checkpoint over what has been written by now: keep the heads of the chains that have events beyond the position `after`."""
    made = Checkpoint(number=number, at=at, made_by=made_by, position=last_position(session))
    session.add(made)
    session.flush()
    for start in range(after, made.position, _SLICE):
        _keep_heads(session, number, start, min(start + _SLICE, made.position))
    return made


def _keep_heads(session: Session, number: int, start: int, end: int) -> None:
    """Of each chain with events in (start, end], the last one; a head kept from an earlier slice gives way."""
    event, head = HistoryEvent, CheckpointHead
    position = col(event.position)
    from_last = func.row_number().over(partition_by=col(event.subject), order_by=col(event.seq).desc()).label("from_last")
    new = select(col(event.subject), col(event.seq), col(event.hash), from_last).where(position > start, position <= end).subquery()
    last = select(new.c.subject, literal(number), new.c.seq, new.c.hash).where(new.c.from_last == 1)
    columns = ("subject", "number", "seq", "hash")
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_or_update  # noqa: PLC0415 - one of two ways

        kept = insert_or_update(head).from_select(columns, last)
        session.execute(
            kept.on_conflict_do_update(index_elements=["subject", "number"], set_={"seq": kept.excluded.seq, "hash": kept.excluded.hash})
        )
    else:
        session.execute(insert(head).prefix_with("OR REPLACE").from_select(columns, last))


def heads(session: Session, number: int, after: str = "") -> Iterator[Head]:
    """The heads of all chains at a checkpoint, in the order of the subjects' bytes, from behind a subject on."""
    before: Head | None = None
    for head in recorded(session, number, after):
        if before is not None and before.subject != head.subject:
            yield before
        before = head
    if before is not None:
        yield before


def recorded(session: Session, number: int, behind: str = "") -> Iterator[Head]:
    """Every head that was ever kept up to a checkpoint, by subject and number, from behind a subject on."""
    head = CheckpointHead
    columns = (col(head.subject), col(head.number), col(head.seq), col(head.hash))
    query = select(*columns).where(col(head.number) <= number).order_by(col(head.subject), col(head.number)).limit(_PAGE)
    after: tuple[str, int] = (behind, number)
    while rows := session.execute(query.where(tuple_(col(head.subject), col(head.number)) > tuple_(*after))).all():
        yield from (Head(*row) for row in rows)
        after = (rows[-1][0], rows[-1][1])


def hashes(session: Session, start: int, end: int) -> Iterator[bytes]:
    """The hashes of the events at the positions (start, end], in their order."""
    position = col(HistoryEvent.position)
    query = select(position, col(HistoryEvent.hash)).where(position <= end).order_by(position).limit(_PAGE)
    after = start
    while rows := session.execute(query.where(position > after)).all():
        yield from (row[1] for row in rows)
        after = rows[-1][0]


def strangers(session: Session, wanted: Iterable[Head]) -> Iterator[tuple[Head, bool]]:
    """Of the heads that are wanted, those with which history does not agree; and whether there is an event at that place at all."""
    for part in _parts(wanted):
        found = _hashes_at(session, [(head.subject, head.seq) for head in part])
        for head in part:
            kept = found.get((head.subject, head.seq))
            if kept != head.hash:
                yield head, kept is not None


def _hashes_at(session: Session, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    subject, seq = col(HistoryEvent.subject), col(HistoryEvent.seq)
    query = select(subject, seq, col(HistoryEvent.hash))
    subjects, numbers = (list(each) for each in zip(*places, strict=True))  # one value each: either takes long over a list of pairs
    if session.get_bind().dialect.name == "postgresql":
        arrays = func.unnest(cast(subjects, ARRAY(String)), cast(numbers, ARRAY(Integer))).table_valued("subject", "seq").render_derived()
        query = query.join(arrays, and_(subject == arrays.c.subject, seq == arrays.c.seq))
    else:
        pairs = func.json_each(dump(list(places))).table_valued("value")
        name, number = func.json_extract(pairs.c.value, "$[0]"), func.json_extract(pairs.c.value, "$[1]")
        query = query.select_from(pairs).join(HistoryEvent, and_(subject == name, seq == number))
    return {(row[0], row[1]): row[2] for row in session.execute(query)}


def _parts(wanted: Iterable[Head]) -> Iterator[list[Head]]:
    part: list[Head] = []
    for head in wanted:
        part.append(head)
        if len(part) == _PAIRS:
            yield part
            part = []
    if part:
        yield part
