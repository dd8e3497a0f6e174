"""What every change of the catalog has in common: one transaction, its history, and the profiles to be mapped again after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.disagreements import review_all_disagreements
from mastering.errors import NotFound
from mastering.followup import follow_up, owe
from mastering.ledger import Actor, Ledger
from mastering.store import catalog as store
from mastering.store.engine import writing
from mastering.store.locks import Lock, hold
from mastering.store.tables import App, Org


@dataclass(slots=True)
class Change:
    """A change under way: the transaction, its ledger, the org's row, and what has to follow from the change."""

    session: Session
    ledger: Ledger
    org: Org
    remaster: set[str] = field(default_factory=set)
    """The apps whose users' profiles have to be mapped again; `EVERY_APP` for all."""
    ask_again: bool = False
    """Whether words of masters that were not followed have to be asked again: ranks, switches or options have changed (SPEC §3)."""
    rematch: bool = False
    """Whether what waiting rows are matched by has changed, or may have (SPEC §6)."""

    @property
    def has_to_follow(self) -> bool:
        """Whether people are to be looked at again."""
        return bool(self.remaster) or self.rematch

    def app(self, app_id: str) -> App:
        """An app, locked for changing; raises `NotFound`."""
        found = store.app(self.session, app_id, lock=True)
        if found is None:
            raise app_not_found(app_id)
        return found

    def tell_app(self, app: App, kind: str, body: Mapping[str, Any]) -> None:
        """Keep a changed app, and tell of it in the app's history."""
        app.version += 1
        app.last_updated = self.ledger.at
        self.ledger.note(app, kind, body)
        self.session.add(app)

    def tell_org(self, kind: str, body: Mapping[str, Any]) -> None:
        """Keep the changed org, and tell of it in the org's history."""
        self.org.version += 1
        self.org.last_updated = self.ledger.at
        self.ledger.note(self.org, kind, body)
        self.session.add(self.org)


@contextmanager
def changing(engine: Engine, actor: Actor, now: datetime) -> Iterator[Change]:
    """A change of the catalog: all of it is kept, or, if the block raises, nothing. What has to follow is noted with it, and carried out then."""
    with writing(engine) as session:
        hold(session.connection(), Lock.OPTIONS)
        change = Change(session, Ledger(session, now, actor), store.org(session, lock=True))
        yield change
        session.flush()
        if change.ask_again:
            review_all_disagreements(change.ledger)
        change.ledger.flush()
        owed = owe(session, actor, now, change.remaster) if change.has_to_follow else None
    if owed is not None:
        follow_up(owed, now, change.remaster)


def changed_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs between two documents, part by part, as history tells it."""
    names = dict.fromkeys([*old, *new])
    return {name: {"old": old.get(name), "new": new.get(name)} for name in names if old.get(name) != new.get(name)}


def app_not_found(app_id: str) -> NotFound:
    """There is no such app."""
    return NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
