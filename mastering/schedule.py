"""The ticker: what has to happen by the clock and not by anybody's call.

APScheduler ticks, in every process, with jobs in memory; the walks it calls decide for themselves whether there is anything to do, so that
it does no harm if several processes tick, or none did for a while. A tick never runs twice at once; APScheduler logs one that fails, and the
next one comes all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine

from mastering.clock import now, wire
from mastering.holds import expire_holds
from mastering.imports import runs, sessions
from mastering.ledger import SERVICE
from mastering.provisioning import deliverer
from mastering.store import catalog
from mastering.store.engine import reading

EVERY = timedelta(seconds=30)


def tick(engine: Engine, at: datetime) -> None:
    """All that is due at an instant.

    Holds that end, uploads that broke off, sessions left open, held plans that nobody decided about, plans that nobody reads any more, and
    deliveries that ended long ago.
    """
    expire_holds(engine, at)
    runs.fail_stalled(engine, SERVICE, at)
    sessions.expire(engine, at, SERVICE)
    with reading(engine) as session:
        retention = timedelta(days=catalog.org_safeguard(session).held_plan_retention_days)
    runs.cancel_expired(engine, at, SERVICE, wire(at - retention))
    runs.forget_plans(engine, wire(at - retention))
    deliverer.forget_finished(engine, at)


class Ticker:
    """The scheduler of one process. `start` it once, `stop` it before the engine goes."""

    def __init__(self, engine: Engine, every: timedelta = EVERY) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._scheduler.add_job(lambda: tick(engine, now()), "interval", seconds=every.total_seconds(), max_instances=1, coalesce=True)

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Let the tick at hand finish, and end."""
        self._scheduler.shutdown(wait=True)
