"""An app's import policy: the whole "To Okta" page, replaced as one value (SPEC §§5-9).

What contradicts itself, does not parse or names what is not there is refused before anything is kept, with one cause per fault.
Enabling an app as a master ranks it last, disabling takes it off the list; another username format maps its users' profiles again, and
another schedule fires from now on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine

from mastering.catalog.change import changed_parts, changing
from mastering.catalog.ranks import settle_rank
from mastering.catalog.schedules import settle_schedules
from mastering.cron import cron_fault
from mastering.errors import Invalid
from mastering.ledger import Actor
from mastering.rules.mapping import MappingRefused, compile_username
from mastering.rules.policy import ImportPolicy, UsernameFormat, faults
from mastering.rules.schema import Schema
from mastering.store import catalog as store
from mastering.store import hooks as hook_store
from mastering.store.tables import App, InlineHook

_LARGEST = 65_536
"""Bytes of a policy as it is kept: it is copied into history with every change."""

Check = Callable[[App], None]
"""Looks at the app as it is, before anything is changed, and raises what stands against it: `If-Match`."""


def anything(_: App) -> None:
    """The check that finds nothing wrong."""


def replace(engine: Engine, actor: Actor, now: datetime, app_id: str, policy: ImportPolicy, *, check: Check = anything) -> App:
    """Keep a policy in the place of the one before; raises `NotFound`, what `check` raises, and `Invalid` with one cause per fault."""
    return revise(engine, actor, now, app_id, lambda _: policy, check=check)


def revise(
    engine: Engine, actor: Actor, now: datetime, app_id: str, wanted: Callable[[ImportPolicy], ImportPolicy], *, check: Check = anything
) -> App:
    """Keep what `wanted` makes of the policy that is in force; raises as `replace` does, and what `wanted` raises."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        check(app)
        before = store.policy_of(app)
        policy = wanted(before)
        hook = hook_store.hook(change.session, policy.hook_id) if policy.hook_id else None
        refuse(policy, store.schema(change.session), hook, now)
        changes = changed_parts(_document(before), _document(policy))
        if changes:
            app.policy = store.policy_text(policy)
            change.tell_app(app, "app.policy.update", {"changes": changes})
            change.ask_again = "mastering" in changes
            change.rematch = not changes.keys().isdisjoint({"matching", "username"})
            settle_rank(change, app)
            settle_schedules(change.session, app, now)
            if "username" in changes and app.rank is not None:
                change.remaster.add(app.id)
    return app


def _document(policy: ImportPolicy) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(policy)
    return told


def refuse(policy: ImportPolicy, schema: Schema, hook: InlineHook | None, now: datetime) -> None:
    """Raise `Invalid`, with one cause per fault, for a policy that is not to be kept. `hook` is the one that it names, if there is such a one."""
    causes = faults(policy) + _schedule_faults(policy, now) + _unknown_attributes(policy, schema)
    if len(store.policy_text(policy)) > _LARGEST:
        causes.append(f"policy: is larger than {_LARGEST} bytes")
    if policy.username.format is UsernameFormat.CUSTOM and policy.username.expression:
        try:
            compile_username(policy.username.format, policy.username.expression)
        except MappingRefused as refused:
            causes += refused.causes
    if policy.hook_id is not None and hook is None:
        causes.append(f"hookId: there is no inline hook {policy.hook_id}")
    if causes:
        raise Invalid("Api validation failed: import policy", *causes)


def _unknown_attributes(policy: ImportPolicy, schema: Schema) -> list[str]:
    unknown = dict.fromkeys(pair.user for pair in policy.matching.attributes if pair.user and pair.user not in schema.attributes)
    return [f"matching.attributes: {name} is not an attribute of the user schema" for name in unknown]


def _schedule_faults(policy: ImportPolicy, now: datetime) -> list[str]:
    firings = {"full": policy.schedule.full, "incremental": policy.schedule.incremental}
    found = {name: cron_fault(firing.cron, firing.timezone, now) for name, firing in firings.items() if firing is not None}
    return [f"schedule.{name}: {fault}" for name, fault in found.items() if fault]
