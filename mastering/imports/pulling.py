"""Pulls: imports whose records the service fetches itself, from the SCIM server of the app's connection (SPEC §5.1, §11).

A pull is a run that receives like any other, only that a worker does it, under a lease, and not a request. Pages are read while no transaction
is open and spooled as they come. Whoever takes a pull over, because its worker died or was stopped, forgets what it has and begins at
the first page: half a snapshot of yesterday and half of today is none. Sealed it is when all users have come, each once (`scimpages`).

An account is known by its SCIM `id`, which is the server's own and never changes; `externalId` is its clients' to write, ours among them.

A delta asks for what changed after the newest `meta.lastModified` that a completed import has seen of this server, a little earlier, by the
server's own clock. Where it cannot be asked for, everybody is read, and the run says so; it stays a delta and concludes nothing from absence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from msgspec import UNSET
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.connections import Peers, require_enabled
from mastering.connectors.lines import Line, Unusable, record_line, refusal
from mastering.connectors.peerfaults import PeerFailed
from mastering.connectors.scimpages import FilterRefused, ReadingFailed, UserPages
from mastering.connectors.scimpaths import Paths, paths_in
from mastering.connectors.scimpeer import SECONDS, Peer, quoted
from mastering.connectors.scimuser import fold, read_user
from mastering.errors import Invalid
from mastering.imports import runs
from mastering.imports.lease import Lease, StoppedError
from mastering.imports.spool import Spool
from mastering.ledger import Actor
from mastering.rules.record import Mode
from mastering.rules.runs import PULL
from mastering.store import connections as connection_store
from mastering.store import imports as store
from mastering.store import tables
from mastering.store.connections import instant_of
from mastering.store.documents import dump
from mastering.store.engine import writing
from mastering.terms import source_names

OVERLAP = timedelta(minutes=2)
"""How much earlier than the newest change seen a delta begins: a server may show a change a moment after it has dated it."""
_TOO_FAR = timedelta(days=1)
"""A date so far in the future says nothing: deltas after it would be empty for ever."""
_SLICE = 0.2
_log = structlog.get_logger("mastering.worker")


def start_pull(engine: Engine, actor: Actor, now: datetime, app_id: str, order: runs.Order) -> str:
    """Order a pull of an app; the new run's id. A worker receives it.

    Raises `NotFound`, and `Invalid` where the app or its connection is not there or is switched off. Nothing is called.
    """
    with writing(engine) as session:
        app = runs.importable(session, app_id, lock=True)
        require_enabled(session, app)
        return runs.begin(session, actor, now, app, replace(order, source=PULL)).id


def begin_pull(session: Session, actor: Actor, now: datetime, app: tables.App, mode: Mode) -> str:
    """The same within a transaction, of an app that is locked and known to be connected: what a schedule starts."""
    return runs.begin(session, actor, now, app, runs.Order(mode, PULL)).id


@dataclass(slots=True)
class _Reading:
    """What is read, and how far it has come."""

    app_id: str
    mode: Mode
    server: str
    mark: str | None
    paths: Paths
    filter: str | None = None
    since: datetime | None = None
    fallback: str | None = None
    newest: str | None = None
    count: int = 0
    pages: int = 0
    requests: int = 0
    _newest: datetime | None = field(default=None)

    def document(self) -> str:
        """How the records were fetched, as the run tells it."""
        return dump(
            {
                "server": self.server,
                "read": "ALL" if self.filter is None or self.fallback else "CHANGES",
                "since": wire(self.since) if self.since and self.filter else None,
                "fallback": self.fallback,
                "pages": self.pages,
                "requests": self.requests,
                "newest": self.newest,
            }
        )

    def heed(self, modified: object, latest: datetime) -> None:
        """Note when a user was last changed, and notice a server that did not heed the filter."""
        at = instant_of(modified)
        if at is None or at > latest:
            return
        if self.filter is not None and self.since is not None and at <= self.since:
            self.fallback = "it answers with users who have not changed: the filter meta.lastModified is not heeded"
        if self._newest is None or at > self._newest:
            self._newest, self.newest = at, str(modified)


def receive(lease: Lease, peers: Peers) -> bool:
    """Fetch what a claimed pull is to import, and seal it, or fail it with a sentence; whether it was sealed.

    Raises `LeaseLostError` where the run is somebody else's by now, and `StoppedError` where the process is to stop.
    """
    try:
        app_id = _own(lease)
        peer = peers.open(app_id)
        seconds = min(peer.target.seconds, SECONDS, lease.length.total_seconds() * 2 / 3)
        reading = _begin(lease, peer)
        reading.filter, reading.fallback = _delta(reading, peer)
        try:
            _read(lease, peer, reading, seconds)
        except FilterRefused as fault:
            reading = _begin(lease, peer)
            reading.fallback = f"the filter meta.lastModified was refused: {fault}"
            _read(lease, peer, reading, seconds)
    except ReadingFailed as fault:
        return _fail(lease, f"The app's users could not be read: {fault}; nothing was changed")
    except Invalid as fault:
        return _fail(lease, f"The app's users could not be read: {'; '.join(fault.causes) or fault.summary}; nothing was changed")
    return _seal(lease, reading)


def _own(lease: Lease) -> str:
    with writing(lease.engine) as session:
        return lease.hold(session).app_id


def _begin(lease: Lease, peer: Peer) -> _Reading:
    """Forget what was received before, and note from when on this is what the app says."""
    with writing(lease.engine) as session:
        run = lease.hold(session)
        runs.importable(session, run.app_id)
        store.drop_chunks(session, run.id)
        run.snapshot_at = wire(clock_now())
        known = connection_store.connection(session, run.app_id)
        server = peer.target.base_url
        mark = known.mark if known is not None and known.base_url == server else None
        return _Reading(run.app_id, run.mode, server, mark, paths_in(source_names(session, run.app_id)))


def _delta(reading: _Reading, peer: Peer) -> tuple[str | None, str | None]:
    """The filter of a delta, or why there can be none."""
    if reading.mode is Mode.FULL:
        return None, None
    newest = instant_of(reading.mark)
    if newest is None:
        return None, "no completed import of this server says since when"
    try:
        abilities = peer.abilities()
    except PeerFailed:
        abilities = None  # reading the users will say it better
    if abilities is not None and abilities.known and not abilities.filter:
        return None, "its /ServiceProviderConfig says that it does not filter"
    reading.since = newest - OVERLAP
    return f"meta.lastModified gt {quoted(wire(reading.since))}", None


def _read(lease: Lease, peer: Peer, reading: _Reading, seconds: float) -> None:
    """All pages into the run's chunks; raises `ReadingFailed`."""

    def ready() -> None:
        _stay(lease, seconds)

    def pause(length: float) -> None:
        _log.info("the app's server is waited for", app=reading.app_id, seconds=length)
        until = time.monotonic() + length
        while (left := until - time.monotonic()) > 0:
            ready()
            time.sleep(min(left, _SLICE))

    whole = reading.filter is None
    pages = UserPages(peer, ready, pause, filter=reading.filter, seconds=seconds, look_behind=whole and reading.mode is Mode.FULL)
    spool, latest = Spool(lease.engine, lease.run_id, lease.hold), clock_now() + _TOO_FAR
    for resources in pages:
        spool.add(_lines(reading, resources, latest))
    reading.count = spool.close()
    reading.pages, reading.requests = pages.pages, pages.tries


