"""The user schema: read, and changed attribute by attribute (SPEC §4; API.md, /meta/schemas/user/default).

A change is one transaction. It is refused while the values there are would not fit it, or while something still speaks of an attribute
that it takes away; so that no user is left with a profile that no master and no admin could update any more. Taking an attribute away
takes its values from every user, each with an event. Then, where an attribute is mastered otherwise, all profiles are mapped again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.catalog.change import Change, changed_parts, changing
from mastering.errors import Invalid, WrongState
from mastering.followup import EVERY_APP
from mastering.ledger import Actor
from mastering.rules.attribute_fields import document
from mastering.rules.expressions import compile_expression
from mastering.rules.mapping import Direction
from mastering.rules.policy import UsernameFormat
from mastering.rules.schema import Attribute, Schema
from mastering.rules.schema_change import Wish, changed, remasters, tightened
from mastering.store import catalog as store
from mastering.store import users
from mastering.store.engine import reading

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Seen:
    """The schema, and when it was last changed."""

    schema: Schema
    last_updated: str


def read(engine: Engine) -> Seen:
    """The org's user schema."""
    with reading(engine) as session:
        return _seen(session)


def update(engine: Engine, actor: Actor, now: datetime, wish: Wish) -> Seen:
    """Change attributes; those not named stay. Raises `Invalid` with every fault, and `WrongState` while an import stands in the way."""
    with changing(engine, actor, now) as change:
        before = store.schema(change.session)
        after = changed(before, wish, store.app_ids(change.session))
        changes = changed_parts(_documents(before), _documents(after))
        if changes:
            _refuse_unfit_values(change.session, before, after)
            gone = [name for name in before.attributes if name not in after.attributes]
            if gone:
                _refuse_uses(change.session, gone)
                _forget_values(change, gone)
            change.org.user_schema = store.schema_text(after, change.ledger.at)
            change.tell_org("org.schema.update", {"changes": changes})
            change.rematch = True
            if remasters(before, after):
                change.remaster.add(EVERY_APP)
    return Seen(after, store.schema_last_updated(change.org))


def overriding(schema: Schema, app_id: str) -> list[str]:
    """The attributes whose own list of masters names this app."""
    return [name for name, attribute in schema.attributes.items() if app_id in attribute.master.priority]


def _seen(session: Session) -> Seen:
    return Seen(store.schema(session), store.schema_last_updated(store.org(session)))


def _documents(schema: Schema) -> dict[str, Any]:
    return {name: document(attribute) for name, attribute in schema.attributes.items()}


# -- the values there are -------------------------------------------------------------------------------------------------


def _refuse_unfit_values(session: Session, before: Schema, after: Schema) -> None:
    """Refuse to tell an attribute to hold less than users have in it: their every update would be refused from then on (SPEC §4)."""
    narrowed = [each for name, each in after.attributes.items() if tightened(before.attributes.get(name), each)]
    if not narrowed:
        return
    unfit: dict[str, list[tuple[str, str]]] = {attribute.name: [] for attribute in narrowed}
    for user_id, profile in users.profiles(session, _AT_ONCE):
        for attribute in narrowed:
            fault = _fault(attribute, profile.get(attribute.name))
            if fault is not None:
                unfit[attribute.name].append((user_id, fault))
    causes = [
        f"definitions.{'base' if after.attributes[name].base else 'custom'}.properties.{name}: {len(found)} users have values that would "
        f"not fit, {found[0][0]} among them, whose value {found[0][1]}; correct those first"
        for name, found in unfit.items()
        if found
    ]
    if causes:
        raise Invalid("Api validation failed: user schema", *causes)


def _fault(attribute: Attribute, value: Any) -> str | None:
    if value is None or value == "":
        return "is empty, and the attribute is required" if attribute.required else None
    return attribute.objection(value)


def _forget_values(change: Change, gone: Collection[str]) -> None:
    """Take attributes from every profile that has them, in the transaction that takes them from the schema."""
    ledger = change.ledger
    for ids in users.ids_with_attributes(change.session, gone, _AT_ONCE):
        ledger.load_users(ids)
        for user_id in ids:
            ledger.forget(ledger.users[user_id], gone)
        ledger.flush()
        ledger.unload()


# -- who still speaks of an attribute -------------------------------------------------------------------------------------


def _refuse_uses(session: Session, gone: Collection[str]) -> None:
    """Refuse to take an attribute away that a mapping, a match or a username speaks of, or that a plan may be about to write."""
    causes = [f"definitions.custom.properties.{name}: {use}; take it out there first" for name in gone for use in _uses(session, name)]
    if causes:
        raise Invalid("Api validation failed: user schema", *causes)
    runs = store.runs_with_plans(session)
    if runs:
        raise WrongState(f"The import {runs[0]} has a plan that may write the attribute; let it end, or cancel it")


def _uses(session: Session, name: str) -> Iterator[str]:
    for row in store.all_mappings(session):
        outbound = store.direction_of(row) is Direction.OUTBOUND
        for rule in store.rules_of(row.properties):
            if outbound and not {("user", name), ("source", name)}.isdisjoint(_references(rule.expression_text)):
                yield f"the mapping {row.id} reads it for {rule.target}"
            if not outbound and rule.target == name:
                yield f"the mapping {row.id} writes it"
    for app in store.all_apps(session):
        policy = store.policy_of(app)
        if any(pair.user == name for pair in policy.matching.attributes):
            yield f"the import policy of the app {app.id} matches by it"
        username = policy.username
        if username.format is UsernameFormat.CUSTOM and ("user", name) in _references(username.expression or ""):
            yield f"the username format of the app {app.id} reads it"


def _references(text: str) -> frozenset[tuple[str, str]]:
    return compile_expression(text).references
