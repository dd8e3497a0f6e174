"""Connected apps: made, named, switched on and off, deleted (SPEC §3).

A new app is active, has the default policy, masters nobody, and maps every attribute of the user schema from its own of the same name, and
back. An app that is switched off ranks nowhere; switched on again, it goes last. Only an inactive app that no import is under way for can be
deleted: its accounts are forgotten, each person's history says so, and all history stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from mastering.catalog.change import Change, app_not_found, changed_parts, changing
from mastering.catalog.ranks import settle_rank
from mastering.catalog.schedules import settle_schedules
from mastering.catalog.user_schema import overriding
from mastering.errors import Invalid, WrongState
from mastering.ids import new_id
from mastering.ledger import BY_HAND, Actor
from mastering.rules.mapping import Direction, MappingRule, default_rules
from mastering.rules.policy import ImportPolicy
from mastering.store import catalog as store
from mastering.store import outbound, schedules
from mastering.store.documents import dump, load
from mastering.store.engine import reading
from mastering.store.tables import App, AppStatus, MappingRow

_LONGEST = 100
_LARGEST_SETTINGS = 65_536
"""Bytes of JSON: they are shown with the app, in every list of apps."""


@dataclass(frozen=True, slots=True)
class Form:
    """What an admin says of an app. The name is what kind of app it is, the label what people call it."""

    label: str
    name: str
    sign_on_mode: str
    settings: dict[str, Any] = field(default_factory=dict)

    def refuse_faults(self) -> None:
        """Raise `Invalid` with one cause per fault."""
        said = {"label": self.label, "name": self.name}
        causes = [f"{field}: must have 1 to {_LONGEST} characters" for field, text in said.items() if not 0 < len(text.strip()) <= _LONGEST]
        if len(dump(self.settings)) > _LARGEST_SETTINGS:
            causes.append(f"settings: are larger than {_LARGEST_SETTINGS} bytes")
        if causes:
            raise Invalid("Api validation failed: app", *causes)


def page(engine: Engine, wanted: store.WantedApps, after: str, limit: int) -> list[App]:
    """The next apps and one more where there are more, ascending by id."""
    with reading(engine) as session:
        return store.apps(session, wanted, after, limit + 1)


def read(engine: Engine, app_id: str) -> App:
    """An app; raises `NotFound`."""
    with reading(engine) as session:
        found = store.app(session, app_id)
    if found is None:
        raise app_not_found(app_id)
    return found


def create(engine: Engine, actor: Actor, now: datetime, form: Form, *, activate: bool = True) -> App:
    """A new app with its default mapping; raises `Invalid`."""
    form.refuse_faults()
    with changing(engine, actor, now) as change:
        at = change.ledger.at
        app = App(
            id=new_id("0oa"),
            name=form.name,
            label=form.label,
            status=AppStatus.ACTIVE if activate else AppStatus.INACTIVE,
            sign_on_mode=form.sign_on_mode,
            settings=dump(form.settings),
            policy=store.policy_text(ImportPolicy()),
            version=0,
            created=at,
            last_updated=at,
        )
        schema = store.schema(change.session)
        change.session.add(_mapping(app.id, store.USER_TYPE_ID, default_rules(schema, Direction.INBOUND), at))
        change.session.add(_mapping(store.USER_TYPE_ID, app.id, default_rules(schema, Direction.OUTBOUND), at))
        change.tell_app(app, "app.create", {**_document(app), "status": app.status.value})
    return app


def update(engine: Engine, actor: Actor, now: datetime, app_id: str, form: Form) -> App:
    """Replace what an app is called and its settings; raises `NotFound` and `Invalid`."""
    form.refuse_faults()
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        before = _document(app)
        app.name, app.label, app.sign_on_mode, app.settings = form.name, form.label, form.sign_on_mode, dump(form.settings)
        changes = changed_parts(before, _document(app))
        if changes:
            change.tell_app(app, "app.update", {"changes": changes})
    return app


def set_status(engine: Engine, actor: Actor, now: datetime, app_id: str, status: AppStatus) -> None:
    """Switch an app on or off; one that is so already stays so. Its rank and its users' profiles follow, no user's status moves (SPEC §3)."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        if app.status is not status:
            app.status = status
            change.tell_app(app, "app.activate" if status is AppStatus.ACTIVE else "app.deactivate", {})
            settle_rank(change, app)
            settle_schedules(change.session, app, now)


def delete(engine: Engine, actor: Actor, now: datetime, app_id: str) -> None:
    """Delete an inactive app and all that hangs on it; raises `NotFound` and `WrongState`."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        if app.status is AppStatus.ACTIVE:
            raise WrongState(f"The app {app_id} is active; deactivate it before deleting it")
        if store.has_unfinished_run(change.session, app_id):
            raise WrongState(f"An import of the app {app_id} has not ended; cancel it, or wait for its end, before deleting the app")
        overridden = overriding(store.schema(change.session), app_id)
        if overridden:
            raise WrongState(
                f"The app {app_id} is named among the masters of {', '.join(overridden)}; take it out of the user schema first"
            )
        _forget_accounts(change, app_id)
        change.tell_app(app, "app.delete", _document(app))
        change.ledger.flush()
        change.session.flush()
        outbound.forget_app(change.session, app_id)
        schedules.forget(change.session, app_id)
        store.delete_app(change.session, app_id)


def _forget_accounts(change: Change, app_id: str) -> None:
    ledger = change.ledger
    ids = store.account_ids(change.session, app_id)
    ledger.load_accounts(ids)
    for account_id in ids:
        account = ledger.account(account_id)
        ledger.note_account(account, BY_HAND, "account.forget")
        if account.user_id is not None:
            ledger.users[account.user_id].links.remove(account)


def _mapping(source_id: str, target_id: str, rules: Sequence[MappingRule], at: str) -> MappingRow:
    properties = dump(store.properties_of(rules))
    return MappingRow(id=new_id("prm"), source_id=source_id, target_id=target_id, properties=properties, created=at, last_updated=at)


def _document(app: App) -> dict[str, Any]:
    return {"name": app.name, "label": app.label, "signOnMode": app.sign_on_mode, "settings": load(app.settings)}
