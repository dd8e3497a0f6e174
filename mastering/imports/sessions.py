"""Upload sessions: an import that comes in pieces, one request each, and is sealed by a request of its own (SPEC §5.1; API.md).

A session is an import run, with the same id. It is RECEIVING while it takes data, hours perhaps and over restarts of the server; from its
start on nothing tells it from any other delta: plan, safeguards, review of a held plan, history. Each piece is kept as one chunk, in one
transaction, or refused as a whole.

What a session says of an account is explicit (docs/decisions/0029): an upsert that it is there and active, a delete that the source
dropped it, which reads as `active: false`. Both about one account contradict each other, in whatever order they came (SPEC §5.2).

Runs are locked before their app, here as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import wire
from mastering.connectors.lines import record_line
from mastering.errors import Invalid, NotFound, WrongState
from mastering.imports import runs
from mastering.imports.spool import pack
from mastering.ledger import SERVICE, Actor
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus
from mastering.rules.sessions import (
    IDENTITY_SOURCE,
    IDLE,
    MAX_LOADS,
    OPEN,
    PAUSE,
    SessionStatus,
    session_status,
)
from mastering.store import catalog, tables
from mastering.store import imports as import_store
from mastering.store import sessions as store
from mastering.store.engine import reading, writing

_REFUSED = "Identity source session refused"


class Word(NamedTuple):
    """What a source says of one account: that it has it, with this profile, or that it has dropped it."""

    external_id: Any
    kept: bool
    profile: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A session as it stands. `updated` is the last instant at which anything became of it."""

    id: str
    app_id: str
    status: SessionStatus
    created: str
    updated: str


def create(engine: Engine, actor: Actor, now: datetime, app_id: str) -> UploadSession:
    """Open a session of an active app. Raises `NotFound`, or `Invalid` where one is open or was started a moment ago."""
    with writing(engine) as session:
        for run in store.still_open(session, app_id):
            _expire_if_overdue(session, SERVICE, now, run)
        app = runs.importable(session, app_id, lock=True)
        _refuse_second(store.active(session, app_id), now)
        run = runs.begin(session, actor, now, app, runs.Order(Mode.INCREMENTAL, IDENTITY_SOURCE))
        return _view(session, now, run)


def _refuse_second(active: Sequence[tables.ImportRun], now: datetime) -> None:
    for run in active:
        if run.status is RunStatus.RECEIVING:
            raise Invalid(_REFUSED, f"identitySourceId: the session {run.id} is open already; load into it, start it or delete it")
        if run.sealed is not None and run.sealed > wire(now - PAUSE):
            ready = wire(datetime.fromisoformat(run.sealed) + PAUSE)
            raise Invalid(_REFUSED, f"identitySourceId: the session {run.id} was just started; wait for its end, or until {ready}")


def find(engine: Engine, now: datetime, app_id: str, session_id: str) -> UploadSession:
    """A session of an app; raises `NotFound`."""
    with reading(engine) as session:
        return _view(session, now, _get(session, app_id, session_id))


def active(engine: Engine, now: datetime, app_id: str) -> list[UploadSession]:
    """The sessions that are open, or started and not at their end, oldest first; raises `NotFound` where there is no such app."""
    with reading(engine) as session:
        if catalog.app(session, app_id) is None:
            raise NotFound(f"Not found: Resource not found: {app_id} (IdentitySource)")
        found = [_view(session, now, run) for run in store.active(session, app_id)]
    return [each for each in found if each.status is not SessionStatus.EXPIRED]


