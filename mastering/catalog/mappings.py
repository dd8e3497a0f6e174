"""Mappings between apps and the directory, one for each direction of each app: read, tried out, and changed attribute by attribute (SPEC §4).

A preview asks what a mapping would say of one user before it is saved. It goes through the same rules as an import and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.acts import see
from mastering.catalog.change import changed_parts, changing
from mastering.errors import Invalid, NotFound
from mastering.ledger import Actor
from mastering.remaster import load_sources, outlook
from mastering.rules.expressions import Value
from mastering.rules.mapping import Direction, MappingFailure, MappingRule, Profile, compile_mapping
from mastering.rules.people import Account, User
from mastering.rules.profile import Update
from mastering.rules.schema import Schema
from mastering.store import catalog as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading
from mastering.store.tables import App, MappingRow


@dataclass(frozen=True, slots=True)
class Seen:
    """A mapping with the app on its other side, its properties as Okta writes them."""

    id: str
    app: App
    direction: Direction
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes different about one attribute's rule; a part that is None stays as it is."""

    expression: str | None = None
    create_only: bool | None = None


class Outcome(StrEnum):
    """What a rule comes to for one profile."""

    MAPPED = "MAPPED"  # it has a value; null is one
    NOT_CARRIED = "NOT_CARRIED"  # the profile says nothing of it, and the target keeps its value
    FAILED = "FAILED"  # it has no value for this profile, which would make the record invalid


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule tried out: what it comes to, its value, and why it failed if it did."""

    rule: MappingRule
    outcome: Outcome
    value: Value = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a mapping says of a user; what saving it would change; and why it would not, if it would be refused.

    Inbound the changes are those of the user's profile, outbound those that the app would be told. `account` is the user's account
    in the app, which an outbound mapping can do without.
    """

    user: User
    account: Account | None
    tried: tuple[Tried, ...]
    changes: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def page(engine: Engine, source_id: str | None, target_id: str | None, after: str, limit: int) -> list[Seen]:
    """The next mappings and one more where there are more, ascending by id."""
    with reading(engine) as session:
        return [_seen(session, row) for row in store.mappings(session, source_id, target_id, after, limit + 1)]


def read(engine: Engine, mapping_id: str) -> Seen:
    """One mapping; raises `NotFound`."""
    with reading(engine) as session:
        return _seen(session, _row(session, mapping_id))


def update(engine: Engine, actor: Actor, now: datetime, mapping_id: str, edits: Mapping[str, Edit | None]) -> Seen:
    """Change some attributes' rules, `None` taking one away; the others stay. Raises `NotFound`, and `MappingRefused` with every fault.

    An inbound mapping maps its app's users again (SPEC §4).
    """
    with changing(engine, actor, now) as change:
        row = _row(change.session, mapping_id)
        app, direction = change.app(store.app_of(row)), store.direction_of(row)
        before = load(row.properties)
        kept = merged(row, edits)
        compile_mapping(kept, store.schema(change.session), direction)
        after = store.properties_of(kept)
        changes = changed_parts(before, after)
        if changes:
            row.properties, row.version, row.last_updated = dump(after), row.version + 1, change.ledger.at
            change.session.add(row)
            change.tell_app(app, "app.mapping.update", {"mapping": row.id, "direction": direction.name, "changes": changes})
            if direction is Direction.INBOUND:
                change.rematch = True
                if app.rank is not None:
                    change.remaster.add(app.id)
        return _seen(change.session, row)


def preview(engine: Engine, now: datetime, mapping_id: str, user_id: str, edits: Mapping[str, Edit | None]) -> Preview:
    """What the mapping, changed as `update` would, says of a user; nothing is kept.

    Raises `NotFound`, `MappingRefused`, and `Invalid` where the user has no account to map from.
    """
    with reading(engine) as session:
        row = _row(session, mapping_id)
        user, schema, kept = see(session, user_id), store.schema(session), merged(row, edits)
        compile_mapping(kept, schema, store.direction_of(row))
        account = user.account_in(store.app_of(row))
        if store.direction_of(row) is Direction.OUTBOUND:
            return _preview_outbound(user, account, kept, schema, now)
        if account is None:
            raise Invalid("Api validation failed: userId", "userId: the user has no account of the app, so there is nothing to map")
        tried = _tried(kept, schema, Direction.INBOUND, account.profile, now)
        update = _update(session, user, account, kept, now)
        changes = {name: (user.profile.get(name), value) for name, value in update.new.items()}
        return Preview(user, account, tried, changes, update.faults)


def _preview_outbound(user: User, account: Account | None, rules: Sequence[MappingRule], schema: Schema, now: datetime) -> Preview:
    tried = _tried(rules, schema, Direction.OUTBOUND, user.profile, now)
    known: Profile = account.profile if account is not None else {}
    pushed = [each for each in tried if each.outcome is Outcome.MAPPED and not (account is not None and each.rule.create_only)]
    changes = {each.rule.target: (known.get(each.rule.target), each.value) for each in pushed if known.get(each.rule.target) != each.value}
    failed = tuple(f"{each.rule.target}: {each.reason}" for each in tried if each.outcome is Outcome.FAILED)
    return Preview(user, account, tried, {} if failed else changes, failed)


def _tried(rules: Sequence[MappingRule], schema: Schema, direction: Direction, profile: Profile, now: datetime) -> tuple[Tried, ...]:
    return tuple(_try(rule, schema, direction, profile, now) for rule in rules)


def _try(rule: MappingRule, schema: Schema, direction: Direction, profile: Profile, now: datetime) -> Tried:
    try:
        said = compile_mapping([rule], schema, direction).apply(profile, creating=True, now=now)
    except MappingFailure as failure:
        return Tried(rule, Outcome.FAILED, reason=failure.message)
    return Tried(rule, Outcome.MAPPED, said[rule.target]) if rule.target in said else Tried(rule, Outcome.NOT_CARRIED)


def _update(session: Session, user: User, account: Account, rules: Sequence[MappingRule], now: datetime) -> Update:
    """What the user's masters would say if the account's app had these rules; a login that is somebody else's is a fault."""
    sources = load_sources(session, now)
    source = sources.apps.get(account.app_id)
    if source is None:
        return Update()
    mapping = compile_mapping(rules, sources.schema)
    return outlook(session, replace(sources, apps={**sources.apps, account.app_id: replace(source, mapping=mapping)}), user)


def merged(row: MappingRow, edits: Mapping[str, Edit | None]) -> list[MappingRule]:
    """The rules after the edits. Raises `Invalid` for an edit that has no expression, nor a rule to take it from."""
    whole = {rule.target: rule for rule in store.rules_of(row.properties)}
    for target, edit in edits.items():
        present = whole.get(target)
        if edit is None:
            whole.pop(target, None)
            continue
        expression = edit.expression if edit.expression is not None or present is None else present.expression_text
        if expression is None:
            raise Invalid(f"Api validation failed: {target}", f"{target}: is not mapped yet, so it needs an expression")
        create_only = edit.create_only if edit.create_only is not None else present is not None and present.create_only
        whole[target] = MappingRule(target, expression, create_only)
    return list(whole.values())


def _row(session: Session, mapping_id: str) -> MappingRow:
    row = session.get(MappingRow, mapping_id)
    if row is None:
        raise NotFound(f"Not found: Resource not found: {mapping_id} (ProfileMapping)")
    return row


def _seen(session: Session, row: MappingRow) -> Seen:
    return Seen(row.id, session.get_one(App, store.app_of(row)), store.direction_of(row), load(row.properties))
