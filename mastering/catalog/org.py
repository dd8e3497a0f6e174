"""The org's own options: its safeguard, and what lives beside it (SPEC §8; API.md, /org/safeguard)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Engine

from mastering.catalog.change import changed_parts, changing
from mastering.errors import Invalid
from mastering.ledger import Actor
from mastering.rules.policy import OrgSafeguard, org_faults
from mastering.store import catalog as store
from mastering.store.documents import dump
from mastering.store.engine import reading
from mastering.store.tables import Org

Check = Callable[[Org], None]
"""Looks at the org as it is, before anything is changed, and raises what stands against it: `If-Match`."""


def anything(_: Org) -> None:
    """The check that finds nothing wrong."""


def read(engine: Engine) -> Org:
    """The org."""
    with reading(engine) as session:
        return store.org(session)


def replace_safeguard(engine: Engine, actor: Actor, now: datetime, wanted: OrgSafeguard, *, check: Check = anything) -> Org:
    """Keep these options in the place of those before; raises what `check` raises, and `Invalid` with one cause per fault."""
    with changing(engine, actor, now) as change:
        check(change.org)
        before = store.org_safeguard_of(change.org)
        causes = org_faults(wanted)
        if causes:
            raise Invalid("Api validation failed: org safeguard", *causes)
        changes = changed_parts(msgspec.to_builtins(before), msgspec.to_builtins(wanted))
        if changes:
            change.org.safeguard = dump(wanted)
            change.tell_org("org.safeguard.update", {"changes": changes})
    return change.org
