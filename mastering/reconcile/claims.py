"""One claim of a reconciliation, and the fence that tells it from whoever has taken it over (DESIGN.md, background work)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.clock import now as clock_now
from mastering.clock import wire
from mastering.rules.reconciliation import PASS_ENDED
from mastering.store import reconciliations as store
from mastering.store.engine import writing
from mastering.store.locks import LOCKED, let_go_after


class LostError(Exception):
    """The reconciliation is another worker's by now."""


@dataclass(slots=True)
class Claim:
    """One claim of one reconciliation, for `length` from each batch."""

    engine: Engine
    id: str
    owner: str
    fence: int
    length: timedelta
    renewed: datetime = field(default_factory=clock_now)

    def hold(self, session: Session) -> store.Reconciliation:
        """The reconciliation, locked and leased for longer; raises `LostError` if it is somebody else's by now."""
        let_go_after(session, self.length)
        row = session.get(store.Reconciliation, self.id, with_for_update=LOCKED)
        if row is None or (row.owner, row.fence) != (self.owner, self.fence) or row.status in PASS_ENDED:
            raise LostError(self.id)
        self.renewed = clock_now()
        row.lease_until = wire(self.renewed + self.length)
        session.add(row)
        return row

    def give_back(self) -> None:
        """Let another go on with it at once."""
        with writing(self.engine) as session:
            row = self.hold(session)
            row.owner, row.lease_until = None, None
