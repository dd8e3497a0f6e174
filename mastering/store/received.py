"""What planned runs received, kept as long as their plans: so a past run can be planned once more under other options (SPEC §5.1; decision 0057).

While a run is received and planned its lines are in `run_chunks`, as they came. Once it has ended each piece is moved here, deflated and
without its marks, which are made of the lines. A piece is in one of the two tables and never in both, and keeps its number.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import Any, ClassVar, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, LargeBinary, and_, delete, func, select, update
from sqlmodel import Field, Session, SQLModel, col

from mastering.rules.runs import ENDED
from mastering.store import bulk
from mastering.store.tables import ImportRun, RunChunk


class KeptChunk(SQLModel, table=True):
    """A piece of what a planned run received, deflated. May hold values of anybody the run told of."""

    __tablename__: ClassVar[Any] = "kept_chunks"
    run_id: str = Field(primary_key=True, foreign_key="import_runs.id")
    seq: int = Field(primary_key=True)
    lines: int
    payload: bytes = Field(sa_type=LargeBinary)


class Place(NamedTuple):
    """Where a piece stands: of which run, of which app, at which number; and whether the run has its plan."""

    run_id: str
    app_id: str
    seq: int
    planned: bool


class Piece(NamedTuple):
    """What stands there: how many lines, and the lines as the spool packs them."""

    lines: int
    payload: bytes


_COLUMNS = ("run_id", "seq", "lines", "payload")
_TABLES: tuple[Any, ...] = (RunChunk, KeptChunk)
_LEVEL = 3
"""Of zlib: half again as large as its best, in a quarter of the time."""


def deflated(payload: bytes) -> bytes:
    """Lines as they are kept."""
    return zlib.compress(payload, _LEVEL)


def places(session: Session, app_ids: Collection[str]) -> list[Place]:
    """The pieces there are of these apps' runs, ascending."""
    run = ImportRun
    return sorted({place for table in _TABLES for place in _places(session, table, col(run.app_id).in_(app_ids))})


def places_of_run(session: Session, run_id: str) -> list[Place]:
    """The pieces there are of a run, in order."""
    return sorted({place for table in _TABLES for place in _places(session, table, col(ImportRun.id) == run_id)})


def unpacked(session: Session, limit: int) -> list[Place]:
    """The next pieces of ended runs that lie as they came."""
    return _places(session, RunChunk, col(ImportRun.status).in_(ENDED), limit)


def _places(session: Session, table: Any, where: ColumnElement[bool], limit: int | None = None) -> list[Place]:
    run = ImportRun
    query = select(col(run.id), col(run.app_id), col(table.seq), col(run.planned).is_not(None)).join(
        table, col(table.run_id) == col(run.id)
    )
    rows = session.execute(query.where(where).order_by(col(table.run_id), col(table.seq)).limit(limit))
    return [Place(row[0], row[1], row[2], bool(row[3])) for row in rows]


def keeps(session: Session, run_id: str) -> bool:
    """Whether what a run received is kept; the first piece is the first to be forgotten."""
    return any(session.execute(select(1).where(col(table.run_id) == run_id, col(table.seq) == 0)).first() for table in _TABLES)


def piece(session: Session, place: Place) -> Piece | None:
    """A piece, in whichever table it is; `None` where it is not there any more."""
    for table, read in ((RunChunk, bytes), (KeptChunk, zlib.decompress)):
        found = session.execute(select(col(table.lines), col(table.payload)).where(_at(table, place))).one_or_none()
        if found is not None:
            return Piece(found[0], read(found[1]))
    return None


def rewrite(session: Session, place: Place, lines: int, payload: bytes) -> None:
    """Keep other lines in a piece's place."""
    session.execute(update(RunChunk).where(_at(RunChunk, place)).values(lines=lines, payload=payload, marks=None))
    session.execute(update(KeptChunk).where(_at(KeptChunk, place)).values(lines=lines, payload=deflated(payload)))


def pack(session: Session, place: Place, lines: int, kept: bytes) -> bool:
    """Move a piece to those that are kept; not where somebody has moved, changed or dropped it since it was read with so many lines."""
    was = delete(RunChunk).where(_at(RunChunk, place), col(RunChunk.lines) == lines)
    gone = cast("CursorResult[Any]", session.execute(was)).rowcount
    if gone:
        bulk.insert(session, KeptChunk, _COLUMNS, [(place.run_id, place.seq, lines, kept)])
    return bool(gone)


def _at(table: Any, place: Place) -> ColumnElement[bool]:
    return and_(col(table.run_id) == place.run_id, col(table.seq) == place.seq)


def runs_over(session: Session, before: str) -> Iterator[str]:
    """The runs that ended before an instant and of which something is kept. One seek for each run that has any; run ids ascend with time."""
    for table in _TABLES:
        next_one = select(func.min(col(table.run_id)))
        run_id = session.execute(next_one).scalar()
        while run_id is not None:
            run = session.get_one(ImportRun, run_id)
            if run.created >= before:
                break
            if run.status in ENDED and (run.completed or run.created) < before:
                yield run_id
            run_id = session.execute(next_one.where(col(table.run_id) > run_id)).scalar()


def forget(session: Session, run_id: str, at_most: int) -> int:
    """Forget the first pieces of what a run received; how many."""
    gone = 0
    for table in _TABLES:
        first = select(col(table.seq)).where(col(table.run_id) == run_id).order_by(col(table.seq)).limit(at_most - gone)
        where = (col(table.run_id) == run_id) & col(table.seq).in_(first)
        gone += cast("CursorResult[Any]", session.execute(delete(table).where(where))).rowcount
    return gone
