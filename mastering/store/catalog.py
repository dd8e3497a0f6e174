"""The catalog: apps with their policies and mappings, the ranking of the masters, and the org with its options and schema.

What rules need of a row comes out of here as the rules' own frozen values; the JSON in the columns is nobody else's business.

An org that nobody has changed yet has no row: `org` answers with the defaults, and saving that answer makes the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, and_, delete, func, not_, or_, select, type_coerce
from sqlmodel import Session, col

from mastering.rules.filters import Comparison, Denial, Either, Every, Node
from mastering.rules.mapping import Direction, MappingRule
from mastering.rules.policy import ImportPolicy, OrgSafeguard, ProvisioningPolicy
from mastering.rules.runs import ENDED, RunStatus
from mastering.rules.schema import Attribute, AttributeMaster, Permission, Schema, default_schema
from mastering.store import tables
from mastering.store.befores import RunBefore
from mastering.store.connections import Connection
from mastering.store.documents import dump, load
from mastering.store.locks import Lock, hold
from mastering.store.received import KeptChunk
from mastering.store.tables import App, MappingRow, Org

ORG_ID = "00oMastering00000001"
USER_TYPE_ID = "otyMastering00000001"
"""The directory's side of every mapping: the one type of user there is."""

_SINCE_EVER = "1970-01-01T00:00:00.000Z"
_POLICY = msgspec.json.Decoder(ImportPolicy)
_PROVISIONING = msgspec.json.Decoder(ProvisioningPolicy)
_SAFEGUARD = msgspec.json.Decoder(OrgSafeguard)


# -- the org ------------------------------------------------------------------------------------------------------


def org(session: Session, *, lock: bool = False) -> Org:
    """The org's row, or its defaults while nobody has changed anything. `lock` makes changes of the catalog wait for each other."""
    query = select(Org).where(col(Org.id) == ORG_ID)
    query = query.with_for_update(key_share=True) if lock else query
    found = session.execute(query).scalar()
    if found is None and lock:  # of several who make the row, one is first
        hold(session.connection(), Lock.FIRST_START)
        found = session.execute(query).scalar()
    return found or Org(id=ORG_ID, safeguard="{}", user_schema="{}", last_updated=_SINCE_EVER)


def org_safeguard(session: Session) -> OrgSafeguard:
    """The org's limit and the options beside it (SPEC §8)."""
    return org_safeguard_of(org(session))


def org_safeguard_of(row: Org) -> OrgSafeguard:
    """The same of a row at hand."""
    return _SAFEGUARD.decode(row.safeguard)


@dataclass(frozen=True, slots=True)
class _SchemaChanges:
    """How the org's user schema differs from the default one: attributes of its own, and what is different about base attributes."""

    custom: tuple[Attribute, ...] = ()
    masters: dict[str, AttributeMaster] = field(default_factory=dict)
    permissions: dict[str, Permission] = field(default_factory=dict)
    required: dict[str, bool] = field(default_factory=dict)
    login_pattern: str | None = None
    last_updated: str | None = None


_SCHEMA = msgspec.json.Decoder(_SchemaChanges)


def schema(session: Session) -> Schema:
    """The org's user schema (SPEC §4)."""
    return _schema_from(org(session).user_schema)


def schema_last_updated(row: Org) -> str:
    """When the org's user schema was last changed."""
    return _SCHEMA.decode(row.user_schema).last_updated or _SINCE_EVER


def schema_text(wanted: Schema, at: str) -> str:
    """A user schema as it is kept: what is different from the default one, and since when."""
    custom = tuple(attribute for attribute in wanted.attributes.values() if not attribute.base)
    changes = _SchemaChanges(custom, login_pattern=wanted.attributes["login"].pattern, last_updated=at)
    for name, default in default_schema().attributes.items():
        attribute = wanted.attributes[name]
        if attribute.master != default.master:
            changes.masters[name] = attribute.master
        if attribute.permission is not default.permission:
            changes.permissions[name] = attribute.permission
        if attribute.required != default.required:
            changes.required[name] = attribute.required
    return dump(changes)


