"""An app's provisioning policy: the whole "To App" page, kept as one value with its history (SPEC §10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Engine

from mastering.catalog.change import changed_parts, changing
from mastering.catalog.policies import Check, anything
from mastering.ledger import Actor
from mastering.rules.policy import ProvisioningPolicy
from mastering.store import catalog as store
from mastering.store.documents import dump
from mastering.store.tables import App


def revise(
    engine: Engine,
    actor: Actor,
    now: datetime,
    app_id: str,
    wanted: Callable[[ProvisioningPolicy], ProvisioningPolicy],
    *,
    check: Check = anything,
) -> App:
    """Keep what `wanted` makes of the policy that is in force; raises `NotFound`, and what `check` and `wanted` raise."""
    with changing(engine, actor, now) as change:
        app = change.app(app_id)
        check(app)
        before = store.provisioning_of(app)
        policy = wanted(before)
        changes = changed_parts(msgspec.to_builtins(before), msgspec.to_builtins(policy))
        if changes:
            app.provisioning = dump(policy)
            change.tell_app(app, "app.provisioning.update", {"changes": changes})
    return app
