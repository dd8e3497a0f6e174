"""The puller: receives pulls, and reads apps for reconciliations, some at a time, in threads beside the import worker, so that a slow server keeps nobody waiting but its own app.

Like the worker it looks by itself now and then, wakes when somebody in this process orders a pull, and lives on rows with a lease. A thread
that waits for a server when the process stops is not waited for: its lease ends, and whoever claims the run then begins it anew.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count

import structlog
from sqlalchemy import Engine

from mastering.clock import now, wire
from mastering.connections import Peers
from mastering.imports import runs
from mastering.imports.lease import Lease, LeaseLostError, StoppedError
from mastering.imports.pulling import receive
from mastering.ledger import SERVICE
from mastering.reconcile.claims import Claim
from mastering.reconcile.reading import claim, read_apps
from mastering.settings import LEASE
from mastering.store import runs as run_store
from mastering.store import tables
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage

AT_ONCE = 4
"""Pulls that a process receives at a time, each of another app."""
_LOOK_EVERY = 0.5
_TO_FINISH = 3.0
"""Seconds that pulls are given to notice that the process stops."""
_log = structlog.get_logger("mastering.worker")


def _nobody() -> None:
    return None


class Puller:
    """One puller on one database. `start` it once, `stop` it at the end. `sealed` is called when a run can be planned."""

    def __init__(
        self, engine: Engine, peers: Peers, lease: timedelta = LEASE, *, sealed: Callable[[], None] = _nobody, at_once: int = AT_ONCE
    ) -> None:
        self._engine, self._peers, self._lease, self._sealed = engine, peers, lease, sealed
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = count(1)
        self._room = threading.Semaphore(at_once)
        self._receiving: set[threading.Thread] = set()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="puller", daemon=True)

    def start(self) -> None:
        """Begin to look for pulls."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Claim no more, and let what is received notice."""
        self._stopping.set()
        self._wake.set()
        for thread in [self._thread, *self._receiving]:
            if thread.is_alive():
                thread.join(_TO_FINISH)

    def turn(self) -> bool:
        """Receive one pull in this thread, if there is one; whether there was. What a test calls instead of waiting."""
        work = self._claim()
        if work is not None:
            work()
        return work is not None

    def _work(self) -> None:
        while not self._stopping.is_set():
            if not self._try():
                self._wake.wait(_LOOK_EVERY)
                self._wake.clear()

    def _try(self) -> bool:
        """Begin to receive a pull, if there is one and room for it; whether to look again at once."""
        if not self._room.acquire(timeout=_LOOK_EVERY):
            return True
        work = None
        try:
            work = self._claim()
        except Exception as fault:  # noqa: BLE001 - the thread outlives an outage of the database
            _log.warning("no pull can be claimed", exc_info=fault)
        if work is None:
            self._room.release()
            return False
        thread = threading.Thread(target=self._work_and_make_room, args=(work,), name="pull", daemon=True)
        self._receiving.add(thread)
        thread.start()
        return True

    def _work_and_make_room(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._receiving.discard(threading.current_thread())
            self._room.release()
            self._wake.set()

    def _claim(self) -> Callable[[], None] | None:
        """A pull, or else the apps of a reconciliation: what is to be done of it, claimed."""
        run = self._claim_pull()
        if run is not None:
            return partial(self._receive, run)
        mine = claim(self._engine, f"{self._owner}-{next(self._numbers)}", self._lease)
        return partial(self._read, mine) if mine is not None else None

    def _claim_pull(self) -> tables.ImportRun | None:
        at = now()
        with reading(self._engine) as session:
            if not run_store.pull_waits(session, wire(at)):
                return None
        with writing(self._engine) as session:
            return run_store.claim_pull(session, f"{self._owner}-{next(self._numbers)}", wire(at), wire(at + self._lease))

    def _read(self, mine: Claim) -> None:
        """Read the apps of a reconciliation; one that is left, as the database was away, is begun anew when its lease ends."""
        try:
            read_apps(mine, self._peers, self._stopping.is_set)
            self._sealed()
        except Exception as fault:  # noqa: BLE001 - the thread outlives an outage of the database
            _log.warning("a reading was left; it is begun anew when its lease ends", reconciliation_id=mine.id, exc_info=fault)

    def _receive(self, run: tables.ImportRun) -> None:
        structlog.contextvars.bind_contextvars(run_id=run.id, worker=self._owner)
        lease = Lease(self._engine, run.id, run.owner or "", run.fence, self._lease, self._stopping.is_set)
        try:
            if receive(lease, self._peers):
                self._sealed()
        except LeaseLostError as lost:
            _log.warning("pull lost", run_id=str(lost))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the run's end and not the process's
            self._end(lease, fault)
        finally:
            structlog.contextvars.unbind_contextvars("run_id", "worker")

    def _end(self, lease: Lease, fault: Exception) -> None:
        """What becomes of a pull that was not received to its end: it is begun anew, or fails with a sentence."""
        try:
            if isinstance(fault, StoppedError):
                lease.give_back()
            elif self._stopping.is_set() or is_outage(fault):
                _log.warning("a pull was left; it is begun anew when its lease ends", exc_info=fault)
            else:
                _log.exception("pull failed", exc_info=fault)
                told = f"The import could not go on: {type(fault).__name__}; the server's log has the details"
                runs.give_up(self._engine, SERVICE, now(), lease.run_id, told, owner=lease.owner)
        except LeaseLostError as lost:
            _log.warning("pull lost", run_id=str(lost))
        except Exception as again:  # noqa: BLE001 - the lease ends by itself
            _log.warning("a pull was left; it is begun anew when its lease ends", exc_info=again)
