"""Mappings from apps to the directory: read, and changed attribute by attribute (SPEC §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.catalog.change import changed_parts, changing
from mastering.errors import NotFound
from mastering.ledger import Actor
from mastering.rules.mapping import MappingRule, compile_mapping
from mastering.store import catalog as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading
from mastering.store.tables import App, MappingRow


@dataclass(frozen=True, slots=True)
class Seen:
    """A mapping with the app it is from, its properties as Okta writes them."""

    id: str
    app: App
    properties: dict[str, Any]


def page(engine: Engine, source_id: str | None, target_id: str | None, after: str, limit: int) -> list[Seen]:
    """The next mappings and one more where there are more, ascending by id."""
    with reading(engine) as session:
        return [_seen(session, row) for row in store.mappings(session, source_id, target_id, after, limit + 1)]


def read(engine: Engine, mapping_id: str) -> Seen:
    """One mapping; raises `NotFound`."""
    with reading(engine) as session:
        return _seen(session, _row(session, mapping_id))


def update(engine: Engine, actor: Actor, now: datetime, mapping_id: str, rules: Mapping[str, MappingRule | None]) -> Seen:
    """Set some attributes' rules, `None` taking one away; the others stay. Raises `NotFound`, and `MappingRefused` with every fault."""
    with changing(engine, actor, now) as change:
        row = _row(change.session, mapping_id)
        app = change.app(row.source_id)
        before = load(row.properties)
        whole = {**{rule.target: rule for rule in store.rules_of(row.properties)}, **rules}
        kept = [rule for rule in whole.values() if rule is not None]
        compile_mapping(kept, store.schema(change.session))
        after = store.properties_of(kept)
        changes = changed_parts(before, after)
        if changes:
            row.properties, row.version, row.last_updated = dump(after), row.version + 1, change.ledger.at
            change.session.add(row)
            change.tell_app(app, "app.mapping.update", {"mapping": row.id, "changes": changes})
            change.rematch = True
            if app.rank is not None:
                change.remaster.add(app.id)
        return _seen(change.session, row)


def _row(session: Session, mapping_id: str) -> MappingRow:
    row = session.get(MappingRow, mapping_id)
    if row is None:
        raise NotFound(f"Not found: Resource not found: {mapping_id} (ProfileMapping)")
    return row


def _seen(session: Session, row: MappingRow) -> Seen:
    return Seen(row.id, session.get_one(App, row.source_id), load(row.properties))
