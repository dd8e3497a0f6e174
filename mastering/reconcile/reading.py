"""Reading the users of connected apps for a reconciliation: what a puller's thread does for it, as it receives pulls (SPEC §§11, 12).

Pages are read while no transaction is open, as in `mastering.imports.pulling`, and kept as they come. Whoever takes a reading over forgets
what has been kept of the app at hand and begins at its first page. An app that cannot be read is noted with a sentence, and the next one is
read. When all have been, the worker has its turn again, and compares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Engine

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.connections import Peers
from mastering.connectors.scimpages import ReadingFailed, UserPages
from mastering.connectors.scimpaths import Paths, paths_in
from mastering.connectors.scimpeer import SECONDS
from mastering.errors import MasteringError
from mastering.imports.lease import StoppedError
from mastering.imports.lines import decode, glance
from mastering.imports.pulling import line_of
from mastering.reconcile.claims import Claim, LostError
from mastering.rules.record import Record, external_id_of, merge
from mastering.store import bulk, readings
from mastering.store import reconciliations as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage
from mastering.terms import source_names

_SLICE = 0.2
_log = structlog.get_logger("mastering.worker")


def claim(engine: Engine, owner: str, length: timedelta) -> Claim | None:
    """The next reconciliation whose apps are to be read, leased; `None` where there is none."""
    now = clock_now()
    with reading(engine) as session:
        if not store.waits(session, wire(now), reading=True):
            return None
    with writing(engine) as session:
        row = store.claim(session, owner, wire(now), wire(now + length), reading=True)
        return Claim(engine, row.id, owner, row.fence, length) if row is not None else None


def read_apps(mine: Claim, peers: Peers, stopping: Callable[[], bool]) -> None:
    """Read one app after the other, and leave the reconciliation to the worker. Nothing is raised: what is left is begun anew by who comes next."""
    try:
        while (app_id := _next(mine)) is not None:
            _note(mine, app_id, _outcome(mine, peers, app_id, stopping))
    except LostError:
        _log.warning("reconciliation lost", reconciliation_id=mine.id)
    except StoppedError:
        mine.give_back()


def _next(mine: Claim) -> str | None:
    """The app to read now; when none is left, the worker's turn has come."""
    with writing(mine.engine) as session:
        row = mine.hold(session)
        app_id: str | None = next((each["appId"] for each in load(row.readings) if "began" not in each), None)
        if app_id is not None:
            readings.drop(session, row.id, app_id)
        else:
            row.reading, row.owner, row.lease_until = False, None, None
        return app_id


def _note(mine: Claim, app_id: str, outcome: dict[str, Any]) -> None:
    with writing(mine.engine) as session:
        row = mine.hold(session)
        row.readings = dump([each | outcome if each["appId"] == app_id else each for each in load(row.readings)])
        if "error" in outcome:
            readings.drop(session, row.id, app_id)


def _outcome(mine: Claim, peers: Peers, app_id: str, stopping: Callable[[], bool]) -> dict[str, Any]:
    """How one app was read."""
    began = wire(clock_now())
    try:
        return {"began": began, **_read(mine, peers, app_id, stopping)}
    except ReadingFailed as fault:
        error = str(fault)
    except MasteringError as fault:
        error = "; ".join(fault.causes) or fault.summary
    except (LostError, StoppedError):
        raise
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("an app could not be read", reconciliation_id=mine.id, app=app_id)
        error = f"{type(fault).__name__}; the server's log has the details"
    _log.warning("an app could not be read", reconciliation_id=mine.id, app=app_id, error=error)
    return {"began": began, "error": error}


def _read(mine: Claim, peers: Peers, app_id: str, stopping: Callable[[], bool]) -> dict[str, Any]:
    """All users of an app; raises `ReadingFailed`."""
    peer = peers.open(app_id)
    seconds = min(peer.target.seconds, SECONDS, mine.length.total_seconds() * 2 / 3)

    def ready() -> None:
        if stopping():
            raise StoppedError(mine.id)
        if clock_now() - mine.renewed >= mine.length - timedelta(seconds=seconds * 1.25):
            with writing(mine.engine) as session:
                mine.hold(session)

    def pause(length: float) -> None:
        until = time.monotonic() + length
        while (left := until - time.monotonic()) > 0:
            ready()
            time.sleep(min(left, _SLICE))

    with reading(mine.engine) as session:
        paths = paths_in(source_names(session, app_id))
    pages = UserPages(peer, ready, pause, seconds=seconds)
    users, unreadable = 0, 0
    for resources in pages:
        rows = _rows(mine.id, app_id, resources, paths)
        with writing(mine.engine) as session:
            mine.hold(session)
            readings.add(session, rows)
        users += len(resources)
        unreadable += len(resources) - len(rows)
    return {"users": users, "unreadable": unreadable, "pages": pages.pages, "requests": pages.tries}


def _rows(reconciliation_id: str, app_id: str, resources: Sequence[Any], paths: Paths) -> list[bulk.Row]:
    """The users of a page as they are compared. Who has no id cannot be told from anybody; who has one is there, whatever else is wrong."""
    rows: list[bulk.Row] = []
    for number, resource in enumerate(resources, 1):
        line = line_of(number, resource, paths)
        found = decode(line)
        if isinstance(found, Record):
            rows.append((reconciliation_id, app_id, found.external_id, found.active, dump(merge({}, found.profile))))
        elif (external_id := external_id_of(glance(line.payload)[0])) is not None:
            rows.append((reconciliation_id, app_id, external_id, None, None))
    return rows
