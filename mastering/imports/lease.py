"""A worker's lease of a run, and the fence that tells it from whoever has taken the run over (DESIGN.md, background work).

Every transaction that writes for a run asks `hold` first: it locks the run's row, looks whether the fence still is the one of the claim, and
makes the lease longer. A worker that slept past its lease finds out there, before it does anything twice.

Work that takes long asks `beat` between its steps: it is where a worker finds out that it is to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now, wire
from mastering.rules.runs import ENDED
from mastering.settings import LEASE
from mastering.store import tables
from mastering.store.engine import writing
from mastering.store.locks import LOCKED, let_go_after


def _never() -> bool:
    return False


class LeaseLostError(Exception):
    """The run is another worker's by now, or it has ended. Nobody's fault, and nothing to be mended."""


class StoppedError(Exception):
    """The worker is to stop. The run goes on from its last committed step, with whoever claims it next."""


@dataclass(slots=True)
class Lease:
    """One claim of one run, for `length` from each sign of life. `stopping` says whether the worker is to stop."""

    engine: Engine
    run_id: str
    owner: str
    fence: int
    length: timedelta = LEASE
    stopping: Callable[[], bool] = _never
    renewed: datetime = field(default_factory=now)

    def hold(self, session: Session) -> tables.ImportRun:
        """The run, locked for the caller's transaction and leased for longer; raises `LeaseLostError` if it is somebody else's by now."""
        let_go_after(session, self.length)
        run = session.get(tables.ImportRun, self.run_id, with_for_update=LOCKED)
        if run is None or (run.owner, run.fence) != (self.owner, self.fence) or run.status in ENDED:
            raise LeaseLostError(self.run_id)
        self.renewed = now()
        run.lease_until = wire(self.renewed + self.length)
        session.add(run)
        return run

    def give_back(self) -> None:
        """Let another have the run at once; it waits behind those that have waited longer."""
        with writing(self.engine) as session:
            run = self.hold(session)
            run.lease_until, run.owner = wire(now()), None  # whoever comes next takes nothing over

    def beat(self) -> None:
        """Make the lease longer in time, from within work that writes nothing for a while; raises `StoppedError`."""
        if self.stopping():
            raise StoppedError(self.run_id)
        if now() - self.renewed >= self.length / 3:
            with writing(self.engine) as session:
                self.hold(session)