def load(engine: Engine, actor: Actor, now: datetime, app_id: str, session_id: str, words: Sequence[Word]) -> None:
    """Take what one request says, all of it or nothing. Raises `NotFound`, `WrongState`, or `Invalid` where there were too many requests."""
    with writing(engine) as session:
        run = _get(session, app_id, session_id, lock=True)
        _require_open(session, now, run, "take data")
        loads = store.loads(session, run.id)
        if loads >= MAX_LOADS:
            raise Invalid(_REFUSED, f"session: {MAX_LOADS} requests have loaded data already; start it, and load the rest into another one")
        app = runs.importable(session, app_id, lock=True)
        lines = [pack(record_line(at, word.profile, word.external_id, word.kept)) for at, word in enumerate(words, run.records + 1)]
        import_store.add_chunk(session, run.id, loads, len(lines), b"".join(lines))
        run.records, run.received = run.records + len(lines), wire(now)
        session.add(run)
        runs.tell(session, app, actor, now, run.id, "import.loaded", {"records": len(lines)})


def start(engine: Engine, actor: Actor, now: datetime, app_id: str, session_id: str) -> UploadSession:
    """Seal a session: from now on it is a run like any other. Raises `NotFound`, `Invalid`, or `WrongState` where nothing was loaded."""
    with writing(engine) as session:
        run = _get(session, app_id, session_id, lock=True)
        if _require_open(session, now, run, "be started") is SessionStatus.CREATED:
            told = "nothing has been loaded; use bulk-upsert or bulk-delete first"
            raise WrongState(f"Session={run.id} should be in IN_PROGRESS status in order to be processed", f"session: {told}")
        runs.importable(session, app_id, lock=True)
        runs.enqueue(session, actor, now, run, run.records)
        return _view(session, now, run)


def close(engine: Engine, actor: Actor, now: datetime, app_id: str, session_id: str) -> None:
    """Give an open session up: what was loaded is forgotten. Raises `NotFound` or `WrongState`."""
    with writing(engine) as session:
        run = _get(session, app_id, session_id, lock=True)
        _require_open(session, now, run, "be deleted")
        runs.call_off(session, actor, now, run)


def expire(engine: Engine, now: datetime, actor: Actor) -> int:
    """Give up every open session into which nothing was loaded for a day; how many."""
    with writing(engine) as session:
        return sum(_expire_if_overdue(session, actor, now, run) for run in store.still_open(session))


def _expire_if_overdue(session: Session, actor: Actor, now: datetime, run: tables.ImportRun) -> bool:
    overdue = _overdue(run, now)
    if overdue:
        told = f"The session expired: nothing was loaded for {IDLE.total_seconds() / 3600:.0f} hours; nothing was changed"
        runs.fail(session, actor, now, run, told)
    return overdue


def _overdue(run: tables.ImportRun, now: datetime) -> bool:
    return run.status is RunStatus.RECEIVING and (run.received or run.created) <= wire(now - IDLE)


def _get(session: Session, app_id: str, session_id: str, *, lock: bool = False) -> tables.ImportRun:
    run = session.get(tables.ImportRun, session_id, with_for_update=lock)
    if run is None or run.app_id != app_id or run.source != IDENTITY_SOURCE:
        raise NotFound(f"Not found: Resource not found: {session_id} (IdentitySourceSession)")
    return run


def _require_open(session: Session, now: datetime, run: tables.ImportRun, wanted: str) -> SessionStatus:
    """Where the session stands, if it is open; raises `WrongState`."""
    status = _status(session, now, run)
    if status not in OPEN:
        raise WrongState(f"The session {run.id} is {status}; only a session that is CREATED or IN_PROGRESS can {wanted}")
    return status


def _status(session: Session, now: datetime, run: tables.ImportRun) -> SessionStatus:
    loads = store.loads(session, run.id) if run.status is RunStatus.RECEIVING else 0
    return session_status(run.status, started=run.sealed is not None, loads=loads, overdue=_overdue(run, now))


def _view(session: Session, now: datetime, run: tables.ImportRun) -> UploadSession:
    known = (run.created, run.received, run.sealed, run.planned, run.completed)
    updated = max(at for at in known if at is not None)
    return UploadSession(run.id, run.app_id, _status(session, now, run), run.created, updated)