def _stay(lease: Lease, seconds: float) -> None:
    """See to it that the lease outlives the next call; raises `StoppedError` where there is to be none."""
    if lease.stopping():
        raise StoppedError(lease.run_id)
    if clock_now() - lease.renewed >= lease.length - timedelta(seconds=seconds * 1.25):
        with writing(lease.engine) as session:
            lease.hold(session)


def _lines(reading: _Reading, resources: Sequence[Any], latest: datetime) -> Iterator[Line]:
    for number, resource in enumerate(resources, reading.count + 1):
        yield line_of(number, resource, reading.paths)
        meta = fold(resource).get("meta") if isinstance(resource, dict) else None
        reading.heed(fold(meta).get("lastmodified") if isinstance(meta, dict) else None, latest)
    reading.count += len(resources)


def line_of(number: int, resource: Any, paths: Paths) -> Line:
    """A user as a record. What a server writes anew each time (`meta`), and the order in which it writes, is no part of it."""
    if not isinstance(resource, dict):
        return refusal(number, Unusable.not_an_object, "the resource is not an object")
    user = read_user(resource, paths)
    return record_line(number, dict(sorted(user.profile.items())), fold(resource).get("id", UNSET), user.active)


def _seal(lease: Lease, reading: _Reading) -> bool:
    now = clock_now()
    with writing(lease.engine) as session:
        run = lease.hold(session)
        run.pull = reading.document()
        if run.expected_count is not None and run.expected_count != reading.count:
            told = f"expectedCount: {run.expected_count} records were announced, {reading.count} came; nothing was changed"
            runs.fail(session, runs.starter(run), now, run, told)
            return False
        run.owner = None
        runs.enqueue(session, runs.starter(run), now, run, reading.count)
    _log.info("pull received", app=reading.app_id, users=reading.count, pages=reading.pages, requests=reading.requests)
    return True


def _fail(lease: Lease, error: str) -> bool:
    with writing(lease.engine) as session:
        run = lease.hold(session)
        runs.fail(session, runs.starter(run), clock_now(), run, error)
    _log.warning("pull failed", error=error)
    return False


def remember(session: Session, run: tables.ImportRun) -> None:
    """A pull has been imported: the next delta goes on from what it saw. The run's app is locked."""
    connection_store.advance(session, run.app_id, run.pull, whole=run.mode is Mode.FULL)
