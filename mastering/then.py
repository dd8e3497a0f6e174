"""The options as they were: ranking, policies and attribute masters at a place in history (SPEC §13).

Every change of an option leaves an event that holds what it was before. So what was in force at a position is what is in force now, with
the changes after that position taken back, the newest first. Of an app that is deleted nothing is in force now: its policy is what its
own events make of the default one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlmodel import Session

from mastering.rules.policy import ImportPolicy, OrgSafeguard
from mastering.rules.schema import MasterKind, Schema
from mastering.rules.schema_change import Wish, changed
from mastering.store import catalog, tables
from mastering.store import history as store
from mastering.store.documents import load


@dataclass(frozen=True, slots=True)
class Options:
    """What everybody was decided by: the ranking, attributes with a ranking of their own, and whether deactivated users were updated."""

    ranking: tuple[str, ...]
    overrides: Mapping[str, tuple[str, ...]]
    update_deactivated: bool
    safeguarded: bool
    """The org's own limit was in force."""


def options_at(session: Session, position: int) -> Options:
    """The org's options when the event at this position was written."""
    ranking = catalog.ranking(session)
    masters = _masters_now(catalog.schema(session))
    safeguard = catalog.org_safeguard(session)
    updates, safeguarded = safeguard.update_deactivated_users, safeguard.enabled
    for event in store.since(session, catalog.ORG_ID, position):
        body = load(event.body)
        if event.type == "masters.update":
            ranking = tuple(body["old"])
        elif event.type == "org.schema.update":
            masters = {**masters, **{name: _masters_of(change["old"]) for name, change in body["changes"].items()}}
        elif event.type == "org.safeguard.update":
            updates = body["changes"].get("update_deactivated_users", {"old": updates})["old"]
            safeguarded = body["changes"].get("enabled", {"old": safeguarded})["old"]
    overrides = {name: tuple(app_id for app_id in own if app_id in ranking) for name, own in masters.items() if own is not None}
    return Options(ranking, overrides, updates, safeguarded)


def _masters_now(schema: Schema) -> dict[str, Sequence[str] | None]:
    return {
        name: None if attribute.master.kind is MasterKind.PROFILE_MASTER else attribute.master.priority
        for name, attribute in schema.attributes.items()
    }


def _masters_of(document: Mapping[str, Any] | None) -> Sequence[str] | None:
    """The masters that an attribute's kept document names of its own; `None` where it inherits, or was not there."""
    master = (document or {}).get("master", {"type": MasterKind.PROFILE_MASTER.value})
    if master["type"] == MasterKind.PROFILE_MASTER.value:
        return None
    return [entry["value"] for entry in master.get("priority", ())]


def policy_at(session: Session, app_id: str, position: int) -> ImportPolicy:
    """An app's import policy when the event at this position was written."""
    app = session.get(tables.App, app_id)
    if app is not None:
        told = _document(catalog.policy_of(app))
        for event in store.since(session, app_id, position):
            if event.type == "app.policy.update":
                told |= {name: change["old"] for name, change in load(event.body)["changes"].items()}
    else:
        told = _document(ImportPolicy())
        for event in store.chain(session, app_id):
            if event.type == "app.policy.update" and (event.position or 0) < position:
                told |= {name: change["new"] for name, change in load(event.body)["changes"].items()}
    return msgspec.convert(told, ImportPolicy)


def org_at(session: Session, position: int) -> OrgSafeguard:
    """The org's options, all of them, when the event at this position was written."""
    told: dict[str, Any] = msgspec.to_builtins(catalog.org_safeguard(session))
    for event in store.since(session, catalog.ORG_ID, position):
        if event.type == "org.safeguard.update":
            told |= {name: change["old"] for name, change in load(event.body)["changes"].items()}
    return msgspec.convert(told, OrgSafeguard)


def schema_at(session: Session, position: int) -> Schema:
    """The user schema when the event at this position was written, but for masters that have been deleted since."""
    schema, apps = catalog.schema(session), catalog.app_ids(session)
    for event in store.since(session, catalog.ORG_ID, position):
        if event.type != "org.schema.update":
            continue
        base, custom = dict[str, Any](), dict[str, Any]()
        for name, change in load(event.body)["changes"].items():
            is_base = name in schema.attributes and schema.attributes[name].base
            (base if is_base else custom)[name] = _taken_back(change["old"], change["new"], apps)
        schema = changed(schema, Wish(base, custom), apps)
    return schema


def _taken_back(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, apps: Collection[str]) -> Mapping[str, Any] | None:
    """What to say of an attribute so that it is as it was; `None` for one that was not there."""
    if old is None:
        return None
    said = {**dict.fromkeys(new or (), None), **old}
    masters = [entry for entry in old["master"].get("priority", ()) if entry["value"] in apps]
    if old["master"]["type"] == MasterKind.OVERRIDE.value:
        said["master"] = {**old["master"], "priority": masters} if masters else {"type": MasterKind.OKTA.value}
    return said


def mapping_at(session: Session, app_id: str, position: int) -> dict[str, Any]:
    """The properties of an app's inbound mapping when the event at this position was written."""
    row = catalog.inbound_mapping(session, app_id)
    properties: dict[str, Any] = load(row.properties)
    for event in store.since(session, app_id, position):
        body = load(event.body)
        if event.type != "app.mapping.update" or body["mapping"] != row.id:
            continue
        for target, change in body["changes"].items():
            properties.pop(target, None)
            if change["old"] is not None:
                properties[target] = change["old"]
    return properties


def status_at(session: Session, app: tables.App, position: int) -> tables.AppStatus | None:
    """Whether an app was active when the event at this position was written; `None` where it was not there yet."""
    status = app.status
    for event in store.since(session, app.id, position):
        if event.type == "app.create":
            return None
        if event.type in _TURNED:
            status = _TURNED[event.type]
    return status


_TURNED = {"app.activate": tables.AppStatus.INACTIVE, "app.deactivate": tables.AppStatus.ACTIVE}
"""What an app was before these."""


def policy_of_run(session: Session, run_id: str) -> ImportPolicy | None:
    """The policy that a run was planned under, and is applied under whatever becomes of it; `None` where the run is gone with its app."""
    run = session.get(tables.ImportRun, run_id)
    return catalog.policy_from(run.policy) if run is not None and run.policy else None


def _document(policy: ImportPolicy) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(policy)
    return told
