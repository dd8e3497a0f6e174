"""The ranked list of masters: who enters it, who leaves it, and its order (SPEC §3).

An app ranks while it is active and its policy enables it as a master; newly so, it goes last. Ranks run from 1 without gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from mastering.catalog.change import Change, changing
from mastering.followup import EVERY_APP
from mastering.ledger import Actor
from mastering.rules.ranking import reordered
from mastering.store import catalog as store
from mastering.store.engine import reading
from mastering.store.tables import App, AppStatus


@dataclass(frozen=True, slots=True)
class Master:
    """One ranked master; rank 1 is the highest."""

    app_id: str
    label: str
    rank: int


def read(engine: Engine) -> tuple[Master, ...]:
    """The ranked masters, best first."""
    with reading(engine) as session:
        return tuple(Master(app.id, app.label, rank) for rank, app in enumerate(store.masters(session), 1))


def reorder(engine: Engine, actor: Actor, now: datetime, wanted: Sequence[str]) -> None:
    """Give the masters a new order, which names exactly them; raises `Invalid`. Profiles are mapped again, no status moves."""
    with changing(engine, actor, now) as change:
        before = store.ranking(change.session)
        after = reordered(before, wanted)
        if after != before:
            _keep(change, before, after)
            change.remaster.add(EVERY_APP)


def settle_rank(change: Change, app: App) -> None:
    """Let an app that has changed enter or leave the list, as its status and its policy say."""
    ranks = app.status is AppStatus.ACTIVE and store.policy_of(app).mastering.enabled
    if ranks == (app.rank is not None):
        return
    before = store.ranking(change.session)
    after = (*before, app.id) if ranks else tuple(app_id for app_id in before if app_id != app.id)
    if not ranks:
        app.rank = None
    _keep(change, before, after)
    change.remaster.add(app.id)


def _keep(change: Change, before: Sequence[str], after: Sequence[str]) -> None:
    for rank, app_id in enumerate(after, 1):
        app = change.app(app_id)
        app.rank = rank
        change.session.add(app)
    change.tell_org("masters.update", {"old": list(before), "new": list(after)})
    change.ask_again = True
