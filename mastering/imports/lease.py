"""A worker's lease of a run, and the fence that tells it from whoever has taken the run over (DESIGN.md, background work).

Every transaction that writes for a run asks `hold` first: it locks the run's row, looks whether the fence still is the one of the claim, and
makes the lease longer. A worker that slept past its lease finds out there, before it does anything twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now, wire
from mastering.rules.runs import ENDED
from mastering.store import tables
from mastering.store.engine import writing

LEASE = timedelta(seconds=30)
"""How long a run is left to a worker that does not stir."""
_BEAT = LEASE / 3


class LeaseLostError(Exception):
    """The run is another worker's by now, or it has ended. Nobody's fault, and nothing to be mended."""


@dataclass(slots=True)
class Lease:
    """One claim of one run."""

    engine: Engine
    run_id: str
    owner: str
    fence: int
    renewed: datetime = field(default_factory=now)

    def hold(self, session: Session) -> tables.ImportRun:
        """The run, locked for the caller's transaction and leased for longer; raises `LeaseLostError` if it is somebody else's by now."""
        run = session.get(tables.ImportRun, self.run_id, with_for_update=True)
        if run is None or (run.owner, run.fence) != (self.owner, self.fence) or run.status in ENDED:
            raise LeaseLostError(self.run_id)
        self.renewed = now()
        run.lease_until = wire(self.renewed + LEASE)
        session.add(run)
        return run

    def beat(self) -> None:
        """Make the lease longer in time, from within work that writes nothing for a while."""
        if now() - self.renewed >= _BEAT:
            with writing(self.engine) as session:
                self.hold(session)

    def let_go(self) -> None:
        """Leave the run to whoever takes it up next, at once."""
        with writing(self.engine) as session:
            self.hold(session).lease_until = None
