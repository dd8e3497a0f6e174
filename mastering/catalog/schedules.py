"""When apps are pulled: the schedules that follow from their policies (SPEC §11).

A schedule is there while its app is active and its policy wants it. So an app that is switched off misses nothing: switched on again, it
fires at the next time that comes.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from mastering.cron import cron_fault
from mastering.rules.policy import Firing
from mastering.rules.record import Mode
from mastering.store import catalog, schedules
from mastering.store.engine import reading, writing
from mastering.store.locks import Lock, hold
from mastering.store.tables import App, AppStatus

_log = structlog.get_logger("mastering.catalog")


def settle_schedules(session: Session, app: App, now: datetime) -> None:
    """Have an app, changed just now, fire as its policy and its status say."""
    for mode, firing in _wanted(app).items():
        schedules.settle(session, app.id, mode.value, firing, now)


def next_firings(engine: Engine, app_id: str) -> dict[Mode, str]:
    """When an app is pulled next, by mode; nothing of what does not fire."""
    with reading(engine) as session:
        found = schedules.of(session, app_id)
    return {Mode(kind): row.next_due for kind, row in found.items() if kind in {*Mode} and row.next_due is not None}


def settle_all(engine: Engine, now: datetime) -> None:
    """Have every app fire as its policy and its status say: after an upgrade from a version that kept no schedules."""
    with reading(engine) as session:
        there = {(row.subject, row.kind): Firing(row.cron, row.timezone) for row in schedules.all_of_kinds(session, [*Mode])}
        astray = [app.id for app in catalog.all_apps(session) if _astray(app, there, now)]
    for app_id in astray:
        with writing(engine) as session:
            hold(session.connection(), Lock.OPTIONS)
            app = catalog.app(session, app_id, lock=True)
            if app is not None:
                settle_schedules(session, app, now)
                _log.info("schedules settled", app=app_id)


def _astray(app: App, there: dict[tuple[str, str], Firing], now: datetime) -> bool:
    wanted = _wanted(app)
    sound = all(firing is None or cron_fault(firing.cron, firing.timezone, now) is None for firing in wanted.values())
    return sound and any(there.get((app.id, mode)) != firing for mode, firing in wanted.items())


def _wanted(app: App) -> dict[Mode, Firing | None]:
    schedule = catalog.policy_of(app).schedule
    fires = schedule.enabled and app.status is AppStatus.ACTIVE
    return {Mode.FULL: schedule.full if fires else None, Mode.INCREMENTAL: schedule.incremental if fires else None}