@lru_cache(maxsize=8)
def _schema_from(text: str) -> Schema:
    changes = _SCHEMA.decode(text)
    found = dict(default_schema().with_custom(*changes.custom).attributes)
    for name, master in changes.masters.items():
        found[name] = replace(found[name], master=master)
    for name, permission in changes.permissions.items():
        found[name] = replace(found[name], permission=permission)
    for name, required in changes.required.items():
        found[name] = replace(found[name], required=required)
    found["login"] = replace(found["login"], pattern=changes.login_pattern)
    return Schema(found)


# -- apps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantedApps:
    """Which apps a list asks for: every part that is given must hold."""

    starts_with: str | None = None
    """The name or the label begins so, in either case."""
    filter: Node | None = None
    """Comparisons by `eq` of id, name and status, and what joins them."""
    among: frozenset[str] | None = None
    """Only these, by id."""


def app(session: Session, app_id: str, *, lock: bool = False) -> App | None:
    """One app, fresh from the database; `lock` keeps others from changing it until the transaction ends."""
    query = select(App).where(col(App.id) == app_id)
    found: App | None = session.execute(query.with_for_update(key_share=True) if lock else query).scalar()
    return found


def apps(session: Session, wanted: WantedApps, after: str, limit: int) -> list[App]:
    """The next apps, ascending by id."""
    conditions: list[ColumnElement[bool]] = [col(App.id) > after]
    if wanted.starts_with:
        text = wanted.starts_with.lower()
        conditions.append(or_(*(func.lower(column).startswith(text, autoescape=True) for column in (col(App.name), col(App.label)))))
    if wanted.filter is not None:
        conditions.append(_held(wanted.filter))
    if wanted.among is not None:
        conditions.append(col(App.id).in_(wanted.among))
    return list(session.execute(select(App).where(*conditions).order_by(col(App.id)).limit(limit)).scalars())


def all_apps(session: Session) -> list[App]:
    """Every app, ascending by id."""
    return list(session.execute(select(App).order_by(col(App.id))).scalars())


def app_ids(session: Session) -> frozenset[str]:
    """The ids of all apps."""
    return frozenset(session.execute(select(col(App.id))).scalars())


def runs_with_plans(session: Session) -> list[str]:
    """The ids of imports that have been planned, or are being, and are not applied to the end."""
    run = tables.ImportRun
    query = select(col(run.id)).where(col(run.status).in_((RunStatus.PLANNING, RunStatus.HELD, RunStatus.APPLYING)))
    return list(session.execute(query.order_by(col(run.id))).scalars())


def _held(node: Node) -> ColumnElement[bool]:
    """A filter of apps as SQL: there are few apps, and every page looks at them by id."""
    match node:
        case Every(parts):
            return and_(*(_held(part) for part in parts))
        case Either(parts):
            return or_(*(_held(part) for part in parts))
        case Denial(_, part):
            return not_(_held(part))
        case Comparison(_, name, _, value):
            column: ColumnElement[str] = type_coerce(getattr(App, name), String)
            return column == value


def has_unfinished_run(session: Session, app_id: str) -> bool:
    """Whether an import of this app has not come to its end."""
    run = tables.ImportRun
    query = select(col(run.id)).where(col(run.app_id) == app_id, col(run.status).not_in(ENDED)).limit(1)
    return session.execute(query).scalar() is not None


def account_ids(session: Session, app_id: str) -> list[str]:
    """The ids of all the app's accounts."""
    return list(session.execute(select(col(tables.AppUser.id)).where(col(tables.AppUser.app_id) == app_id)).scalars())


