"""The ticker: what has to happen by the clock and not by anybody's call.

APScheduler ticks, in every process, with jobs in memory; the walks it calls decide for themselves whether there is anything to do, so that
it does no harm if several processes tick, or none did for a while. A tick never runs twice at once; APScheduler logs one that fails, and the
next one comes all the same. Schedules that users set are looked at every second (`firing`), the household every half minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine

from mastering import checkpoints, nightly
from mastering.catalog.schedules import settle_all
from mastering.clock import now, wire
from mastering.firing import Starter, fire_due, import_starters
from mastering.holds import expire_holds
from mastering.imports import kept, runs, sessions
from mastering.imports.pulling import begin_pull
from mastering.ledger import SERVICE
from mastering.provisioning import deliverer
from mastering.reconcile import passes
from mastering.store import catalog
from mastering.store.engine import reading
from mastering.vault import Vault
from mastering.whatif import previews

EVERY = timedelta(seconds=30)
LOOK = timedelta(seconds=1)
"""How often is looked for what users have scheduled: a cron expression names a minute, and nobody waits much longer for it."""

STARTERS: Mapping[str, Starter] = {**import_starters(begin_pull), **nightly.starters()}
"""What each kind of schedule starts. Of a kind that is not here nothing is claimed."""


def tick(engine: Engine, at: datetime, vault: Vault | None = None) -> None:
    """The household's business that is due at an instant.

    Holds that end, uploads that broke off, sessions left open, held plans that nobody decided about, plans and previews that nobody reads any more
    and what runs received, deliveries that ended long ago;
    and, where there is a key to sign with, the day's checkpoint of the history.
    """
    settle_all(engine, at)
    expire_holds(engine, at)
    runs.fail_stalled(engine, SERVICE, at)
    sessions.expire(engine, at, SERVICE)
    with reading(engine) as session:
        org = catalog.org_safeguard(session)
    retention = timedelta(days=org.held_plan_retention_days)
    runs.cancel_expired(engine, at, SERVICE, wire(at - retention))
    runs.forget_plans(engine, wire(at - retention))
    kept.forget(engine, wire(at - timedelta(days=org.days_received_is_kept)))
    passes.forget(engine, wire(at - retention))
    previews.forget(engine, wire(at - retention))
    deliverer.forget_finished(engine, at)
    if vault is not None:
        checkpoints.make_if_due(engine, vault, SERVICE, at)
    kept.pack(engine)


class Ticker:
    """The scheduler of one process. `start` it once, `stop` it before the engine goes."""

    def __init__(
        self,
        engine: Engine,
        every: timedelta = EVERY,
        *,
        vault: Vault | None = None,
        look: timedelta = LOOK,
        starters: Mapping[str, Starter] = STARTERS,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`vault` has the key that checkpoints of the history are signed with; without it none are made."""
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._repeat(lambda: tick(engine, clock(), vault), every)
        self._repeat(lambda: fire_due(engine, clock(), starters), look)

    def _repeat(self, work: Callable[[], object], every: timedelta) -> None:
        self._scheduler.add_job(work, "interval", seconds=every.total_seconds(), max_instances=1, coalesce=True)

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Let the tick at hand finish, and end."""
        self._scheduler.shutdown(wait=True)
