"""The options of one moment as one value, and what wishes make of it: what saving them would make of it, and what it refuses (SPEC §§3-9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import Session

from mastering.catalog.mappings import Edit, merged
from mastering.catalog.policies import refuse
from mastering.clock import wire
from mastering.errors import Invalid, NotFound
from mastering.rules.change import Terms
from mastering.rules.mapping import Direction, MappingRule, compile_mapping, compile_username
from mastering.rules.policy import ImportPolicy, OrgSafeguard, org_faults
from mastering.rules.profile import Source, Sources
from mastering.rules.ranking import reordered
from mastering.rules.record import Mode
from mastering.rules.schema import AttributeMaster, MasterKind, Schema
from mastering.rules.schema_change import remasters
from mastering.store import catalog, tables
from mastering.store import hooks as hook_store


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be different, all of it at once: policies and mappings by app id, the order of the masters, attributes' masters, the org's options."""

    policies: Mapping[str, ImportPolicy] = field(default_factory=dict)
    ranking: tuple[str, ...] | None = None
    mappings: Mapping[str, tuple[MappingRule, ...]] = field(default_factory=dict)
    attributes: Mapping[str, AttributeMaster] = field(default_factory=dict)
    org: OrgSafeguard | None = None


@dataclass(frozen=True, slots=True)
class World:
    """The options that decide about people. `active` are the apps that take part."""

    ranking: tuple[str, ...]
    policies: Mapping[str, ImportPolicy]
    mappings: Mapping[str, tuple[MappingRule, ...]]
    schema: Schema
    org: OrgSafeguard
    active: frozenset[str]

    @classmethod
    def load(cls, session: Session) -> World:
        """As this transaction sees them."""
        apps = catalog.all_apps(session)
        return cls(
            catalog.ranking(session),
            {app.id: catalog.policy_of(app) for app in apps},
            {app.id: catalog.mapping_rules(session, app.id) for app in apps},
            catalog.schema(session),
            catalog.org_safeguard(session),
            frozenset(app.id for app in apps if app.status is tables.AppStatus.ACTIVE),
        )

    def wished(self, wishes: Wishes) -> World:
        """What saving the wishes would make of it; raises `Invalid` for an order that does not name exactly the masters."""
        ranking = self.ranking
        for app_id, policy in wishes.policies.items():
            ranks = policy.mastering.enabled and app_id in self.active
            if ranks != (app_id in ranking):  # a new master goes last (SPEC §3)
                ranking = (*ranking, app_id) if ranks else tuple(other for other in ranking if other != app_id)
        if wishes.ranking is not None:
            ranking = reordered(ranking, wishes.ranking)
        attributes = dict(self.schema.attributes)
        for name, master in wishes.attributes.items():
            attributes[name] = replace(attributes[name], master=master)
        return World(
            ranking,
            {**self.policies, **wishes.policies},
            {**self.mappings, **wishes.mappings},
            Schema(attributes),
            wishes.org or self.org,
            self.active,
        )

    def sources(self, now: datetime) -> Sources:
        """The masters and their mappings, ready for many users."""
        apps = {app_id: self._source(app_id) for app_id in self.ranking}
        return Sources(self.ranking, apps, self.schema, self.org.update_deactivated_users, now)

    def terms(self, app_id: str, now: datetime) -> Terms:
        """Under what an app's records are planned."""
        policy, source = self.policies[app_id], self._source(app_id)
        return Terms(
            app_id, Mode.INCREMENTAL, policy, source.mapping, source.username, self.schema, self.sources(now), self.org, now, wire(now)
        )

    def _source(self, app_id: str) -> Source:
        username = self.policies[app_id].username
        return Source(compile_mapping(self.mappings[app_id], self.schema), compile_username(username.format, username.expression))


@dataclass(frozen=True, slots=True)
class Follows:
    """What saving would have to do besides: whose profiles are mapped again (`None`: everybody's), and what is asked once more."""

    remaster: frozenset[str] | None
    ask_again: bool
    rematch: bool

    @classmethod
    def between(cls, before: World, after: World) -> Follows:
        """What follows from the difference of two worlds, as the walks of the catalog have it."""
        changed = {app_id for app_id, policy in after.policies.items() if policy != before.policies[app_id]}
        of_mastering = {app_id for app_id in changed if after.policies[app_id].mastering != before.policies[app_id].mastering}
        named = {app_id for app_id in changed if after.policies[app_id].username != before.policies[app_id].username}
        mapped = {app_id for app_id, rules in after.mappings.items() if rules != before.mappings[app_id]}
        came_or_went = set(before.ranking) ^ set(after.ranking)
        stayed = [app_id for app_id in before.ranking if app_id in after.ranking]
        moved = stayed != [app_id for app_id in after.ranking if app_id in before.ranking]
        anew = frozenset(came_or_went | ((named | mapped) & set(after.ranking)))
        everybody = moved or remasters(before.schema, after.schema)
        matched = {app_id for app_id in changed if after.policies[app_id].matching != before.policies[app_id].matching}
        rematch = bool(everybody or anew or matched or named or mapped) or before.schema != after.schema
        return cls(None if everybody else anew, bool(of_mastering) or before.ranking != after.ranking, rematch)


def check(session: Session, wishes: Wishes, now: datetime) -> None:
    """Refuse what saving would refuse: raises `NotFound`, `Invalid` and `MappingRefused` as the walks of the catalog do."""
    before = World.load(session)
    for app_id in (*wishes.policies, *wishes.mappings):
        if app_id not in before.policies:
            raise NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
    for name, master in wishes.attributes.items():
        _check_master(before, name, master)
    after = before.wished(wishes)
    for policy in wishes.policies.values():
        refuse(policy, after.schema, hook_store.hook(session, policy.hook_id) if policy.hook_id else None, now)
    for rules in wishes.mappings.values():
        compile_mapping(rules, after.schema)
    causes = org_faults(wishes.org) if wishes.org is not None else []
    if causes:
        raise Invalid("Api validation failed: org safeguard", *causes)


def _check_master(world: World, name: str, master: AttributeMaster) -> None:
    causes = [] if name in world.schema.attributes else ["is not an attribute of the user schema"]
    causes += [f"there is no app {app_id}" for app_id in master.priority if app_id not in world.policies]
    if (master.kind is MasterKind.OVERRIDE) != bool(master.priority):
        causes.append("an OVERRIDE, and nothing else, has its masters as a priority list")
    if len(set(master.priority)) < len(master.priority):
        causes.append("names an app twice in its priority")
    if causes:
        raise Invalid("Api validation failed: attributes", *(f"attributes.{name}: {cause}" for cause in causes))


def mapping_wished(session: Session, mapping_id: str, edits: Mapping[str, Edit | None]) -> tuple[str, tuple[MappingRule, ...]]:
    """The app and the whole rules of a mapping after some edits. Raises `NotFound`, and `Invalid` for one that leads out to an app."""
    row = session.get(tables.MappingRow, mapping_id)
    if row is None:
        raise NotFound(f"Not found: Resource not found: {mapping_id} (ProfileMapping)")
    if catalog.direction_of(row) is not Direction.INBOUND:
        raise Invalid("Api validation failed: mappings", f"mappings.{mapping_id}: leads to an app; it changes nobody in the directory")
    return catalog.app_of(row), tuple(merged(row, edits))