def delete_app(session: Session, app_id: str) -> None:
    """Delete an app with all that hangs on it: accounts, runs and their plans, mapping, findings, connection. The history stays."""
    runs = select(col(tables.ImportRun.id)).where(col(tables.ImportRun.app_id) == app_id)
    for part in (tables.RunChunk, KeptChunk, tables.RunChange, tables.HookCall, RunBefore):
        session.execute(delete(part).where(col(part.run_id).in_(runs)))
    for table in (tables.ImportRun, tables.WaitingWay, tables.AppUser, tables.Finding, Connection):
        session.execute(delete(table).where(col(table.app_id) == app_id))
    session.execute(delete(MappingRow).where(or_(col(MappingRow.source_id) == app_id, col(MappingRow.target_id) == app_id)))
    session.execute(delete(App).where(col(App.id) == app_id))


def policy_of(row: App) -> ImportPolicy:
    """The app's import policy."""
    return _POLICY.decode(row.policy)


def provisioning_of(row: App) -> ProvisioningPolicy:
    """The app's policy for what goes out to it (SPEC §10)."""
    return _PROVISIONING.decode(row.provisioning)


def policy_from(text: str) -> ImportPolicy:
    """The policy that `policy_text` wrote: the one a plan was made under."""
    return _POLICY.decode(text)


def policy_text(policy: ImportPolicy) -> str:
    """A policy as it is kept."""
    return dump(policy)


# -- the ranking --------------------------------------------------------------------------------------------------


def masters(session: Session) -> list[App]:
    """The ranked masters, best first."""
    return list(session.execute(select(App).where(col(App.rank).is_not(None)).order_by(col(App.rank))).scalars())


def ranking(session: Session) -> tuple[str, ...]:
    """The ids of the ranked masters, best first (SPEC §3)."""
    return tuple(session.execute(select(col(App.id)).where(col(App.rank).is_not(None)).order_by(col(App.rank))).scalars())


# -- mappings -----------------------------------------------------------------------------------------------------


def all_mappings(session: Session) -> list[MappingRow]:
    """Every mapping, ascending by id."""
    return list(session.execute(select(MappingRow).order_by(col(MappingRow.id))).scalars())


def direction_of(row: MappingRow) -> Direction:
    """Which way a mapping leads."""
    return Direction.OUTBOUND if row.source_id == USER_TYPE_ID else Direction.INBOUND


def app_of(row: MappingRow) -> str:
    """The id of the app on the other side of a mapping."""
    return row.target_id if direction_of(row) is Direction.OUTBOUND else row.source_id


def outbound_rules(session: Session, app_id: str) -> tuple[MappingRule, ...]:
    """The rules of an app's outbound mapping: what of the user's profile the app is told (SPEC §4)."""
    query = select(col(MappingRow.properties)).where(col(MappingRow.source_id) == USER_TYPE_ID, col(MappingRow.target_id) == app_id)
    return rules_of(session.execute(query).scalar_one())


def inbound_mapping(session: Session, app_id: str) -> MappingRow:
    """The mapping from an app to the directory. Every app has one from its first moment."""
    found: MappingRow = session.execute(select(MappingRow).where(col(MappingRow.source_id) == app_id)).scalar_one()
    return found


def mappings(session: Session, source_id: str | None, target_id: str | None, after: str, limit: int) -> list[MappingRow]:
    """The next mappings, ascending by id; of one source or to one target if those are given."""
    query = select(MappingRow).where(col(MappingRow.id) > after)
    for column, wanted in ((MappingRow.source_id, source_id), (MappingRow.target_id, target_id)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    return list(session.execute(query.order_by(col(MappingRow.id)).limit(limit)).scalars())


def mapping_rules(session: Session, app_id: str) -> tuple[MappingRule, ...]:
    """The rules of an app's inbound mapping (SPEC §4)."""
    return rules_of(inbound_mapping(session, app_id).properties)


def rules_of(properties: str) -> tuple[MappingRule, ...]:
    """The rules that kept properties say."""
    return tuple(MappingRule(target, told["expression"], told["pushStatus"] == "DONT_PUSH") for target, told in load(properties).items())


def properties_of(rules: Sequence[MappingRule]) -> dict[str, Any]:
    """Rules as Okta writes a mapping's properties; so they are kept, too."""
    return {rule.target: {"expression": rule.expression_text, "pushStatus": "DONT_PUSH" if rule.create_only else "PUSH"} for rule in rules}
