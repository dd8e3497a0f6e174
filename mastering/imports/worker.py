"""The worker: a thread that takes turns until it is told to stop.

Its turns are of what has to follow from changes of the catalog (`followup`), and of runs. It wakes when somebody in this process seals or approves a run, and looks by itself now and then, for what other processes leave.
A turn that fails for a reason of its own fails the run with a sentence; what is left of it in memory is nothing. One that fails because
the database was away or full is no fault of the run: it is taken again until it goes well.
"""

from __future__ import annotations

import gc
import os
import secrets
import socket
import threading
from datetime import timedelta

import structlog
from sqlalchemy import Engine

from mastering import followup
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.imports import runs
from mastering.imports.hooking import HookCaller
from mastering.imports.lease import LeaseLostError
from mastering.imports.steps import Outside, take_turn
from mastering.ledger import SERVICE
from mastering.reconcile import turns as reconciling
from mastering.settings import LEASE
from mastering.store import owed, previews, reconciliations
from mastering.store import runs as run_store
from mastering.store.engine import reading, writing
from mastering.store.outage import is_outage
from mastering.whatif import turns as previewing
from mastering.whatif.scratch import sweep

_LOOK_EVERY = 0.5
_GARBAGE = 100_000
_log = structlog.get_logger("mastering.worker")


class Worker:
    """One worker thread on one database. `start` it once, `stop` it to let the step at hand finish."""

    def __init__(self, engine: Engine, hooks: HookCaller | None = None, lease: timedelta = LEASE) -> None:
        """`hooks` calls inline hooks; without it, a run whose app names one fails with a sentence."""
        self._engine = engine
        self._hooks = hooks
        self._lease = lease
        self.stirred = now()
        """When it last took a turn, a step of one, or a look for one."""
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="import-worker", daemon=True)

    def start(self) -> None:
        """Begin to take turns. A plan makes millions of values that live for one batch: collecting garbage less often is a third of the rate."""
        gc.set_threshold(_GARBAGE)
        sweep()
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Let the batch at hand finish, and end; who starts next goes on from there."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stops():
            if not self._try():
                self._wake.wait(_LOOK_EVERY)
                self._wake.clear()

    def _stops(self) -> bool:
        """Whether to stop; asked between any two steps, so it is also when the worker was last seen to go on."""
        self.stirred = now()
        return self._stopping.is_set()

    def _try(self) -> bool:
        """One turn, whatever happens: where not even a failure can be written down, the database is asked again a little later."""
        try:
            return self.turn()
        except Exception:  # noqa: BLE001 - the thread outlives an outage of the database
            _log.exception("no turn can be taken")
            return False

    def turn(self) -> bool:
        """Take one turn, if there is one to take; whether there was. Also what a test calls instead of waiting."""
        structlog.contextvars.bind_contextvars(worker=self.owner)
        try:
            followed_up = followup.take_turn(self._engine, self.owner, self._lease, self._stops)
            worked = take_turn(self._engine, self.owner, self._lease, Outside(self._hooks, self._stops)) or followed_up
            worked = worked or reconciling.take_turn(self._engine, self.owner, self._lease, self._stops)
            return worked or previewing.take_turn(self._engine, self.owner, self._lease, self._stops)
        except LeaseLostError as lost:
            _log.warning("turn lost", run_id=str(lost))
            return True
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the run's end and not the worker's
            if is_outage(fault):
                _log.warning("the database failed; the turn is taken again when it answers", exc_info=fault)
                return False
            _log.exception("turn failed")
            return self._give_up(fault)
        finally:
            structlog.contextvars.unbind_contextvars("worker", "run_id")

    def _give_up(self, fault: Exception) -> bool:
        """Fail the run that this worker holds, if any: a run whose plan cannot be made or applied must not be tried for ever."""
        with reading(self._engine) as session:
            mine = run_store.leased_by(session, self.owner)
        told = fault.summary if isinstance(fault, MasteringError) else f"{type(fault).__name__}; the server's log has the details"
        for run_id in mine:
            runs.give_up(self._engine, SERVICE, now(), run_id, f"The import could not go on: {told}", owner=self.owner)
            _log.error("run failed", run_id=run_id)
        return bool(mine)


def recover(engine: Engine) -> int:
    """At the start of the only process on an embedded database: uploads that died with the last process fail, leases of the dead are freed."""
    broken = runs.fail_stalled(engine, SERVICE, now(), all_of_them=True)
    with writing(engine) as session:
        run_store.free_leases(session)
        owed.free_leases(session)
        reconciliations.free_leases(session)
        previews.free_leases(session)
    return broken
