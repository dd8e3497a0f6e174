"""Computing a preview: leased like an import run, on one snapshot of the database, its rows written batch by batch (decision 0055).

Every batch asks first whether the preview still is this worker's; who takes one over begins anew, as with a dry run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.errors import MasteringError
from mastering.store import previews as store
from mastering.store import tables
from mastering.store.documents import dump
from mastering.store.engine import reading, writing
from mastering.store.locks import LOCKED, let_go_after
from mastering.store.outage import is_outage
from mastering.store.previews import PreviewStatus
from mastering.whatif import again, past, queue
from mastering.whatif.population import Population
from mastering.whatif.previews import require_replayable, wishes_of
from mastering.whatif.rows import Foreseen
from mastering.whatif.scratch import scratch
from mastering.whatif.world import Follows, Wishes, World

_log = structlog.get_logger("mastering.worker")


class _LostError(Exception):
    """The preview is another worker's by now, or this one is to stop."""


@dataclass(slots=True)
class _Work:
    """One claim of one preview, and what has been written for it."""

    engine: Engine
    id: str
    owner: str
    fence: int
    length: timedelta
    stopping: Callable[[], bool]
    found: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    renewed: datetime = field(default_factory=clock_now)

    def hold(self, session: Session) -> store.Preview:
        """The preview, locked and leased for longer; raises `_LostError` if it is somebody else's by now."""
        let_go_after(session, self.length)
        row = session.get(store.Preview, self.id, with_for_update=LOCKED)
        if row is None or (row.owner, row.fence) != (self.owner, self.fence) or row.status not in store.LIVE:
            raise _LostError(self.id)
        self.renewed = clock_now()
        row.lease_until = wire(self.renewed + self.length)
        session.add(row)
        return row

    def beat(self) -> None:
        """Make the lease longer in time, from within work that writes nothing for a while; raises `_LostError` as `write` does."""
        self._stop_if_asked()
        if clock_now() - self.renewed >= self.length / 3:
            with writing(self.engine) as session:
                self.hold(session)

    def _stop_if_asked(self) -> None:
        if self.stopping():
            with writing(self.engine) as session:
                mine = self.hold(session)
                mine.owner, mine.lease_until = None, None
            raise _LostError(self.id)

    def write(self, rows: list[Foreseen]) -> None:
        """Write the next rows; raises `_LostError` where the worker is to stop."""
        self._stop_if_asked()
        with writing(self.engine) as session:
            self.hold(session)
            store.add_rows(session, [row.row(self.id, self.found + number) for number, row in enumerate(rows, 1)])
        self.found += len(rows)
        self.counts.update(row.kind.value for row in rows)


def take_turn(engine: Engine, owner: str, length: timedelta, stopping: Callable[[], bool]) -> bool:
    """Claim the next preview and compute it; whether there was one. One that cannot be computed fails with a sentence."""
    now = clock_now()
    with reading(engine) as session:
        if not store.waits(session, wire(now)):
            return False
    with writing(engine) as session:
        row = store.claim(session, owner, wire(now), wire(now + length))
        if row is None:
            return False
        row.status = PreviewStatus.COMPUTING
        store.drop_rows(session, row.id)  # of whoever began it before
    work = _Work(engine, row.id, owner, row.fence, length, stopping)
    try:
        verdict = _compute(work, row)
        _end(work, PreviewStatus.COMPLETED, verdict=verdict)
    except _LostError:
        _log.warning("preview lost", preview_id=row.id)
    except MasteringError as refused:
        _end(work, PreviewStatus.FAILED, error=f"{refused.summary} {'; '.join(refused.causes)}".strip())
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("preview failed", preview_id=row.id)
        _end(
            work, PreviewStatus.FAILED, error=f"The preview could not be computed: {type(fault).__name__}; the server's log has the details"
        )
    return True


def _compute(work: _Work, row: store.Preview) -> str | None:
    """Write all rows; of a recorded run the safeguards' verdict as well."""
    wishes = wishes_of(row)
    with reading(work.engine) as session:
        if row.run_id is None:
            for rows in _everybody(session, wishes):
                work.write(rows)
            return None
        require_replayable(session, row.run_id, wishes)
        if not again.is_kept(session, session.get_one(tables.ImportRun, row.run_id)):
            replayed = past.Replay.of(session, row.run_id, wishes)
            for rows in replayed.rows():
                work.write(rows)
            return dump(replayed.verdict())
    return _planned_again(work, row.run_id, wishes)


def _planned_again(work: _Work, run_id: str, wishes: Wishes) -> str:
    with scratch() as engine:
        planned = again.PlannedAgain(engine, run_id, wishes, work.beat)
        with reading(work.engine) as session:
            planned.gather(session)
        planned.plan()
        for rows in planned.rows():
            work.write(rows)
        return dump(planned.verdict())


def _everybody(session: Session, wishes: Wishes) -> Iterator[list[Foreseen]]:
    now, before = clock_now(), World.load(session)
    after = before.wished(wishes)
    population = Population(
        session,
        before,
        after,
        Follows.between(before, after),
        before.sources(now),
        after.sources(now),
        wire(now),
        queue.key_attributes(session, after),
    )
    yield from population.rows()
    yield from queue.rows(session, population, now)


def _end(work: _Work, status: PreviewStatus, *, error: str | None = None, verdict: str | None = None) -> None:
    with writing(work.engine) as session:
        row = work.hold(session)
        row.status, row.error, row.verdict = status, error, verdict
        row.found, row.counts = work.found, dump(dict(sorted(work.counts.items())))
        row.completed, row.lease_until = wire(clock_now()), None
